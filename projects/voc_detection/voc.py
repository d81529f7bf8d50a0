"""Pascal VOC's annotations: an XML file an image, with or without ImageSets."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import files_below
from shared.data.split import SPLIT_NAMES
from shared.image.index import ImageIndex, composed

from .annotations import EVIDENCE, Box, Found, Object, Picture, listed, split_of_folders

CORNERS = "xmin", "ymin", "xmax", "ymax"


def find_voc(root: Path) -> list[Path]:
    """The XML files below a folder that may be annotations."""
    return sorted(path for path in files_below(root) if path.suffix.lower() == ".xml")


def read_voc(root: Path, files: Iterable[Path], first_pixel: str, problems: Problems) -> Found:
    """All annotations below a folder: of the ids in ImageSets/Main where it has such lists, else of every file.

    Args:
        first_pixel: "1": coordinates begin at 1 and include the last pixel; "0": they are edges that begin at 0;
            "auto": the first, unless some coordinate is 0.
        problems: gets damaged files, missing images and annotations, objects without a class or a box.
    """
    index, found = ImageIndex(root), Found("Pascal VOC")
    sets = _image_sets(root, problems)
    of_stem: dict[str, list[Path]] = {}
    for path in files:
        of_stem.setdefault(composed(path.stem), []).append(path)
    if sets:
        for name, ids in sets.items():
            for one in ids:
                if one not in of_stem:
                    problems.add(f"{one} ({name})", "no annotation of this name, expected an XML file")
        wanted = {one: name for name, ids in sets.items() for one in ids}
        chosen: list[tuple[Path, str | None]] = [
            (path, wanted[stem]) for stem, paths in of_stem.items() if stem in wanted for path in paths
        ]
        if left := [stem for stem in of_stem if stem not in wanted]:
            found.notes.append(f"in no list of ImageSets/Main, left out: {listed(left)}.")
    else:
        chosen = [(path, split_of_folders(path, root)) for paths in of_stem.values() for path in paths]
    trees = [(path, split, tree) for path, split in chosen if (tree := _parse(path, problems)) is not None]
    base = _first_pixel([tree for _, _, tree in trees], first_pixel, found)
    others, annotated = list[str](), dict[Path, Path]()
    for path, split, tree in trees:
        image = _image_of(path, tree, index, others)
        if image is None:
            problems.add(show(path), f"its image is missing: {tree.findtext('filename') or path.stem}")
            continue
        if annotated.setdefault(image, path) != path:
            problems.add(show(path), f"a second annotation of {show(image)}, beside {show(annotated[image])}")
            continue
        objects = list(_objects(path, tree, base, problems))
        found.pictures.append(Picture(image, image.relative_to(root).as_posix(), split, _size(tree), objects))
    if others:
        found.notes.append(f"the file name in the XML is another's; the image of the XML's own name is taken: "
                           f"{listed(others)}.")  # fmt: skip
    if not sets:
        for image in index.paths:
            if image not in annotated and EVIDENCE not in image.relative_to(root).parts:
                problems.add(show(image), "no annotation of this name, expected an XML file, one without objects "
                             "where there are none")  # fmt: skip
    found.pictures.sort(key=lambda picture: picture.id)
    found.classes = sorted({one.name for picture in found.pictures for one in picture.objects})
    difficult = sum(one.ignored for picture in found.pictures for one in picture.objects)
    if difficult:
        found.notes.append(f"{difficult:,} difficult objects: neither learned nor counted.")
    return found


def _parse(path: Path, problems: Problems) -> Any:
    try:
        tree = ElementTree.parse(path).getroot()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        kind = "refused" if isinstance(error, DefusedXmlException) else "not valid XML"
        reason = "it declares entities" if isinstance(error, DefusedXmlException) else str(error)
        problems.add(show(path), f"{kind}: {reason}" if path.stat().st_size else "an empty file (0 bytes)")
        return None
    except OSError as error:
        problems.add(show(path), f"cannot be read: {error.strerror}")
        return None
    if tree.tag != "annotation":
        problems.add(show(path), f"<{tree.tag}>, expected <annotation>")
        return None
    return tree


def _image_of(path: Path, tree: Any, index: ImageIndex, others: list[str]) -> Path | None:
    """By the XML's own name, as VOC's tools do; else by the name inside."""
    near = [path.parent, *(path.parent.parent / name for name in ("JPEGImages", "images", "Images"))]
    own, named = index.of_stem(path.stem, near), (tree.findtext("filename") or "").strip()
    if own is not None:
        if named and composed(Path(named.replace("\\", "/")).stem) != composed(own.stem):
            others.append(path.name)
        return own
    return index.find(named, near) if named else None


def _size(tree: Any) -> tuple[int, int] | None:
    sides = [_number(tree.findtext(f"size/{name}")) for name in ("width", "height")]
    return (int(sides[0]), int(sides[1])) if all(side >= 1 for side in sides) else None


def _objects(path: Path, tree: Any, base: int, problems: Problems) -> Iterator[Object]:
    for number, one in enumerate(tree.findall("object"), 1):
        name, box = (one.findtext("name") or "").strip(), one.find("bndbox")
        where = f"object {number}" + f" ({name})" * bool(name)
        if not name:
            problems.add(f"{show(path)}, {where}", "no class, expected <name>")
        elif box is None or any(box.find(corner) is None for corner in CORNERS):
            problems.add(f"{show(path)}, {where}", f"no box, expected <bndbox> with {', '.join(CORNERS)}")
        else:
            corners = [_number(box.findtext(corner)) for corner in CORNERS]
            edges: Box = (corners[0] - base, corners[1] - base, corners[2], corners[3])
            yield Object(where, name, edges, ignored=(one.findtext("difficult") or "0").strip() == "1")


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _first_pixel(trees: Iterable[Any], chosen: str, found: Found) -> int:
    """1 where coordinates count from 1, and says which was taken."""
    if chosen == "auto":
        lows = [_number(one.text) for tree in trees for side in ("xmin", "ymin") for one in tree.iter(side)]
        zeros = sum(low == 0 for low in lows)
        why = f"{zeros:,} are 0" if zeros else "none is 0"
        chosen = "0" if zeros else "1"
        end = f" ({why}; prepare.first_pixel says otherwise)."
    else:
        end = " (prepare.first_pixel)."
    found.notes.append({
        "1": "coordinates begin at 1 and include the last pixel, as VOC's do: 1 is taken from xmin and ymin" + end,
        "0": "coordinates begin at 0: they are taken as edges, as they are" + end,
    }[chosen])  # fmt: skip
    return int(chosen)


def _image_sets(root: Path, problems: Problems) -> dict[str, list[str]]:
    """Split -> ids, of the lists in ImageSets/Main; trainval alone is train. Lists of single classes are not read."""
    found: dict[str, list[str]] = {}
    for folder in sorted({path.parent for path in files_below(root) if path.parent.name == "Main"}):
        if folder.parent.name != "ImageSets":
            continue
        lists = {path.stem: path for path in folder.glob("*.txt") if path.stem in (*SPLIT_NAMES, "trainval")}
        if "train" in lists:
            lists.pop("trainval", None)
        for stem, path in lists.items():
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
            ids = [composed(line.split()[0]) for line in lines if line.strip()]
            found.setdefault(SPLIT_NAMES.get(stem, "train"), []).extend(ids)
    where: dict[str, str] = {}
    for split, ids in found.items():
        for one in ids:
            if where.setdefault(one, split) != split:
                problems.add(one, f"in the lists of two splits, {where[one]} and {split}")
    return found
