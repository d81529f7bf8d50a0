import numpy as np
import pytest
import torch
from torch import nn

from shared.core.errors import UserError
from shared.explain import attribution
from shared.explain.attribution import METHODS, attribute
from shared.explain.image_score import ImageExplainer, ImageScene

from .toys import Linear, pictures, small_net

LAYER = "2"  # the activation of small_net


def explain(method, model, images, targets, seed=0, baselines=None):
    baselines = torch.zeros(1, *images.shape[1:]) if baselines is None else baselines
    return attribute(method, model, images, targets, baselines=baselines, layer=LAYER, seed=seed)


@pytest.fixture
def weights():
    return torch.linspace(-1, 1, 64).view(8, 8)


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.complete])
def test_of_a_linear_model_is_weight_times_difference(method, weights):
    images, baselines = pictures(3, 8, 1), pictures(3, 8, 1, seed=1)
    result = explain(method, Linear(weights), images, torch.tensor([1, 1, 0]), baselines=baselines)
    expected = weights * (images - baselines) * torch.tensor([1, 1, -1]).view(3, 1, 1, 1)
    torch.testing.assert_close(result.values, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(result.delta, torch.zeros(3), rtol=0, atol=1e-4)


def test_occlusion_of_a_linear_model_is_what_the_window_held(weights):
    images = pictures(2, 8, 1)
    result = explain("occlusion", Linear(weights), images, torch.tensor([1, 1]))
    assert round(8 * attribution.WINDOW) == 1  # so that the window is a pixel
    torch.testing.assert_close(result.values, weights * images, rtol=1e-3, atol=1e-4)
    assert result.delta is None


def test_grad_cam_is_the_positive_weighted_activation_upsampled():
    class TwoMaps(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = nn.AvgPool2d(4)

        def forward(self, images):
            left, right = self.pool(images).mean((2, 3)).unbind(1)
            return torch.stack([left - right, right - left], 1)

    images = torch.zeros(1, 2, 8, 8)
    images[0, 0, :, :4], images[0, 1, :, 4:] = 1, 1
    result = attribute("grad_cam", TwoMaps(), images, torch.tensor([0]), baselines=images * 0, layer="pool")
    expected = torch.tensor([1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0]) / 4  # the right half weighs -1/4: cut off
    torch.testing.assert_close(result.values[0, 0], expected.expand(8, 8))
    assert result.values.shape == (1, 1, 8, 8)


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_bytes_and_the_global_generators_stay(method):
    model, images, targets = small_net(), pictures(3), torch.tensor([0, 1, 2])
    first = explain(method, model, images, targets)
    np.random.seed(5)
    torch.manual_seed(5)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    second = explain(method, model, images, targets)
    assert torch.equal(first.values, second.values)
    assert (np.random.get_state()[1] == numpy_before).all()
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_another_seed_draws_other_points():
    model, images, targets = small_net(), pictures(2), torch.tensor([0, 1])
    maps = [explain("gradient_shap", model, images, targets, seed=seed).values for seed in (0, 1)]
    assert not torch.equal(*maps)


@pytest.mark.parametrize("method", METHODS)
def test_chunks_change_nothing(method, monkeypatch):
    model, images, targets = small_net(), pictures(5), torch.tensor([0, 1, 2, 3, 0])
    whole = explain(method, model, images, targets)
    monkeypatch.setattr(attribution, "BATCH", 2 if method != "gradient_shap" else 2 * attribution.SHAP_SAMPLES)
    parts = explain(method, model, images, targets)
    torch.testing.assert_close(parts.values, whole.values, rtol=1e-4, atol=1e-6)
    alone = explain(method, model, images[3:4], targets[3:4])
    torch.testing.assert_close(alone.values, whole.values[3:4], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_network_never_sees_more_than_a_batch(method, monkeypatch):
    sizes = []
    model = small_net()
    model.register_forward_hook(lambda module, inputs, output: sizes.append(len(inputs[0])))
    monkeypatch.setattr(attribution, "BATCH", 32)
    explain(method, model, pictures(40), torch.zeros(40, dtype=torch.long))
    assert max(sizes) <= 32


@pytest.mark.parametrize("method", METHODS)
def test_the_model_and_the_images_are_left_as_found(method):
    model, images = small_net(), pictures(2)
    model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    explain(method, model, images, torch.tensor([0, 1]))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [weight.requires_grad for weight in model.parameters()] == [False] + [True] * 5
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks for module in model)
    assert not images.requires_grad
    assert not model.training


def test_unknown_names_are_told():
    with pytest.raises(UserError, match="grad_kam"):
        explain("grad_kam", small_net(), pictures(1), torch.tensor([0]))
    with pytest.raises(UserError, match="no layer 'head'"):
        attribute("grad_cam", small_net(), pictures(1), torch.tensor([0]), baselines=pictures(1), layer="head")


class Labelled(nn.Module):
    """(N, 3, H, W) and (N,) labels -> (N, 4): another network for each label."""

    def __init__(self) -> None:
        super().__init__()
        self.nets = nn.ModuleList(small_net(seed) for seed in (0, 1))

    def forward(self, images, label):
        outputs = torch.stack([net(images) for net in self.nets])
        return outputs[label, torch.arange(len(label))]


class Fixed(nn.Module):
    """The same for one label."""

    def __init__(self, model, label):
        super().__init__()
        self.model, self.label = model, label

    def forward(self, images):
        return self.model(images, torch.full((len(images),), self.label))


@pytest.mark.parametrize("method", METHODS)
def test_what_the_model_takes_beside_an_image_stays_with_it(method, monkeypatch):
    monkeypatch.setattr(attribution, "BATCH", 24)  # several chunks
    model, images, label = Labelled().eval(), pictures(30), torch.arange(30) % 2
    targets, baselines = torch.arange(30) % 4, pictures(30, seed=1)
    scene = ImageScene(images, baselines, targets, None, (label,))
    explainer = ImageExplainer(model, "nets.0.2", seed=0)
    whole, moved = explainer(method, scene).maps, explainer.sensitivity(method, scene)["sensitivity_error"]
    curves, missed, moves = scene.curves(model, whole, 0).deletion, scene.infidelity(model, whole, 0), []
    parts = []
    for one in (0, 1):
        rows, fixed = torch.nonzero(label == one)[:, 0], Fixed(model, one).eval()
        alone = ImageScene(images[rows], baselines[rows], targets[rows], None)
        explained = ImageExplainer(fixed, "model.nets.0.2", seed=0)
        torch.testing.assert_close(explained(method, alone).maps, whole[rows], rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(alone.curves(fixed, whole[rows], 0).deletion, curves[rows])
        parts.append(alone.infidelity(fixed, whole[rows], 0))
        moves.append(explained.sensitivity(method, alone)["sensitivity_error"])
    assert missed == pytest.approx(sum(parts) / 2, rel=1e-3)
    assert moved == pytest.approx(sum(moves) / 2, rel=1e-2)
