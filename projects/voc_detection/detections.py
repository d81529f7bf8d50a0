"""Detections as records, one an image, and the truth that they are compared with: both in the file's own pixels."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from shared.data.batches import gather
from shared.data.table import Table
from shared.evaluation.records import Records
from shared.image.augment import to_float
from shared.image.boxes import unplace_boxes
from shared.training.distributed import World

from .masks import paste_mask, split_runs
from .model import Detections, detect
from .scores import Truth


def record(
    model: nn.Module, table: Table, world: World, max_detections: int, nms_iou: float
) -> Callable[[Tensor], Records]:
    """A function from indices to what is found in these images, as `collect` takes it: lists of boxes (n, 4) float64,
    scores (n,) and labels (n,), by falling score; from a model that gives masks also `masks`, their run lengths one
    behind the other."""
    read = gather(table, "image", device=world.device)
    places, sizes = table.fixed("place"), table.fixed("size")

    @torch.inference_mode()
    def predict(index: Tensor) -> Records:
        found: Records = defaultdict(list)
        images = to_float(read(index)["image"])
        for row, one in zip(index.tolist(), detect(model, images, max_detections, nms_iou), strict=True):
            size = (float(sizes[row, 0]), float(sizes[row, 1]))
            boxes = unplace_boxes(one.boxes.double().cpu().numpy(), places[row], size)
            found["boxes"].append(torch.from_numpy(boxes))
            found["scores"].append(one.scores.float())
            found["labels"].append(one.labels)
            if one.masks is not None:
                runs = runs_of(one, places[row], (int(size[0]), int(size[1])))
                found["masks"].append(torch.from_numpy(np.concatenate([np.zeros(0, np.int32), *runs])))
        return dict(found)

    return predict


def runs_of(found: Detections, place: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """The run lengths of each mask that was found, in the pixels of an upright file of `size`; none without masks."""
    if found.masks is None:
        return []
    grids, boxes = found.masks.double().cpu().numpy(), found.boxes.double().cpu().numpy()
    return [paste_mask(grid, box, place, size) for grid, box in zip(grids, boxes, strict=True)]


def truth_of(table: Table) -> Truth:
    """All objects of a split."""
    parts = {name: table.ragged(name) for name in ("truth", "label", "ignored", "crowd", "area")}
    masks = None
    if "runs" in table:
        rows = zip(range(len(table)), parts["label"].lengths.tolist(), strict=True)
        masks = [runs for row, count in rows for runs in split_runs(table.ragged("runs").row(row), count)]
    return Truth(
        image=np.repeat(np.arange(len(table)), parts["label"].lengths),
        label=np.array(parts["label"].values),
        boxes=np.array(parts["truth"].values).reshape(-1, 4),
        ignored=parts["ignored"].values.astype(bool),
        crowd=parts["crowd"].values.astype(bool),
        area=np.array(parts["area"].values),
        num_images=len(table),
        masks=masks,
    )
