"""Does the data check find planted copies, and does it leave the rest alone? Beside libraries.

The 10,000 test images of CIFAR-10 and a number of frames of CamVid (photographs of 480x360 px) as files, and copies of
some of them, of other ones for each kind. A copy is found when a tool names it together with its original.

False alarms are of the 10,000 originals. They hold true copies (Barz and Denzler 2020), so an image counts as a false
alarm only if every image it is paired with differs from it: laid over each other, with brightness and contrast of each
colour made equal, by more than 12 grey levels of 255 in the mean, which planted copies stay below.

Libraries that are not installed are left out. The check's thresholds were chosen on CIFAR-10's data_batch_1.
"""

import importlib.util
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.table import report
from shared.data.archive import extract
from shared.data.source import bring, mirror_folder
from shared.image.official import OFFICIAL, read_official
from tools.check.findings import examine
from tools.check.near_copies import align, warp

SEED = 2026
COPIES, FRAMES_APART, FRAME_COPIES = 400, 2, 20  # copies of each kind; every second frame
LARGEST_CROP = 0.05  # off each side
SAME = 12.0  # grey levels
LEAST_FOUND, MOST_FALSE_ALARMS = 0.95, 0.01

R = Image.Resampling
Saved = tuple[Image.Image, str, dict[str, Any]]
Plant = Callable[[Image.Image, np.random.Generator], Saved]
Pairs = set[frozenset[str]]  # of ids: paths below the folder


# --- planting -----------------------------------------------------------------------------------------------------


def encoded(suffix: str, **options: Any) -> Plant:
    """The same pixels, saved in another way."""
    return lambda image, draw: (image, suffix, options)


def resized(scale: float) -> Plant:
    """By a filter drawn from five, saved as PNG."""

    def plant(image: Image.Image, draw: np.random.Generator) -> Saved:
        kernel = (R.BOX, R.BILINEAR, R.HAMMING, R.BICUBIC, R.LANCZOS)[draw.integers(5)]
        return image.resize((round(image.width * scale), round(image.height * scale)), kernel), "png", {}

    return plant


def cropped(image: Image.Image, draw: np.random.Generator) -> Saved:
    """Whole pixels off each side, up to 5% rounded up: 2 of 32."""
    most = [int(np.ceil(LARGEST_CROP * side)) for side in image.size]
    left, top, right, bottom = (int(draw.integers(limit + 1)) for limit in (*most, *most))
    left = left or int(top + right + bottom == 0)  # at least one pixel
    return image.crop((left, top, image.width - right, image.height - bottom)), "png", {}


def cropped_and_back(image: Image.Image, draw: np.random.Generator) -> Saved:
    """Up to 5% off each side, then the old size."""
    left, top, right, bottom = draw.uniform(0, LARGEST_CROP, 4) * [*image.size, *image.size]
    return image.resize(image.size, R.BICUBIC, (left, top, image.width - right, image.height - bottom)), "png", {}


def all_at_once(image: Image.Image, draw: np.random.Generator) -> Saved:
    """Cropped, half the size, JPEG."""
    return resized(0.5)(cropped(image, draw)[0], draw)[0], "jpg", {"quality": 70}


def mirrored(image: Image.Image, draw: np.random.Generator) -> Saved:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "png", {}


WANTED: dict[str, Plant] = {
    "as BMP, the same pixels": encoded("bmp"),
    "as lossless WebP": encoded("webp", lossless=True, exact=True),
    **{f"as JPEG of quality {quality}": encoded("jpg", quality=quality) for quality in (95, 75, 60, 40)},
    **{f"as WebP of quality {quality}": encoded("webp", quality=quality) for quality in (80, 50)},
    **{f"resized by {scale}": resized(scale) for scale in (0.5, 0.71, 1.41, 2.0)},
    "cropped": cropped,
    "cropped and resized back": cropped_and_back,
    "mirrored": mirrored,
}
KINDS = WANTED | {"cropped, half the size, JPEG 70": all_at_once}


