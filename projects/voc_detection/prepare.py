"""Prepare stage: data/raw/voc_detection/ -> data/prepared/voc_detection/ (tables for training).

    python -m projects.voc_detection.prepare                       # as params.yaml says
    python -m projects.voc_detection.prepare prepare.width_px=320  # larger images

Accepts, and detects automatically:
    Pascal VOC    Annotations/*.xml, JPEGImages/, perhaps ImageSets/Main/{train,val,test}.txt; or XML beside the images,
                  in one folder or in {train,valid,test}/
    COCO          annotations/instances_<split>.json or <split>/_annotations.coco.json, and the images
    YOLO          data.yaml, images/... and labels/..., or text files beside the images
    instance masks   PNGImages/, PedMasks/: PNGs of the images' names, whose values number the objects of one class
    evidence/<image>.png   beside VOC's: which object of the annotation is seen at a pixel, for every test image

What has no valid or test images is split by prepare.valid_fraction and prepare.test_fraction; copies of a file, and
files that share a match of prepare.group, stay together. Every image is fitted into prepare.width_px x height_px.
Everything wrong with the data is listed at once, and nothing is written then.
"""

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
from shared.image.annotated import AnnotatedImage, AnnotatedImages, Boxes, group_keys
from shared.image.boxes import Place, box_areas, letterbox, orient_boxes, place_boxes
from shared.image.files import TURNS, image_size, load_upright, opened, orientation
from shared.image.losses import Seen, loss_lines
from shared.image.masks import turned
from shared.image.polygons import Outline, outline_mask, read_outline
from shared.report.prepared import Counts, leave_prepared

from .annotations import EVIDENCE, Found, Picture, check_boxes, copies_of_boxes, in_pixels, listed
from .coco import find_coco, read_coco
from .instances import find_instances, read_instances
from .masks import encode_runs
from .params import Params, Prepare
from .voc import find_voc, read_voc
from .yolo import find_yolo, read_yolo

SMALL_PX, LARGE_PX = 32, 96  # sides that separate small, medium and large objects, as COCO has them
FORMS = "Pascal VOC (XML files), COCO (a JSON), YOLO (data.yaml and text files) or a folder of instance masks"
LONGER_PX, UPDATES = 320, 2400  # that suggest proposes: the longer side at most, and about how many updates
SUGGESTED = Prepare(
    seed=0, width_px=64, height_px=64, ground=114, white=65535.0, valid_fraction=0.1, test_fraction=0.2, group="",
    first_pixel="auto", faulty_boxes="drop", masks=False,
)  # fmt: skip


@dataclass(frozen=True)
class Read:
    """One image as it is prepared.

    Args:
        pixels: (3, H, W) uint8.
        place: where the image lies in them.
        boxes: (L, 4) float64, in pixels of the upright image.
        size: (width, height) of the upright image.
        turned: whether EXIF turns it.
        instances: (H, W) uint8, which object is seen at a pixel; None without evidence.
        seen: what else was seen in the file.
        masks: of its objects: bits (H * W / 8,) uint8 in the pixels, and run lengths in the upright image; None: not
            asked for.
    """

    pixels: np.ndarray
    place: Place
    boxes: np.ndarray
    size: tuple[int, int]
    turned: bool
    instances: np.ndarray | None
    seen: Seen
    masks: list[tuple[np.ndarray, np.ndarray]] | None


class Frame(NamedTuple):
    """Sides (width, height) of an image: that its boxes are measured in, as it is stored, and as it is seen, turned by
    EXIF's orientation."""

    size: tuple[int, int]
    stored: tuple[int, int]
    upright: tuple[int, int]
    turn: int

    @property
    def of_annotation(self) -> int:
        """The orientation that turns what is annotated; 1, upright, where that was drawn on what is seen."""
        return 1 if self.size == self.upright != self.stored else self.turn

    def upright_boxes(self, picture: Picture) -> np.ndarray:
        """Its boxes (L, 4) float64 in pixels of the upright image."""
        boxes = np.array([one.box for one in picture.objects], float).reshape(-1, 4)
        return orient_boxes(boxes, self.of_annotation, self.stored)


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
    if files := find_instances(root):
        return read_instances(root, files, problems)
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
    if params.masks and found.pictures and not found.has_masks:
        problems.add("prepare.masks", f"{found.form} without masks, expected COCO with segmentation, or instance masks")
        params = params.model_copy(update={"masks": False})
    read: list[Read | None] = []
    with ThreadPoolExecutor() as pool:
        jobs = pool.map(lambda one: _read_one(root, one, found, params), found.pictures)
        for number, (one, kept, faults, out) in enumerate(jobs):
            found.pictures[number] = kept
            read.append(one)
            problems.found += faults
            dropped += out
    objects = sum(len(picture.objects) for picture in found.pictures)
    if not problems.found and not objects:
        problems.add(show(root), "no object in any image")
    files = [SampleFile(one.path, one.id, "", one.split) for one in found.pictures]
    keys = group_keys(find_copies(files, problems), [one.id for one in found.pictures], params.group, problems)
    problems.raise_if_any(fix="fix or remove these; data/README.md says which forms are accepted")
    if dropped:
        found.notes.append(f"{len(dropped):,} faulty boxes left out or clipped: {listed(dropped, 5)}.")
    if turns := [picture.id for one, picture in zip(read, found.pictures, strict=True) if one and one.turned]:
        found.notes.append(f"{len(turns):,} images turned as their EXIF says, and their boxes with them, but where "
                           f"the annotation gives the turned size: {listed(turns)}.")  # fmt: skip
    if copies := list(copies_of_boxes(found.pictures)):
        found.notes.append(f"{len(copies):,} boxes that are copies of another in their image: {listed(copies)}.")
    return found, [one for one in read if one], keys


