"""A training learns, goes on after an interruption with the same bytes, and says what was not finite."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from projects.fashion_gan import train
from projects.fashion_gan.losses import LOSSES, Losses
from shared.core.errors import UserError
from shared.data.prepared import Prepared
from shared.training.checkpoint import Checkpoint

from . import tiny


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return tiny.prepare(tmp_path_factory.mktemp("data"))


class Interrupted(Checkpoint):
    """Ctrl-C right after the second checkpoint."""

    def save(self, state: dict[str, Any]) -> None:
        super().save(state)
        if state["progress"]["step"] == 14:
            raise KeyboardInterrupt


def left(trained: train.Run, out: Path) -> dict[str, Any]:
    """Every byte that a training leaves, but times."""
    files = {path.name: path.read_bytes() for path in sorted(out.glob("samples/*"))}
    weights = {name: tensor.numpy().tobytes() for name, tensor in trained.model.state_dict().items()}
    return files | weights | {"history": trained.history.train, "validation": trained.history.validation}


@pytest.mark.parametrize("changes", [{"translation": 0.125}, {"loss": "hinge", "ema_decay": 0.0}])
def test_an_interrupted_run_ends_with_the_same_bytes(
    prepared: Prepared, tmp_path: Path, changes: dict[str, Any]
) -> None:
    chosen = tiny.params(**changes)
    straight = left(tiny.run(prepared, tmp_path / "straight", chosen), tmp_path / "straight")
    assert len(straight) > 10
    with pytest.raises(KeyboardInterrupt):
        tiny.run(prepared, tmp_path / "resumed", chosen, Interrupted)
    for _ in range(2):  # the second one finds the checkpoint of the last step
        assert left(tiny.run(prepared, tmp_path / "resumed", chosen), tmp_path / "resumed") == straight


def test_samples_over_training_are_an_animation_and_its_last_picture(prepared: Prepared, tmp_path: Path) -> None:
    tiny.run(prepared, tmp_path / "out", tiny.params())
    with Image.open(tmp_path / "out/samples/moving.webp") as image:
        assert getattr(image, "n_frames", 1) == 4  # steps 15, 30, 45 and 50
    with Image.open(tmp_path / "out/samples/still.png") as image:
        assert image.size == (10 * (tiny.SIDE + 1) + 1, 8 * (tiny.SIDE + 1) + 1)


def test_it_learns_what_each_class_looks_like(prepared: Prepared, tmp_path: Path) -> None:
    chosen = tiny.params(epochs=60.0, train__model__width=16, r1_weight=0.1, r1_steps=1, lr=0.004, sample_epochs=60.0)
    trained = tiny.run(prepared, tmp_path / "out", chosen)
    with Image.open(tmp_path / "out/samples/still.png") as picture:
        grid = np.asarray(picture.convert("L"))[1:, 1:].reshape(8, tiny.SIDE + 1, 10, tiny.SIDE + 1)[:, :-1, :, :-1]
    images = grid.transpose(0, 2, 1, 3).reshape(80, tiny.SIDE, tiny.SIDE).astype(float)
    vertical = images.mean(1).std(1) > images.mean(2).std(1)  # columns differ more than rows
    assert (vertical == (np.arange(80) % 2 == 0)).mean() > 0.9
    assert set(trained.history.validation[0]) == {"step", "epoch", "valid_logit", "train_logit"}


@pytest.mark.parametrize("log_steps", [1, 10])
@pytest.mark.parametrize("name", ["discriminator", "generator"])
def test_a_loss_that_is_not_finite_is_named_with_its_step(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, log_steps: int
) -> None:
    fine = LOSSES["hinge"]
    broken = {
        "discriminator": fine._replace(discriminator=lambda real, fake: fake / 0),
        "generator": fine._replace(generator=lambda fake: fake * float("nan")),
    }
    monkeypatch.setitem(LOSSES, "hinge", broken[name])
    chosen = tiny.params(loss="hinge", runtime__log_steps=log_steps, runtime__checkpoint_steps=10)
    with pytest.raises(UserError, match=f"not finite in step 0 .epoch 0.00.: {name} loss"):
        tiny.run(prepared, tmp_path / "out", chosen)
    assert not (tmp_path / "out/last.pt").exists()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_short_precision_stays_finite(prepared: Prepared, tmp_path: Path, precision: str) -> None:
    chosen = tiny.params(precision=precision, epochs=4.0, r1_steps=1, translation=0.125)
    rows = tiny.run(prepared, tmp_path / "out", chosen).history.train
    assert len(rows) == 20
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert all(row["train_penalty"] > 0 for row in rows)


def test_in_fp16_an_overflow_of_the_generator_moves_neither_it_nor_its_average(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[dict[str, Any]] = []

    class Kept(Checkpoint):
        def save(self, state: dict[str, Any]) -> None:
            super().save(state)
            states.append(torch.load(self.path, weights_only=True))

    chosen = tiny.params(precision="fp16", epochs=2.0, loss="hinge", runtime__checkpoint_steps=1)
    huge = Losses(LOSSES["hinge"].discriminator, lambda fake: fake * 1e38)
    monkeypatch.setitem(LOSSES, "hinge", huge)
    tiny.run(prepared, tmp_path / "out", chosen, Kept)
    first, last = states[0], states[-1]
    assert last["generator_scaler"]["scale"] == 2.0**16 / 4 / 2**10  # every step was skipped
    assert int(last["average"]["n_averaged"]) == 0
    assert last["generator_optimizer"]["state"][0]["step"] == 0
    assert torch.equal(last["generator_module"]["stem.weight"], first["generator_module"]["stem.weight"])
    assert last["discriminator_scaler"]["scale"] > last["generator_scaler"]["scale"]
    assert last["discriminator_optimizer"]["state"][0]["step"] > 5
