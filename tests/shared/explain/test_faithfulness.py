import pytest
import torch
from torch import nn

from shared.explain import faithfulness as tests_of
from shared.explain.attribution import attribute

from .toys import Linear, pictures, small_net

SIDE = 10


class Bright(nn.Module):
    """Probability of class 1 = share of the pixels with evidence that are bright."""

    def __init__(self, evidence):
        super().__init__()
        self.evidence = evidence

    def forward(self, images):
        share = (images[:, 0] * self.evidence).sum((1, 2)) / self.evidence.sum()
        return torch.stack([1 - share, share], 1).clamp_min(1e-12).log()


@pytest.fixture
def scene():
    evidence = torch.zeros(SIDE, SIDE)
    evidence[:2] = 1  # 20 of 100 pixels
    images = torch.ones(3, 1, SIDE, SIDE)
    return Bright(evidence), images, torch.zeros_like(images), torch.ones(3, dtype=torch.long), evidence


def test_curves_of_the_evidence_itself_have_known_areas(scene):
    model, images, baselines, targets, evidence = scene
    ranks = tests_of.removal_ranks(evidence.expand(3, -1, -1), seed=0)[:, None]
    deletion = tests_of.curve(model, targets, images, baselines, ranks)
    torch.testing.assert_close(deletion[0], torch.tensor([1, 0.5] + [0.0] * 9))  # half of the evidence a step
    assert tests_of.area(deletion) == pytest.approx(0.1)
    insertion = tests_of.curve(model, targets, baselines, images, ranks)
    assert tests_of.area(insertion) == pytest.approx(0.9)


def test_a_random_or_constant_map_removes_evidence_evenly(scene):
    model, images, baselines, targets, _ = scene
    for maps in (tests_of.random_maps(3, SIDE, SIDE, seed=0), torch.ones(3, SIDE, SIDE)):
        curves = tests_of.curve(model, targets, images, baselines, tests_of.removal_ranks(maps, seed=0)[:, None])
        assert tests_of.area(curves) == pytest.approx(0.5, abs=0.1)
        torch.testing.assert_close(curves[:, [0, -1]], torch.tensor([[1.0, 0.0]] * 3))


def test_ranks_follow_the_map_and_break_ties_at_random():
    maps = torch.tensor([[[3.0, 1.0], [2.0, -1.0]]])
    assert tests_of.removal_ranks(maps, seed=0).tolist() == [[[0, 2], [1, 3]]]
    tied = tests_of.removal_ranks(torch.zeros(1, 8, 8), seed=0).flatten()
    assert sorted(tied.tolist()) == list(range(64)) != tied.tolist()


def test_infidelity_is_zero_for_an_exact_map_and_all_for_none():
    weights = torch.linspace(0.1, 1, 64).view(8, 8)
    images, targets = pictures(4, 8, 1), torch.ones(4, dtype=torch.long)
    baselines, exact = torch.zeros_like(images), weights * images[:, 0]

    def infidelity(maps):
        return tests_of.infidelity(Linear(weights), images, baselines, targets, maps, seed=0)

    assert infidelity(exact) == pytest.approx(0, abs=1e-6)
    assert infidelity(7 * exact) == pytest.approx(0, abs=1e-6)  # the unit does not matter
    squares = tests_of.random_squares(8, 8, seed=0)
    effects = torch.einsum("nhw,phw->np", exact, squares.float())
    assert infidelity(torch.zeros(4, 8, 8)) == pytest.approx(effects.square().mean().item(), rel=1e-4)
    assert 0 < infidelity(tests_of.random_maps(4, 8, 8, seed=0)) < infidelity(torch.zeros(4, 8, 8))


def test_squares_are_squares_inside():
    squares = tests_of.random_squares(32, 32, seed=1)
    for square in squares:
        sides = square.any(0).sum(), square.any(1).sum()
        assert sides[0] == sides[1] == square.sum().sqrt()
        assert 4 <= sides[0] <= 8


def test_sensitivity_of_known_explanations():
    images, targets = pictures(3), torch.zeros(3, dtype=torch.long)

    def sensitivity(explain):
        return tests_of.sensitivity(explain, images, images, targets, seed=0)

    assert sensitivity(lambda inputs, baselines, targets: torch.ones(len(inputs), 16, 16)) == 0
    relative = sensitivity(lambda inputs, baselines, targets: inputs[:, 0])
    assert 0.01 < relative < 0.03  # noise uniform within 0.02 against pixels uniform within 1: 0.02 rms over rms


