"""A trained model on new texts, from the shell and from Python. A JSON object a text comes out.

    python -m projects.imdb_sentiment.predict "This is not, in my view, a dull film."
    python -m projects.imdb_sentiment.predict --file reviews.txt --top 2    # a text a line
    tail -f reviews.txt | python -m projects.imdb_sentiment.predict         # as they arrive

    from projects.imdb_sentiment.predict import load_predictor
    for said in load_predictor()(["This is, in my view, a dull film.", "This is not, in my view, a dull film."]):
        print(said["label"], said["probability"])

Lines that cannot be read are named at the end; the others are predicted, and the exit code is 2.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.core.cli import errors_for_people
from shared.core.paths import Project
from shared.text import predict as predict_text
from shared.text.predict import Predict

PROJECT = Project.of(__file__)
BATCH_TOKENS = 16384  # of one forward, padding included


def load_predictor(folder: Path | None = None) -> Predict:
    """A function from texts to dicts: label, probability, top (all classes), and num_cut tokens where some were.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    # These take seconds: --help must not wait for them.
    import numpy as np
    from shared.data.columns import Ragged

    from shared.text.tokens import load_encoder, normalise
    from shared.training.distributed import local

    from .model import load_model, predict_logits

    model, config = load_model(folder or PROJECT.folder / "results" / "train", f"dvc repro projects/{PROJECT.name}")
    encoder = load_encoder(config["encoder"])

    def say(texts: list[str]) -> list[dict[str, Any]]:
        normal = [normalise(text) for text in texts]
        encoded = list(encoder.encode(normal, config["max_tokens"]))
        tokens = Ragged.of([one.ids for one in encoded], np.int32)
        probability = predict_logits(model, tokens, BATCH_TOKENS, local()).double().softmax(dim=1).tolist()
        return [
            predict_text.ranked(row, config["classes"]) | ({"num_cut": one.num_cut} if one.num_cut else {})
            if text.strip()
            else {"error": "nothing but control signs"}
            for row, one, text in zip(probability, encoded, normal, strict=True)
        ]

    return say


def main(words: Sequence[str] | None = None) -> None:
    predict_text.main(load_predictor, f"projects.{PROJECT.name}.predict", __doc__ or "", words)


if __name__ == "__main__":
    with errors_for_people():
        main()