def plant_all(images: list[Image.Image], suffix: str, copies: int, folder: Path) -> dict[str, list[frozenset[str]]]:
    """Writes all images to one class and copies of some to another.

    Args:
        suffix: of the originals. JPEG and PNG turn into each other this way.
        copies: how many of each kind, of originals that are not used twice.

    Returns:
        Kind -> the ids of each original and its copy.
    """
    draw = np.random.default_rng(SEED)
    for name in ("original", "copy"):
        (folder / name).mkdir(parents=True)
    for number, image in enumerate(images):
        image.save(folder / f"original/{number}.{suffix}", **({"quality": 90} if suffix == "jpg" else {}))
    chosen = iter(draw.permutation(len(images)).tolist())
    return {kind: [_plant(folder, next(chosen), suffix, KINDS[kind], draw) for _ in range(copies)] for kind in KINDS}


def _plant(folder: Path, number: int, suffix: str, kind: Plant, draw: np.random.Generator) -> frozenset[str]:
    original = f"original/{number}.{suffix}"
    with Image.open(folder / original) as image:
        copy, copy_suffix, options = kind(image.convert("RGB"), draw)
    copy.save(folder / f"copy/{number}.{copy_suffix}", **options)
    return frozenset((original, f"copy/{number}.{copy_suffix}"))


def frames(scratch: Path) -> list[Image.Image]:
    """Some frames of CamVid; none where the mirror has no CamVid."""
    folder = mirror_folder("camvid")
    if folder is None:
        return []
    extract(folder / "CamVid.tar", scratch)
    paths = sorted(path for split in ("train", "val", "test") for path in scratch.glob(f"CamVid/{split}/*.jpg"))
    return [Image.open(path).convert("RGB") for path in paths[::FRAMES_APART]]


# --- the tools ----------------------------------------------------------------------------------------------------


def ours(folder: Path) -> Pairs:
    """Every pair of a group: the check says no more."""
    groups = examine(folder).groups
    return {frozenset(pair) for group in groups for pair in combinations([file.id for file in group.members], 2)}


def hashes(method: str) -> Callable[[Path], Pairs]:
    """A perceptual hash of imagededup, with its default threshold: 10 of 64 bits."""

    def find(folder: Path) -> Pairs:
        import imagededup.methods

        encoder = getattr(imagededup.methods, method)(verbose=False)
        codes = encoder.encode_images(str(folder), recursive=True)
        found = encoder.find_duplicates(encoding_map=codes)
        return {frozenset((one, other)) for one, others in found.items() for other in others}

    return find


def cleanvision(folder: Path) -> Pairs:
    """With its defaults: equal perceptual hashes."""
    from cleanvision import Imagelab

    lab = Imagelab(data_path=str(folder))
    lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, verbose=False)
    sets = [paths for kind in ("exact_duplicates", "near_duplicates") for paths in lab.info[kind]["sets"]]
    return {
        frozenset(os.path.relpath(path, folder) for path in pair) for some in sets for pair in combinations(some, 2)
    }


TOOLS: dict[str, tuple[str, Callable[[Path], Pairs]]] = {
    "this check": ("torch", ours),
    "imagededup, PHash": ("imagededup", hashes("PHash")),
    "imagededup, DHash": ("imagededup", hashes("DHash")),
    "cleanvision": ("cleanvision", cleanvision),
}


def installed() -> Iterator[str]:
    """The tools whose library is there; a line for each other one."""
    for name, (library, _) in TOOLS.items():
        if importlib.util.find_spec(library):
            yield name
        else:
            print(f"left out: {name} is not installed", flush=True)


def timed(name: str, folder: Path) -> tuple[Pairs, float]:
    """What a tool finds, and the processor seconds that it and its processes took."""
    start = _seconds()
    found = TOOLS[name][1](folder)
    return found, _seconds() - start


def _seconds() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


# --- the measures -------------------------------------------------------------------------------------------------


