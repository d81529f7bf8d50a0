"""Labelled recordings as files hold them: a folder a class, or tables of path and label."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shared.audio.files import SOUND_SUFFIXES
from shared.audio.params import PrepareSounds
from shared.core.errors import Problems, UserError
from shared.core.paths import show
from shared.data.folder import SampleFile, counted, scan_classes
from shared.data.labels import check_classes
from shared.data.rows import Row, find_tables, find_unread, read_tables
from shared.data.split import SPLIT_NAMES

EVIDENCE = "evidence"  # evidence.csv beside the recordings: path, start_s, end_s, low_hz, high_hz
SPLIT = "split"  # an optional column
LISTS = {"validation_list.txt": "valid", "testing_list.txt": "test"}  # of Speech Commands: paths, one a line
NOISE = "_background_noise_"  # its folder of long recordings, which is no class
Box = tuple[float, float, float, float]  # start and end in seconds, lowest and highest frequency in Hz


@dataclass(frozen=True)
class Recordings:
    """The labelled files of a folder.

    Args:
        files: in the order of their ids.
        speakers: one a file, or empty where nothing says who speaks.
        evidence: id -> where in time and frequency lies what decides.
        notes: sentences: what was taken for what, what was left out.
    """

    files: list[SampleFile]
    speakers: list[str]
    evidence: dict[str, Box] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find_recordings(root: Path, params: PrepareSounds, problems: Problems) -> Recordings:
    """All labelled recordings of a folder, none decoded. Problems get everything that is wrong."""
    tables = [path for path in find_tables(root) if path.stem.lower() != EVIDENCE]
    notes: list[str] = []
    rows: dict[str, Row] = {}
    if tables:
        files, rows = _from_tables(root, tables, params, problems)
        notes.append(f"read from {', '.join(path.name for path in tables)}.")
    else:
        found = scan_classes(
            root, lambda path: path.suffix.lower() in SOUND_SUFFIXES, problems, what="recordings", beside=EVIDENCE
        )
        notes = list(found.notes)
        files = _listed(found.root, _without_noise(found.files, notes), problems, notes)
        for path in found.strays[:3]:
            problems.add(show(path), "a recording outside of a class folder, expected <class>/<recording>")
        others = [path for path in found.ignored if path.suffix.lower() not in (".csv", ".json", ".md")]
        if others:
            notes.append(f"left out, no recordings by their suffix: {counted(others)}.")
    if not files:
        for path, what in find_unread(root):
            problems.add(show(path), what)
    forms = "<class>/<recording>, {train,valid,test}/<class>/<recording>, or a .csv of path and label"
    check_classes(root, files, problems, what="recordings", forms=forms)
    speakers = _speakers(files, rows, params, problems, notes)
    return Recordings(files, speakers, _evidence(root, files, problems), notes)


def _from_tables(
    root: Path, tables: Sequence[Path], params: PrepareSounds, problems: Problems
) -> tuple[list[SampleFile], dict[str, Row]]:
    wanted = {params.path_column: "prepare.path_column", params.label_column: "prepare.label_column"}
    folder, found, rows = root if root.is_dir() else root.parent, list[SampleFile](), dict[str, Row]()
    for row in read_tables(tables, wanted, problems):
        name, label = text_in(row, params.path_column), text_in(row, params.label_column)
        split = split_in(row, problems)
        if not name or not label:
            problems.add(row.where, f"{params.path_column if not name else params.label_column} is empty")
        elif not (folder / name).is_file():
            problems.add(row.where, f"{name}: no such file below {show(folder)}")
        elif name in rows:
            problems.add(row.where, f"{name}: again, as in {rows[name].where}")
        else:
            rows[name] = row
            found.append(SampleFile(folder / name, name, label, split))
    return sorted(found, key=lambda file: file.id), rows


def text_in(row: Row, column: str) -> str:
    """A row's value, "" where it has none. Of whole numbers pandas makes floats, beside missing ones: 3.0 is "3"."""
    value = row.values.get(column)
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    return "" if value is None else str(value).strip()