def _read_one(
    root: Path, picture: Picture, found: Found, params: Prepare
) -> tuple[Read | None, Picture, list[str], list[str]]:
    """One image, the picture with sound boxes, problems, and boxes left out."""
    problems, dropped = Problems(picture.path), list[str]()
    with problems.collect():
        picture, frame = _measured(picture, found)
        drop = params.faulty_boxes == "drop"
        picture = check_boxes(picture, frame.size, found.classes, drop, problems, dropped)
        outlines: list[Outline] = []
        if params.masks:
            picture, outlines = _check_masks(picture, frame.size, drop, problems, dropped)
        boxes = frame.upright_boxes(picture)
        whole, seen = load_upright(picture.path, max(params.width_px, params.height_px), params.reading)
        pixels, place = letterbox(whole, (params.width_px, params.height_px), frame.upright, params.ground)
        instances = _instances(root, picture, place, params)
        array, turn = np.asarray(pixels).transpose(2, 0, 1), TURNS.get(frame.of_annotation)
        masks = [_fitted(one, frame.size, turn, params) for one in outlines] if params.masks else None
        read = Read(array, place, boxes, frame.upright, frame.turn > 1, instances, seen, masks)
        return read, picture, problems.found, dropped
    return None, picture, problems.found, dropped


def _check_masks(
    picture: Picture, size: tuple[int, int], drop: bool, problems: Problems, dropped: list[str]
) -> tuple[Picture, list[Outline]]:
    """The picture with objects that have a sound mask, and these; what is wrong is handled as `check_boxes` does."""
    kept, outlines = [], []
    for one in picture.objects:
        faults = Problems(picture.path)
        for outline in read_outline(0, one.mask or [], size, f"{show(picture.path)}, {one.where}", faults):
            kept.append(replace(one, area=one.area or outline.area))
            outlines.append(outline)
        (dropped if drop else problems.found).extend(faults.found)
    return replace(picture, objects=kept), outlines


def _fitted(
    outline: Outline, size: tuple[int, int], turn: Image.Transpose | None, params: Prepare
) -> tuple[np.ndarray, np.ndarray]:
    """A mask as `Read` has it, from an outline in an image of `size` that is turned to be upright."""
    inside = outline_mask(outline, size[1], size[0])
    if turn is not None:
        inside = turned(inside, turn)
    grey = Image.fromarray(inside.astype(np.uint8) * 255)
    pixels, _ = letterbox(grey, (params.width_px, params.height_px), grey.size, 0)
    return np.packbits(np.asarray(pixels) >= 128), encode_runs(inside)


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


def columns_of(found: Found, read: Sequence[Read]) -> dict[str, Column]:
    """The columns of all images.

    image (N, 3, H, W) uint8; boxes, ragged (L, 4) float32, in its pixels; label, ignored and crowd, ragged (L,); truth,
    ragged (L, 4) float64, the boxes in the file's own pixels; area, ragged (L,) float64; size (N, 2) int64, width and
    height of the file's upright image; place (N, 4) float64; id; instances (N, H, W) uint8 where all have them. Where
    masks were read: masks, ragged (L, H * W / 8) uint8, their bits in the image; runs, ragged, their run lengths in the
    file's own pixels, those of all objects of an image one behind the other (see masks.py).
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
        "boxes": ragged_rows(placed, np.float32, 4),
        "truth": ragged_rows([one.boxes for one in read], np.float64, 4),
        "label": Ragged.of(labels, np.int64),
        "ignored": Ragged.of([[one.ignored for one in some] for some in objects], np.uint8),
        "crowd": Ragged.of([[one.crowd for one in some] for some in objects], np.uint8),
        "area": Ragged.of(areas, np.float64),
        "size": np.array([one.size for one in read], np.int64),
        "place": np.array([one.place for one in read], np.float64),
        "id": [picture.id for picture in found.pictures],
    }
    masks = [one.masks for one in read if one.masks is not None]
    if masks:
        pixels = read[0].pixels[0].size
        columns["masks"] = ragged_rows([[bits for bits, _ in some] for some in masks], np.uint8, pixels // 8)
        none = np.zeros(0, np.int32)
        columns["runs"] = Ragged.of([np.concatenate([none, *(runs for _, runs in some)]) for some in masks], np.int32)
    return columns


def ragged_rows(rows: Sequence[Any], dtype: Any, width: int) -> Ragged:
    """Rows of boxes and the like (L, width); values keep their columns also where no row has any."""
    made = Ragged.of(rows, dtype)
    return Ragged(made.values.reshape(-1, width), made.offsets)


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit a folder of your own images. Raises one UserError with everything that is wrong."""
    found, read, keys = read_data(root, SUGGESTED)
    for line in [*found.notes, f"{found.form}: {len(read):,} images, classes {listed(found.classes, 8)}."]:
        print(line)
    if found.has_masks:
        print("The objects have masks: Mask R-CNN learns them (presets/masks.yaml); all other models learn boxes.")
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
    for name in ("train", "test"):
        if all(one.ignored for row in rows[name].tolist() for one in found.pictures[row].objects):
            raise UserError(f"{name}: no object in its {len(rows[name]):,} images that is to be found",
                            expected="objects that are neither difficult nor crowds")  # fmt: skip
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
