"""Folders of images: `<class>/...` or `{train,valid,test}/<class>/...`; without classes where a project needs none."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import visible
from shared.data.folder import SampleFile, counted, scan_classes
from shared.data.labels import check_classes, class_names
from shared.image.files import IMAGE_SUFFIXES

EVIDENCE = "evidence"  # the folder of masks, beside the classes or splits
NO_CLASS = "images"  # the one class of images without classes
_ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}
# Letters of folder names that hold the images of a segmentation set, and what was drawn for each of them
PICTURES = {
    "image", "images", "img", "imgs", "input", "inputs", "original", "originals", "photo", "photos", "jpegimages",
}  # fmt: skip
DRAWN = {
    "mask", "masks", "label", "labels", "annot", "annots", "annotation", "annotations", "gt", "groundtruth", "target",
    "targets", "trimap", "trimaps", "segmentation", "segmentations", "segmentationclass", "labelids",
}  # fmt: skip
_LAYERS = DRAWN | {"depth", "edges"}


@dataclass(frozen=True)
class ImageFolder:
    """The content of a folder.

    Args:
        images: in the order of their ids.
        classes: their names.
        ignored: files that are not images.
        root: see data/folder.py, Scan; the folder of masks lies there.
        folders: split -> the folder of its classes.
        notes: sentences: what was taken for what, and what was left out.
    """

    images: list[SampleFile]
    classes: list[str]
    ignored: list[Path]
    root: Path
    folders: dict[str | None, Path]
    notes: list[str]


def scan_folder(root: Path, problems: Problems, *, labelled: bool = True) -> ImageFolder:
    """Finds the images below `root` without decoding any (see data/folder.py).

    Args:
        problems: gets every problem found: no images, classes that cannot be learned, images outside of a class, an
            archive instead of images, images and masks as two classes.
        labelled: False accepts one class, and `<image>` or `{train,valid,test}/<image>` as the class NO_CLASS.
    """
    found = scan_classes(
        root, lambda path: path.suffix.lower() in IMAGE_SUFFIXES, problems,
        what="images", beside=EVIDENCE, default_class="" if labelled else NO_CLASS,
    )  # fmt: skip
    for folder, number in Counter(path.parent for path in found.strays).items():
        first = next(path for path in found.strays if path.parent == folder)
        some = "an image" if number == 1 else f"{number:,} images"
        where = "<class>/<image>" if folder == found.root else f"{folder.name}/<class>/<image>"
        unlabelled = "" if folder == found.root else "; images without labels belong elsewhere: they are for predict"
        problems.add(show(first if number == 1 else folder),
                     f"{some} outside of a class folder, expected {where}{unlabelled}")  # fmt: skip
    if not found.files:
        _check_archives(root, problems)
    forms = "<class>/<image> or {train,valid,test}/<class>/<image>"
    check_classes(root, found.files, problems, what="images", forms=forms, least=2 if labelled else 1)
    classes, notes = class_names(found.files), list(found.notes)
    if labelled and len(classes) > 1:
        _check_masks(root, found.files, classes, problems, notes)
    if found.ignored:
        notes.append(f"left out, no images by their suffix: {counted(found.ignored)}.")
    return ImageFolder(found.files, classes, found.ignored, found.root, found.folders, notes)


def _check_archives(root: Path, problems: Problems) -> None:
    """Data as they were downloaded, still packed."""
    for path in visible(root):
        if path.suffix.lower() in _ARCHIVES and path.is_file():
            problems.add(show(path), "an archive, expected the images in it: unpack it")


def _check_masks(
    root: Path, images: Sequence[SampleFile], classes: Sequence[str], problems: Problems, notes: list[str]
) -> None:
    """Folders that hold not classes but layers of the same scenes: images and their masks."""
    kinds = {name: re.sub("[^a-z]+", "", name.lower()) for name in classes}
    pictures, drawn = ([name for name in classes if kinds[name] in words] for words in (PICTURES, _LAYERS))
    if pictures and drawn and len(pictures) + len(drawn) == len(classes):
        meant = f"<class>/<image> for classes; masks of objects go to {EVIDENCE}/<class>/<image>"
        problems.add(show(root), f"{' and '.join(classes)} look like images with masks, not classes; expected {meant}")
        return
    stems = {name: {image.path.stem for image in images if image.class_name == name} for name in classes}
    (first, *others) = stems.values()
    if all(stems_of == first for stems_of in others) and not _numbering(first):
        notes.append(
            f"all classes hold the same {len(first):,} file names ({min(first)}, ...): if these are views or masks of "
            "the same things, they are no classes."
        )


def _numbering(stems: set[str]) -> bool:
    """Whether names differ in their digits alone, as those of cameras and exports do."""
    return len({re.sub("[0-9]+", "", stem) for stem in stems}) <= max(1, len(stems) // 10)
