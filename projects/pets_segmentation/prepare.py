"""Prepare stage: data/raw/pets_segmentation/ -> data/prepared/pets_segmentation/ (tables for training).

    python -m projects.pets_segmentation.prepare                                          # as params.yaml says
    python -m projects.pets_segmentation.prepare prepare.height=256 prepare.width=256     # other tiles, this run only

Accepts images with masks in the forms of forms.py, and detects them automatically: folders of images and masks with a
class file (values, or colours), Pascal VOC's folders, COCO files. What has no valid or test split is drawn by
prepare.valid_fraction and prepare.test_fraction. Images keep their resolution and are cut into tiles of prepare.height
x prepare.width, or are scaled to fit (prepare.fit). Everything wrong with the data is listed at once, and nothing is
written then.

A table has a row for each tile: image (3, h, w) uint8, mask (h, w) uint8 (255: ignored), id and number of its image,
place (top, left), size (height, width) of the whole; evidence (h, w) uint8 where the data have some.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from shared.core.cli import run_stage
from shared.core.errors import Problems, UserError
from shared.core.paths import Project, show
from shared.data.folder import SampleFile, find_copies
from shared.data.source import source_of
from shared.data.split import divide
from shared.data.table import Column
from shared.image.annotated import AnnotatedImage, AnnotatedImages, group_keys
from shared.image.files import image_size, load_whole, opened
from shared.image.masks import IGNORED, Labels, read_labels, report_unknown
from shared.image.polygons import Drawn, draw_outlines
from shared.report.prepared import Counts, leave_prepared

from .forms import Found, Pair, scan
from .params import Params, Prepare
from .tiles import cut, fitted

STRIDE = 32  # px: suggested sizes are multiples of it
SUGGESTED_PX = 512  # the longest side of a suggested tile
_UPDATES = 1500  # about how many updates are suggested


@dataclass(frozen=True)
class Picture:
    """An image (H, W, 3) uint8 and the class indices of its pixels (H, W) uint8, with what was seen in the mask."""

    pixels: np.ndarray
    labels: Labels
    evidence: np.ndarray | None


def read_pair(pair: Pair, found: Found, params: Prepare) -> Picture:
    """An image with its mask, which is never smoothed: scaling takes the nearest label. Raises UserError."""
    tile = (params.height, params.width)
    upright = load_whole(pair.image, params.ground, params.white)
    pixels = np.asarray(fitted(upright, tile, params.fit, Image.Resampling.BICUBIC))
    labels = labels_of(pair, found)
    scaled = _nearest(labels.indices, params)
    evidence = None
    if pair.evidence:
        with opened(pair.evidence) as picture:
            if picture.size != upright.size:
                sides = [f"{width}x{height} px" for width, height in (picture.size, upright.size)]
                raise UserError(f"{show(pair.evidence)}: {sides[0]}, but its image is {sides[1]}")
            evidence = _nearest(np.asarray(picture), params)
    assert scaled.shape == pixels.shape[:2], "an image and its mask of two sizes"
    return Picture(pixels, Labels(scaled, labels.unknown, labels.turned, labels.grey), evidence)


def labels_of(pair: Pair, found: Found) -> Labels:
    """The mask of an image at its own size. Raises UserError."""
    if isinstance(pair.mask, Drawn):
        return Labels(_drawn(pair.image, pair.mask), Counter())
    return read_labels(pair.mask, found.legend, pair.image)


def annotated_images(root: Path, given: Mapping[str, Any], problems: Problems) -> AnnotatedImages:
    """All images that have a mask, for the data check.

    Args:
        given: the section prepare of a project whose data they are; empty: unknown.
    """
    found = scan(root, given.get("ignore", []), problems)
    images = [
        AnnotatedImage(
            SampleFile(pair.image, pair.id, "", pair.split),
            not isinstance(pair.mask, Drawn) or bool(pair.mask.outlines),
            partial(labels_of, pair, found),
            None if isinstance(pair.mask, Drawn) else pair.mask,
        )
        for pair in found.pairs
    ]
    return AnnotatedImages("images with masks", images, found.legend.classes, found.notes, found.legend)


def _drawn(image: Path, mask: Drawn) -> np.ndarray:
    """Outlines are drawn on the image as it is seen: others are refused. Raises UserError."""
    size = image_size(image)
    if (mask.width, mask.height) != size:
        raise UserError(f"{show(image)}: {size[0]}x{size[1]} px, but its COCO file says {mask.width}x{mask.height}")
    return draw_outlines(mask)


def _nearest(values: np.ndarray, params: Prepare) -> np.ndarray:
    tile = (params.height, params.width)
    return np.asarray(fitted(Image.fromarray(values.astype(np.uint8)), tile, params.fit, Image.Resampling.NEAREST))


def read(root: Path, params: Prepare) -> tuple[Found, list[Picture]]:
    """Everything below a folder. Raises one UserError with all that is wrong."""
    if not root.is_dir():
        raise UserError(f"{show(root)}: no such folder", fix="run the fetch stage, or put your data there")
    problems = Problems(show(root))
    found = scan(root, params.ignore, problems)
    groups(found.pairs, params.group, problems)
    if params.overlap_px >= min(params.height, params.width):
        problems.add("prepare.overlap_px", f"{params.overlap_px}, expected less than a tile's sides")

    def one(pair: Pair) -> tuple[Picture | None, Problems]:
        own = Problems("")
        with own.collect():
            return read_pair(pair, found, params), own
        return None, own

    pictures: list[Picture | None] = []
    with ThreadPoolExecutor() as pool:
        for picture, own in tqdm(pool.map(one, found.pairs), total=len(found.pairs), unit="image", disable=None):
            pictures.append(picture)
            problems.found += own.found
    read_ones = [(pair, picture) for pair, picture in zip(found.pairs, pictures, strict=True) if picture]
    masks = [(pair.mask, picture.labels) for pair, picture in read_ones if isinstance(pair.mask, Path)]
    report_unknown(masks, found.legend, problems)
    if found.pairs and not problems.found:
        _check_classes(found, [picture for _, picture in read_ones], problems)
    problems.raise_if_any(fix="fix or remove these; data/README.md says which forms are accepted")
    return found, [picture for _, picture in read_ones]


def _check_classes(found: Found, pictures: Sequence[Picture], problems: Problems) -> None:
    """Classes that no training pixel has cannot be learned."""
    trained = np.zeros(256, bool)
    for pair, picture in zip(found.pairs, pictures, strict=True):
        if pair.split in (None, "train"):
            trained[np.unique(picture.labels.indices)] = True
    if not trained[:IGNORED].any():
        problems.add("train", "no labelled pixel to train on")
    for number, name in enumerate(found.legend.classes):
        if not trained[number]:
            problems.add(f"class {name!r}", "no pixel in the training images; remove it, or add it to prepare.ignore")


def groups(pairs: Sequence[Pair], pattern: str, problems: Problems) -> list[str]:
    """A key for each image, by its copies and by what the pattern matches in its file name."""
    keys = find_copies([SampleFile(pair.image, pair.id, "", pair.split) for pair in pairs], problems)
    return group_keys(keys, [Path(pair.id).name for pair in pairs], pattern, problems)


def tables(found: Found, pictures: Sequence[Picture], params: Prepare) -> dict[str, dict[str, Column]]:
    """The columns of each split."""
    keys = groups(found.pairs, params.group, Problems(""))
    fractions = {"test": params.test_fraction, "valid": params.valid_fraction}
    rows = divide([pair.split for pair in found.pairs], keys, fractions=fractions, seed=params.seed)
    return {
        split: _table([found.pairs[row] for row in chosen], [pictures[row] for row in chosen], params)
        for split, chosen in rows.items()
    }


def _table(pairs: Sequence[Pair], pictures: Sequence[Picture], params: Prepare) -> dict[str, Column]:
    tile, overlap = (params.height, params.width), params.overlap_px
    columns: dict[str, list[Any]] = {
        name: [] for name in ("image", "mask", "evidence", "id", "number", "place", "size")
    }
    for number, (pair, picture) in enumerate(zip(pairs, pictures, strict=True)):
        evidence = np.zeros_like(picture.labels.indices) if picture.evidence is None else picture.evidence
        parts = (
            cut(picture.pixels, tile, overlap, params.ground),
            cut(picture.labels.indices, tile, overlap, IGNORED),
            cut(evidence, tile, overlap, 0),
        )
        for (top, left, pixels), (_, _, mask), (_, _, deciding) in zip(*parts, strict=True):
            columns["image"].append(pixels.transpose(2, 0, 1))
            columns["mask"].append(mask)
            columns["evidence"].append(deciding)
            columns["id"].append(pair.id)
            columns["number"].append(number)
            columns["place"].append((top, left))
            columns["size"].append(picture.pixels.shape[:2])
    if all(picture.evidence is None for picture in pictures):
        del columns["evidence"]
    return {name: values if name == "id" else np.array(values) for name, values in columns.items()}


def manifest_of(found: Found, splits: dict[str, dict[str, Column]], params: Prepare, source: str) -> dict[str, Any]:
    """What training and prediction need to know of the data: classes, colours, how images are read, moments."""
    train = splits["train"]
    return {
        "source": source,
        "classes": found.legend.classes,
        "palette": found.legend.palette,
        "class_share": _shares(train["mask"], len(found.legend.classes)).round(8).tolist(),
        **{key: getattr(params, key) for key in ("height", "width", "fit", "overlap_px", "ground", "white")},
        **_moments(np.asarray(train["image"])),
    }


def main(params: Params) -> None:
    project, chosen = Project.of(__file__), params.prepare
    found, pictures = read(project.raw, chosen)
    splits = tables(found, pictures, chosen)
    manifest = manifest_of(found, splits, chosen, source_of(project.raw))
    leave_prepared(project.prepared, splits, manifest, _page(found, pictures, splits, chosen), chosen)


def _shares(masks: Any, num_classes: int) -> np.ndarray:
    """(K,) of the labelled pixels."""
    counts = np.bincount(np.asarray(masks).ravel(), minlength=256)[:num_classes]
    shares: np.ndarray = counts / max(1, counts.sum())
    return shares


def _moments(images: np.ndarray) -> dict[str, list[float]]:
    """Mean and standard deviation of each channel, in [0, 1], summed image by image: sets are large."""
    sums = np.array([[image.mean((1, 2)), np.square(image / 255.0).mean((1, 2)) * 255] for image in images]) / 255
    mean, square = sums.mean(axis=0)
    return {"mean": mean.round(6).tolist(), "std": np.sqrt(np.maximum(square - mean**2, 0)).round(6).tolist()}


def _page(
    found: Found, pictures: Sequence[Picture], splits: dict[str, dict[str, Column]], params: Prepare
) -> list[str | Counts]:
    """What was read, as sentences and counts."""
    classes = found.legend.classes
    counts: dict[str, dict[str, int]] = {"images": {}, "tiles": {}}
    for split, columns in splits.items():
        counts["images"][split] = len(set(columns["id"]))
        counts["tiles"][split] = len(columns["id"])
        numbers, masks = np.asarray(columns["number"]), np.asarray(columns["mask"])
        for label, name in enumerate(classes):
            inside = (masks == label).any(axis=(1, 2))
            counts.setdefault(f"with {name}", {})[split] = len(np.unique(numbers[inside]))
    lines = [*found.notes]
    greys = Counter(picture.labels.grey for picture in pictures)
    turned = sum(picture.labels.turned for picture in pictures)
    if greys["alpha"]:
        lines.append(f"{greys['alpha']:,} masks have transparency, which is left out.")
    if greys["rgb"]:
        lines.append(f"{greys['rgb']:,} masks are stored as colours, all of them grey: read as values.")
    if turned:
        lines.append(f"{turned:,} masks were drawn on the stored pixels and turned with their image, as EXIF says.")
    ignored = np.mean([np.mean(picture.labels.indices == IGNORED) for picture in pictures])
    lines += [f"{ignored:.1%} of the pixels are ignored in loss and scores."] if ignored else []
    sizes = Counter(picture.pixels.shape[:2] for picture in pictures)
    (height, width), number = sizes.most_common(1)[0]
    lines.append(
        f"{number:,} of {len(pictures):,} images have {width}x{height} px; tiles: {params.width}x{params.height}."
    )
    return [f"{len(classes)} classes.", counts, *lines]


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit a folder of your own images. Raises one UserError with everything that is wrong."""
    probe = Prepare(
        seed=0, height=STRIDE, width=STRIDE, fit="tile", overlap_px=0, ignore=[], group="", ground=128, white=65535.0,
        valid_fraction=0.1, test_fraction=0.2,
    )  # fmt: skip
    found, pictures = read(root, probe)
    sides = [int(median(picture.pixels.shape[axis] for picture in pictures)) for axis in (0, 1)]
    factor = min(1.0, SUGGESTED_PX / max(sides))
    if factor < 1:
        sides = [max(STRIDE, round(factor * side / STRIDE) * STRIDE) for side in sides]
    height, width = (max(STRIDE, side) for side in sides)
    number = sum(pair.split in (None, "train") for pair in found.pairs)
    batch = min(8, max(1, number // 2))
    for line in (f"{len(pictures):,} images of {len(found.legend.classes)} classes.", *found.notes):
        print(line)
    return {
        "prepare.height": height,
        "prepare.width": width,
        "prepare.fit": "tile" if factor == 1 else "scale",
        "train.crop_height": height,
        "train.crop_width": width,
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.epochs": float(max(10, round(_UPDATES / max(1, number // batch)))),
    }


if __name__ == "__main__":
    run_stage(main, Params, __file__)
