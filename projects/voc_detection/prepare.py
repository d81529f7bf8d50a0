"""Prepare stage: data/raw/voc_detection/ -> data/prepared/voc_detection/ (tables for training).

    python -m projects.voc_detection.prepare                       # as params.yaml says
    python -m projects.voc_detection.prepare prepare.width_px=320  # larger images

Accepts, and detects automatically:
    Pascal VOC    Annotations/*.xml, JPEGImages/, perhaps ImageSets/Main/{train,val,test}.txt; or XML beside the images,
                  in one folder or in {train,valid,test}/
    COCO          annotations/instances_<split>.json or <split>/_annotations.coco.json, and the images
    YOLO          data.yaml, images/... and labels/..., or text files beside the images
    evidence/<image>.png   beside VOC's: which object of the annotation is seen at a pixel, for every test image

What has no valid or test images is split by prepare.valid_fraction and prepare.test_fraction; copies of a file, and
files that share a match of prepare.group, stay together. Every image is fitted into prepare.width_px x height_px.
Everything wrong with the data is listed at once, and nothing is written then.
"""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from shared.core.cli import answer_help, run_stage
from shared.core.errors import Problems, UserError
from shared.core.paths import Project, show
from shared.data.folder import SampleFile, find_copies
from shared.data.source import source_of
from shared.data.split import divide
from shared.data.table import Column, Ragged, select
from shared.image.annotated import AnnotatedImage, AnnotatedImages, Boxes
from shared.image.boxes import Place, box_areas, letterbox, orient_boxes, place_boxes
from shared.image.files import image_size, load_upright, opened, orientation
from shared.image.losses import Seen, loss_lines
from shared.report.prepared import Counts, leave_prepared

from .annotations import Found, Picture, check_boxes, copies_of_boxes, in_pixels, listed
from .coco import find_coco, read_coco
from .params import Params, Prepare
from .voc import find_voc, read_voc
from .yolo import find_yolo, read_yolo

EVIDENCE = "evidence"
SMALL_PX, LARGE_PX = 32, 96  # sides that separate small, medium and large objects, as COCO has them
FORMS = "Pascal VOC (XML files), COCO (a JSON) or YOLO (data.yaml and text files)"
LONGER_PX, UPDATES = 320, 2400  # that suggest proposes: the longer side at most, and about how many updates
SUGGESTED = Prepare(
    seed=0, width_px=64, height_px=64, ground=114, white=65535.0, valid_fraction=0.1, test_fraction=0.2, group="",
    first_pixel="auto", faulty_boxes="drop",
)  # fmt: skip


@dataclass(frozen=True)
class Read:
    """One image as it is prepared: pixels (3, H, W) uint8, where it lies in them, its boxes in pixels of the upright
    image, its upright size, which object is seen at a pixel (H, W) uint8, and what else was seen in the file."""

    pixels: np.ndarray
    place: Place
    boxes: np.ndarray
    size: tuple[int, int]
    instances: np.ndarray | None
    seen: Seen


class Frame(NamedTuple):
    """Sides (width, height) of an image: that its boxes are measured in, as it is stored, and as it is seen, turned by
    EXIF's orientation."""

    size: tuple[int, int]
    stored: tuple[int, int]
    upright: tuple[int, int]
    turn: int

    def upright_boxes(self, picture: Picture) -> np.ndarray:
        """Its boxes (L, 4) float64 in pixels of the upright image."""
        boxes = np.array([one.box for one in picture.objects], float).reshape(-1, 4)
        return orient_boxes(boxes, 1 if self.size == self.upright != self.stored else self.turn, self.stored)


