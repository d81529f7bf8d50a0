"""Labelled images of any form -> prepared tables, for every image classifier.

N images, C channels, H height, W width.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from shared.core.errors import Problems, UserError
from shared.core.paths import Project, show
from shared.data.folder import find_copies
from shared.data.source import source_of
from shared.data.split import divide
from shared.data.table import Column, select
from shared.image.files import image_size, largest_number, read_images, read_mask, to_square
from shared.image.folder import EVIDENCE, ImageFolder, scan_folder
from shared.image.losses import ALIKE, Seen, loss_lines
from shared.image.official import is_official, read_official
from shared.image.params import PrepareImages, Reading
from shared.report.prepared import Counts, leave_prepared

SIZES_PX = (32, 48, 64)  # suggested sizes: more pixels cost more than they help a net trained from scratch
SMALLEST_PX = 16  # that the networks take
_UPDATES = 300  # and about how many updates: what the samples take
LEAST_TO_MIRROR, MOST_TO_MIRROR = 8, 100  # images of a class to have a mean, and classes that are compared
MIRRORED = 0.25  # of the distance of a class to its own mirror image; where nothing is exchanged, it is about 1 or more
WIDE = 0.34  # mean share of the area that a crop cuts, above which suggest keeps the whole: 3:2 and 4:3 are cropped
WHITES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # of floats, 8, 10, 12, 14 and 16 bits
LEAST_BORDERS = 0.5  # share of the images whose borders must agree, to be the ground of transparent ones
SUGGESTED_SPLITS = PrepareImages(
    seed=0, image_size=SIZES_PX[0], channels=3, fit="crop", ground=128, white=WHITES[-1],
    valid_fraction=0.1, test_fraction=0.2,
)  # fmt: skip


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
        notes: sentences: what was taken for what, what was left out.
        seen: in the files, besides the pixels.
    """

    source: str
    classes: list[str]
    images: np.ndarray
    labels: np.ndarray
    ids: Sequence[str]
    given: Sequence[str | None]
    keys: Sequence[str]
    evidence: dict[str, np.ndarray]
    notes: Sequence[str]
    seen: Sequence[Seen]

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
    if root.is_file():
        raise UserError(f"{show(root)}: a file", expected="a folder of images", fix="unpack it, if it is an archive")
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
        "fit": params.fit,
        "ground": params.ground,
        "white": params.white,
        **_moments(np.asarray(splits["train"]["image"])),
    }
    counts = {
        name: {split: int((np.asarray(columns["label"]) == label).sum()) for split, columns in splits.items()}
        for label, name in enumerate(data.classes)
    }
    counts["images"] = {split: len(columns["id"]) for split, columns in splits.items()}
    page: list[str | Counts] = [f"{len(data.classes)} classes, {params.image_size} px a side.", counts]
    page += [*data.notes, *loss_lines(data.seen, params)]
    leave_prepared(folder, splits, manifest, page, params)


