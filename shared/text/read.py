"""Texts for a project's predict.py: words of the command line, files and pipes of one text a line, as they arrive."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from shared.core.errors import Problems
from shared.core.predict import Adapter, Item, name_of

READ_BYTES = 1 << 20  # read at once; a pipe gives what it has
STANDARD_INPUT = Path("-")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def _lines(source: BinaryIO) -> Iterator[list[bytes]]:
    """The lines of a file without their ends, in lists: the complete ones, whenever something has arrived."""
    parts: list[bytes] = []  # of an incomplete line; joined once, or a long line would take quadratic time
    while block := source.read1(READ_BYTES):  # type: ignore[attr-defined]
        first, *rest = block.split(b"\n")
        parts.append(first)
        if rest:
            yield [line.removesuffix(b"\r") for line in (b"".join(parts), *rest[:-1])]
            parts = [rest[-1]]
    if last := b"".join(parts):
        yield [last]


def _items(where: dict[str, Any], data: bytes, problems: Problems) -> Iterator[Item]:
    """One text, unless it is blank or not UTF-8, which goes to `problems`."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        problems.add(name_of(where), f"byte {error.start + 1} is not UTF-8")
        return
    if text.strip():
        yield Item(where, text)
    else:
        problems.add(name_of(where), "empty, expected a text")


def _read_file(path: Path, problems: Problems) -> Iterator[list[Item]]:
    try:
        with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb") as source:
            number = 0
            for block in _lines(source):
                found: list[Item] = []
                for data in block:
                    number += 1
                    line = data.removeprefix(BYTE_ORDER_MARK) if number == 1 else data
                    found += _items({"file": str(path), "line": number}, line, problems)
                yield found
    except OSError as error:
        problems.add(path, (error.strerror or str(error)).lower())


def _read(words: Sequence[str], files: Sequence[Path], problems: Problems) -> Iterator[list[Item]]:
    for number, text in enumerate((word for word in words if word != "-"), 1):
        try:
            data = text.encode()  # Python keeps what it could not decode as lone surrogates
        except UnicodeEncodeError:
            problems.add(f"text {number}", "not in the encoding of this terminal")
        else:
            yield list(_items({"text": text}, data, problems))
    from_stdin = "-" in words or not (words or files)
    for path in [*files, *([STANDARD_INPUT] if from_stdin else [])]:
        yield from _read_file(path, problems)


TEXTS = Adapter(_read, "a text; none, or -: standard input, one text a line")