def read_annotations(root: Path, params: Prepare, problems: Problems) -> Found:
    """What is annotated below a folder, in whichever form. Raises UserError where there is no form to be seen."""
    if not root.is_dir():
        raise UserError(f"{show(root)}: no such folder", fix="run the fetch stage, or put your data there")
    if files := find_coco(root):
        return read_coco(root, files, problems)
    if files := find_voc(root):
        return read_voc(root, files, params.first_pixel, problems)
    if files := find_yolo(root):
        return read_yolo(root, files[0], problems)
    raise UserError(f"{show(root)}: no annotations", expected=FORMS, fix="see data/README.md")


def read_data(root: Path, params: Prepare) -> tuple[Found, list[Read], list[str]]:
    """Everything below a folder: annotations, images in the same order, and keys that copies share.

    Raises:
        UserError: with everything that is wrong.
    """
    problems, dropped = Problems(show(root)), list[str]()
    found = read_annotations(root, params, problems)
    if not problems.found and not found.pictures:
        problems.add(show(root), f"no images among the annotations ({found.form})")
    turned: list[str] = []
    read: list[Read | None] = []
    with ThreadPoolExecutor() as pool:
        jobs = pool.map(lambda one: _read_one(root, one, found, params), found.pictures)
        for number, (one, kept, faults, out, oriented) in enumerate(jobs):
            found.pictures[number] = kept
            read.append(one)
            problems.found += faults
            dropped += out
            turned += oriented
    objects = sum(len(picture.objects) for picture in found.pictures)
    if not problems.found and not objects:
        problems.add(show(root), "no object in any image")
    files = [SampleFile(one.path, one.id, "", one.split) for one in found.pictures]
    keys = _grouped(find_copies(files, problems), found.pictures, params.group, problems)
    problems.raise_if_any(fix="fix or remove these; data/README.md says which forms are accepted")
    if dropped:
        found.notes.append(f"{len(dropped):,} faulty boxes left out or clipped: {listed(dropped, 5)}.")
    if turned:
        found.notes.append(f"{len(turned):,} images turned as their EXIF says, and their boxes with them, but where "
                           f"the annotation gives the turned size: {listed(turned)}.")  # fmt: skip
    if copies := list(copies_of_boxes(found.pictures)):
        found.notes.append(f"{len(copies):,} boxes that are copies of another in their image: {listed(copies)}.")
    return found, [one for one in read if one], keys


def _read_one(
    root: Path, picture: Picture, found: Found, params: Prepare
) -> tuple[Read | None, Picture, list[str], list[str], list[str]]:
    """One image, the picture with sound boxes, problems, boxes left out, and its id where EXIF turns it."""
    problems, dropped, turned = Problems(picture.path), list[str](), list[str]()
    with problems.collect():
        picture, frame = _measured(picture, found)
        picture = check_boxes(picture, frame.size, found.classes, params.faulty_boxes == "drop", problems, dropped)
        boxes = frame.upright_boxes(picture)
        turned = [picture.id] if frame.turn > 1 else []
        whole, seen = load_upright(picture.path, max(params.width_px, params.height_px), params.reading)
        pixels, place = letterbox(whole, (params.width_px, params.height_px), frame.upright, params.ground)
        instances = _instances(root, picture, place, params)
        array = np.asarray(pixels).transpose(2, 0, 1)
        return Read(array, place, boxes, frame.upright, instances, seen), picture, problems.found, dropped, turned
    return None, picture, problems.found, dropped, turned


def _measured(picture: Picture, found: Found) -> tuple[Picture, Frame]:
    """The picture with boxes in pixels, and of which sides. Raises UserError: not those of its image."""
    with opened(picture.path) as image:
        stored, turn = image.size, orientation(image)
    upright = image_size(picture.path)
    size = picture.size or stored
    if size not in (stored, upright):
        raise UserError(
            f"{show(picture.path)}: {stored[0]}x{stored[1]} px, but its annotation says {size[0]}x{size[1]}"
        )
    return in_pixels(picture, stored) if found.relative else picture, Frame(size, stored, upright, turn)


