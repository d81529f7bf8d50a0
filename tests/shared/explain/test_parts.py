"""Values, curves and figures of attributions on a toy domain, where all of them are known."""

from collections.abc import Iterator

import pytest
import torch
from captum import metrics
from torch import Tensor, nn

from shared.explain import parts
from shared.explain.parts import FieldScene, Subject

from .toys import Numbers, Weighted, scene_of, subject_of, value


def inside(count: int, size: int) -> Tensor:
    return torch.ones(count, size, dtype=torch.bool)


@pytest.mark.parametrize("most", [1, 2, 1000])
def test_values_come_in_chunks_in_the_order_asked(most: int) -> None:
    scene = Numbers(torch.tensor([[1.0, 2.0], [3.0, 9.0]]), torch.tensor([2, 1]), most=most)
    subject = subject_of(scene, [1.0, 10.0])
    kept = torch.tensor([[True, False], [True, True], [False, True]])
    values = subject.values(torch.tensor([0, 1, 0]), lambda at: kept[at])
    assert values.tolist() == [1, 3, 20]
    assert subject.full.tolist() == [21, 3]
    assert subject.empty.tolist() == [0, 0]


def test_log_odds_are_those_of_the_probability() -> None:
    logits, target = torch.tensor([[1.0, 2.0, -1.0], [200.0, 0.0, 0.0]]), torch.tensor([2, 0])
    probability = logits.softmax(1).gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(parts.log_odds(logits, target).sigmoid(), probability)


def test_ranks_follow_the_map_break_ties_at_random_and_put_padding_last() -> None:
    maps = torch.tensor([[3.0, 1.0, 2.0, -1.0], [0.0, -5.0, 7.0, 7.0]])
    there = torch.tensor([[True] * 4, [True, True, False, False]])
    ranks = parts.removal_ranks(maps, there, seed=0)
    assert ranks[0].tolist() == [0, 2, 1, 3]
    assert ranks[1, :2].tolist() == [0, 1]
    tied = parts.removal_ranks(torch.zeros(1, 64), inside(1, 64), seed=0)[0]
    assert sorted(tied.tolist()) == list(range(64)) != tied.tolist()


def test_curves_of_known_orders() -> None:
    scene = scene_of([[1.0] * 10, [1.0, 1.0]])
    subject = subject_of(scene, [5.0, 3.0] + [0.0] * 8)
    good = torch.tensor([[2.0, 1.0] + [0.0] * 8, [2.0, 1.0] + [99.0] * 8])
    deletion, insertion = parts.curves(subject, good, seed=0)
    assert deletion[0].tolist() == [8, 3] + [0] * 9
    assert insertion[0].tolist() == [0, 5] + [8] * 9
    assert deletion[1].tolist() == [8] * 3 + [3] * 5 + [0] * 3  # two parts: the steps are at a quarter and three
    shares = parts.linked(deletion, subject.full, subject.empty, "share")
    torch.testing.assert_close(shares[0, :2], torch.tensor([1, 3 / 8]))
    assert parts.linked(torch.zeros(1, 3), torch.zeros(1), torch.zeros(1), "probability").tolist() == [[0.5] * 3]
    assert parts.linked(torch.zeros(1, 3), torch.zeros(1), torch.zeros(1), "share").tolist() == [[0] * 3]


def test_curves_present_nothing_twice() -> None:
    subject, asked = subject_of(scene_of([[1.0, 2.0, 3.0]]), [1.0, 1.0, 1.0]), []
    subject.model.register_forward_hook(lambda module, inputs, output: asked.append(len(inputs[0])))
    parts.curves(subject, torch.tensor([[3.0, 2.0, 1.0]]), seed=0)
    assert sum(asked) == 2 + 2 + 2  # full and empty, one and two parts removed, one and two put in


def test_a_random_map_scores_as_chance() -> None:
    scene = Numbers(torch.ones(200, 20), torch.full((200,), 20))
    subject = subject_of(scene, [1.0] * 4 + [0.0] * 16)
    maps = parts.random_maps(subject.inside, seed=0)
    evidence = (torch.arange(20) < 4).expand(200, -1)
    assert parts.localisation(maps, evidence).mean().item() == pytest.approx(0.2, abs=0.02)
    for curve in parts.curves(subject, maps, seed=0):
        shares = parts.linked(curve, subject.full, subject.empty, "share")
        assert parts.area(shares).mean().item() == pytest.approx(0.5, abs=0.03)
    others = parts.random_maps(subject.inside, seed=1)
    assert parts.similarity(maps, others, subject.inside).mean().item() == pytest.approx(0, abs=0.05)


def test_infidelity_is_captums_as_a_share() -> None:
    numbers, weights = torch.rand(6, 8, generator=torch.Generator().manual_seed(0)), torch.linspace(-0.2, 1, 8)
    subject = subject_of(Numbers(numbers, torch.full((6,), 8)), weights.tolist())
    sets = parts.random_sets(subject.inside, seed=0)
    effects = parts.removal_effects(subject, sets)
    torch.testing.assert_close(effects, torch.einsum("nsp,np->ns", sets.float(), numbers * weights))
    maps = (numbers * weights).clamp_min(0) + 0.1

    def remove(masks: Tensor) -> tuple[Tensor, Tensor]:
        return sets.flatten(0, 1).float(), masks - sets.flatten(0, 1).float()

    captums = metrics.infidelity(
        lambda masks, numbers: masks * numbers @ weights, remove, torch.ones(6, 8), maps,
        additional_forward_args=(numbers,), n_perturb_samples=sets.shape[1], normalize=True,
    )  # fmt: skip
    torch.testing.assert_close(
        parts.infidelity(maps, sets, effects).float(), captums.flatten() / effects.square().mean(1), rtol=1e-3, atol=0
    )


