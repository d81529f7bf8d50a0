"""FID and KID: known values, and what is said where the package or the weights are missing."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor

from projects.fashion_gan import inception
from shared.core.errors import UserError


def normal(number: int, seed: int) -> Tensor:
    return torch.randn(number, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_both_are_small_for_one_distribution_and_grow_with_the_shift() -> None:
    real = normal(400, 0)
    near, far = (inception.inception_scores(normal(400, 1) + shift, real, seed=0) for shift in (0.0, 0.5))
    assert abs(near["inception_kernel_distance"]) < 0.02
    assert far["inception_kernel_distance"] > 0.2
    assert far["inception_frechet_distance"] > near["inception_frechet_distance"] + 3  # 16 shifts of 0.5, squared: 4
    assert far == inception.inception_scores(normal(400, 1) + 0.5, real, seed=0)


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inception, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="torch-fidelity") as caught:
        inception.load_inception("weights.pth")
    assert "pip install" in str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("torch_fidelity") is None, reason="torch-fidelity is optional")
def test_files_that_are_no_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        inception.load_inception(str(tmp_path / "none.pth"))
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(UserError, match="not these weights"):
        inception.load_inception(str(tmp_path / "text.pth"))
    torch.save({"fc.bias": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="not these weights"):
        inception.load_inception(str(tmp_path / "other.pth"))