def suggest(root: Path, *, labelled: bool = True) -> tuple[dict[str, Any], LabelledImages]:
    """Params that suit a folder of images: how to read them from the files, batch and epochs from their number; and the
    images, read for SUGGESTED_SPLITS.

    Reads every image once, and prints what was taken for what and what is lost. Raises one UserError with everything
    that is wrong.
    """
    files = scan_folder(root, Problems(root), labelled=labelled).images if root.is_dir() else []
    white = suggested_white([image.path for image in files])
    data = read(root, SUGGESTED_SPLITS.model_copy(update={"white": white}), labelled=labelled)
    size = _suggested_size([image.path for image in files])
    channels = 1 if (data.images == data.images[:, :1]).all() else 3
    reading = Reading(image_size=size, channels=channels, fit=_suggested_fit(data.seen),  # type: ignore[arg-type]
                      ground=_suggested_ground(data.seen), white=white)  # fmt: skip
    num_train = len(data.splits(SUGGESTED_SPLITS)["train"]["id"])
    for line in [_taken(data), *data.notes, *loss_lines(data.seen, reading)]:
        print(line)
    batch = min(max(8, num_train // 20), 125, num_train)
    updates_an_epoch = max(1, num_train // batch)
    values = {f"prepare.{key}": value for key, value in reading.model_dump().items()} | {
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.epochs": float(min(max(8, round(_UPDATES / updates_an_epoch)), 100)),
    }
    return values, data


def mirrored_classes(data: LabelledImages) -> list[tuple[str, str]]:
    """Pairs of classes that mirroring exchanges, such as arrows to the left and to the right: the mirrored mean image
    of one is much closer to that of the other than to its own."""
    counts = np.bincount(data.labels, minlength=len(data.classes))
    some = np.flatnonzero(counts >= LEAST_TO_MIRROR)
    means = np.stack([data.images[data.labels == label].mean(axis=0) for label in some]) if len(some) else np.empty(0)
    pairs = []
    for first, second in itertools.combinations(range(min(len(some), MOST_TO_MIRROR)), 2):
        mirror = means[first][..., ::-1]
        own = min(np.square(one - one[..., ::-1]).mean() for one in (means[first], means[second]))
        if np.square(mirror - means[second]).mean() < MIRRORED * own:
            pairs.append((data.classes[some[first]], data.classes[some[second]]))
    return pairs


def _taken(data: LabelledImages) -> str:
    """The classes and the splits with their counts, in one line."""
    most = 8
    numbers = np.bincount(data.labels, minlength=len(data.classes)).tolist()
    some = ", ".join(f"{name} ({number:,})" for name, number in list(zip(data.classes, numbers, strict=True))[:most])
    low, high = min(numbers), max(numbers)
    more = f", ...; {low:,}{f' to {high:,}' if low < high else ''} each" if len(numbers) > most else ""
    given = [f"{name} {data.given.count(name):,}" for name in ("train", "valid", "test") if name in data.given]
    kinds = "1 class" if len(numbers) == 1 else f"{len(numbers):,} classes"
    splits = f"; splits: {', '.join(given)}" if given else ""
    return f"{len(data.ids):,} images of {kinds}: {some}{more}{splits}; first: {data.ids[0]}."


def suggested_white(paths: Sequence[Path]) -> float:
    """The end of the smallest usual range that holds all numbers of more than 8 bits; that of 16 bits without any."""
    found = []
    for path in paths:
        with Problems(path).collect():  # read reports what cannot be read
            found.append(largest_number(path))
    most = max((number for number in found if number is not None), default=WHITES[-1])
    return next((white for white in WHITES if most <= white), WHITES[-1])


def _suggested_fit(seen: Sequence[Seen]) -> str:
    return "pad" if np.mean([one.cut for one in seen]) > WIDE else "crop"


def _suggested_ground(seen: Sequence[Seen]) -> int:
    """The grey level of the images' own borders, where most agree: transparent ones then look like the others."""
    opaque = [one.border for one in seen if not one.transparent]
    levels = [level for level in opaque if level is not None]
    middle = round(median(levels)) if levels else SUGGESTED_SPLITS.ground
    agree = sum(abs(level - middle) <= ALIKE for level in levels)
    return middle if opaque and agree > LEAST_BORDERS * len(opaque) else SUGGESTED_SPLITS.ground


def _from_folder(root: Path, params: PrepareImages, labelled: bool) -> LabelledImages:
    problems = Problems(show(root))
    found = scan_folder(root, problems, labelled=labelled)
    labels = np.array([found.classes.index(image.class_name) for image in found.images], dtype=np.int64)
    keys = find_copies(found.images, problems)
    pixels, seen = read_images({image.id: image.path for image in found.images}, params, problems)
    evidence = _read_evidence(found, params, problems)
    problems.raise_if_any(fix="fix or remove these files; data/README.md says which forms are accepted")
    ids, given = [image.id for image in found.images], [image.split for image in found.images]
    source = source_of(root)
    return LabelledImages(source, found.classes, pixels, labels, ids, given, keys, evidence, found.notes, seen)


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
        notes=[],
        seen=[],
    )


def _as_wanted(images: np.ndarray, params: PrepareImages) -> np.ndarray:
    """(N, C, H, W) uint8 with the channels and size that params ask for; unchanged where they already have them."""
    if images.shape[1:] == (params.channels, params.image_size, params.image_size):
        return images
    mode = "L" if params.channels == 1 else "RGB"
    pictures = (Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)) for image in images)
    squares = [
        np.asarray(to_square(picture.convert(mode), params.image_size, params.fit, params.ground))
        for picture in pictures
    ]
    return np.stack(squares).reshape(len(images), params.image_size, params.image_size, -1).transpose(0, 3, 1, 2)


def _suggested_size(paths: Sequence[Path]) -> int:
    """The images' own size where all are the same small squares; else the largest of SIZES_PX below their median."""
    sizes = [image_size(path) for path in paths]
    width, height = sizes[0]
    if len(set(sizes)) == 1 and width == height and SMALLEST_PX <= width <= SIZES_PX[-1]:
        return width
    side = median(min(size) for size in sizes)
    return max([size for size in SIZES_PX if size <= side], default=SIZES_PX[0])


def _read_evidence(found: ImageFolder, params: Reading, problems: Problems) -> dict[str, np.ndarray]:
    """The masks of the test images; of all that have one where the folder has no splits. A mask has the name of its
    image; its suffix may differ."""
    masks: dict[str, np.ndarray] = {}
    for image in found.images if (found.root / EVIDENCE).is_dir() else ():
        path = found.root / EVIDENCE / image.path.relative_to(found.folders[image.split])
        mask = next((candidate for candidate in (path, path.with_suffix(".png")) if candidate.exists()), None)
        if mask and image.split in ("test", None):
            with problems.collect():
                masks[image.id] = read_mask(mask, params, image.path)
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
