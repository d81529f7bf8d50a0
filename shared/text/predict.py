"""The command line of every project's predict.py for texts: what is read, JSON lines out, what cannot be read.

Nothing here imports torch before it is needed: --help must not wait seconds for it. Lines are read as they arrive and
answered at once, so a pipe of any length streams and one that stays open gets its answers.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from shared.core.errors import Problems

READ_BYTES = 1 << 20  # asked of a file at once; a pipe gives what it has
BATCH_LINES = 256  # predicted at once
BATCH_CHARACTERS = 1 << 20  # or fewer lines, where they are long
STANDARD_INPUT = Path("-")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Where = dict[str, Any]  # {"text": ...} or {"file": ..., "line": ...}
Predict = Callable[[list[str]], list[dict[str, Any]]]  # texts as they came -> what is said of each, as JSON values


class Line(NamedTuple):
    """A text, and how the output calls it."""

    where: Where
    text: str


def ranked(probabilities: Sequence[float], classes: Sequence[str]) -> dict[str, Any]:
    """What a classifier says of one text: label, probability, and top: all classes, most probable first.

    >>> ranked([0.25, 0.75], ["bad", "good"])["label"]
    'good'
    """
    order = sorted(range(len(classes)), key=lambda k: -probabilities[k])
    top = [{"label": classes[k], "probability": round(float(probabilities[k]), 6)} for k in order]
    return top[0] | {"top": top}


def lines(source: BinaryIO) -> Iterator[list[bytes]]:
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


def read_file(path: Path, problems: Problems) -> Iterator[list[Line]]:
    """The texts of a file, or of standard input for `-`, as they arrive; what cannot be read is noted in `problems`."""
    try:
        with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb") as source:
            number = 0
            for block in lines(source):
                numbered = enumerate(block, number + 1)
                number += len(block)
                yield [line for count, data in numbered for line in _decoded(path, count, data, problems)]
    except OSError as error:
        problems.add(path, (error.strerror or str(error)).lower())


def _decoded(path: Path, number: int, data: bytes, problems: Problems) -> Iterator[Line]:
    where = {"file": str(path), "line": number}
    try:
        text = data.removeprefix(BYTE_ORDER_MARK if number == 1 else b"").decode()
    except UnicodeDecodeError as error:
        problems.add(name_of(where), f"byte {error.start + 1} is not UTF-8")
        return
    yield from _not_blank(where, text, problems)


def read_words(texts: Iterable[str], problems: Problems) -> Iterator[list[Line]]:
    """Texts of the command line, where Python keeps what it could not decode as lone surrogates."""
    for number, text in enumerate(texts, 1):
        try:
            text.encode()
        except UnicodeEncodeError:
            problems.add(f"text {number}", "not in the encoding of this terminal")
        else:
            yield list(_not_blank({"text": text}, text, problems))


def _not_blank(where: Where, text: str, problems: Problems) -> Iterator[Line]:
    if text.strip():
        yield Line(where, text)
    else:
        problems.add(name_of(where), "empty, expected a text")


def name_of(where: Where) -> str:
    """How people are told about a text."""
    if "file" in where:
        return f"{where['file']}:{where['line']}"
    text = where["text"]
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def batches(arrived: Iterable[Line]) -> Iterator[list[Line]]:
    """Cuts what has arrived into lists that fit into memory; a line that is longer than a batch comes alone."""
    batch: list[Line] = []
    size = 0
    for line in arrived:
        if batch and (len(batch) == BATCH_LINES or size + len(line.text) > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.text)
    if batch:
        yield batch


def parse(words: Sequence[str] | None, module: str, doc: str, top: bool) -> argparse.Namespace:
    """The command line; --help prints the project's docstring."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text; none, or -: standard input, a text a line")
    parser.add_argument("--file", nargs="+", type=Path, default=[], metavar="FILE", help="files of a text a line")
    if top:
        parser.add_argument("--top", type=int, default=1, metavar="N", help="classes to list of each text (default 1)")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of weights (default: results/train)")
    arguments = parser.parse_args(words)
    if top and arguments.top < 1:
        parser.error(f"--top {arguments.top}: at least 1")
    return arguments


def read(arguments: argparse.Namespace, problems: Problems) -> Iterator[list[Line]]:
    """All texts that the command line names, as they arrive: its own, then those of files or of standard input."""
    yield from read_words((text for text in arguments.texts if text != "-"), problems)
    asked = "-" in arguments.texts or not (arguments.texts or arguments.file)
    for path in [*arguments.file, *([STANDARD_INPUT] if asked else [])]:
        yield from read_file(path, problems)


def main(
    load: Callable[[Path | None], Predict], module: str, doc: str, words: Sequence[str] | None, *, top: bool = True
) -> None:
    """Predicts what the command line names, a JSON object a text. Raises UserError at the end if some could not be.

    Args:
        load: folder of the weights (None: what the train stage left) -> a function that takes a list of any texts
            (whatever Unicode, megabytes long; never empty or blank) and returns a dict for each, in order:
            `ranked(...)`, {"entities": [...]}, or {"error": "why"} for a text that it cannot take, such as one of which
            normalisation leaves nothing.
        module: name of the project's module, as `python -m` takes it.
        doc: its docstring.
        words: of the command line; None: sys.argv.
        top: whether the dicts are of `ranked`: then there is --top N, which cuts their list.
    """
    arguments = parse(words, module, doc, top)
    if hasattr(sys.stdout, "reconfigure"):
        # JSON is UTF-8 whatever the terminal; a file's name that is not becomes JSON's own escape
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    predict, problems = load(arguments.model), Problems("predict")
    for arrived in read(arguments, problems):
        for batch in batches(arrived):
            for line, said in zip(batch, predict([line.text for line in batch]), strict=True):
                if "error" in said:
                    problems.add(name_of(line.where), said["error"])
                else:
                    print(as_json(line.where, said, arguments.top if top else None), flush=True)
    problems.raise_if_any()


def as_json(where: Where, said: dict[str, Any], top: int | None) -> str:
    """One line: where the text is from, then what is said of it, with the `top` most probable classes."""
    cut = said if top is None else said | {"top": said["top"][:top]}
    return json.dumps(where | cut, ensure_ascii=False)