def test_infidelity_of_exact_scaled_reversed_and_empty_maps() -> None:
    exact = torch.rand(4, 30, generator=torch.Generator().manual_seed(0))
    sets = parts.random_sets(inside(4, 30), seed=0)
    effects = torch.einsum("nsp,np->ns", sets.float(), exact)
    for maps, expected in ((exact, 0), (7 * exact, 0), (-exact, 1), (exact * 0, 1)):
        found = parts.infidelity(maps, sets, effects)
        torch.testing.assert_close(found, torch.full_like(found, expected), rtol=0, atol=1e-6)
    assert (parts.infidelity(exact, sets, effects * 0) == 0).all()


def test_random_sets_lie_inside_and_are_never_empty() -> None:
    there = torch.arange(20) < torch.tensor([20, 3, 1])[:, None]
    sets = parts.random_sets(there, 0)
    assert not (sets & ~there[:, None]).any()
    counts = sets.sum(2)
    assert (counts[0].min(), counts[0].max()) >= (2, 3)
    assert counts[0].max() <= 5
    assert (counts[1:] == 1).all()


def test_similarity_is_of_ranks_and_of_mass_and_of_the_parts_inside() -> None:
    maps = torch.rand(4, 50, generator=torch.Generator().manual_seed(0))
    there = torch.arange(50) < torch.tensor([50, 50, 50, 20])[:, None]
    changed = torch.where(there, -(maps**3), torch.tensor(99.0))
    for others, expected in ((maps, 1), (changed, 1), (1 - maps, -1), (torch.ones(4, 50), 0)):
        found = parts.similarity(maps, others, there)
        torch.testing.assert_close(found, torch.full_like(found, expected))


def test_localisation_and_completeness() -> None:
    evidence = torch.tensor([[True, False, False, False]])
    for values, share in (([1.0, 0, 0, 0], 1), ([-1.0, 0, 0, 0], 1), ([1.0, -1, 1, 1], 0.25), ([0.0] * 4, 0)):
        assert parts.localisation(torch.tensor([values]), evidence).item() == share
    assert parts.completeness(torch.zeros(2, 3), torch.tensor([1.0, 3.0])).tolist() == [0.5, 1.5]
    assert parts.completeness(torch.zeros(2, 3), torch.zeros(2)).tolist() == [0, 0]


def test_one_extreme_part_does_not_fade_the_others() -> None:
    values = torch.ones(400)
    values[0] = -1e6
    scaled = parts.robust_scale(values)
    assert scaled[0] == -1
    assert (scaled[1:] == 1).all()
    assert (parts.robust_scale(torch.zeros(4, 4)) == 0).all()
    lone = torch.zeros(400)
    lone[3] = 5  # the quantile is zero
    assert parts.robust_scale(lone).max() == 1


class Net(nn.Module):
    """Batch norm and dropout: (M, 2) -> (M,)."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.norm, self.last = nn.Linear(2, 6), nn.BatchNorm1d(6), nn.Linear(6, 1)
        self.dropout = nn.Dropout()

    def forward(self, numbers: Tensor) -> Tensor:
        return self.last(self.dropout(self.norm(self.first(numbers)))).squeeze(1)


@pytest.fixture
def net() -> Iterator[Subject]:
    scene = Numbers(torch.rand(50, 2, generator=torch.Generator().manual_seed(0)), torch.full((50,), 2))
    before = torch.get_rng_state()
    yield Subject(Net().eval(), scene, lambda model, batch: model(batch["numbers"]), 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_randomised_model_knows_nothing_and_leaves_the_original(net: Subject) -> None:
    before = {name: weights.clone() for name, weights in net.model.state_dict().items()}
    copied, again, other = (parts.randomise(net, seed) for seed in (0, 0, 1))
    assert all(torch.equal(weights, before[name]) for name, weights in net.model.state_dict().items())
    for mine, theirs in zip(net.model.parameters(), copied.model.parameters(), strict=True):
        assert torch.equal(mine.flatten().sort().values, theirs.flatten().sort().values)
    assert not any(module.training for module in copied.model.modules())
    assert torch.equal(copied.full, again.full)
    assert not torch.equal(copied.full, other.full)
    numbers = net.scene.present(net.rows, net.inside)["numbers"]
    normed = copied.model.norm(copied.model.first(numbers)).mean(0)
    torch.testing.assert_close(normed, copied.model.norm.bias, rtol=0, atol=1e-4)  # statistics of these inputs


def test_a_scene_of_fields_is_the_scene_written_by_hand() -> None:
    numbers, sizes = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 1, 2, 3])
    inside = torch.arange(3) < sizes[:, None]
    evidence = numbers > 0
    fields = FieldScene({"numbers": numbers * inside}, inside, without, evidence, at_once=2)[torch.tensor([2, 0, 3])]
    by_hand = Numbers(numbers, sizes, evidence)[torch.tensor([2, 0, 3])]
    model, rows = Weighted(torch.tensor([1.0, 2.0, 3.0])), torch.tensor([0, 1, 1, 2, 2])
    kept = torch.tensor([[1, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 0], [1, 0, 1]], dtype=torch.bool)
    found = [Subject(model, scene, value, 3).values(rows, lambda at: kept[at]) for scene in (fields, by_hand)]
    assert torch.equal(*found)
    assert torch.equal(fields.sizes, by_hand.sizes)
    assert torch.equal(fields.evidence, by_hand.evidence)


def without(batch, kept):
    return batch | {"numbers": batch["numbers"] * kept}
