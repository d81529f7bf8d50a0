"""Prepare stage: data/raw/cifar_cnn/ -> data/prepared/cifar_cnn/ (arrays that training reads as they are).

    python -m projects.cifar_cnn.prepare                         # as params.yaml says
    python -m projects.cifar_cnn.prepare prepare.image_size=64   # larger squares

Accepts, and recognises by itself:
    cifar-10-batches-py/             CIFAR-10 as its owner publishes it, verified
    <class>/...                      images of any format and size, a folder a class
    {train,valid,test}/<class>/...   the same, split already; valid and test may be missing
    evidence/<class>/<image>         beside either: masks of what decides, for every test image

What has no valid or test folder is split by prepare.valid_fraction and prepare.test_fraction. Everything wrong
with the data is listed at once, and nothing is written then.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.data.arrays import SPLITS, Split, write_split
from shared.data.image import read_images, read_mask, to_square
from shared.data.image_folder import EVIDENCE, ImageFile, find_copies, scan_folder
from shared.data.splits import hold_out
from shared.errors import Problems, UserError
from shared.files import replace_folder
from shared.paths import Project, show
from shared.stage import run

from .official import FOLDER, read_cifar10
from .params import Params, Prepare

CHANNELS = 3


@dataclass(frozen=True)
class Data:
    """Everything read: where it is from, class names, and the splits by name; valid may be missing."""

    source: str
    classes: list[str]
    splits: dict[str, Split]


def main(params: Params) -> None:
    """Reads all of the raw data, and only then replaces the prepared data."""
    project, start = Project.of(__file__), time.perf_counter()
    data = read(project.raw, params.prepare)
    with replace_folder(project.prepared) as folder:
        write(folder, data, params.prepare.image_size)
    for line in describe(data):
        print(line)
    print(f"prepare: -> {show(project.prepared)} in {time.perf_counter() - start:.1f} s")


def read(root: Path, params: Prepare) -> Data:
    """Reads either form. Raises one UserError with everything that is wrong."""
    if not root.is_dir():
        raise UserError(f"{show(root)}: no such folder", fix="run the fetch stage, or put your data there")
    return _read_official(root, params) if (root / FOLDER).is_dir() else _read_folder(root, params)


def _read_official(root: Path, params: Prepare) -> Data:
    classes, train, test = read_cifar10(root)
    train, test = (_resized(split, params.image_size) for split in (train, test))
    valid = hold_out(train.ids, train.labels, params.valid_fraction, params.seed, "valid")
    return Data("official", classes, {**_parts(train, {"train": ~valid, "valid": valid}), "test": test})


def _resized(split: Split, size: int) -> Split:
    if split.images.shape[-1] == size:
        return split
    squares = [np.asarray(to_square(Image.fromarray(image.transpose(1, 2, 0)), size)) for image in split.images]
    return Split(np.stack(squares).transpose(0, 3, 1, 2), split.labels, split.ids)


def _read_folder(root: Path, params: Prepare) -> Data:
    problems = Problems(show(root))
    found = scan_folder(root, problems)
    labels = np.array([found.classes.index(image.class_name) for image in found.images], dtype=np.int64)
    keys = find_copies(found.images, problems)
    pixels = read_images([image.path for image in found.images], params.image_size, CHANNELS, problems)
    everything = Split(pixels, labels, [image.id for image in found.images])
    splits = _parts(everything, _choose(found.images, keys, labels, params))
    if "test" in splits and (root / EVIDENCE).is_dir():
        tested = dict(zip(everything.ids, found.images, strict=True))
        masks = _read_evidence(root, [tested[id_] for id_ in splits["test"].ids], params.image_size, problems)
        splits["test"] = Split(splits["test"].images, splits["test"].labels, splits["test"].ids, masks)
    problems.raise_if_any(fix="mend or remove these files; data/README.md says which forms are accepted")
    for path in found.ignored:
        print(f"prepare: left out, not an image: {show(path)}")
    return Data(_source(root), found.classes, splits)


def _choose(images: list[ImageFile], keys: list[str], labels: np.ndarray, params: Prepare) -> dict[str, np.ndarray]:
    """Which images are in which split: as the folders say, the missing ones drawn from train; test first."""
    given = np.array([image.split or "train" for image in images], dtype=str)
    chosen = {name: given == name for name in SPLITS}
    for name, fraction in (("test", params.test_fraction), ("valid", params.valid_fraction)):
        if not chosen[name].any():
            rest = np.flatnonzero(chosen["train"])
            held_out = hold_out([keys[index] for index in rest.tolist()], labels[rest], fraction, params.seed, name)
            chosen[name][rest], chosen["train"][rest] = held_out, ~held_out
    return chosen


def _parts(split: Split, chosen: dict[str, np.ndarray]) -> dict[str, Split]:
    """The parts of a split, in its order; an empty part is left out."""
    return {
        name: Split(split.images[where], split.labels[where], [split.ids[i] for i in np.flatnonzero(where).tolist()])
        for name, where in chosen.items()
        if where.any()
    }


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


def _source(root: Path) -> str:
    """What `fetch` left a note of; data without a note are the user's own."""
    path = root / "source.json"
    try:
        return str(json.loads(path.read_text())["source"]) if path.exists() else "own"
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{show(path)}: not what fetch writes", fix="remove it, if the data are your own") from None


def write(folder: Path, data: Data, image_size: int) -> None:
    """Writes the form of shared/data/arrays.py."""
    manifest: dict[str, Any] = {
        "source": data.source,
        "classes": data.classes,
        "channels": CHANNELS,
        "image_size": image_size,
        **_moments(data.splits["train"].images),
        "splits": {name: write_split(folder / name, split) for name, split in data.splits.items()},
    }
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")


def _moments(images: np.ndarray) -> dict[str, list[float]]:
    """Mean and standard deviation of each channel in [0, 1], from integer sums: the same bytes on every machine."""
    values, counts = np.arange(256), np.zeros((images.shape[1], 256), dtype=np.int64)
    for some in np.array_split(images, -(-len(images) // 4096)):
        counts += [np.bincount(some[:, channel].ravel(), minlength=256) for channel in range(images.shape[1])]
    num = counts.sum(axis=1)
    mean, square = (counts @ values) / num / 255, (counts @ values**2) / num / 255**2
    return {"mean": mean.tolist(), "std": np.sqrt(np.maximum(square - mean**2, 0)).tolist()}


def describe(data: Data) -> Iterator[str]:
    """What a person would check: images of each class in each split."""
    width = max(len(name) for name in [*data.classes, "images"])
    yield f"{data.source}, {len(data.classes)} classes"
    yield " ".join([" " * width, *(f"{name:>7}" for name in data.splits)])
    counts = {name: np.bincount(split.labels, minlength=len(data.classes)) for name, split in data.splits.items()}
    for label, name in enumerate(data.classes):
        yield " ".join([f"{name:<{width}}", *(f"{count[label]:>7,}" for count in counts.values())])
    yield " ".join([f"{'images':<{width}}", *(f"{len(split):>7,}" for split in data.splits.values())])


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
