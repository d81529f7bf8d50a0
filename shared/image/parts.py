"""Images as parts: pixels that are removed by showing a baseline, and gradient methods on pixels.

N images, C channels, H height, W width, P = H * W pixels, M presentations, S squares, G windows.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from captum.attr import GradientShap, IntegratedGradients, LayerGradCam
from torch import Tensor, nn
from torch.nn import functional as F

from shared.core.seed import derive
from shared.data.batches import Batch
from shared.data.draws import generator
from shared.explain.methods import Method, Unsuitable, global_seed, occlude_groups
from shared.explain.parts import SETS, Subject, select_fields

BATCH, PIXELS = 256, 2**20  # images, and pixels of them, that go through the network at once
_STEPS = 12  # of the integral, by Gauss-Legendre: completeness within a few percent on convolutional nets
SHAP_SAMPLES = 12  # random points between each image and its baseline
WINDOW = 5 / 32  # side of occlusion's, in sides of the image; side by side they make 49 positions at any size
SQUARE_SIDES = 1 / 8, 1 / 4  # of the squares that test infidelity; with larger ones any positive map scores well


def own_colour(images: Tensor) -> Tensor:
    """The baseline, (N, C, H, W): every image's mean colour, so without content and equally bright.

    With one colour for all images, much of the attribution would go to the background's distance from that colour, and
    what is left blank could not count.
    """
    return images.mean(dim=(2, 3), keepdim=True).expand_as(images)


@dataclass(frozen=True)
class ImageScene:
    """Questions about images: a batch has "image" (M, C, H, W) and the questions' own fields.

    Args:
        images: (N, C, H, W) float, as the model takes them.
        baselines: like images: images without content, such as black ones.
        fields: name -> (N, ...), further inputs of the value, such as the target.
        evidence: (N, H, W) bool, the pixels that decide; kept as (N, P). None if the data has no evidence.
    """

    images: Tensor
    baselines: Tensor
    fields: Mapping[str, Tensor] = field(default_factory=dict)
    evidence: Tensor | None = None

    def __post_init__(self) -> None:
        if self.evidence is not None:
            object.__setattr__(self, "evidence", self.evidence.flatten(1).cpu())

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor) -> "ImageScene":
        there = rows.to(self.images.device)
        evidence = None if self.evidence is None else self.evidence[rows]
        return ImageScene(self.images[there], self.baselines[there], select_fields(self.fields, rows), evidence)

    @property
    def sizes(self) -> Tensor:
        return torch.full((len(self),), self.images[0, 0].numel())

    @property
    def batch_size(self) -> int:
        return max(1, min(BATCH, PIXELS // self.images[0, 0].numel()))

    def chunks(self, rows: Tensor) -> Iterator[Tensor]:
        yield from torch.arange(len(rows)).split(self.batch_size)  # type: ignore[no-untyped-call]

    def present(self, rows: Tensor, kept: Tensor) -> Batch:
        there = rows.to(self.images.device)
        images = self.images[there]
        shown = kept.to(images.device).view(-1, 1, *images.shape[2:])
        return select_fields(self.fields, rows) | {"image": torch.where(shown, images, self.baselines[there])}

    def groups(self, row: int) -> Tensor:
        """(G, P) bool: windows side by side, the same in every image."""
        height, width = self.images.shape[2:]
        rows, columns = (torch.arange(side) // max(1, round(side * WINDOW)) for side in (height, width))
        number = (rows[:, None] * (columns.max() + 1) + columns).flatten()
        return torch.arange(int(number.max()) + 1)[:, None] == number

    def removals(self, seed: int) -> Tensor:
        """(N, S, P) bool: squares of random side and place, wholly inside, the same in every image."""
        height, width = self.images.shape[2:]
        side, top, left = torch.rand(3, SETS, 1, 1, generator=generator(seed, "squares"))
        low, high = (max(1.0, share * min(height, width)) for share in SQUARE_SIDES)
        side = (low + side * (high - low)).round()
        rows, columns = torch.arange(height)[None, :, None], torch.arange(width)[None, None, :]
        top, left = (top * (height - side + 1)).floor(), (left * (width - side + 1)).floor()
        inside: Tensor = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
        return inside.flatten(1).expand(len(self), -1, -1)


@dataclass(frozen=True)
class Chunk:
    """Images that go through the network at once, on its device: images, baselines (M, C, H, W), rows (M,)."""

    subject: Subject
    rows: Tensor
    images: Tensor
    baselines: Tensor

    def value(self, images: Tensor, rows: Tensor) -> Tensor:
        """(M,) values of any images, with the fields of the questions rows (M,)."""
        fields = select_fields(self.subject.scene.fields, rows)  # type: ignore[attr-defined]
        return self.subject.score(fields | {"image": images})

    def leaf(self) -> Tensor:
        """The images as a leaf tensor that requires gradients, as Captum needs it."""
        return self.images.detach().clone().requires_grad_()


def _chunks(subject: Subject, size: int) -> Iterator[Chunk]:
    scene = subject.scene
    assert isinstance(scene, ImageScene)
    for rows in subject.rows.split(size):  # type: ignore[no-untyped-call]
        there = rows.to(scene.images.device)
        yield Chunk(subject, rows, *(part[there].to(subject.device) for part in (scene.images, scene.baselines)))


def _batch_size(subject: Subject) -> int:
    assert isinstance(subject.scene, ImageScene)
    return subject.scene.batch_size


def _summed(values: list[Tensor]) -> Tensor:
    """(M, C, H, W) each -> (N, P): the sum over channels, so that completeness still holds."""
    return torch.cat([part.detach().sum(1).flatten(1).cpu() for part in values])


def integrated_gradients(subject: Subject, seed: int) -> Tensor:
    """Sundararajan et al. 2017 (arXiv:1703.01365): the gradient, integrated from the baseline to the image."""
    size = _batch_size(subject)
    return _summed(
        [
            IntegratedGradients(chunk.value).attribute(
                chunk.leaf(), chunk.baselines, additional_forward_args=chunk.rows, n_steps=_STEPS,
                internal_batch_size=size,
            )
            for chunk in _chunks(subject, size)
        ]
    )  # fmt: skip


def gradient_shap(subject: Subject, seed: int) -> Tensor:
    """Lundberg & Lee 2017 (arXiv:1705.07874): gradients at random points between the baseline and the image.

    Captum draws a point an input and picks baselines from those of all inputs. So that an image keeps its own baseline
    and its map does not depend on its neighbours, a group of images is handed over as one input, which shares its
    points, and as the difference to the baseline.
    """

    def of_group(chunk: Chunk) -> Tensor:
        def total(differences: Tensor) -> Tensor:  # (samples, group, C, H, W) -> (samples,)
            count = len(differences)
            values = chunk.value((chunk.baselines + differences).flatten(0, 1), chunk.rows.repeat(count))
            return values.view(count, -1).sum(1)

        difference = (chunk.images - chunk.baselines).detach()[None].requires_grad_()
        with global_seed(derive(seed, "gradient_shap"), difference.device):
            found = GradientShap(total).attribute(difference, torch.zeros_like(difference), n_samples=SHAP_SAMPLES)
        return found[0]  # type: ignore[no-any-return]

    return _summed([of_group(chunk) for chunk in _chunks(subject, max(1, _batch_size(subject) // SHAP_SAMPLES))])


def grad_cam(subject: Subject, seed: int) -> Tensor:
    """Selvaraju et al. 2017 (arXiv:1610.02391): a layer's channels weighed by their gradients, positive part, enlarged.

    Uses the last layer whose output is a feature map, with its channels first or last. Raises Unsuitable if there is
    none.
    """
    layer, channels_last = last_map_layer(subject)
    found = []
    with _channels_first(layer) if channels_last else nullcontext(layer) as maps:
        for chunk in _chunks(subject, _batch_size(subject)):
            coarse = LayerGradCam(chunk.value, maps).attribute(
                chunk.leaf(), additional_forward_args=chunk.rows, relu_attributions=True
            )
            found.append(F.interpolate(coarse, chunk.images.shape[2:], mode="bilinear"))
    return _summed(found)


@contextmanager
def _channels_first(layer: nn.Module) -> Iterator[nn.Module]:
    """A module that sees the maps (M, h, w, C) of a layer as (M, C, h, w): Captum reads them at its output."""
    view = nn.Identity()
    handle = layer.register_forward_hook(lambda _, __, maps: view(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
    try:
        yield view
    finally:
        handle.remove()


@torch.no_grad()
def last_map_layer(subject: Subject) -> tuple[nn.Module, bool]:
    """The last module of the model whose output is a feature map, (M, C, h, w) or (M, h, w, C) with h and w above 1,
    and whether its channels come last. Raises Unsuitable."""
    found: dict[str, torch.Size] = {}
    handles = [module.register_forward_hook(_note(found, name)) for name, module in subject.model.named_modules()]
    chunk = next(_chunks(subject, 1))
    images = chunk.images.expand(2, -1, -1, -1)  # two, so that a batch dimension is not confused with others
    try:
        chunk.value(images, chunk.rows.repeat(2))
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise Unsuitable("Grad-CAM needs a convolutional network: no layer of this one gives maps")
    name, shape = found.popitem()
    first, last = (_distortion(sides, images.shape[2:]) for sides in (shape[2:], shape[1:3]))
    if min(first, last) > 2:
        raise Unsuitable(
            f"Grad-CAM reads maps, but the last 4-D output, of {name!r}, is {tuple(shape)} for images of "
            f"{images.shape[2]}x{images.shape[3]} pixels: no maps at all"
        )
    return subject.model.get_submodule(name), last < first


def _note(found: dict[str, torch.Size], name: str) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        if (
            isinstance(output, Tensor)
            and output.ndim == 4
            and len(output) == 2
            and max(min(output.shape[2:]), min(output.shape[1:3])) > 1
        ):
            found.pop(name, None)  # a module that is called twice is as late as its last call
            found[name] = output.shape

    return hook


def _distortion(maps: Sequence[int], images: Sequence[int]) -> float:
    """How much coarser a grid (h, w) is one way than the other, on images (H, W): 1 for the same shape; infinite for a
    single row or column. Channels taken for a side, and attention between tokens, are far from 1."""
    if min(maps) < 2:
        return math.inf
    ratio = maps[0] / images[0] * images[1] / maps[1]
    return max(ratio, 1 / ratio)


READING = (
    "Integrates the gradient on the path from a blank image to this one. Marks pixels that raise (or lower) the score "
    "compared with blank; grainy, and its values add up to the change of the score."
)
IMAGE_METHODS = {
    "integrated_gradients": Method("Integrated Gradients", READING, integrated_gradients, complete=True),
    "gradient_shap": Method(
        "Gradient SHAP",
        "Integrated gradients at random points of that path. Read it the same way; its sum is less exact.",
        gradient_shap,
        complete=True,
    ),
    "grad_cam": Method(
        "Grad-CAM",
        "What the last convolutions looked at, as a coarse cloud. Shows the region, never the exact pixels.",
        grad_cam,
    ),
    "occlusion": Method(
        "Occlusion",
        "Covers one patch after another and records how far the score falls. As coarse as the patch; needs no "
        "gradient, so it is a good second opinion.",
        occlude_groups,
    ),
}
