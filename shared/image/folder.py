"""Folders of images: `<class>/...` or `{train,valid,test}/<class>/...`; without classes where a project needs none."""

from dataclasses import dataclass
from pathlib import Path

from shared.core.errors import Problems
from shared.core.paths import show
from shared.data.folder import SampleFile, scan_classes
from shared.data.labels import check_classes, class_names
from shared.image.files import IMAGE_SUFFIXES

EVIDENCE = "evidence"  # the folder of masks, beside the classes or splits
NO_CLASS = "images"  # the one class of images without classes


@dataclass(frozen=True)
class ImageFolder:
    """The content of a folder: images in the order of their ids, class names, files that are not images."""

    images: list[SampleFile]
    classes: list[str]
    ignored: list[Path]


def scan_folder(root: Path, problems: Problems, *, labelled: bool = True) -> ImageFolder:
    """Finds the images below `root` without decoding any (see data/folder.py).

    Args:
        problems: gets every problem found: no images, classes that cannot be learned, an image outside of a class.
        labelled: False accepts one class, and `<image>` or `{train,valid,test}/<image>` as the class NO_CLASS.
    """
    found = scan_classes(
        root, lambda path: path.suffix.lower() in IMAGE_SUFFIXES, problems,
        what="images", beside=EVIDENCE, default_class="" if labelled else NO_CLASS,
    )  # fmt: skip
    for path in found.strays:
        problems.add(show(path), "an image outside of a class folder, expected <class>/<image>")
    forms = "<class>/<image> or {train,valid,test}/<class>/<image>"
    check_classes(root, found.files, problems, what="images", forms=forms, least=2 if labelled else 1)
    return ImageFolder(found.files, class_names(found.files), found.ignored)
