"""The command line of every project's predict.py for texts: what is read, JSON lines out, what cannot be read.

Nothing here imports torch before it is needed: --help must not wait seconds for it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Predict = Callable[[list[str]], list[dict[str, Any]]]  # texts as they came -> what is said of each, as JSON values


def ranked(probabilities: Sequence[float], classes: Sequence[str]) -> dict[str, Any]:
    """What a classifier says of one text: label, probability, and top: all classes, most probable first.

    >>> ranked([0.25, 0.75], ["bad", "good"])["label"]
    'good'
    """
    raise NotImplementedError


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
    raise NotImplementedError
