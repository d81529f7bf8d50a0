"""Labelled images of either form -> the splits that training reads (see arrays.py), for every image classifier.

N images, C channels, H height, W width.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from shared.core.errors import Problems, UserError
from shared.core.files import replace_folder
from shared.core.paths import Project, show
from shared.data.arrays import Split, write_split
from shared.data.prepared import SPLITS, write_manifest
from shared.data.raw import source_of
from shared.data.split import hold_out
from shared.image.files import image_size, read_images, read_mask, to_square
from shared.image.folder import EVIDENCE, ImageFile, find_copies, scan_folder
from shared.image.params import PrepareImages

SIZES_PX = (32, 48, 64)  # what is suggested: more pixels cost more than they teach a net trained from scratch
SMALLEST_PX = 16  # that the networks take
UPDATES = 300  # and about how many updates: what the samples take
SUGGESTED_SPLITS = PrepareImages(seed=0, image_size=SIZES_PX[0], channels=3, valid_fraction=0.1, test_fraction=0.2)


@dataclass(frozen=True)
class ImageClasses:
    """Everything read: where it is from, class names, and the splits by name; valid may be missing."""

    source: str
    classes: list[str]
    splits: dict[str, Split]


def read_folder(root: Path, params: PrepareImages, *, labelled: bool = True) -> ImageClasses:
    """Reads a folder of images (see image_folder.py). Raises one UserError with everything that is wrong."""
    if not root.is_dir():
        raise UserError(f"{show(root)}: no such folder", fix="run the fetch stage, or put your data there")
    problems = Problems(show(root))
    found = scan_folder(root, problems, labelled=labelled)
    labels = np.array([found.classes.index(image.class_name) for image in found.images], dtype=np.int64)
    keys = find_copies(found.images, problems)
    pixels = read_images([image.path for image in found.images], params.image_size, params.channels, problems)
    everything = Split(pixels, labels, [image.id for image in found.images])
    splits = _divide(everything, [image.split for image in found.images], keys, params)
    if "test" in splits and (root / EVIDENCE).is_dir():
        tested = dict(zip(everything.ids, found.images, strict=True))
        masks = _read_evidence(root, [tested[id_] for id_ in splits["test"].ids], params.image_size, problems)
        splits["test"] = Split(splits["test"].images, splits["test"].labels, splits["test"].ids, masks)
    problems.raise_if_any(fix="mend or remove these files; data/README.md says which forms are accepted")
    for path in found.ignored:
        print(f"left out, not an image: {show(path)}")
    return ImageClasses(source_of(root), found.classes, splits)


def from_official(classes: list[str], train: Split, test: Split, params: PrepareImages) -> ImageClasses:
    """A public data set with a test split of its own: valid is drawn from train."""
    images = np.concatenate([_as_wanted(split.images, params) for split in (train, test)])
    everything = Split(images, np.concatenate([train.labels, test.labels]), [*train.ids, *test.ids])
    given = ["train"] * len(train) + ["test"] * len(test)
    return ImageClasses("official", classes, _divide(everything, given, everything.ids, params))


def prepare(project: Project, read: Callable[[Path, PrepareImages], ImageClasses], params: PrepareImages) -> None:
    """The whole prepare stage: reads everything, only then replaces the prepared data, and says what was found.

    Args:
        read: raw folder -> all of its images; raises one UserError with everything that is wrong.
    """
    start = time.perf_counter()
    data = read(project.raw, params)
    write(project.prepared, data, params)
    for line in describe(data):
        print(line)
    print(f"prepare: -> {show(project.prepared)} in {time.perf_counter() - start:.1f} s")


def write(folder: Path, data: ImageClasses, params: PrepareImages) -> None:
    """Replaces the prepared folder by the form of arrays.py, whole or not at all."""
    with replace_folder(folder) as new:
        manifest: dict[str, Any] = {
            "source": data.source,
            "classes": data.classes,
            "channels": params.channels,
            "image_size": params.image_size,
            **_moments(data.splits["train"].images),
            "splits": {name: write_split(new / name, split) for name, split in data.splits.items()},
        }
        write_manifest(new, manifest)


def describe(data: ImageClasses) -> Iterator[str]:
    """What a person would check: images of each class in each split."""
    width = max(len(name) for name in [*data.classes, "images"])
    yield f"{data.source}, {len(data.classes)} classes"
    yield " ".join([" " * width, *(f"{name:>7}" for name in data.splits)])
    counts = {name: np.bincount(split.labels, minlength=len(data.classes)) for name, split in data.splits.items()}
    for label, name in enumerate(data.classes):
        yield " ".join([f"{name:<{width}}", *(f"{count[label]:>7,}" for count in counts.values())])
    yield " ".join([f"{'images':<{width}}", *(f"{len(split):>7,}" for split in data.splits.values())])


def suggest(root: Path, *, labelled: bool = True) -> dict[str, Any]:
    """Params that suit a folder of images: image size and channels from the files, batch and epochs from their number.

    Reads every image once. Raises one UserError with everything that is wrong.
    """
    data = read_folder(root, SUGGESTED_SPLITS, labelled=labelled)
    files = scan_folder(root, Problems(root), labelled=labelled).images
    images = np.concatenate([split.images for split in data.splits.values()])
    batch = min(max(8, len(data.splits["train"]) // 20), 125)
    updates_an_epoch = max(1, len(data.splits["train"]) // batch)
    return {
        "prepare.image_size": _suggested_size([image.path for image in files]),
        "prepare.channels": 1 if (images == images[:, :1]).all() else 3,
        "train.batch_size": min(batch, len(data.splits["train"])),
        "train.micro_batch_size": min(batch, len(data.splits["train"])),
        "train.epochs": float(min(max(8, round(UPDATES / updates_an_epoch)), 100)),
    }


def _suggested_size(paths: Sequence[Path]) -> int:
    """The images' own size where all are the same small squares; else the largest of SIZES_PX below their median."""
    sizes = [image_size(path) for path in paths]
    width, height = sizes[0]
    if len(set(sizes)) == 1 and width == height and SMALLEST_PX <= width <= SIZES_PX[-1]:
        return width
    side = median(min(size) for size in sizes)
    return max([size for size in SIZES_PX if size <= side], default=SIZES_PX[0])


