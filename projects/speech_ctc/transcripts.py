"""Recordings with transcripts, as files hold them.

<name>.csv, .tsv, .jsonl          a path and a text per row; Common Voice's `path` and `sentence`, with clips/ beside
metadata.csv                      LJSpeech's: id|text|normalised text without a header, recordings in wavs/
<name>.wav with <name>.txt        pairs, in any folders
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.audio.files import SOUND_SUFFIXES
from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import files_below
from shared.data.rows import find_tables, read_rows, read_tables, read_text
from shared.data.split import SPLIT_NAMES

from .normalise import normalise_transcript

COLUMNS = ("text", "sentence", "transcript", "transcription")  # usual names of the column of texts
FOLDERS = ("", "clips", "wavs")  # beside a table, where its recordings may lie
LJSPEECH = "metadata.csv"
WORDS_TABLE = "words.csv"  # when each word is said: no table of utterances


@dataclass(frozen=True)
class Utterance:
    """A recording and what is said in it.

    Args:
        where: file and line of the transcript, for messages.
        id: the recording's path below the folder.
        text: normalised.
        split: train, valid or test; None where the data do not say.
        speaker: "" where the data do not say.
    """

    where: str
    id: str
    path: Path
    text: str
    split: str | None = None
    speaker: str = ""


def find_utterances(root: Path, problems: Problems) -> list[Utterance]:
    """All recordings with transcripts below a folder, in the order of their ids. Problems get everything wrong."""
    tables = [path for path in find_tables(root) if path.name != WORDS_TABLE] if root.is_dir() else []
    if any(path.name == LJSPEECH and _is_ljspeech(path) for path in tables):
        found = _from_ljspeech(root, root / LJSPEECH, problems)
    elif tables:
        found = _from_tables(root, tables, problems)
    else:
        found = _from_pairs(root, problems)
    if not found and not problems.found:
        problems.add(
            show(root), "no recordings with texts; expected a .csv of path and text, or pairs of .wav and .txt"
        )
    return sorted(found, key=lambda one: one.id)


def _is_ljspeech(path: Path) -> bool:
    first = path.read_bytes()[:4096].partition(b"\n")[0]
    return first.count(b"|") in (1, 2) and b"path" not in first.lower()


def _from_ljspeech(root: Path, path: Path, problems: Problems) -> list[Utterance]:
    found = []
    for number, line in enumerate((read_text(path, problems) or "").splitlines(), 1):
        name, separator, rest = line.partition("|")
        if not line.strip():
            continue
        if not separator:
            problems.add(f"{show(path)}:{number}", "no |, expected id|text|normalised text")
            continue
        text = rest.split("|")[-1] or rest.split("|")[0]
        found.append(_made(f"{show(path)}:{number}", root, f"{name.strip()}.wav", text, None, "", problems))
    return [one for one in found if one]


def _from_tables(root: Path, tables: Sequence[Path], problems: Problems) -> list[Utterance]:
    names = next((list(row) for path in tables for _, row in read_rows(path, {}, Problems(""))), [])
    column = next((name for name in COLUMNS if name in names), COLUMNS[0])
    found, places = list[Utterance](), dict[str, str]()
    for row in read_tables(tables, {"path": "the recording", column: "what is said"}, problems):
        name, text = str(row.values["path"] or "").strip(), str(row.values[column] or "")
        split = row.split or SPLIT_NAMES.get(str(row.values.get("split") or "").strip().lower())
        speaker = str(row.values.get("speaker") or row.values.get("client_id") or "")
        one = _made(row.where, root, name, text, split, speaker, problems)
        if one and one.id in places:
            problems.add(row.where, f"{one.id}: again, as in {places[one.id]}")
        elif one:
            places[one.id] = row.where
            found.append(one)
    return found


def _from_pairs(root: Path, problems: Problems) -> list[Utterance]:
    found = []
    for path in sorted(files_below(root)):
        if path.suffix.lower() not in SOUND_SUFFIXES:
            continue
        beside = path.with_suffix(".txt")
        if not beside.is_file():
            problems.add(show(path), f"no {beside.name} beside it")
        elif (text := read_text(beside, problems)) is not None:
            name = path.relative_to(root).as_posix()
            found.append(_made(show(beside), root, name, text, None, "", problems))
    return [one for one in found if one]


def _made(
    where: str, root: Path, name: str, text: str, split: str | None, speaker: str, problems: Problems
) -> Utterance | None:
    path = next((root / folder / name for folder in FOLDERS if name and (root / folder / name).is_file()), None)
    normal = normalise_transcript(text)
    if path is None:
        problems.add(where, f"{name or 'the path is empty'}: no such file below {show(root)}")
    elif not normal:
        problems.add(where, f"{text.strip()[:40]!r}: no letter or digit is left of the text")
    else:
        return Utterance(where, path.relative_to(root).as_posix(), path, normal, split, speaker)
    return None
