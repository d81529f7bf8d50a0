"""Recordings with transcripts, as files hold them.

<name>.csv, .tsv, .jsonl          a path and a text per row
train.tsv, dev.tsv, test.tsv      Common Voice's, with recordings in clips/; its tables of other recordings are left out
metadata.csv                      LJSpeech's: id|text|normalised text without a header, recordings in wavs/
<name>.wav with <name>.txt        pairs, in any folders; below train/, valid/ or test/ they are of that split

Transcripts are normalised, by the same rules for targets and for the words that errors are counted in:
1. Unicode is composed (NFC), and compatibility forms such as ligatures and full-width letters are replaced (NFKC).
2. Letters become small (casefold would change them: the German sharp s stays).
3. Apostrophes of every kind within a word become '; other quotation marks go.
4. Dashes become spaces, other punctuation goes.
5. White space of any kind and length becomes one space; none at the ends.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.audio.files import SOUND_SUFFIXES
from shared.audio.folder import split_in, text_in
from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import files_below
from shared.data.rows import find_tables, read_rows, read_tables, read_text, split_of
from shared.data.split import SPLIT_NAMES

COLUMNS = ("text", "sentence", "transcript", "transcription")  # usual names of the column of texts
FOLDERS = ("", "clips", "wavs")  # beside a table, where its recordings may lie
LJSPEECH = "metadata.csv"
WORDS_TABLE = "words.csv"  # when each word is said: no table of utterances
COMMON_VOICE = {  # its tables beside those of its splits
    "validated", "invalidated", "other", "reported", "clip_durations", "validated_sentences", "unvalidated_sentences",
}  # fmt: skip
APOSTROPHES = "'\u2019\u2018\u02bc\uff07\u00b4`"
_WITHIN = re.compile(rf"(?<=\w)[{re.escape(APOSTROPHES)}](?=\w)")
_KEPT = "\0"  # stands for an apostrophe while the others go


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


def normalise_transcript(text: str) -> str:
    """See the module's docstring.

    >>> normalise_transcript("  Don\u2019t \u201cstop\u201d \u2013 well-known, O'Neil's!\\n")
    "don't stop well known o'neil's"
    """
    composed = _WITHIN.sub(_KEPT, unicodedata.normalize("NFKC", text.replace("\u00b4", "'"))).lower()
    words = "".join(_replaced(char) for char in composed)
    return " ".join(words.replace(_KEPT, "'").split())


def _replaced(char: str) -> str:
    kind = unicodedata.category(char)
    if char == _KEPT or kind[0] in "LMN":
        return char
    return " " if kind == "Pd" or kind[0] in "ZC" else ""


def find_utterances(root: Path, problems: Problems) -> list[Utterance]:
    """All recordings with transcripts below a folder, in the order of their ids. Problems get everything wrong."""
    tables = [path for path in find_tables(root) if path.name != WORDS_TABLE] if root.is_dir() else []
    if "train" in map(split_of, tables):
        tables = [path for path in tables if path.stem not in COMMON_VOICE]
    if any(path.name == LJSPEECH and _is_ljspeech(path) for path in tables):
        read = _from_ljspeech(root, root / LJSPEECH, problems)
    elif tables:
        read = _from_tables(root, tables, problems)
    else:
        read = _from_pairs(root, problems)
    found: dict[str, Utterance] = {}
    for one in read:
        if one.id in found:
            problems.add(one.where, f"{one.id}: again, as in {found[one.id].where}")
        else:
            found[one.id] = one
    if not found and not problems.found:
        problems.add(
            show(root), "no recordings with texts; expected a .csv of path and text, or pairs of .wav and .txt"
        )
    return sorted(found.values(), key=lambda one: one.id)


def _is_ljspeech(path: Path) -> bool:
    """Whether the first line has two or three fields, and none of them is the name of the column of paths."""
    fields = path.read_bytes()[:4096].partition(b"\n")[0].lower().split(b"|")
    return len(fields) in (2, 3) and b"path" not in [field.strip(b' \r"\xef\xbb\xbf') for field in fields]


def _from_ljspeech(root: Path, path: Path, problems: Problems) -> Iterator[Utterance]:
    for number, line in enumerate((read_text(path, problems) or "").split("\n"), 1):
        where = f"{show(path)}:{number}"
        name, *texts = line.strip().split("|")
        if texts:
            yield from _made(where, root, f"{name.strip()}.wav", texts[-1] or texts[0], None, "", problems)
        elif name:
            problems.add(where, "no |, expected id|text|normalised text")


def _from_tables(root: Path, tables: Sequence[Path], problems: Problems) -> Iterator[Utterance]:
    names = next((list(row) for path in tables for _, row in read_rows(path, {}, Problems(""))), [])
    column = next((name for name in COLUMNS if name in names), COLUMNS[0])
    for row in read_tables(tables, {"path": "the recording", column: "what is said"}, problems):
        split, speaker = split_in(row, problems), text_in(row, "speaker") or text_in(row, "client_id")
        yield from _made(row.where, root, text_in(row, "path"), text_in(row, column), split, speaker, problems)


def _from_pairs(root: Path, problems: Problems) -> Iterator[Utterance]:
    for path in sorted(files_below(root)):
        if path.suffix.lower() not in SOUND_SUFFIXES:
            continue
        beside = path.with_suffix(".txt")
        if not beside.is_file():
            problems.add(show(path), f"no {beside.name} beside it")
        elif (text := read_text(beside, problems)) is not None:
            name = path.relative_to(root)
            split = SPLIT_NAMES.get(name.parts[0].lower()) if len(name.parts) > 1 else None
            yield from _made(show(beside), root, name.as_posix(), text, split, "", problems)


def _made(
    where: str, root: Path, name: str, text: str, split: str | None, speaker: str, problems: Problems
) -> Iterator[Utterance]:
    """The utterance, or none where something is wrong with it."""
    path = next((root / folder / name for folder in FOLDERS if name and (root / folder / name).is_file()), None)
    normal = normalise_transcript(text)
    if path is None or not path.is_relative_to(root):
        problems.add(where, f"{name or 'the path is empty'}: no such file below {show(root)}")
    elif not normal:
        problems.add(where, f"{text.strip()[:40]!r}: no letter or digit is left of the text")
    else:
        yield Utterance(where, path.relative_to(root).as_posix(), path, normal, split, speaker)
