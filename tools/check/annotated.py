"""What is wrong in boxes and masks: copies of boxes, boxes that are nearly empty or leave their image, unusual sizes,
masks with next to nothing in them.

L objects, H height, W width.
"""

import importlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shared.core.errors import Problems
from shared.core.paths import ROOT, show
from shared.data.folder import SampleFile, find_copies
from shared.image.annotated import AnnotatedImage, AnnotatedImages, Boxes
from shared.image.boxes import box_areas, box_ious
from shared.image.losses import loss_lines
from shared.image.masks import IGNORED, Labels, report_unknown
from tools.readme import project_names

from .findings import Findings, find_groups, prepare_params, read_files, reading_of

ANNOTATED = "annotated_images"  # in a project's prepare: reads boxes or masks
COPY_IOU = 0.9
EMPTY_PX = 2.0  # a side that leaves nothing to see
ROUNDING_PX = 1.0  # by which tools that round, or count from 0 or 1, leave the image
UNUSUAL, LEAST_FACTOR, LEAST_BOXES = 5.0, 3.0, 20  # standard deviations, and times the median, of so many boxes
SPECKS = 1 / 500  # share of a mask's pixels that differ from all around them

TWICE, TWO_CLASSES = "boxes that are copies of another", "boxes that are copies of one of another class"
EMPTY, BEYOND, OUTSIDE = "boxes that are nearly empty", "boxes partly out of the image", "boxes out of the image"
FAULTS = TWICE, TWO_CLASSES, EMPTY, BEYOND, OUTSIDE
SIZES, ONE_CLASS, SPECKLED = "boxes of an unusual size", "masks of one class or none", "masks with single pixels"
WORTH_A_LOOK = SIZES, ONE_CLASS, SPECKLED


class Odd(NamedTuple):
    """One finding: its kind, the image, what it is, how odd, and the number of the box; None of a mask."""

    kind: str
    image: AnnotatedImage
    note: str
    degree: float = 0.0
    box: int | None = None


class Look(NamedTuple):
    """What one annotation holds: the class of each object, or the classes in a mask."""

    image: AnnotatedImage
    names: list[str]
    odd: list[Odd]
    problems: list[str]
    content: Boxes | Labels | None


@dataclass(frozen=True)
class AnnotatedFindings:
    """Everything found in a folder of annotated images.

    Args:
        files: what was found in the images; what prepare refuses of the annotations is among the problems.
        given: what the project's reader gave, of the images those whose annotations can be read.
        counted: name and image: for each object its class, for each mask those in it, and the images themselves.
        odd: what was found in the annotations, the oddest of a kind first.
    """

    files: Findings
    given: AnnotatedImages
    counted: list[tuple[str, SampleFile]]
    odd: list[Odd]

    @property
    def faults(self) -> dict[str, int]:
        """What must be looked at before training, and how often."""
        kinds = FAULTS if self.given.legend is None else ()
        of_files = {name: number for name, number in self.files.faults.items() if "classes" not in name}
        return of_files | {kind: sum(one.kind == kind for one in self.odd) for kind in kinds}


def examine_annotated(root: Path, project: str | None = None) -> AnnotatedFindings | None:
    """Reads all images and annotations once; None where no project finds annotations.

    Args:
        project: whose data they are, if known.

    Raises:
        UserError: there is no image that can be read.
    """
    found = _annotated(root, project)
    if found is None:
        return None
    name, given, problems = found
    files = [one.file for one in given.images]
    find_copies(files, problems)
    reading = reading_of(files, project).model_copy(update={"fit": "pad"})
    images, thumbnails, digests, seen, damaged = read_files(root, files, reading)
    readable = set(images)
    with ThreadPoolExecutor() as pool:
        looks = list(pool.map(lambda one: _look(one, given.classes), [i for i in given.images if i.file in readable]))
    problems.found += [line for look in looks for line in look.problems]
    if given.legend:
        masks = [(one.image.mask, one.content) for one in looks]
        report_unknown([(a, b) for a, b in masks if a and isinstance(b, Labels)], given.legend, problems)
    groups = find_groups(images, thumbnails, digests)[1]
    notes = [*given.notes, *loss_lines([replace(one, cut=0) for one in seen], reading)]
    what = f"{given.what}, as {name} takes them: {len(files):,}"
    return AnnotatedFindings(
        Findings(what, images, problems.found, damaged, groups, [], None, notes, reading),
        replace(given, images=[look.image for look in looks if look.content]),
        [pair for look in looks for pair in _counted(look)],
        sorted([*(one for look in looks for one in look.odd), *_odd_sizes(looks)], key=lambda one: -one.degree),
    )


def _annotated(root: Path, project: str | None) -> tuple[str, AnnotatedImages, Problems] | None:
    """The project whose reader finds most annotations, boxes rather than masks, and what it finds; None where none
    finds any. Raises UserError where the given project cannot read its images."""
    found = list[tuple[int, bool, str, AnnotatedImages, Problems]]()
    for name in [project] if project else project_names(ROOT):
        module, problems = importlib.import_module(f"projects.{name}.prepare"), Problems(show(root))
        if not hasattr(module, ANNOTATED):
            continue
        with problems.collect():
            given: AnnotatedImages = getattr(module, ANNOTATED)(root, prepare_params(project), problems)
            if given.images:
                number = sum(one.annotated for one in given.images)
                found.append((number, given.legend is None, name, given, problems))
        if project and not found:
            problems.raise_if_any()
    best = max(found, key=lambda one: one[:2], default=None)
    return best[2:] if best and (best[0] or project) else None


