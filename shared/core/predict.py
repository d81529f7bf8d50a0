"""The command line of every project's predict.py: reading inputs, printing predictions, reporting errors.

Nothing here imports torch: --help must not wait seconds for it. Inputs are predicted as they arrive, so a pipe of
any length streams, also one that stays open.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from shared.core.cli import errors_for_people
from shared.core.errors import Problems
from shared.core.paths import ROOT

BATCH_ITEMS = 256  # predicted at once
BATCH_CHARACTERS = 1 << 20  # or fewer, where they are long
READ_BYTES = 1 << 20  # read at once; a pipe gives what it has
STANDARD_INPUT = Path("-")

Predict = Callable[[list[Any]], list[dict[str, Any]]]  # of each input; {"error": why}; {}: nothing to say yet


class Item(NamedTuple):
    """An input, and its name in the output: {"file": ...}, {"file": ..., "line": ...} or {kind: the word itself}."""

    where: dict[str, Any]
    value: Any


class Adapter(NamedTuple):
    """How the command line reads one kind of input.

    Args:
        read: positional words, --file's files, problems -> inputs as they arrive; unreadable ones go to problems.
        inputs: what the positional words are, for --help.
    """

    read: Callable[[Sequence[str], Sequence[Path], Problems], Iterator[list[Item]]]
    inputs: str


def line_adapter(kind: str, parse: Callable[[str], Any] = str) -> Adapter:
    """Reads words of the command line, files and pipes with one item a line, as they arrive.

    Args:
        kind: what an item is called in the output and in messages: "text".
        parse: a line that is not blank -> the item. Raises ValueError where it is none.
    """

    def items(where: dict[str, Any], line: bytes, problems: Problems) -> Iterator[Item]:
        try:
            text = line.decode("utf-8-sig").removesuffix("\r")
            if not text.strip():
                raise ValueError(f"empty, expected a {kind}")
            yield Item(where, parse(text))
        except UnicodeDecodeError as error:
            problems.add(name_of(where), f"byte {error.start + 1} is not UTF-8")
        except ValueError as error:
            problems.add(name_of(where), str(error))

    def read(words: Sequence[str], files: Sequence[Path], problems: Problems) -> Iterator[list[Item]]:
        for word in words:
            if word != "-":
                yield list(items({kind: word}, word.encode(errors="surrogateescape"), problems))
        from_stdin = "-" in words or not (words or files)
        for path in [*files, STANDARD_INPUT] if from_stdin else files:
            where = {"file": str(path)}
            try:
                for lines in numbered_lines(path):
                    yield [item for number, line in lines for item in items(where | {"line": number}, line, problems)]
            except OSError as error:
                problems.add(path, (error.strerror or str(error)).lower())

    return Adapter(read, f"a {kind}; none, or -: standard input, one {kind} a line")


def numbered_lines(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    """The lines of a file, or of standard input, in lists: the complete ones, whenever something has arrived."""
    number, parts = 1, list[bytes]()  # of an incomplete line; joined once, or a long one would take quadratic time
    with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb") as source:
        while block := source.read1(READ_BYTES):  # type: ignore[union-attr]
            first, *rest = block.split(b"\n")
            parts.append(first)
            if rest:
                yield list(enumerate((b"".join(parts), *rest[:-1]), number))
                number += len(rest)
                parts = [rest[-1]]
    if last := b"".join(parts):
        yield [(number, last)]


def ranked(probabilities: Sequence[float], classes: Sequence[str]) -> dict[str, Any]:
    """A classifier's prediction: label, probability, and top: all classes, most probable first.

    >>> ranked([0.25, 0.75], ["bad", "good"])["label"]
    'good'
    """
    order = sorted(range(len(classes)), key=lambda k: -probabilities[k])
    top = [{"label": classes[k], "probability": round(float(probabilities[k]), 6)} for k in order]
    return top[0] | {"top": top}


def ranked_line(found: dict[str, Any]) -> str:
    """The classes with their probabilities, for a terminal."""
    return "  ".join(f"{one['probability']:6.1%} {printable(one['label'])}" for one in found["top"])


def predict_main(
    load: Callable[[Path | None], Predict],
    adapter: Adapter,
    file: str,
    doc: str | None,
    *,
    line: Callable[[dict[str, Any]], str] = ranked_line,
    words: Sequence[str] | None = None,
) -> None:
    """Predicts what the command line names. Exits 2 at the end where some inputs could not be read.

    Args:
        load: folder of the weights (None: what the train stage left) -> the predictor.
        adapter: of the kind of input.
        file, doc: __file__ and __doc__ of the project's predict.py.
        line: a prediction -> its line on a terminal; `ranked_line` adds the option --top.
        words: of the command line; None: sys.argv.
    """
    arguments = _parse(adapter, file, doc, line is ranked_line, words)
    set_encoding(arguments.json)
    with errors_for_people():
        predict, problems = load(arguments.model), Problems("predict")
        for arrived in adapter.read(arguments.inputs, arguments.file, problems):
            for batch in _batches(arrived):
                for item, found in zip(batch, predict([item.value for item in batch]), strict=True):
                    if not found:  # a part of a pipe in which nothing has ended yet
                        continue
                    if "error" in found:
                        problems.add(name_of(item.where), found["error"])
                        continue
                    if line is ranked_line and "top" in found:
                        found = found | {"top": found["top"][: arguments.top]}
                    if arguments.json:
                        print(json.dumps(item.where | found, ensure_ascii=False), flush=True)
                    else:
                        print(f"{line(found)}  {name_of(item.where)}", flush=True)
        problems.raise_if_any()


def set_encoding(json: bool) -> None:
    """Lets stdout take any text: JSON is UTF-8, and a name that the terminal cannot show must not fail."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8" if json else None, errors="backslashreplace")


def _parse(adapter: Adapter, file: str, doc: str | None, top: bool, words: Sequence[str] | None) -> argparse.Namespace:
    module = ".".join(Path(file).resolve().relative_to(ROOT).with_suffix("").parts)
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help=adapter.inputs)
    parser.add_argument("--file", nargs="+", type=Path, default=[], metavar="FILE", help="files of one input a line")
    if top:
        parser.add_argument("--top", type=int, default=1, metavar="N", help="classes to list of each (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for programs")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of weights (default: results/train)")
    arguments = parser.parse_args(words)
    if top and arguments.top < 1:
        parser.error(f"--top {arguments.top}: at least 1")
    return arguments


def _batches(arrived: Iterable[Item]) -> Iterator[list[Item]]:
    """Cuts the inputs into lists that fit into memory; one that is longer than a batch is a batch of its own."""
    batch: list[Item] = []
    size = 0
    for item in arrived:
        length = len(item.value) if isinstance(item.value, str) else 0
        if batch and (len(batch) == BATCH_ITEMS or size + length > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch:
        yield batch


def name_of(where: dict[str, Any]) -> str:
    """The name of an input in messages."""
    if "file" in where:
        return printable(f"{where['file']}:{where['line']}" if "line" in where else str(where["file"]))
    (text,) = where.values()
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def printable(text: str) -> str:
    """Escapes control characters and what cannot be encoded: file names are untrusted.

    >>> printable("caf\\u00e9\\x1b[2J")
    'café\\\\x1b[2J'
    """
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