def annotated_images(root: Path, given: Mapping[str, Any], problems: Problems) -> AnnotatedImages:
    """All images for the data check. Raises UserError where there is no form to be seen.

    Args:
        given: the section prepare of a project whose data they are; empty: unknown.
    """
    found = read_annotations(root, SUGGESTED.model_copy(update=dict(given)), problems)
    files = [SampleFile(one.path, one.id, "", one.split) for one in found.pictures]
    images = [
        AnnotatedImage(file, bool(one.objects), partial(_as_annotated, one, found))
        for file, one in zip(files, found.pictures, strict=True)
    ]
    return AnnotatedImages(f"images with boxes ({found.form})", images, found.classes, found.notes)


def _as_annotated(picture: Picture, found: Found) -> Boxes:
    """Faulty boxes as well."""
    picture, frame = _measured(picture, found)
    problems = Problems(picture.path)
    check_boxes(picture, frame.size, found.classes, False, problems, [])
    names, places = [one.name for one in picture.objects], [one.where for one in picture.objects]
    return Boxes(frame.upright_boxes(picture), names, places, frame.upright, problems.found)


def _instances(root: Path, picture: Picture, place: Place, params: Prepare) -> np.ndarray | None:
    """(H, W) uint8: n where the n-th object is seen; None without evidence of this image."""
    path = root / EVIDENCE / f"{picture.path.stem}.png"
    if not path.is_file():
        return None
    with opened(path) as image:
        numbers = Image.fromarray(np.asarray(image))
    inside = (round(numbers.width * place.scale_x), round(numbers.height * place.scale_y))
    whole = Image.new("L", (params.width_px, params.height_px), 0)
    whole.paste(numbers.resize(inside, Image.Resampling.NEAREST), (int(place.left), int(place.top)))
    return np.asarray(whole)


def _grouped(keys: Sequence[str], pictures: Sequence[Picture], pattern: str, problems: Problems) -> list[str]:
    """Keys by the first match of a pattern in the ids, where they match; copies of one file keep one key."""
    if not pattern:
        return list(keys)
    try:
        matcher = re.compile(pattern)
    except re.error as error:
        problems.add("prepare.group", f"not a regular expression: {error}")
        return list(keys)
    matches = [matcher.search(one.id) for one in pictures]
    by_key = {key: match.group() for key, match in zip(keys, matches, strict=True) if match}
    return [by_key.get(key, key) for key in keys]


def columns_of(found: Found, read: Sequence[Read]) -> dict[str, Column]:
    """The columns of all images.

    image (N, 3, H, W) uint8; boxes, ragged (L, 4) float32, in its pixels; label, ignored and crowd, ragged (L,); truth,
    ragged (L, 4) float64, the boxes in the file's own pixels; area, ragged (L,) float64; size (N, 2) int64, width and
    height of the file's upright image; place (N, 4) float64; id; instances (N, H, W) uint8 where all have them.
    """
    placed = [place_boxes(one.boxes, np.array(one.place)) for one in read]
    objects = [picture.objects for picture in found.pictures]
    areas = [
        [one.area or area for one, area in zip(some, box_areas(each.boxes).tolist(), strict=True)]
        for some, each in zip(objects, read, strict=True)
    ]
    labels = [[found.classes.index(one.name) for one in some] for some in objects]
    columns: dict[str, Column] = {
        "image": np.stack([one.pixels for one in read]),
        "boxes": ragged_boxes(placed, np.float32),
        "truth": ragged_boxes([one.boxes for one in read], np.float64),
        "label": Ragged.of(labels, np.int64),
        "ignored": Ragged.of([[one.ignored for one in some] for some in objects], np.uint8),
        "crowd": Ragged.of([[one.crowd for one in some] for some in objects], np.uint8),
        "area": Ragged.of(areas, np.float64),
        "size": np.array([one.size for one in read], np.int64),
        "place": np.array([one.place for one in read], np.float64),
        "id": [picture.id for picture in found.pictures],
    }
    return columns