def _look(image: AnnotatedImage, classes: Sequence[str]) -> Look:
    problems = Problems("")
    with problems.collect():
        content = image.read()
        if isinstance(content, Boxes):
            odd = [Odd(kind, image, note, box=number) for kind, number, note in _odd_boxes(content)]
            return Look(image, content.names, odd, content.problems, content)
        counts = np.bincount(content.indices.ravel(), minlength=256)[:IGNORED]
        names = [classes[number] for number in np.flatnonzero(counts).tolist()]
        odd = [] if content.unknown else list(_odd_pixels(image, content.indices, names, len(classes)))
        # all that is needed of a mask from here on is its size
        return Look(image, names, odd, [], replace(content, indices=np.broadcast_to(np.uint8(), content.indices.shape)))
    return Look(image, [], [], problems.found, None)


def _counted(look: Look) -> Iterator[tuple[str, SampleFile]]:
    of_boxes = isinstance(look.content, Boxes)
    if look.content is not None:
        yield from ((name if of_boxes else f"with {name}", look.image.file) for name in look.names)
        yield "(images)", look.image.file
        if not look.names:
            yield "(images without objects)" if of_boxes else "(images without a class)", look.image.file


def _odd_boxes(found: Boxes) -> Iterator[tuple[str, int, str]]:
    """Kind, number of the box, and note, of each box that has a fault."""
    width, height = found.size
    sound = _sound(found.boxes)
    boxes = np.where(sound[:, None], found.boxes, 0)
    sides, clipped = boxes[:, 2:] - boxes[:, :2], boxes.clip(0, [width, height, width, height])
    alike = np.triu(box_ious(boxes, boxes), 1)
    names = np.array(found.names, str)
    same = names[:, None] == names
    for number, (place, name) in enumerate(zip(found.places, found.names, strict=True)):
        where = place if name in place else f"{place} ({name})"
        for kind, of_kind in ((TWICE, same), (TWO_CLASSES, ~same)):
            for other in np.flatnonzero((alike[:, number] >= COPY_IOU) & of_kind[:, number])[:1].tolist():
                other_name = "" if kind == TWICE else f" ({found.names[other]})"
                yield kind, number, f"{where} = {found.places[other]}{other_name}, IoU {alike[other, number]:.2f}"
        shown = ", ".join(f"{edge:g}" for edge in boxes[number].round(2))
        if sound[number] and sides[number].min() <= EMPTY_PX:
            yield EMPTY, number, f"{where}: {sides[number, 0]:g}x{sides[number, 1]:g} px at {shown}"
        if np.abs(boxes[number] - clipped[number]).max() > ROUNDING_PX:
            inside = box_areas(clipped[number : number + 1])[0] > 0
            yield BEYOND if inside else OUTSIDE, number, f"{where}: {shown} in {width}x{height} px"


def _odd_pixels(image: AnnotatedImage, indices: np.ndarray, names: Sequence[str], num_classes: int) -> Iterator[Odd]:
    """Of a mask (H, W) uint8 with some of all classes."""
    if len(names) < min(2, num_classes):
        yield Odd(ONE_CLASS, image, f"all of it is {names[0]}" if names else "no pixel that counts")
    middle = indices[1:-1, 1:-1]
    around = indices[:-2, 1:-1], indices[2:, 1:-1], indices[1:-1, :-2], indices[1:-1, 2:]
    alone = np.all([middle != one for one in around], axis=0)
    if alone.size and alone.mean() >= SPECKS:
        yield Odd(SPECKLED, image, f"{alone.sum():,} pixels that differ from all around them", alone.mean())


def _sound(boxes: np.ndarray) -> np.ndarray:
    """(L,) bool: of numbers, with their corners in order. Prepare refuses the others."""
    sound: np.ndarray = np.isfinite(boxes).all(axis=1) & (boxes[:, :2] <= boxes[:, 2:]).all(axis=1)
    return sound


def _odd_sizes(looks: Sequence[Look]) -> list[Odd]:
    """Boxes whose width or height is far from the median of their class, in logarithms."""
    of_class = defaultdict[str, list[tuple[Look, int, np.ndarray]]](list)
    for look in looks:
        if isinstance(look.content, Boxes):
            for number in np.flatnonzero(_sound(look.content.boxes)).tolist():
                sides = look.content.boxes[number, 2:] - look.content.boxes[number, :2]
                if sides.min() > EMPTY_PX:
                    of_class[look.names[number]].append((look, number, sides))
    found = []
    for name, boxes in of_class.items():
        sides = np.stack([one[2] for one in boxes])
        middle = np.median(sides, axis=0)
        away = np.abs(np.log(sides / middle))
        spread = np.maximum(1.4826 * np.median(away, axis=0), np.log(LEAST_FACTOR) / UNUSUAL)  # 1.4826: of a normal
        far = (away / spread).max(axis=1)
        for row in np.flatnonzero(far > UNUSUAL).tolist() if len(boxes) >= LEAST_BOXES else ():
            look, number, (width, height) = boxes[row]
            note = f"{width:g}x{height:g} px, {name} mostly {middle[0]:g}x{middle[1]:g}"
            assert isinstance(look.content, Boxes)
            found.append(Odd(SIZES, look.image, f"{look.content.places[number]}: {note}", far[row], number))
    return found
