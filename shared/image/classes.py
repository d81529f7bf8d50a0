"""Labelled images of any form -> prepared tables, for every image classifier.

N images, C channels, H height, W width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from shared.core.errors import Problems, UserError
from shared.core.paths import Project, show
from shared.data.folder import SampleFile, find_copies
from shared.data.source import source_of
from shared.data.split import divide
from shared.data.table import Column, select
from shared.image.files import image_size, read_images, read_mask, to_square
from shared.image.folder import EVIDENCE, scan_folder
from shared.image.official import is_official, read_official
from shared.image.params import PrepareImages
from shared.report.prepared import Counts, leave_prepared

SIZES_PX = (32, 48, 64)  # suggested sizes: more pixels cost more than they help a net trained from scratch
SMALLEST_PX = 16  # that the networks take
_UPDATES = 300  # and about how many updates: what the samples take
SUGGESTED_SPLITS = PrepareImages(seed=0, image_size=SIZES_PX[0], channels=3, valid_fraction=0.1, test_fraction=0.2)


@dataclass(frozen=True)
class LabelledImages:
    """Everything read.

    Args:
        source: sample, official or own.
        classes: names, in the order of the labels.
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        ids: N, the data's own names of the images.
        given: N, the split of each; None where the data do not say.
        keys: N, the same for copies of one file.
        evidence: of some images, by id: (H, W) bool, the deciding pixels.
    """

    source: str
    classes: list[str]
    images: np.ndarray
    labels: np.ndarray
    ids: Sequence[str]
    given: Sequence[str | None]
    keys: Sequence[str]
    evidence: dict[str, np.ndarray]

    def splits(self, params: PrepareImages) -> dict[str, dict[str, Column]]:
        """The columns of each split: image (N, C, H, W) uint8, label (N,) int64, id, and, where there are masks of
        all of its images, evidence (N, H, W) bool."""
        columns: dict[str, Column] = {"image": self.images, "label": self.labels, "id": self.ids}
        fractions = {"test": params.test_fraction, "valid": params.valid_fraction}
        rows = divide(self.given, self.keys, fractions=fractions, seed=params.seed, labels=self.labels)
        found = {name: select(columns, chosen) for name, chosen in rows.items()}
        for name, chosen in rows.items():
            ids = [self.ids[row] for row in chosen.tolist()]
            if self.evidence and all(one in self.evidence for one in ids):
                found[name]["evidence"] = np.stack([self.evidence[one] for one in ids])
        return found


def read(root: Path, params: PrepareImages, *, labelled: bool = True) -> LabelledImages:
    """A folder of images (see folder.py), or one of the public sets (see official.py).

    Args:
        labelled: False accepts images without classes.

    Raises:
        UserError: with everything that is wrong.
    """
    if not root.is_dir():
        raise UserError(f"{show(root)}: no such folder", fix="run the fetch stage, or put your data there")
    return _from_official(root, params) if is_official(root) else _from_folder(root, params, labelled)


def prepare(project: Project, params: PrepareImages) -> None:
    """The whole prepare stage: reads everything, then replaces the prepared data, and prints the counts."""
    leave_images(project.prepared, read(project.raw, params), params)


def leave_images(folder: Path, data: LabelledImages, params: PrepareImages) -> None:
    """Replaces the prepared data by what was read, and prints the counts."""
    splits = data.splits(params)
    manifest = {
        "source": data.source,
        "classes": data.classes,
        "channels": params.channels,
        "image_size": params.image_size,
        **_moments(np.asarray(splits["train"]["image"])),
    }
    counts = {
        name: {split: int((np.asarray(columns["label"]) == label).sum()) for split, columns in splits.items()}
        for label, name in enumerate(data.classes)
    }
    counts["images"] = {split: len(columns["id"]) for split, columns in splits.items()}
    page: list[str | Counts] = [f"{len(data.classes)} classes, {params.image_size} px a side.", counts]
    leave_prepared(folder, splits, manifest, page, params)


def suggest(root: Path, *, labelled: bool = True) -> dict[str, Any]:
    """Params that suit a folder of images: image size and channels from the files, batch and epochs from their number.

    Reads every image once. Raises one UserError with everything that is wrong.
    """
    data = read(root, SUGGESTED_SPLITS, labelled=labelled)
    num_train = len(data.splits(SUGGESTED_SPLITS)["train"]["id"])
    files = scan_folder(root, Problems(root), labelled=labelled).images
    batch = min(max(8, num_train // 20), 125, num_train)
    updates_an_epoch = max(1, num_train // batch)
    return {
        "prepare.image_size": _suggested_size([image.path for image in files]),
        "prepare.channels": 1 if (data.images == data.images[:, :1]).all() else 3,
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.epochs": float(min(max(8, round(_UPDATES / updates_an_epoch)), 100)),
    }


def _from_folder(root: Path, params: PrepareImages, labelled: bool) -> LabelledImages:
    problems = Problems(show(root))
    found = scan_folder(root, problems, labelled=labelled)
    labels = np.array([found.classes.index(image.class_name) for image in found.images], dtype=np.int64)
    keys = find_copies(found.images, problems)
    pixels = read_images([image.path for image in found.images], params.image_size, params.channels, problems)
    evidence = _read_evidence(root, found.images, params.image_size, problems)
    problems.raise_if_any(fix="fix or remove these files; data/README.md says which forms are accepted")
    for path in found.ignored:
        print(f"left out, not an image: {show(path)}")
    ids, given = [image.id for image in found.images], [image.split for image in found.images]
    return LabelledImages(source_of(root), found.classes, pixels, labels, ids, given, keys, evidence)


def _from_official(root: Path, params: PrepareImages) -> LabelledImages:
    classes, parts = read_official(root)
    return LabelledImages(
        source="official",
        classes=classes,
        images=np.concatenate([_as_wanted(part.images, params) for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        ids=(ids := [one for part in parts for one in part.ids]),
        given=[part.split for part in parts for _ in part.ids],
        keys=ids,
        evidence={},
    )


def _as_wanted(images: np.ndarray, params: PrepareImages) -> np.ndarray:
    """(N, C, H, W) uint8 with the channels and size that params ask for; unchanged where they already have them."""
    if images.shape[1:] == (params.channels, params.image_size, params.image_size):
        return images
    mode = "L" if params.channels == 1 else "RGB"
    pictures = (Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)) for image in images)
    squares = [np.asarray(to_square(picture.convert(mode), params.image_size)) for picture in pictures]
    return np.stack(squares).reshape(len(images), params.image_size, params.image_size, -1).transpose(0, 3, 1, 2)


def _suggested_size(paths: Sequence[Path]) -> int:
    """The images' own size where all are the same small squares; else the largest of SIZES_PX below their median."""
    sizes = [image_size(path) for path in paths]
    width, height = sizes[0]
    if len(set(sizes)) == 1 and width == height and SMALLEST_PX <= width <= SIZES_PX[-1]:
        return width
    side = median(min(size) for size in sizes)
    return max([size for size in SIZES_PX if size <= side], default=SIZES_PX[0])