def ragged_boxes(rows: Sequence[np.ndarray], dtype: Any) -> Ragged:
    """Rows of boxes (L, 4); values keep four columns also where no row has a box."""
    made = Ragged.of(rows, dtype)
    return Ragged(made.values.reshape(-1, 4), made.offsets)


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit a folder of your own images. Raises one UserError with everything that is wrong."""
    found, read, keys = read_data(root, SUGGESTED)
    for line in [*found.notes, f"{found.form}: {len(read):,} images, classes {listed(found.classes, 8)}."]:
        print(line)
    width, height = (median(one.size[side] for one in read) for side in (0, 1))
    factor = min(1.0, LONGER_PX / max(width, height))
    sides = [max(64, 32 * round(side * factor / 32)) for side in (width, height)]
    train = len(divide([one.split for one in found.pictures], keys, seed=0,
                       fractions={"test": 0.2, "valid": 0.1})["train"])  # fmt: skip
    batch = max(1, min(16, train // 4))
    return {
        "prepare.width_px": sides[0],
        "prepare.height_px": sides[1],
        "prepare.faulty_boxes": "drop" if any("faulty" in note for note in found.notes) else "refuse",
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.epochs": float(min(200, max(12, round(UPDATES * batch / max(1, train))))),
        # Most things have an upright direction; the sample's have none
        "train.flip_vertical": False,
        "train.quarter_turns": False,
    }


def prepare(project: Project, chosen: Prepare) -> None:
    """Reads the project's raw data and writes its prepared tables. Raises one UserError with all that is wrong."""
    found, read, keys = read_data(project.raw, chosen)
    columns = columns_of(found, read)
    fractions = {"test": chosen.test_fraction, "valid": chosen.valid_fraction}
    rows = divide([one.split for one in found.pictures], keys, fractions=fractions, seed=chosen.seed)
    splits = {name: select(columns, some) for name, some in rows.items()}
    for name, some in rows.items():
        instances = [read[row].instances for row in some.tolist()]
        if all(one is not None for one in instances):
            splits[name]["instances"] = np.stack([one for one in instances if one is not None])
    manifest = {
        "source": source_of(project.raw), "form": found.form, "classes": found.classes,
        **{key: getattr(chosen, key) for key in ("width_px", "height_px", "ground", "white")},
    }  # fmt: skip
    page: list[str | Counts] = [
        f"{found.form}: {len(read):,} images fitted into {chosen.width_px}x{chosen.height_px} px, {len(found.classes)} "
        "classes. Objects of each class, of each size as COCO has them (in the file's own pixels), and images:",
        _counts(found.classes, splits),
        *found.notes,
        *loss_lines([replace(one.seen, cut=0) for one in read], chosen.reading),  # nothing is cut
    ]
    leave_prepared(project.prepared, splits, manifest, page, chosen)


def main(params: Params) -> None:
    prepare(Project.of(__file__), params.prepare)


def _counts(classes: Sequence[str], splits: dict[str, dict[str, Column]]) -> Counts:
    counts: dict[str, dict[str, int]] = {name: {} for name in classes}
    for split, columns in splits.items():
        label, area, boxes = columns["label"], columns["area"], columns["boxes"]
        assert isinstance(label, Ragged)
        assert isinstance(area, Ragged)
        assert isinstance(boxes, Ragged)
        for index, name in enumerate(classes):
            counts[name][split] = int((label.values == index).sum())
        kinds = np.digitize(area.values, [SMALL_PX**2, LARGE_PX**2])
        for kind, name in enumerate(("small", "medium", "large")):
            counts.setdefault(f"{name} objects", {})[split] = int((kinds == kind).sum())
        counts.setdefault("images without objects", {})[split] = int((label.lengths == 0).sum())
        counts.setdefault("images", {})[split] = len(label.lengths)
    return counts


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    run_stage(main, Params, __file__)
