"""One signature over Captum's attribution methods.

Each method is a row of METHODS: how it is run, and whether its values add up to the change of the output. Every input
is explained against one baseline of its own, and its attribution is a function of (model, input, target, baseline,
seed) alone, whatever else is in the batch. Memory stays flat by the argument that a method has for it: integrated
gradients and occlusion split their own evaluations, the others take the inputs in chunks.

N inputs, C channels, H height, W width, K classes.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from captum.attr import GradientShap, IntegratedGradients, LayerGradCam, Occlusion
from torch import Tensor, nn
from torch.nn import functional as F

from shared.core.errors import UserError
from shared.core.seed import derive
from shared.data.draws import seed_default

BATCH = 256  # inputs that go through the network at once
STEPS = 12  # of the integral, by Gauss-Legendre: completeness within a few percent on convolutional nets
SHAP_SAMPLES = 12  # random points between each image and its baseline
WINDOW = 5 / 32  # side of occlusion's, in sides of the image; next to one another they make 49 positions at any size


class Attribution(NamedTuple):
    """values: (N, C or 1, H, W) float of pixels, or (N, W) of words; delta: (N,) float, by how much the values miss the
    change of the output.
    """

    values: Tensor
    delta: Tensor | None

    @property
    def maps(self) -> Tensor:
        """Of images (N, H, W): the sum over channels, which keeps the total that completeness speaks of."""
        return self.values.sum(1)


@dataclass(frozen=True)
class Call:
    """What a method is run on: at most BATCH inputs, with their targets (N,), baselines (N, C, H, W) and what the model
    takes beside each, (N, ...).
    """

    model: nn.Module
    layer: str
    seed: int
    inputs: Tensor
    targets: Tensor
    baselines: Tensor
    extra: Sequence[Tensor] = ()

    def leaf(self) -> Tensor:
        """The inputs as Captum wants them for gradients; the caller's tensor is left as it is."""
        return self.inputs.detach().clone().requires_grad_()


@dataclass(frozen=True)
class Method:
    """One attribution method.

    Args:
        run: the method itself, of a Call.
        title: for people.
        complete: the values add up to output minus output of the baseline, so the completeness test applies.
        needs_map: it looks at a layer that knows where things are, which a network without convolutions has not.
    """

    run: Callable[..., Attribution]
    title: str
    complete: bool
    needs_map: bool = False


def integrated_gradients(call: Call) -> Attribution:
    """Sundararajan et al. 2017 (arXiv:1703.01365): the gradient, integrated from the baseline to the input."""
    values, delta = IntegratedGradients(call.model).attribute(
        call.leaf(),
        baselines=call.baselines,
        target=call.targets,
        additional_forward_args=tuple(call.extra) or None,
        n_steps=STEPS,
        internal_batch_size=max(BATCH, len(call.inputs)),
        return_convergence_delta=True,
    )
    return Attribution(values, delta)


def gradient_shap(call: Call) -> Attribution:
    """Lundberg & Lee 2017 (arXiv:1705.07874): gradients at random points between the baseline and the input.

    Captum draws a point an input and picks baselines from those of all inputs. So that an input keeps its own baseline
    and its attribution does not depend on its neighbours, a group of inputs is handed over as one, which shares its
    points, and with the difference to the baseline as its input.
    """
    group = BATCH // SHAP_SAMPLES
    wholes = call.inputs, call.targets, call.baselines, *call.extra
    chunks = zip(*(torch.split(part, group) for part in wholes), strict=True)
    parts = [_shap_of_group(call, *chunk) for chunk in chunks]
    values, deltas = zip(*parts, strict=True)
    return Attribution(torch.cat(values), torch.cat(deltas))


def _shap_of_group(
    call: Call, inputs: Tensor, targets: Tensor, baselines: Tensor, *extra: Tensor
) -> tuple[Tensor, Tensor]:
    def total(differences: Tensor) -> Tensor:  # (samples, group, C, H, W) -> (samples,)
        points = (baselines + differences).flatten(0, 1)
        index = targets.repeat(len(differences))[:, None]
        beside = (part.repeat(len(differences), *[1] * (part.ndim - 1)) for part in extra)
        outputs: Tensor = call.model(points, *beside).gather(1, index)
        return outputs.view(len(differences), -1).sum(1)

    difference = (inputs - baselines).detach()[None].requires_grad_()
    with _global_seed(derive(call.seed, "gradient_shap"), inputs.device):
        values = GradientShap(total).attribute(difference, torch.zeros_like(difference), n_samples=SHAP_SAMPLES)[0]
    delta = GradientShap(call.model).compute_convergence_delta(
        values, baselines, inputs, target=targets, additional_forward_args=extra or None
    )
    return values, delta


