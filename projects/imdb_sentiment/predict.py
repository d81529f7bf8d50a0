"""A trained model on new texts, from the shell and from Python.

    python -m projects.imdb_sentiment.predict "This is not, in my view, a dull film."
    python -m projects.imdb_sentiment.predict --file reviews.txt --top 2    # one text a line
    tail -f reviews.txt | python -m projects.imdb_sentiment.predict --json  # as they arrive, for programs

    from projects.imdb_sentiment.predict import load_predictor
    for found in load_predictor()(["This is, in my view, a dull film.", "This is not, in my view, a dull film."]):
        print(found["label"], found["probability"])

Lines that cannot be read are named at the end; the others are predicted, and the exit code is 2.
"""

from pathlib import Path
from typing import Any

from shared.core.paths import Project
from shared.core.predict import Predict, line_adapter, predict_main, ranked

BATCH_TOKENS = 16384  # of one forward, padding included


def load_predictor(folder: Path | None = None) -> Predict:
    """A function from texts to dicts: label, probability, top (all classes), and num_cut tokens where some were.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    import numpy as np  # these take seconds: --help must not wait for them
    import torch

    from shared.data.batches import Padded, cost_shares
    from shared.data.table import Ragged
    from shared.text.tokens import load_encoder, normalise
    from shared.training.distributed import local

    from .model import load_model

    model, config = load_model(folder or Project.of(__file__).folder / "results" / "train")
    encoder = load_encoder(config["encoder"])

    @torch.inference_mode()
    def predict(texts: list[str]) -> list[dict[str, Any]]:
        normal = [normalise(text) for text in texts]
        encoded = list(encoder.encode(normal, config["max_tokens"]))
        rows = Ragged.of([one.ids for one in encoded], np.int32)
        padded, probability = Padded(rows), torch.empty(len(texts), len(config["classes"]))
        for index in cost_shares(rows.lengths, BATCH_TOKENS, local()):
            probability[index] = model(*padded(index)).float().softmax(dim=1)
        return [
            ranked(row, config["classes"]) | ({"num_cut": one.num_cut} if one.num_cut else {})
            if text.strip()
            else {"error": "nothing but control characters"}
            for row, one, text in zip(probability.tolist(), encoded, normal, strict=True)
        ]

    return predict


if __name__ == "__main__":
    predict_main(load_predictor, line_adapter("text"), __file__, __doc__)