def _as_wanted(images: np.ndarray, params: PrepareImages) -> np.ndarray:
    """(N, C, H, W) uint8 with the channels and size that params ask for; the same values where they have them."""
    if images.shape[1:] == (params.channels, params.image_size, params.image_size):
        return images
    mode = "L" if params.channels == 1 else "RGB"
    pictures = (Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)) for image in images)
    squares = [np.asarray(to_square(picture.convert(mode), params.image_size)) for picture in pictures]
    return np.stack(squares).reshape(len(images), params.image_size, params.image_size, -1).transpose(0, 3, 1, 2)


def _divide(
    everything: Split, given: Sequence[str | None], keys: Sequence[str], params: PrepareImages
) -> dict[str, Split]:
    """The splits as given, the missing ones drawn from train, test first; an empty one is left out."""
    named = np.array([split or "train" for split in given], dtype=str)
    chosen = {name: named == name for name in SPLITS}
    for name, fraction in (("test", params.test_fraction), ("valid", params.valid_fraction)):
        if not chosen[name].any():
            rest = np.flatnonzero(chosen["train"])
            some_keys = [keys[index] for index in rest.tolist()]
            held_out = hold_out(some_keys, everything.labels[rest], fraction, params.seed, name)
            chosen[name][rest], chosen["train"][rest] = held_out, ~held_out
    return {name: _part(everything, where) for name, where in chosen.items() if where.any()}


def _part(split: Split, where: np.ndarray) -> Split:
    return Split(split.images[where], split.labels[where], [split.ids[i] for i in np.flatnonzero(where).tolist()])


def _read_evidence(root: Path, images: list[ImageFile], size: int, problems: Problems) -> np.ndarray:
    """The masks of images, (N, H, W) bool. A mask has the name of its image; its suffix may differ."""
    masks = np.zeros((len(images), size, size), dtype=bool)
    for mask, image in zip(masks, images, strict=True):
        with problems.collect():
            mask[:] = read_mask(_mask_path(root, image), size, image.path)
    return masks


def _mask_path(root: Path, image: ImageFile) -> Path:
    below = image.path.relative_to(root)
    path = root / EVIDENCE / (Path(*below.parts[1:]) if image.split else below)
    for candidate in (path, path.with_suffix(".png")):
        if candidate.exists():
            return candidate
    raise UserError(f"{show(path)}: no mask of {image.id}", expected="one for every test image")


def _moments(images: np.ndarray) -> dict[str, list[float]]:
    """Mean and standard deviation of each channel in [0, 1], from integer sums: the same bytes on every machine."""
    values, counts = np.arange(256), np.zeros((images.shape[1], 256), dtype=np.int64)
    for some in np.array_split(images, -(-len(images) // 4096)):
        counts += [np.bincount(some[:, channel].ravel(), minlength=256) for channel in range(images.shape[1])]
    num = counts.sum(axis=1)
    mean, square = (counts @ values) / num / 255, (counts @ values**2) / num / 255**2
    return {"mean": mean.tolist(), "std": np.sqrt(np.maximum(square - mean**2, 0)).tolist()}