def _read_evidence(root: Path, images: Sequence[SampleFile], size: int, problems: Problems) -> dict[str, np.ndarray]:
    """The masks of the test images; of all that have one where the folder has no splits. A mask has the name of its
    image; its suffix may differ."""
    masks: dict[str, np.ndarray] = {}
    for image in images if (root / EVIDENCE).is_dir() else ():
        below = image.path.relative_to(root)
        path = root / EVIDENCE / (Path(*below.parts[1:]) if image.split else below)
        found = next((candidate for candidate in (path, path.with_suffix(".png")) if candidate.exists()), None)
        if found and image.split in ("test", None):
            with problems.collect():
                masks[image.id] = read_mask(found, size, image.path)
        elif image.split == "test":
            problems.add(show(path), f"no mask of {image.id}, expected one for every test image")
    return masks


def _moments(images: np.ndarray) -> dict[str, list[float]]:
    """Mean and standard deviation of each channel in [0, 1], from integer sums: the same bytes on every machine."""
    values, counts = np.arange(256), np.zeros((images.shape[1], 256), dtype=np.int64)
    for some in np.array_split(images, -(-len(images) // 4096)):
        counts += [np.bincount(some[:, channel].ravel(), minlength=256) for channel in range(images.shape[1])]
    num = counts.sum(axis=1)
    mean, square = (counts @ values) / num / 255, (counts @ values**2) / num / 255**2
    return {"mean": mean.tolist(), "std": np.sqrt(np.maximum(square - mean**2, 0)).tolist()}
