"""Texts for a project's predict.py: words of the command line, files and pipes of one text a line, as they arrive."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from shared.core.errors import Problems
from shared.core.predict import Adapter, Item, name_of

READ_BYTES = 1 << 20  # asked of a file at once; a pipe gives what it has
STANDARD_INPUT = Path("-")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(source: BinaryIO) -> Iterator[list[bytes]]:
    """The lines of a file without their ends, in lists: all that are whole whenever something has arrived."""
    parts: list[bytes] = []  # of a line that is not whole yet; joined once, or a long one would take squared time
    while block := source.read1(READ_BYTES):  # type: ignore[attr-defined]
        first, *rest = block.split(b"\n")
        parts.append(first)
        if rest:
            yield [line.removesuffix(b"\r") for line in (b"".join(parts), *rest[:-1])]
            parts = [rest[-1]]
    if last := b"".join(parts):
        yield [last]


def read_file(path: Path, problems: Problems) -> Iterator[list[Item]]:
    """The texts of a file, or of standard input for `-`, as they arrive; what cannot be read is noted in `problems`."""
    try:
        with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb") as source:
            number = 0
            for block in read_lines(source):
                numbered = enumerate(block, number + 1)
                number += len(block)
                yield [item for count, data in numbered for item in _decoded(path, count, data, problems)]
    except OSError as error:
        problems.add(path, (error.strerror or str(error)).lower())


def _decoded(path: Path, number: int, data: bytes, problems: Problems) -> Iterator[Item]:
    where = {"file": str(path), "line": number}
    try:
        text = data.removeprefix(BYTE_ORDER_MARK if number == 1 else b"").decode()
    except UnicodeDecodeError as error:
        problems.add(name_of(where), f"byte {error.start + 1} is not UTF-8")
        return
    yield from _not_blank(where, text, problems)


def _not_blank(where: dict[str, Any], text: str, problems: Problems) -> Iterator[Item]:
    if text.strip():
        yield Item(where, text)
    else:
        problems.add(name_of(where), "empty, expected a text")


def _read(words: Sequence[str], files: Sequence[Path], problems: Problems) -> Iterator[list[Item]]:
    for number, text in enumerate((word for word in words if word != "-"), 1):
        try:
            text.encode()  # Python keeps what it could not decode as lone surrogates
        except UnicodeEncodeError:
            problems.add(f"text {number}", "not in the encoding of this terminal")
        else:
            yield list(_not_blank({"text": text}, text, problems))
    asked = "-" in words or not (words or files)
    for path in [*files, *([STANDARD_INPUT] if asked else [])]:
        yield from read_file(path, problems)


TEXTS = Adapter(_read, "a text; none, or -: standard input, one text a line")
