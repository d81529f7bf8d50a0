"""The forms in which images and their masks come -> pairs. Nothing is decoded here but lists and COCO files.

images/a.jpg, masks/a.png                          folders by the usual names, in any order with split folders
{train,valid,test}/images/..., .../masks/...       and with further folders below or above
train/a.jpg, trainannot/a.png                      masks in a folder of the split's name and one of the words
JPEGImages/, SegmentationClass/, ImageSets/Segmentation/{train,val}.txt     Pascal VOC
a.jpg, a_mask.png                                  side by side
<any>.json beside images                           COCO: polygons and run lengths
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import files_below
from shared.data.split import SPLIT_NAMES
from shared.image.files import IMAGE_SUFFIXES
from shared.image.folder import DRAWN, EVIDENCE, PICTURES
from shared.image.index import ImageIndex, composed, split_of_name
from shared.image.masks import Legend, read_legend
from shared.image.polygons import Drawn, read_coco

CLASS_FILES = {
    f"{stem}{suffix}"
    for stem in ("classes", "class_dict", "labels", "label_colors", "label_colours", "labelmap", "palette")
    for suffix in (".txt", ".csv", ".tsv")
}
LEFT_OUT = {"segmentationobject", "overlays"}
ENDINGS = re.compile(r"[_-](mask|masks|label|labels|labelids|gt|segmentation|seg|trimap|annotation|l)$", re.IGNORECASE)
FORMS = "images/ and masks/ of one name an image, and classes.txt; or images and a COCO file: see data/README.md"


@dataclass(frozen=True)
class Pair:
    """An image and what gives its pixels their classes: a label image, or the outlines of a COCO file.

    Args:
        id: of the image, its path below the folder.
        split: train, valid or test; None where the data do not say.
        evidence: a picture of the pixels that decide; None without.
    """

    id: str
    image: Path
    mask: Path | Drawn
    split: str | None
    evidence: Path | None = None


@dataclass(frozen=True)
class Found:
    """The content of a folder: pairs by id, what masks mean, and what was taken for what."""

    pairs: list[Pair]
    legend: Legend
    notes: list[str]


@dataclass(frozen=True)
class Place:
    """What the folders of a file say: its kind (image, mask, evidence), its split, and all else, its own name last."""

    kind: str
    split: str | None
    rest: tuple[str, ...]


def scan(root: Path, ignore: Sequence[int | str], problems: Problems) -> Found:
    """Finds the pairs below a folder.

    Args:
        ignore: values or names of masks that do not count.
        problems: gets images without masks and the reverse, two of one name, class files that are missing or of which
            there are several, and everything wrong with the class file or the COCO files.
    """
    files = sorted(files_below(root, lambda error: problems.add(error.filename, f"cannot be read: {error.strerror}")))
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        problems.add(show(root), f"no images; expected {FORMS}")
    coco = [path for path in files if path.suffix.lower() == ".json" and _is_coco(path, problems)]
    if coco:
        return _from_coco(root, coco, ignore, problems)
    legend = _legend(root, [path for path in files if path.name.lower() in CLASS_FILES], ignore, problems)
    pairs, notes = _pairs(root, images, _lists(files, problems), problems)
    return Found(pairs, legend, [*legend.notes, *notes])


def place_of(path: Path, ending: bool) -> Place:
    """What a path below the root says.

    Args:
        ending: whether a name such as a_mask.png is a mask.

    >>> place_of(Path("valannot/a.png"), False)
    Place(kind='mask', split='valid', rest=('a',))
    """
    path = Path(composed(str(path)))
    kind, split, rest = "image", None, []
    for folder in path.parts[:-1]:
        said_kind, said_split = _role(folder)
        kind, split = said_kind or kind, said_split or split
        rest += [] if said_kind or said_split else [folder]
    stem = path.stem
    if ending and ENDINGS.search(stem):
        kind, stem = "mask", ENDINGS.sub("", stem)
    return Place(kind, split, (*rest, stem))


def _role(folder: str) -> tuple[str, str | None]:
    """Kind and split that the name of a folder says, "" and None where it says none."""
    letters = re.sub("[^a-z]+", "", folder.lower())
    kinds = {EVIDENCE: EVIDENCE} | dict.fromkeys(PICTURES, "image") | dict.fromkeys(DRAWN, "mask")
    kinds |= dict.fromkeys(LEFT_OUT, "left out")
    for word in ["", *sorted(SPLIT_NAMES, key=len, reverse=True)]:
        for rest in {letters.removeprefix(word), letters.removesuffix(word)} if word in letters else ():
            if rest in kinds or (word and not rest):
                return kinds.get(rest, ""), SPLIT_NAMES.get(word)
    return "", None


def _pairs(
    root: Path, images: Sequence[Path], listed: Mapping[str, str], problems: Problems
) -> tuple[list[Pair], list[str]]:
    below = {path: path.relative_to(root) for path in images}
    ending = not any(place_of(path, False).kind == "mask" for path in below.values())
    kinds: dict[str, dict[tuple[str | None, tuple[str, ...]], Path]] = defaultdict(dict)
    for path, relative in below.items():
        place = place_of(relative, ending)
        key = (place.split, place.rest)
        if key in kinds[place.kind]:
            problems.add(show(path), f"a second {place.kind} beside {show(kinds[place.kind][key])}")
        kinds[place.kind][key] = path
    masks, notes = kinds["mask"], []
    for key in [key for key in masks if key not in kinds["image"]]:
        shorter = (key[0], (*key[1][:-1], ENDINGS.sub("", key[1][-1])))
        if shorter in kinds["image"] and shorter not in masks:
            masks[shorter] = masks.pop(key)
    pairs = []
    left = 0
    for key, path in sorted(kinds["image"].items(), key=lambda item: item[1]):
        split = key[0] or listed.get(key[1][-1])
        if listed and split is None:
            left += 1
        elif key not in masks:
            problems.add(show(path), "an image without a mask")
        else:
            evidence = kinds[EVIDENCE].get(key)
            pairs.append(Pair(below[path].as_posix(), path, masks[key], split, evidence))
    for key in masks:
        if key not in kinds["image"]:
            problems.add(show(masks[key]), "a mask without an image")
    if listed:
        notes.append(f"splits by the lists of names; {left:,} images that no list names are left out.")
    return pairs, notes


def _lists(files: Iterable[Path], problems: Problems) -> dict[str, str]:
    """Name of an image -> split, from Pascal VOC's ImageSets/Segmentation/{train,val,test}.txt. Lists of other folders
    of ImageSets, which name images without masks, count only where that one is missing."""
    found: dict[str, str] = {}
    lists = [path for path in files if path.suffix == ".txt" and path.stem in SPLIT_NAMES and "ImageSets" in path.parts]
    for path in [path for path in lists if path.parent.name == "Segmentation"] or lists:
        split = SPLIT_NAMES[path.stem]
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.strip() and found.setdefault(name := Path(composed(line.split()[0])).name, split) != split:
                problems.add(show(path), f"{name}, which the list of {found[name]} names as well")
    return found


def _legend(root: Path, files: Sequence[Path], ignore: Sequence[int | str], problems: Problems) -> Legend:
    if len(files) == 1:
        return read_legend(files[0], ignore, problems)
    if files:
        problems.add(show(root), f"{len(files)} class files, expected one: {', '.join(map(show, files))}")
    else:
        problems.add(
            show(root / "classes.txt"),
            "no such file; expected a class a line: its name, or 'value name', or 'red green blue name'",
        )
    return Legend([], {})


# --- COCO -------------------------------------------------------------------------------------------------------------


def _is_coco(path: Path, problems: Problems) -> bool:
    """Whether a JSON file is meant to hold annotations; one that is no JSON is a problem."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        problems.add(show(path), f"cannot be read: {error.strerror}")
        return False
    except (ValueError, RecursionError) as error:
        problems.add(show(path), f"not valid JSON: {error}")
        return False
    return isinstance(tree, dict) and "annotations" in tree