def split_in(row: Row, problems: Problems) -> str | None:
    """The split that a row's file or its column `split` says. Problems get a split that there is not."""
    said = text_in(row, SPLIT).lower()
    split = row.split or SPLIT_NAMES.get(said)
    if said and not split:
        problems.add(row.where, f"{SPLIT} {said!r}, expected train, valid or test")
    return split


def _without_noise(files: Sequence[SampleFile], notes: list[str]) -> list[SampleFile]:
    kept = [file for file in files if file.class_name != NOISE]
    if len(kept) < len(files):
        notes.append(f"left out: {len(files) - len(kept)} recordings in {NOISE}, which is no class.")
    return kept


def _listed(root: Path, files: Sequence[SampleFile], problems: Problems, notes: list[str]) -> list[SampleFile]:
    """The files with the splits that the lists of Speech Commands say; all others are train."""
    splits: dict[str, str] = {}
    for name, split in LISTS.items():
        if (root / name).is_file():
            lines = (root / name).read_text(encoding="utf-8", errors="replace").splitlines()
            splits |= {line.strip(): split for line in lines if line.strip()}
    if not splits or any(file.split for file in files):
        return list(files)
    found = {file.path.relative_to(root).as_posix(): file for file in files}
    for name in [name for name in splits if name not in found][:5]:
        problems.add(show(root / name), f"listed for {splits[name]}, but there is no such recording")
    notes.append(f"splits: {' and '.join(name for name in LISTS if (root / name).is_file())}.")
    return [replace(file, split=splits.get(name, "train")) for name, file in found.items()]


def _speakers(
    files: Sequence[SampleFile], rows: dict[str, Row], params: PrepareSounds, problems: Problems, notes: list[str]
) -> list[str]:
    """Who speaks in each file, from a column or a pattern of names; empty where nothing says it."""
    column = params.speaker_column
    if rows and all(column in row.values for row in rows.values()):
        said = [text_in(rows[file.id], column) for file in files]
        for file, one in zip(files, said, strict=True):
            if not one:
                problems.add(rows[file.id].where, f"{column} is empty")
        source = f"the column {column!r}"
    elif params.speaker_pattern:
        try:
            pattern = re.compile(params.speaker_pattern)
        except re.error as error:
            raise UserError(f"prepare.speaker_pattern: {error}", expected="a regular expression") from None
        matches = [pattern.search(file.path.name) for file in files]
        said = [match[1] or "" if match and match.groups() else "" for match in matches]
        if not all(said):
            other = files[said.index("")]
            notes.append(
                f"prepare.speaker_pattern does not fit {other.path.name}: speakers are not known, and one of train may "
                "speak in test as well."
            )
            return []
        source = "the names of the files (prepare.speaker_pattern)"
    else:
        notes.append("nothing says who speaks: one of train may speak in test as well.")
        return []
    if len(set(said)) == 1:
        notes.append(f"one speaker only ({said[0]!r}): how well others are understood is not measured.")
        return []
    notes.append(f"{len(set(said)):,} speakers, by {source}.")
    return said


def _evidence(root: Path, files: Sequence[SampleFile], problems: Problems) -> dict[str, Box]:
    path = root / f"{EVIDENCE}.csv"
    if not path.is_file():
        return {}
    columns = "start_s", "end_s", "low_hz", "high_hz"
    known, found = {file.id for file in files}, dict[str, Box]()
    for row in read_tables([path], dict.fromkeys(("path", *columns), EVIDENCE), problems):
        name = text_in(row, "path")
        start, end, low, high = numbers = tuple(_number(row.values[column]) for column in columns)
        if name not in known:
            problems.add(row.where, f"{name}: no such recording")
        elif not (all(map(math.isfinite, numbers)) and 0 <= start < end and 0 <= low < high):
            problems.add(row.where, f"{numbers}, expected numbers with start_s below end_s and low_hz below high_hz")
        else:
            found[name] = start, end, low, high
    return found


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
