"""The command line of every project's predict.py: what is read, what is printed, what cannot be read.

Nothing here imports torch: --help must not wait seconds for it. Inputs are read as they arrive and answered at once, so
a pipe of any length streams and one that stays open gets its answers.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from shared.core.cli import errors_for_people
from shared.core.errors import Problems
from shared.core.paths import ROOT

BATCH_ITEMS = 256  # predicted at once
BATCH_CHARACTERS = 1 << 20  # or fewer, where they are long

Predict = Callable[[list[Any]], list[dict[str, Any]]]  # inputs -> what is predicted of each, or {"error": why}


class Item(NamedTuple):
    """An input, and how the output names it: {"text": ...}, {"file": ...}, {"file": ..., "line": ...}."""

    where: dict[str, Any]
    value: Any


class Adapter(NamedTuple):
    """What the command line takes of one kind of input.

    Args:
        read: positional words, --file's files, problems -> inputs as they arrive; what cannot be read is noted.
        inputs: what the positional words are, for --help.
    """

    read: Callable[[Sequence[str], Sequence[Path], Problems], Iterator[list[Item]]]
    inputs: str


def ranked(probabilities: Sequence[float], classes: Sequence[str]) -> dict[str, Any]:
    """What a classifier predicts: label, probability, and top: all classes, most probable first.

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
        line: what is predicted -> its line on a terminal; with `ranked_line` there is --top.
        words: of the command line; None: sys.argv.
    """
    arguments = _parse(adapter, file, doc, line is ranked_line, words)
    if hasattr(sys.stdout, "reconfigure"):  # a name that the terminal cannot show is no failure; JSON is UTF-8
        encoding = "utf-8" if arguments.json else None
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    with errors_for_people():
        predict, problems = load(arguments.model), Problems("predict")
        for arrived in adapter.read(arguments.inputs, arguments.file, problems):
            for batch in _batches(arrived):
                for item, found in zip(batch, predict([item.value for item in batch]), strict=True):
                    if "error" in found:
                        problems.add(name_of(item.where), found["error"])
                        continue
                    if "top" in found:
                        found = found | {"top": found["top"][: arguments.top]}
                    print(
                        _as_json(item, found) if arguments.json else f"{line(found)}  {name_of(item.where)}", flush=True
                    )
        problems.raise_if_any()


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
    """Cuts what has arrived into lists that fit into memory; an input that is longer than a batch comes alone."""
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


def _as_json(item: Item, found: dict[str, Any]) -> str:
    return json.dumps(item.where | found, ensure_ascii=False)


def name_of(where: dict[str, Any]) -> str:
    """How people are told about an input."""
    if "file" in where:
        return printable(f"{where['file']}:{where['line']}" if "line" in where else str(where["file"]))
    text = str(where["text"])
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def printable(text: str) -> str:
    """Escapes what would move the cursor or cannot be encoded: names come from strangers.

    >>> printable("caf\\u00e9\\x1b[2J")
    'café\\\\x1b[2J'
    """
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