def _from_coco(root: Path, files: Sequence[Path], ignore: Sequence[int | str], problems: Problems) -> Found:
    index, classes = ImageIndex(root), list[str]()
    pairs: dict[Path, Pair] = {}
    for file in files:
        names, drawn = read_coco(file, problems)
        if classes and names and names != classes:
            problems.add(show(file), f"other classes than those of {show(files[0])}: {', '.join(names)}")
        classes = classes or names
        split = place_of(file.relative_to(root), False).split or split_of_name(file.stem)
        for one in drawn:
            image = index.find(one.name, [file.parent], split)
            if image is None:
                problems.add(show(file), f"no image {one.name!r} below {show(root)}, or several")
            elif image in pairs:
                problems.add(show(file), f"{one.name!r} a second time")
            else:
                pairs[image] = Pair(image.relative_to(root).as_posix(), image, one, split)
    labels = {number: number for number in range(len(classes))}
    legend = Legend(classes, labels, source=show(files[0]))
    if ignore:
        problems.add("prepare.ignore", "COCO annotations leave nothing to ignore; expected []")
    notes = [f"{len(files)} COCO file{'s' * (len(files) > 1)}; pixels without an annotation are {classes[:1]}."]
    if left := len(index.paths) - len(pairs):
        notes.append(f"{left:,} images that no COCO file lists are left out.")
    return Found(sorted(pairs.values(), key=lambda pair: pair.id), legend, notes)
