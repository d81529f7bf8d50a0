"""Perturbation methods on a domain that is neither images nor texts."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from shared.core.errors import UserError
from shared.explain.methods import METHODS, Unsuitable, find_method
from shared.explain.parts import Subject

from .toys import Numbers, Paired, scene_of, subject_of

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0], [6.0]]
WEIGHTS = [1.0, -10.0, 100.0]


@pytest.mark.parametrize("method", ["occlusion", "shapley_value_sampling"])
def test_of_a_weighted_sum_each_part_has_its_weight(method: str) -> None:
    maps = METHODS[method].run(subject_of(scene_of(ROWS), WEIGHTS), 0)
    torch.testing.assert_close(maps, torch.tensor([[1.0, -20.0, 300.0], [4.0, -50.0, 0.0], [6.0, 0.0, 0.0]]))


def test_a_part_has_the_mean_of_its_groups() -> None:
    scene = Paired(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]]), torch.tensor([3, 2]))
    maps = METHODS["group_occlusion"].run(subject_of(scene, WEIGHTS), 0)
    torch.testing.assert_close(maps, torch.tensor([[-19.0, (-19 + 280) / 2, 280.0], [-46.0, -46.0, 0.0]]))
    with pytest.raises(Unsuitable, match="Numbers has no groups"):
        METHODS["group_occlusion"].run(subject_of(scene_of(ROWS), WEIGHTS), 0)


def test_shapley_values_share_what_parts_do_together() -> None:
    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            return numbers[:, 0] * numbers[:, 1] + numbers[:, 2]

    scene = Numbers(torch.tensor([[2.0, 3.0, 5.0]]).repeat(2, 1), torch.full((2,), 3))
    subject = Subject(Product(), scene, lambda model, batch: model(batch["numbers"]), 3)
    before = torch.get_rng_state()
    maps = METHODS["shapley_value_sampling"].run(subject, 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(maps.sum(1), subject.change)
    torch.testing.assert_close(maps[0], torch.tensor([3.0, 3.0, 5.0]), rtol=0.3, atol=0)
    assert torch.equal(maps[0], maps[1])  # the same question, the same orders
    assert torch.equal(METHODS["shapley_value_sampling"].run(subject, 0), maps)
    assert METHODS["occlusion"].run(subject, 0)[0].tolist() == [6, 6, 5]  # each alone undoes all of it


def test_no_more_goes_through_the_model_than_a_scene_allows() -> None:
    subject, sizes = subject_of(replace(scene_of(ROWS), most=2), WEIGHTS), []
    subject.model.register_forward_hook(lambda module, inputs, output: sizes.append(len(inputs[0])))
    for method in ("occlusion", "shapley_value_sampling"):
        METHODS[method].run(subject, 0)
    assert max(sizes) == 2


def test_unknown_names_are_told() -> None:
    with pytest.raises(UserError, match="oclusion") as caught:
        find_method("oclusion", METHODS)
    assert "did you mean occlusion" in str(caught.value)