def test_sensitivity_keeps_each_image_with_its_target_and_baseline(monkeypatch):
    images, targets = pictures(6), torch.arange(6)

    def explain(inputs, baselines, targets):
        assert (inputs - baselines).abs().max() <= tests_of.NOISE_RADIUS + 1e-6
        return targets.view(-1, 1, 1).expand(-1, 16, 16).float()

    monkeypatch.setattr(tests_of, "BATCH", 8)  # two images at once
    assert tests_of.sensitivity(explain, images, images, targets, seed=0) == 0


def test_similarity():
    maps, others = tests_of.random_maps(4, 16, 16, seed=0), tests_of.random_maps(4, 16, 16, seed=1)
    assert tests_of.similarity(maps, maps) == pytest.approx(1)
    assert tests_of.similarity(maps, -(maps**3)) == pytest.approx(1)  # of ranks and of mass
    assert tests_of.similarity(maps, 1 - maps) == pytest.approx(-1)
    assert tests_of.similarity(maps, others) == pytest.approx(0, abs=0.1)
    assert tests_of.similarity(maps, torch.ones(4, 16, 16)) == 0


def test_localisation():
    evidence = torch.zeros(3, 20, 20, dtype=torch.bool)
    evidence[:2, 5:15, 5:15] = True  # a quarter; the last image has none and does not count
    assert tests_of.localisation(evidence.float(), evidence) == 1
    assert tests_of.localisation(-evidence.float(), evidence) == 1
    assert tests_of.localisation(torch.ones(3, 20, 20), evidence) == pytest.approx(0.25)
    assert tests_of.localisation(tests_of.random_maps(3, 20, 20, seed=0), evidence) == pytest.approx(0.25, abs=0.03)
    assert tests_of.localisation(torch.zeros(3, 20, 20), evidence) == 0


def test_completeness_of_integrated_gradients_and_of_nothing():
    model, images, targets = small_net(), pictures(4), torch.tensor([0, 1, 2, 3])
    baselines = torch.zeros_like(images)
    delta = attribute("integrated_gradients", model, images, targets, baselines=baselines).delta
    change = tests_of.target_logits(model, images, targets) - tests_of.target_logits(model, baselines, targets)
    assert tests_of.completeness(delta, change) < 0.05
    assert tests_of.completeness(change, change) == pytest.approx(1)
    assert tests_of.completeness(torch.zeros(2), torch.zeros(2)) == 0


def test_a_randomised_copy_knows_nothing_and_leaves_the_original():
    model, images = small_net(), pictures(8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch_before = torch.get_rng_state()
    copied = tests_of.randomise(model, images, seed=0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), torch_before)
    for mine, theirs in zip(model.parameters(), copied.parameters(), strict=True):
        assert torch.equal(mine.flatten().sort().values, theirs.flatten().sort().values)
    assert not torch.equal(model[0].weight, copied[0].weight)
    assert not copied.training
    assert copied(images).isfinite().all()
    torch.testing.assert_close(copied[:2](images).mean((0, 2, 3)), copied[1].bias)  # statistics of these images
    again = tests_of.randomise(model, images, seed=0)
    assert torch.equal(copied(images), again(images))
    assert not torch.equal(copied(images), tests_of.randomise(model, images, seed=1)(images))


def test_one_image_and_chunks_give_the_same_curves(monkeypatch):
    model, images, targets = small_net(), pictures(5), torch.tensor([0, 1, 2, 3, 0])
    ranks = tests_of.removal_ranks(tests_of.random_maps(5, 16, 16, seed=0), seed=0)[:, None]
    maps = tests_of.random_maps(5, 16, 16, seed=1)
    whole = tests_of.curve(model, targets, images, images * 0, ranks)
    error = tests_of.infidelity(model, images, images * 0, targets, maps, seed=0)
    monkeypatch.setattr(tests_of, "BATCH", 20)  # two images of ten squares
    torch.testing.assert_close(tests_of.infidelity(model, images, images * 0, targets, maps, seed=0), error)
    monkeypatch.setattr(tests_of, "BATCH", 2)
    torch.testing.assert_close(tests_of.curve(model, targets, images, images * 0, ranks), whole)
    alone = tests_of.curve(model, targets[:1], images[:1], images[:1] * 0, ranks[:1])
    torch.testing.assert_close(alone, whole[:1])


def test_a_saturated_target_has_a_flat_curve_of_one():
    class Sure(nn.Module):
        def forward(self, images):
            return torch.tensor([[1000.0, -1000.0]]).expand(len(images), 2)

    images = pictures(2)
    ranks = tests_of.removal_ranks(torch.zeros(2, 16, 16), seed=0)[:, None]
    curves = tests_of.curve(Sure(), torch.tensor([0, 0]), images, images * 0, ranks)
    assert tests_of.area(curves) == 1
