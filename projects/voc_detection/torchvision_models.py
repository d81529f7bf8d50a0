"""torchvision's detectors by name, for these classes and sizes, with the interface that the project trains and tests.

B images, L objects of the image with most, N detections, S the side of the grid of a mask.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.core.errors import UserError
from shared.core.paths import show, weights_file
from shared.data.batches import Batch

BUILDERS = {
    "fasterrcnn": "fasterrcnn_resnet50_fpn",
    "fcos": "fcos_resnet50_fpn",
    "retinanet": "retinanet_resnet50_fpn",
    "ssdlite": "ssdlite320_mobilenet_v3_large",
    "maskrcnn_resnet50_fpn": "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2": "maskrcnn_resnet50_fpn_v2",
}
HUB = "hub"


class TorchvisionDetector(nn.Module):
    """In training a dict of losses, else (boxes, scores, labels, masks) of each image. Their class 0 is the background.

    Masks are None, or (N, S, S) probabilities on a grid over the box, as `gives_masks` says.
    """

    def __init__(self, name: str, num_classes: int, sides: tuple[int, int]) -> None:
        super().__init__()
        self.net: Any = build_detector(name, num_classes + 1, sides)
        self.gives_masks = name.startswith("maskrcnn")

    def forward(self, images: Tensor, batch: Batch | None = None) -> Any:
        """images (B, 3, H, W) float in [0, 1]; batch: in training, boxes, label, real and ignored (B, L),
        and masks (B, L, H, W) where they are learned."""
        if self.training:
            assert batch is not None
            return self.net(list(images), list(targets_of(batch)))
        if not self.gives_masks:
            return [(one["boxes"], one["scores"], one["labels"] - 1, None) for one in self.net(list(images))]
        # Its forward, but for the end, which pastes every mask into an image of zeros: gigabytes for a batch
        inputs, _ = self.net.transform(list(images))
        features = self.net.backbone(inputs.tensors)
        proposals, _ = self.net.rpn(inputs, features)
        found, _ = self.net.roi_heads(features, proposals, inputs.image_sizes)
        return [(one["boxes"], one["scores"], one["labels"] - 1, one["masks"][:, 0]) for one in found]


def targets_of(batch: Batch) -> Iterator[dict[str, Tensor]]:
    """What torchvision's detectors learn from: objects that are real, not ignored, and have an area."""
    for row, boxes in enumerate(batch["boxes"]):
        kept = batch["real"][row] & ~batch["ignored"][row] & ((boxes[:, 2:] - boxes[:, :2]) > 0).all(1)
        masks = {"masks": batch["masks"][row][kept].byte()} if "masks" in batch else {}
        yield masks | {"boxes": boxes[kept], "labels": batch["label"][row][kept] + 1}


def build_detector(name: str, num_classes: int, sides: tuple[int, int]) -> nn.Module:
    """A detector without weights. Raises UserError on an unknown name.

    Args:
        num_classes: with the background.
        sides: (height, width) of the images, which are not resized again; SSDLite's are always 320 px.
    """
    from torchvision.models import detection  # takes seconds to import, so only on demand

    if name not in BUILDERS:
        raise UserError(f"train.model.name: unknown detector {name!r}", expected=f"compact, {', '.join(BUILDERS)}")
    options: dict[str, Any] = {} if name == "ssdlite" else {"min_size": min(sides), "max_size": max(sides)}
    build = getattr(detection, BUILDERS[name])
    network: nn.Module = build(weights=None, weights_backbone=None, num_classes=num_classes, **options)
    return network


def load_pretrained(model: TorchvisionDetector, name: str, weights: str) -> list[Path]:
    """Starts from weights of the same detector, usually COCO's: whatever has the same shape; the last layers, which
    depend on the classes, stay as they are. Returns the file, if there is one.

    Args:
        weights: path of a state dict, from the root of the checkout; "hub": torchvision's; "": none.

    Raises:
        UserError: no such file, not a state dict, or of another network.
    """
    if not weights:
        return []
    if weights == HUB:
        from torchvision.models import get_model_weights

        path = None
        try:
            state = get_model_weights(BUILDERS[name]).DEFAULT.get_state_dict(progress=False, check_hash=True)
        except OSError as error:  # urllib's among them
            raise UserError(f"train.model.weights: hub cannot be reached: {error}",
                            fix="the path of a state dict that was downloaded elsewhere") from None  # fmt: skip
    else:
        path = weights_file(weights)
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # of any kind, on damaged files
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"{show(path)}: not a state dict: {reason}") from None
    own, state = model.net.state_dict(), state if isinstance(state, dict) else {}
    fits = {
        key: value for key, value in state.items()
        if key in own and isinstance(value, Tensor) and own[key].shape == value.shape
    }  # fmt: skip
    if len(fits) < len(own) / 2:
        raise UserError(f"{weights}: fits {len(fits)} of the {len(own)} tensors of {BUILDERS[name]}",
                        expected="weights of this very detector")  # fmt: skip
    model.net.load_state_dict(fits, strict=False)
    print(f"train: starts from {weights}: {len(fits)} of {len(own)} tensors; the others depend on the classes")
    return [path] if path else []
