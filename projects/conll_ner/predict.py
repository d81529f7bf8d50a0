"""A trained model on new text, from the shell and from Python.

    python -m projects.conll_ner.predict "Angela Merkel flew to Paris."    # a text
    python -m projects.conll_ner.predict --file news.txt                   # files of a text a line
    cat news.txt | python -m projects.conll_ner.predict                    # standard input

    from projects.conll_ner.predict import load_predictor
    load_predictor()(["Angela Merkel flew to Paris."])[0]["entities"]

Prints a JSON object a text: its entities, each with text, label, start and end (characters) and confidence. Texts that
cannot be read are named at the end; the others are predicted, and the exit code is 2.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.core.cli import errors_for_people
from shared.core.paths import Project
from shared.text import predict as predict_text

if TYPE_CHECKING:
    from .data import Features
    from .formats import Sentence
    from .model import Tagger

PROJECT = Project.of(__file__)
BATCH = 8000  # words with their padding, tagged at once


def load_predictor(folder: Path | None = None) -> Callable[[list[str]], list[dict[str, Any]]]:
    """A function from texts to what is said of each: {"entities": [{"text", "label", "start", "end", "confidence"}]}.

    Places count characters of the text as it came. A text is read as one sentence, cut where it is longer than the
    training's sequences.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    from .data import load_features  # imports torch, which takes seconds: --help must not wait for it
    from .model import load_model

    model, config = load_model(folder or PROJECT.folder / "results" / "train", f"dvc repro projects/{PROJECT.name}")
    features = load_features(config["features"])
    return lambda texts: predict(texts, model, features, config)


def predict(texts: list[str], model: "Tagger", features: "Features", config: dict[str, Any]) -> list[dict[str, Any]]:
    """The entities of each text."""
    from shared.text.tokens import normalise

    from .data import sequences

    clean = [normalise(text) for text in texts]
    sentences = [_sentence(str(number), text) for number, text in enumerate(clean)]
    cut = [sequences([one], features, config["max_tokens"], False) if one.tags else [] for one in sentences]
    tagged = iter(_tag([piece for pieces in cut for piece in pieces], model, features, config["classes"]))
    said: list[dict[str, Any]] = []
    for one, pieces, raw in zip(sentences, cut, texts, strict=True):
        rows = [row for _ in pieces for row in next(tagged)]
        said.append({"entities": _entities(one, rows, raw)} if rows else {"error": "no word in this text"})
    return said


def _sentence(name: str, text: str) -> "Sentence":
    from shared.text.tokens import words

    from .formats import Sentence
    from .tags import OUTSIDE

    spans = [(token.start, token.end) for token in words(text)]
    return Sentence(name, text, spans, [OUTSIDE] * len(spans), None, name, None)


Row = tuple[str, float]  # a word's tag and its probability


def _tag(pieces: list["Sentence"], model: "Tagger", features: "Features", classes: list[str]) -> list[list[Row]]:
    """Of each piece the tag of every word, with its probability."""
    import numpy as np
    import torch

    from shared.data.batches import length_shares
    from shared.text.batches import Padded
    from shared.training.distributed import local

    from .data import ragged
    from .tags import tag_names

    if not pieces:
        return []
    names, found = tag_names(classes), [[] for _ in pieces]  # type: list[str], list[list[Row]]
    tokens = ragged([features.encode(one.words) for one in pieces])
    read = Padded(tokens, torch.device("cpu"))
    for index in length_shares(np.asarray(tokens.lengths), BATCH, local()):
        numbers, mask = read(index)
        with torch.no_grad():
            emissions = model(numbers, mask)
        tags = model.crf.decode(emissions, mask)
        sure = model.crf.marginals(emissions, mask).gather(2, tags[:, :, None])[:, :, 0]
        for row, length, of_row, of_sure in zip(index.tolist(), mask.sum(1).tolist(), tags, sure, strict=True):
            said = zip(of_row[:length].tolist(), of_sure[:length].tolist(), strict=True)
            found[row] = [(names[tag], probability) for tag, probability in said]
    return found


def _entities(one: "Sentence", rows: list[Row], raw: str) -> list[dict[str, Any]]:
    from .tags import entities

    found = []
    for start, end, label in entities([tag for tag, _ in rows]):
        left, right = one.spans[start][0], one.spans[end - 1][1]
        sure = min(probability for _, probability in rows[start:end])
        places = {"start": left, "end": right} if one.text == raw else _in_raw(raw, one.text, left, right)
        found.append({"text": one.text[left:right], "label": label, **places, "confidence": round(sure, 6)})
    return found


def _in_raw(raw: str, text: str, left: int, right: int) -> dict[str, int]:
    """Places in the text as it came, from those in the normalised one: both sides grow alike, sign by sign."""
    from shared.text.tokens import normalise

    def place(wanted: int, low: int = 0) -> int:
        high = len(raw)
        while low < high:  # the least number of raw signs that makes `wanted` normalised ones
            middle = (low + high) // 2
            low, high = (middle + 1, high) if len(normalise(raw[:middle])) < wanted else (low, middle)
        return low

    return {"start": place(left), "end": place(right)}


def main(words: Sequence[str] | None = None) -> None:
    predict_text.main(load_predictor, f"projects.{PROJECT.name}.predict", __doc__ or "", words, top=False)


if __name__ == "__main__":
    with errors_for_people():
        main()
