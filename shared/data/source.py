"""Where raw data come from: a sample, or official data from $DATASET_MIRROR or from their owner, verified either way.

A mirror is a folder with one folder per data set, which holds the official files, or one archive of them with any
compression. The archive need not be the owner's: what is compared are the checksums of the files inside.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, TypeVar

from shared.core.cli import errors_for_people, load_params
from shared.core.errors import Problems, UserError
from shared.core.files import checksum_of, replace_folder, writing
from shared.core.params import Section
from shared.core.paths import Project, original_root, show
from shared.data.archive import extract, is_archive
from shared.data.download import download

MIRROR = "DATASET_MIRROR"
NOTE = "source.json"  # beside the raw data: where they are from

Bring = Callable[[Path, Any], None]  # an empty folder to fill, the section `fetch`
P = TypeVar("P", bound=Section)


def fetch_stage(sources: Mapping[str, Bring], params: type[P], file: str) -> None:
    """`python -m projects.<name>.fetch`: replaces the raw data atomically.

    Args:
        sources: fetch.source -> the function that brings the data.
        params: the project's model of all sections, `fetch` with `source` among them.
        file: of the stage's module.
    """
    project = Project.of(file)
    with errors_for_people():
        loaded: Any = load_params(params, file, None)
        if loaded.fetch is None:
            raise UserError("params.yaml: no section `fetch`: this project's data are your own", fix="dvc repro")
        source = loaded.fetch.source
        with replace_folder(project.raw) as folder:
            sources[source](folder, loaded.fetch)
            (folder / NOTE).write_text(json.dumps({"source": source}) + "\n")
        print(f"fetch: {source} -> {show(project.raw)}")


def source_of(root: Path) -> str:
    """The source that `fetch_stage` noted, or "own" without a note. Raises UserError on an invalid note."""
    path = root / NOTE
    try:
        return str(json.loads(path.read_text())["source"]) if path.exists() else "own"
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{show(path)}: not what fetch writes", fix="remove it, if the data are your own") from None


@dataclass(frozen=True)
class Official:
    """A public data set as its owner publishes it.

    Args:
        name: its folder below $DATASET_MIRROR.
        url: of the archive at its owner; or, ending in /, of the folder of the single files.
        checksum: of that archive, md5 or sha256 in hexadecimal; None where there is no archive.
        files: relative path -> checksum of every file wanted.
    """

    name: str
    url: str
    checksum: str | None
    files: Mapping[str, str]


def bring(official: Official, folder: Path) -> None:
    """Puts the official files below `folder`, each verified; all of them, or none.

    Raises:
        UserError: no mirror and no network, a file is missing or has a wrong checksum, the archive is damaged or
            unsafe, the disk is full.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as scratch:
            found = _gather(official, Path(scratch))
            verify(official, found)
            for name in official.files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (found / name).replace(folder / name)


def verify(official: Official, root: Path) -> None:
    """Compares every official file below `root` with its checksum. Raises one UserError that names all that differ."""
    problems = Problems(show(root))
    for name, expected in official.files.items():
        if not (root / name).is_file():
            problems.add(name, "no such file")
        elif (found := checksum_of(root / name, like=expected)) != expected:
            problems.add(name, f"wrong checksum: found {found}, expected {expected}")
    problems.raise_if_any(fix=f"get {official.name} again from {official.url}")


def mirror_folder(name: str) -> Path | None:
    """The folder of a data set in the mirror, or None. A relative $DATASET_MIRROR starts at the user's checkout."""
    mirror = os.environ.get(MIRROR)
    folder = original_root() / mirror / name if mirror else None
    return folder if folder and folder.is_dir() else None


def _gather(official: Official, scratch: Path) -> Path:
    """The root of the official files, copied, extracted or downloaded below `scratch`."""
    mirror = mirror_folder(official.name)
    if mirror is None:
        return _from_owner(official, scratch)
    print(f"{official.name}: from {show(mirror)}")
    root = _root_of(official, mirror)
    if root is None:
        return _unpack(official, _only_archive(official, mirror), scratch)
    for name in official.files:
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, scratch / name)
    return scratch


def _root_of(official: Official, folder: Path) -> Path | None:
    """Where in `folder` the official files are: archives and mirrors may wrap them in folders of their own."""
    first = Path(next(iter(official.files)))
    for found in sorted(folder.rglob(escape(str(first)))):
        root = found.parents[len(first.parts) - 1]
        if all((root / name).is_file() for name in official.files):
            return root
    return None


def _only_archive(official: Official, mirror: Path) -> Path:
    archives = [path for path in sorted(mirror.iterdir()) if is_archive(path)]
    if len(archives) == 1:
        return archives[0]
    found = ", ".join(path.name for path in archives) or "neither"
    raise UserError(
        f"{show(mirror)}: not a mirror of {official.name}: found {found}",
        expected=f"{', '.join(official.files)}, or one archive of them",
        fix=f"put {official.url} there",
    )


def _unpack(official: Official, archive: Path, scratch: Path) -> Path:
    extract(archive, scratch)
    root = _root_of(official, scratch)
    if root is None:
        raise UserError(f"{show(archive)}: files are missing in it", expected=", ".join(official.files))
    return root


def _from_owner(official: Official, scratch: Path) -> Path:
    print(f"{official.name}: from {official.url}")
    if official.checksum is None:
        # All before the first is moved: the next run finds those that are there. Not Path.replace: where DVC runs this
        # in a temporary copy, data/raw may be on another disk.
        paths = {name: downloaded(official, official.url + name, one) for name, one in official.files.items()}
        for name, path in paths.items():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, scratch / name)
        return scratch
    archive = downloaded(official, official.url, official.checksum)
    root = _unpack(official, archive, scratch)
    archive.unlink(missing_ok=True)  # the files are the stage's out, so DVC keeps them; it would be a second copy
    return root


def downloaded(official: Official, url: str, checksum: str) -> Path:
    """A file from its owner, verified. The caller moves or deletes it.

    Raises:
        UserError: no network, with what to put where by hand; a wrong checksum; the disk is full.
    """
    name = url.removeprefix(official.url) or url.rsplit("/", 1)[-1]  # of one of several files, or of the archive
    # Not below the stage's out, which DVC deletes before every run, nor in DVC's temporary copy: a download that
    # was interrupted goes on from here. Data sets have files of one name: MNIST and Fashion-MNIST all four.
    path = original_root() / "data" / "raw" / ".downloads" / f"{official.name}-{name.replace('/', '-')}"
    download(url, path, checksum, fix=_by_hand(official, url, name))
    return path


def _by_hand(official: Official, url: str, name: str) -> str:
    mirror = os.environ.get(MIRROR) or "../datasets"
    place = Path(mirror) / official.name / name
    return f"download {url} elsewhere, put it at {place} and run again with {MIRROR}={mirror}"
