"""Files that a user names for a prediction, in words or by their folder."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from shared.core.errors import Problems
from shared.core.walk import files_below


def listed_in(files: Iterable[Path], problems: Problems) -> list[str]:
    """The paths that text files list, one a line. `problems` gets a file that cannot be read."""
    listed: list[str] = []
    for file in files:
        try:
            listed += [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except OSError as error:
            problems.add(file, (error.strerror or str(error)).lower())
        except UnicodeDecodeError as error:
            problems.add(file, f"byte {error.start + 1} is not UTF-8")
    return listed


def find_named(paths: Iterable[str | Path], suffixes: Collection[str], kind: str, problems: Problems) -> Iterator[Path]:
    """The given files, and those of these suffixes inside given folders, sorted by path, found as prepare finds them.

    Args:
        suffixes: in lower case, with their dot.
        kind: what they are, such as images.
        problems: gets a path that does not exist, and a folder without such files.
    """
    for path in map(Path, paths):
        inside = [path] if path.is_file() else []
        if path.is_dir():
            below = files_below(path, lambda error: problems.add(error.filename, f"cannot be read: {error.strerror}"))
            inside = sorted(file for file in below if file.suffix.lower() in suffixes)
        if not inside:
            problems.add(path, f"no {kind} inside" if path.is_dir() else "no such file or folder")
        yield from inside
