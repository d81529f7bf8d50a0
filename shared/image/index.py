"""The images below a folder, found by what annotations call them."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from shared.core.walk import files_below
from shared.data.split import SPLIT_NAMES
from shared.image.files import IMAGE_SUFFIXES


def composed(name: str) -> str:
    """The same in composed characters (NFC): some systems write them apart, so names would differ that look alike."""
    return unicodedata.normalize("NFC", name)


def split_of_name(name: str) -> str | None:
    """The split that the first such word of a name says.

    >>> split_of_name("instances_val2017"), split_of_name("contest")
    ('valid', None)
    """
    words = re.split("[^a-z]+", name.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)


class ImageIndex:
    """The images below a folder, by name and by stem."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = sorted(path for path in files_below(root) if path.suffix.lower() in IMAGE_SUFFIXES)
        self.by_name, self.by_stem = defaultdict[str, list[Path]](list), defaultdict[str, list[Path]](list)
        for path in self.paths:
            self.by_name[composed(path.name)].append(path)
            self.by_stem[composed(path.stem)].append(path)

    def find(self, name: str, near: Sequence[Path], split: str | None = None) -> Path | None:
        """An image by the name that an annotation gives it; its first folders may be of another computer.

        Args:
            name: a file name, perhaps behind folders.
            near: folders in which it is looked for first. Anywhere else it must be the only one whose path ends in the
                name, or in as much of it as is found at all.
            split: that the annotation belongs to: of several, the one whose folders say it is taken.
        """
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        for folder in near:
            for start in range(len(parts)):
                path = folder.joinpath(*parts[start:])
                if path.is_relative_to(self.root) and path.is_file():
                    return path
        for start in range(len(parts)):
            end = composed("/" + "/".join(parts[start:]))
            found = [path for path in self.by_name.get(composed(parts[-1]), []) if self._below(path).endswith(end)]
            of_split = [path for path in found if split and split_of_name(self._below(path.parent)) == split]
            if (path_found := _only(found) or _only(of_split)) is not None:
                return path_found
        return None

    def of_stem(self, stem: str, near: Sequence[Path]) -> Path | None:
        """The image of this stem in one of the folders, or the only one anywhere below."""
        found = self.by_stem.get(composed(stem), [])
        for folder in near:
            if (path := _only([one for one in found if one.parent == folder])) is not None:
                return path
        return _only(found)

    def _below(self, path: Path) -> str:
        """Its path below the folder, beginning with a slash."""
        return composed(f"/{path.relative_to(self.root).as_posix()}")


def _only(paths: Sequence[Path]) -> Path | None:
    return paths[0] if len(paths) == 1 else None
