"""A trained model on new text, from the shell and from Python.

    python -m projects.conll_ner.predict "Angela Merkel flew to Paris."    # a text
    python -m projects.conll_ner.predict --file news.txt --json            # a file of one text a line, for programs
    cat news.txt | python -m projects.conll_ner.predict                    # standard input

    from projects.conll_ner.predict import load_predictor
    load_predictor()(["Angela Merkel flew to Paris."])[0]["entities"]

Texts that cannot be read are named at the end; the others are predicted, and the exit code is 2.
"""

from pathlib import Path
from typing import Any

from shared.core.paths import Project
from shared.core.predict import Predict, line_adapter, predict_main, printable

BATCH = 8000  # tokens with their padding, tagged at once


def load_predictor(folder: Path | None = None) -> Predict:
    """A function from texts to their entities, as evaluate measured it: see `text_predictor`.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    from shared.training.distributed import local  # torch takes seconds to import: --help must not wait for it

    from .model import load_model
    from .tagging import text_predictor

    model, config = load_model(folder or Project.of(__file__).folder / "results" / "train")
    return text_predictor(model, config, BATCH, local())


def line(found: dict[str, Any]) -> str:
    """The entities of a text, for a terminal."""
    return "; ".join(f"{one['label']}: {printable(one['text'])}" for one in found["entities"]) or "no entity"


if __name__ == "__main__":
    predict_main(load_predictor, line_adapter("text"), __file__, __doc__, line=line)