@contextmanager
def _global_seed(seed: int, device: torch.device) -> Iterator[None]:
    """GradientShap draws from the global generators of numpy and torch: seeds both, then puts them back."""
    numpy_state = np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        seed_default(seed, device)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)


def grad_cam(call: Call) -> Attribution:
    """Selvaraju et al. 2017 (arXiv:1610.02391): a layer's channels weighed by their gradients, positive part.

    Upsampled to the inputs. Raises UserError on a layer that the model has not.
    """
    try:
        layer = call.model.get_submodule(call.layer)
    except AttributeError:
        raise UserError(f"grad_cam: the model has no layer {call.layer!r}") from None
    coarse = LayerGradCam(call.model, layer).attribute(
        call.leaf(), target=call.targets, additional_forward_args=tuple(call.extra) or None, relu_attributions=True
    )
    return Attribution(F.interpolate(coarse, call.inputs.shape[2:], mode="bilinear"), None)


def occlusion(call: Call) -> Attribution:
    """Zeiler & Fergus 2014 (arXiv:1311.2901): what the output loses when a window shows the baseline."""
    count, channels, *sides = call.inputs.shape
    window = (channels, *(max(1, round(side * WINDOW)) for side in sides))
    values = Occlusion(call.model).attribute(
        call.inputs,
        sliding_window_shapes=window,
        strides=window,
        baselines=call.baselines,
        target=call.targets,
        additional_forward_args=tuple(call.extra) or None,
        perturbations_per_eval=max(1, BATCH // count),
    )
    return Attribution(values, None)


METHODS = {
    "integrated_gradients": Method(integrated_gradients, "Integrated Gradients", complete=True),
    "gradient_shap": Method(gradient_shap, "Gradient SHAP", complete=True),
    "grad_cam": Method(grad_cam, "Grad-CAM", complete=False, needs_map=True),
    "occlusion": Method(occlusion, "Occlusion", complete=False),
}


def find_method(name: str, methods: Mapping[str, Method] = METHODS) -> Method:
    """The row of METHODS. Raises UserError on an unknown name, with the nearest known one."""
    if name not in methods:
        near = difflib.get_close_matches(name, methods, n=1)
        hint = f"did you mean {near[0]}?" if near else ""
        raise UserError(f"explain.methods: unknown method {name!r}", expected=", ".join(methods), fix=hint)
    return methods[name]


def attribute(
    method: str,
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    baselines: Tensor,
    extra: tuple[Tensor, ...] = (),
    layer: str = "",
    seed: int = 0,
) -> Attribution:
    """Attributes an output of a model to its inputs. The same seed gives the same bytes on a CPU.

    Args:
        method: a name in METHODS.
        model: (N, C, H, W) and what is in `extra` -> (N, K), in eval mode; it is left as it was found.
        inputs: (N, C, H, W) float, N >= 1.
        targets: (N,) int64, the output to explain of each input.
        baselines: (N, C, H, W) or (1, C, H, W), what an input without any information looks like.
        extra: (N, ...) each, what the model takes beside the inputs and nothing is attributed to.
        layer: name of the module that Grad-CAM looks at, such as "1.blocks".
        seed: of the methods that draw.

    Returns:
        Values (N, C, H, W), for Grad-CAM (N, 1, H, W), and the completeness delta where the method has one.

    Raises:
        UserError: no such method or layer.
    """
    row = find_method(method)
    baselines = baselines.expand_as(inputs)
    chunks = zip(*(torch.split(part, BATCH) for part in (inputs, targets, baselines, *extra)), strict=True)
    calls = (Call(model, layer, seed, some, asked, blank, rest) for some, asked, blank, *rest in chunks)
    parts = [row.run(call) for call in calls]
    deltas = [part.delta.detach() for part in parts if part.delta is not None]
    values = torch.cat([part.values.detach() for part in parts])
    return Attribution(values.to(inputs.dtype), torch.cat(deltas).to(inputs.dtype) if deltas else None)
