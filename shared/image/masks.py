"""Masks that give each pixel of an image a class -> class indices: label images by their values or colours.

What values and colours mean is written in a class file (see `read_legend`). Nothing is guessed from the pixels: values
and colours that nothing names are counted, and reported by `report_unknown`. Polygons: polygons.py.

H height, W width, K classes.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from shared.core.errors import Problems, UserError
from shared.core.paths import show
from shared.image.files import TURNS, opened, orientation, upright_size

IGNORED = 255  # in class indices: pixels that count in no loss and no score
MAX_CLASSES = 250
RAMP = 16  # unnamed values of one mask, from which it is taken for a grey image and not for labels
SHOWN = 8  # unnamed colours or values that are listed, the most frequent first
LOSSY = {"JPEG", "MPO", "JPEG2000"}  # formats that change values
_SEPARATED = r"\s*[\s,;:]\s*"
_LEADING = re.compile(rf"((?:\d+{_SEPARATED}){{1,3}})(\S.*)")
_TRAILING = re.compile(rf"(.*?\S)((?:{_SEPARATED}\d+){{3}}|\s*[,;:\t]\s*\d+)")  # "wall 2" is a name
_NAME_HEADERS = {"name", "class", "classes", "label", "labels"}
_HEADERS = _NAME_HEADERS | {"id", "value", "r", "g", "b", "red", "green", "blue", "index"}

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Legend:
    """What the values or the colours in masks mean.

    Args:
        classes: K names.
        values: value in a file -> class index, or IGNORED.
        colours: colour in a file -> value; empty where masks hold values.
        source: the class file, for messages.
        notes: what was taken for what.
    """

    classes: list[str]
    values: dict[int, int]
    colours: dict[Colour, int] = field(default_factory=dict)
    source: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def table(self) -> np.ndarray:
        """(largest value + 2,) int64: value -> class index, IGNORED, or -1 where nothing names it."""
        table = np.full(max(self.values, default=0) + 2, -1)
        table[list(self.values)] = list(self.values.values())
        return table

    @property
    def palette(self) -> list[Colour]:
        """A colour for each class: that of the class file, or that of Pascal VOC for its number."""
        of_class = {self.values[value]: colour for colour, value in reversed(self.colours.items())}
        return [of_class.get(number, voc_colour(number)) for number in range(len(self.classes))]


@dataclass(frozen=True)
class Labels:
    """A mask that was read.

    Args:
        indices: (H, W) uint8: class indices, IGNORED elsewhere.
        unknown: values or colours that nothing names -> pixels.
        turned: it was drawn on the pixels as they are stored, and was turned as EXIF says of the image.
        grey: what was left out or taken for granted: "alpha", "rgb", or "".
    """

    indices: np.ndarray
    unknown: Counter[int | Colour]
    turned: bool = False
    grey: str = ""


def voc_colour(number: int) -> Colour:
    """The colour of Pascal VOC for a class number: bits of the number, spread over three channels.

    >>> voc_colour(0), voc_colour(1), voc_colour(15)
    ((0, 0, 0), (128, 0, 0), (192, 128, 128))
    """
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]


def save_indices(labels: np.ndarray, palette: Sequence[Colour], path: Path) -> None:
    """Class indices (H, W) uint8 as an indexed PNG, which prepare reads back."""
    drawn = Image.fromarray(labels, "P")
    drawn.putpalette([channel for colour in palette for channel in colour])
    drawn.save(path)


# --- the class file ---------------------------------------------------------------------------------------------------


def read_legend(path: Path, ignore: Sequence[int | str], problems: Problems) -> Legend:
    """Reads a class file: UTF-8, a class a line, with or without a header, in one of these forms:

        sky                          names alone: their values are 0, 1, 2, ...
        0 sky            sky,0       a value and a name: values may have gaps, and several may have one name
        128 128 128 sky  sky,128,128,128   a colour and a name: masks are read by their colours; values are 0, 1, 2, ...

    Args:
        ignore: values or names that count in no loss and no score; a value need not be in the file.
        problems: gets lines that cannot be read, and names in `ignore` that are not in the file.
    """
    rows = _rows(path, problems)
    widths = {len(numbers) for _, numbers, _ in rows}
    source, by_value, colours = show(path), dict[int, str](), dict[Colour, int]()
    if widths == {3}:
        form = "masks are read by the colours it names"
        for number, (line, numbers, name) in enumerate(rows):
            colour = (numbers[0], numbers[1], numbers[2])
            if max(colour) > 255 or colour in colours:
                problems.add(f"{source}, line {line}", f"{colour}: {'twice' if colour in colours else 'no colour'}")
            colours[colour], by_value[number] = number, name
    elif widths == {1}:
        form = "masks are read by the values it names"
        for line, (number,), name in rows:
            if number in by_value:
                problems.add(f"{source}, line {line}", f"the value {number} a second time")
            by_value[number] = name
    else:
        form = "masks are read by their values: 0 is its first line"
        by_value = {number: text for number, (text, _) in enumerate(_lines(path, problems))}
    ignored = _ignored(by_value, ignore, source, problems)
    classes = list(dict.fromkeys(name for value, name in sorted(by_value.items()) if value not in ignored))
    if not 1 <= len(classes) <= MAX_CLASSES:
        problems.add(source, f"{len(classes)} classes, expected 1 to {MAX_CLASSES}")
    values = {value: classes.index(name) for value, name in by_value.items() if value not in ignored}
    notes = [f"{path.name} names {len(classes)} classes; {form}."]
    if left := [name for value, name in sorted(by_value.items()) if value in ignored]:
        notes.append(f"ignored in loss and scores: {', '.join(left)}.")
    return Legend(classes, values | dict.fromkeys(ignored, IGNORED), colours, source, notes)


def _lines(path: Path, problems: Problems) -> list[tuple[str, int]]:
    """Each line that says something, and its number from 1."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.add(show(path), f"cannot be read as UTF-8: {error}")
        return []
    found = [(line.strip(), number) for number, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    first = set(re.split(r"[\W_]+", found[0][0].lower())) if found else set()
    return found[1:] if first <= _HEADERS and first & _NAME_HEADERS else found  # `red` alone is a class


def _rows(path: Path, problems: Problems) -> list[tuple[int, list[int], str]]:
    """Line, leading or trailing numbers, name."""
    rows = []
    for text, line in _lines(path, problems):
        if found := _LEADING.fullmatch(text):
            numbers, name = found.groups()
        elif found := _TRAILING.fullmatch(text):
            name, numbers = found.groups()
        else:
            numbers, name = "", text
        rows.append((line, [int(number) for number in re.findall(r"\d+", numbers)], name.strip(" ,;:\"'")))
    return rows


def _ignored(by_value: Mapping[int, str], ignore: Sequence[int | str], source: str, problems: Problems) -> set[int]:
    """The values that are ignored."""
    found = set()
    for one in ignore:
        named = {value for value, name in by_value.items() if name == one}
        if isinstance(one, str) and not named:
            problems.add("prepare.ignore", f"no class {one!r} in {source}")
        found |= named if isinstance(one, str) else {one}
    return found


# --- label images -----------------------------------------------------------------------------------------------------


def read_labels(path: Path, legend: Legend, image: Path) -> Labels:
    """Reads the mask of an image by its values, or by its colours where the class file names colours.

    An indexed file (with a palette) is read by its indices, never by its colours. Grey values may have any number of
    bits. The mask must be as large as the image: as the image is seen, after rotation as EXIF says, or as it is
    stored; then the mask is rotated with it. Where both are the same size, it is taken as drawn on what is seen.

    Raises:
        UserError: it cannot be read, is compressed with losses, has another size, or colours where values are
            expected.
    """
    with opened(image) as picture:
        seen, stored, turn = upright_size(picture), picture.size, TURNS.get(orientation(picture))
    with opened(path) as picture:
        own_turn, lossy = TURNS.get(orientation(picture)), picture.format in LOSSY
        picture.load()
        if lossy:
            raise UserError(
                f"{show(path)}: {picture.format}, which changes the values of labels", expected="PNG, from the tool"
            )
        values, grey = _values(path, picture, legend)
    if own_turn is not None:
        values = turned(values, own_turn)
    size = (values.shape[1], values.shape[0])
    if size not in (seen, stored):
        raise UserError(f"{show(path)}: {size[0]}x{size[1]} px, but its image is {seen[0]}x{seen[1]}")
    indices, unknown = to_indices(values, legend)
    if size == seen or turn is None:
        return Labels(indices, unknown, False, grey)
    return Labels(turned(indices, turn), unknown, True, grey)


def turned(array: np.ndarray, turn: Image.Transpose) -> np.ndarray:
    """An array (H, W, ...) as PIL would transpose the image."""
    flips = {
        Image.Transpose.FLIP_LEFT_RIGHT: lambda one: one[:, ::-1],
        Image.Transpose.FLIP_TOP_BOTTOM: lambda one: one[::-1],
        Image.Transpose.ROTATE_90: lambda one: np.rot90(one, 1),
        Image.Transpose.ROTATE_180: lambda one: np.rot90(one, 2),
        Image.Transpose.ROTATE_270: lambda one: np.rot90(one, 3),
        Image.Transpose.TRANSPOSE: lambda one: one.swapaxes(0, 1),
        Image.Transpose.TRANSVERSE: lambda one: np.rot90(one, 2).swapaxes(0, 1),
    }
    return np.ascontiguousarray(flips[turn](array))


def _values(path: Path, picture: Image.Image, legend: Legend) -> tuple[np.ndarray, str]:
    """(H, W) values, or (H, W, 3) colours where the class file names colours; and what of it is said."""
    mode = picture.mode
    if mode == "P":
        if legend.colours:
            _check_palette(path, picture, legend)
        return np.asarray(picture), ""
    if mode in ("1", "L") or mode.startswith("I"):
        if legend.colours:
            raise UserError(f"{show(path)}: grey values, but {legend.source} names colours", expected="colours")
        return np.asarray(picture).astype(np.int64), ""
    if mode == "LA":
        return np.asarray(picture)[..., 0].astype(np.int64), "alpha"
    pixels = np.asarray(picture.convert("RGB"))
    if legend.colours:
        return pixels, "alpha" if mode == "RGBA" else ""
    if (pixels == pixels[..., :1]).all():
        return pixels[..., 0].astype(np.int64), "rgb"
    raise UserError(
        f"{show(path)}: colours ({mode}), but {legend.source} names values",
        expected="values; or a class file with the colour of each class, such as: 128 64 128 road",
    )


def _check_palette(path: Path, picture: Image.Image, legend: Legend) -> None:
    """An indexed mask beside a class file of colours: its palette must say the same of the indices that occur."""
    palette = np.asarray(picture.getpalette("RGB")).reshape(-1, 3)
    for index in np.unique(np.asarray(picture)).tolist():
        colour = tuple(palette[index].tolist()) if index < len(palette) else ()
        if index not in legend.values or legend.colours.get(colour, index) != index:
            raise UserError(
                f"{show(path)}: its palette has {colour} at index {index}, which {legend.source} does not say",
                expected="a mask of colours (RGB), or a class file of values: an indexed mask is read by its indices",
            )


def to_indices(values: np.ndarray, legend: Legend) -> tuple[np.ndarray, Counter[int | Colour]]:
    """Values (H, W) or colours (H, W, 3) -> class indices (H, W) uint8, and what nothing names with its pixels."""
    unknown: Counter[int | Colour] = Counter()
    if values.ndim == 3:
        packed = values.astype(np.int64) @ [1 << 16, 1 << 8, 1]
        codes, places = np.unique(packed, return_inverse=True)
        colours = [(code >> 16, code >> 8 & 255, code & 255) for code in codes.tolist()]
        found = np.array([legend.values[legend.colours[one]] if one in legend.colours else -1 for one in colours])
        names: Sequence[int | Colour] = colours
    else:
        codes, places = np.unique(values, return_inverse=True)
        table = legend.table
        inside = (codes >= 0) & (codes < len(table))
        found = np.where(inside, table[np.where(inside, codes, 0)], -1)
        names = codes.tolist()
    counts = np.bincount(places.ravel(), minlength=len(codes))
    for number in np.flatnonzero(found < 0).tolist():
        unknown[names[number]] = int(counts[number])
    return np.where(found < 0, IGNORED, found).astype(np.uint8)[places].reshape(values.shape[:2]), unknown


def report_unknown(masks: Iterable[tuple[Path, Labels]], legend: Legend, problems: Problems) -> None:
    """Adds each value or colour that nothing names, with its pixels, the number of its masks and the first of them.

    A set of masks that holds nothing but 0 and 255 is asked about: 255 may be the object, or what to ignore. Masks
    with many values are named as what they look like: grey images, or labels that were resized with smoothing.
    """
    pixels: Counter[int | Colour] = Counter()
    files: dict[int | Colour, list[Path]] = {}
    smooth = []
    for path, labels in masks:
        if len(labels.unknown) >= RAMP:
            smooth.append((path, labels))
            continue
        pixels.update(labels.unknown)
        for one in labels.unknown:
            files.setdefault(one, []).append(path)
    for path, labels in smooth:
        share = labels.unknown.total() / labels.indices.size
        kind = "colours" if legend.colours else "values"
        problems.add(
            show(path),
            f"{len(labels.unknown)} {kind} that nothing names, {share:.1%} of its pixels: smoothed labels (resized, "
            f"drawn with smooth edges) or no labels at all; expected exactly the {kind} of {legend.source}",
        )
    for one, number in pixels.most_common(SHOWN):
        in_files = f"{number:,} pixels in {len(files[one])} mask{'s' * (len(files[one]) > 1)}"
        what = f"the {'colour' if isinstance(one, tuple) else 'value'} {one}: {in_files} (first: {show(files[one][0])})"
        problems.add(legend.source, f"does not name {what}{_meant(one)}")
    if len(pixels) > SHOWN:
        problems.add(legend.source, f"does not name {len(pixels) - SHOWN} more")


def _meant(one: int | Colour) -> str:
    if one != IGNORED:
        return ""
    return "; an object in white, or pixels to ignore? Say which: a line such as '255 object', or prepare.ignore: [255]"