def found_shares(
    name: str, images: list[Image.Image], suffix: str, copies: int
) -> tuple[list[dict[str, Any]], dict[str, Pairs]]:
    """A row a kind, with the share that each tool found, and a row of seconds; and all that each tool named."""
    with tempfile.TemporaryDirectory() as folder:
        planted = plant_all(images, suffix, copies, Path(folder))
        results = {tool: timed(tool, Path(folder)) for tool in installed()}
    rows = []
    for kind, wanted in planted.items():
        shares = {tool: round(len(found & set(wanted)) / len(wanted), 4) for tool, (found, _) in results.items()}
        rows.append({"what": f"{name}, {kind}", "of": len(wanted), **shares})
    spent = {tool: round(seconds, 1) for tool, (_, seconds) in results.items()}
    rows.append({"what": f"{name}: processor seconds", "of": len(images) + copies * len(KINDS), **spent})
    return rows, {tool: found for tool, (found, _) in results.items()}


def false_alarms(images: np.ndarray, found: dict[str, Pairs]) -> dict[str, Any]:
    """A row: the share of the originals (N, S, S, 3) uint8 that each tool pairs with other images alone."""
    shares = {}
    for tool, pairs in found.items():
        ends = [
            sorted(int(Path(one).stem) for one in pair) for pair in pairs if all("original/" in one for one in pair)
        ]
        same = [pair for pair in ends if min(difference(*images[pair], flip) for flip in (False, True)) <= SAME]
        shares[tool] = round(len(np.setdiff1d(ends, same)) / len(images), 4)
    return {"what": "CIFAR-10 as it is: false alarms at most", "of": len(images), **shares}


def difference(one: np.ndarray, other: np.ndarray, flip: bool) -> float:
    """Mean absolute difference of RGB from 0 to 255, aligned, with brightness and contrast made equal."""
    moving, fixed = (torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] for image in (one, other))
    moving = moving.flip(-1) if flip else moving
    brightness = [image.mean(1, keepdim=True) / 255 for image in (moving, fixed)]
    moving, inside = warp(moving, align(brightness[0], brightness[1]))
    values = [image[0][:, inside[0, 0] > 0] for image in (moving, fixed)]
    contrast = [image.std(1, keepdim=True) + 1 for image in values]  # a grey level: noise is not blown up
    more = torch.maximum(contrast[0], contrast[1])  # the flatter image gets the contrast of the other
    even = [(image - image.mean(1, keepdim=True)) / own * more for image, own in zip(values, contrast, strict=True)]
    return (even[0] - even[1]).abs().mean().item()


def holds(rows: list[dict[str, Any]]) -> bool:
    """Whether the check does as promised; the kinds beyond the promise are shown only."""
    shares = {row["what"]: row["this check"] for row in rows}
    found = [share for what, share in shares.items() if any(what.endswith(f", {kind}") for kind in WANTED)]
    return min(found) >= LEAST_FOUND and shares["CIFAR-10 as it is: false alarms at most"] < MOST_FALSE_ALARMS


def main() -> bool:
    """Measures and reports. Returns whether all held; True, with a line, where no mirror has CIFAR-10."""
    if mirror_folder("cifar10") is None:
        print("left out: $DATASET_MIRROR has no CIFAR-10")
        return True
    with tempfile.TemporaryDirectory() as scratch:
        bring(OFFICIAL["cifar10"], Path(scratch) / "cifar10")
        _, (_, test) = read_official(Path(scratch) / "cifar10")
        images = test.images.transpose(0, 2, 3, 1)
        rows, found = found_shares("CIFAR-10", [Image.fromarray(image) for image in images], "png", COPIES)
        rows.append(false_alarms(images, found))
        if photographs := frames(Path(scratch)):
            rows += found_shares("CamVid", photographs, "jpg", FRAME_COPIES)[0]
    libraries = [library for library in ("imagededup", "cleanvision") if importlib.util.find_spec(library)]
    report("leakage", rows, ("torch", "scikit-learn", "pillow", *libraries), seed=SEED)
    return holds(rows)
