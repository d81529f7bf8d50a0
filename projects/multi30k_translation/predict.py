"""A trained model on new sentences, from the shell and from Python: as many lines out as in.

    python -m projects.multi30k_translation.predict "On July 20, 2024, Julia paid €8.66 for the painting."
    python -m projects.multi30k_translation.predict --file news.en > news.de    # one sentence a line
    cat news.en | python -m projects.multi30k_translation.predict > news.de     # standard input
    python -m projects.multi30k_translation.predict --beam 5 --best 3 --json "Anna speaks Thai."

    from projects.multi30k_translation.predict import load_predictor
    load_predictor()(["Anna speaks Thai."])[0]["translation"]

A line is what \\n or \\r\\n ends, and nothing else. An empty line gives an empty one. A line that cannot be read gives
an empty one, is named at the end, and the exit code is 2. What is longer than the model reads is cut, and said.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shared.core.cli import errors_for_people
from shared.core.errors import Problems
from shared.core.paths import Project
from shared.core.predict import STANDARD_INPUT, Predict, numbered_lines, printable

AT_ONCE = 64  # lines at most: a file's first translations are there before its last line is read
BATCH_TOKENS = 4096  # source tokens with padding, times beams, decoded at once
BEAM, LENGTH_PENALTY = 4, 1.0


def load_predictor(folder: Path | None = None, *, beam: int = BEAM, best: int = 1) -> Predict:
    """A function from texts to dicts: translation, score (log-probability, normalised by length), best (the best few,
    where more than one is asked for) and num_cut tokens where some were.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.
        beam: translations followed at once; 1: greedy.
        best: of these, how many to give.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    from shared.data.batches import Padded, cost_shares  # these take seconds: --help must not wait for them
    from shared.data.table import Ragged
    from shared.training.distributed import local

    from .cleaning import plain
    from .decoding import Search, translate
    from .model import load_model
    from .pieces import Pieces

    model, config = load_model(folder or Project.of(__file__).folder / "results" / "train")
    pieces = Pieces.of(config["pieces"])
    search = Search(max(beam, best), LENGTH_PENALTY, pieces.marks)

    def predict(texts: list[str]) -> list[dict[str, Any]]:
        lines = [plain(text) for text in texts]
        encoded = pieces.encode(lines, config["max_tokens"])
        sources = Ragged.of([one.ids for one in encoded], "int64")
        found: list[dict[str, Any]] = [{"translation": "", "score": 0.0} for _ in texts]
        pad = Padded(sources)
        for index in cost_shares(sources.lengths, max(1, BATCH_TOKENS // search.beam), local()):
            for row, some in zip(index.tolist(), translate(model, *pad(index), search), strict=True):
                if lines[row]:
                    ranked = [{"translation": pieces.decode(one.ids), "score": round(one.score, 6)} for one in some]
                    cut = {"num_cut": encoded[row].num_cut} if encoded[row].num_cut else {}
                    found[row] = ranked[0] | ({"best": ranked[:best]} if best > 1 else {}) | cut
        return found

    return predict


Line = tuple[str, str | None]  # where it is from; None: it cannot be decoded


def decode(name: str, number: int, raw: bytes, problems: Problems) -> Line:
    """A line of a file without its end."""
    where = f"{name}:{number}"
    try:
        return where, raw.removesuffix(b"\r").decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        problems.add(where, f"byte {error.start + 1} is not UTF-8; translated as an empty line")
        return where, None


def inputs(arguments: argparse.Namespace, problems: Problems) -> Iterator[Sequence[Line]]:
    """Sentences of the command line, of files, or of standard input where there are neither: those that are there."""
    yield [(repr(printable(word)[:40]), word) for word in arguments.inputs]
    for path in arguments.file or ([] if arguments.inputs else [STANDARD_INPUT]):
        try:
            for lines in numbered_lines(path):
                yield [decode(str(path), number, raw, problems) for number, raw in lines]
        except OSError as error:
            problems.add(path, (error.strerror or str(error)).lower())


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", metavar="SENTENCE", help="none: standard input, one a line")
    parser.add_argument("--file", nargs="+", type=Path, default=[], metavar="FILE", help="files of one sentence a line")
    parser.add_argument("--beam", type=int, default=BEAM, metavar="N", help=f"1: greedy (default {BEAM})")
    parser.add_argument("--best", type=int, default=1, metavar="N", help="translations of each, with --json")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for programs")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of weights (default: results/train)")
    arguments = parser.parse_args(words)
    if min(arguments.beam, arguments.best) < 1:
        parser.error("--beam and --best: at least 1")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    with errors_for_people():
        predict = load_predictor(arguments.model, beam=arguments.beam, best=arguments.best)
        problems = Problems("predict")
        arrived = inputs(arguments, problems)
        for some in (lines[start : start + AT_ONCE] for lines in arrived for start in range(0, len(lines), AT_ONCE)):
            for (where, source), found in zip(some, predict([text or "" for _, text in some]), strict=True):
                if "num_cut" in found:
                    print(f"{where}: {found['num_cut']:,} tokens too long, the rest is cut off", file=sys.stderr)
                shown = (
                    json.dumps({"source": source} | found, ensure_ascii=False)
                    if arguments.json
                    else found["translation"]
                )
                print(shown, flush=True)
        problems.raise_if_any()


if __name__ == "__main__":
    main()
