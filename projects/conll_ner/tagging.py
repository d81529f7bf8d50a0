"""Sentences -> tags -> entities: what evaluate measures is what predict does."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from shared.core.predict import Predict
from shared.data.batches import Padded, cost_shares, unpad
from shared.data.table import Ragged
from shared.evaluation.intervals import DIGITS
from shared.evaluation.records import Records, collect
from shared.training.distributed import World

from .cutting import Cutting, cut_text
from .data import Sequences, by_sentence, load_features
from .model import Tagger
from .tags import confidence_of, entities

NO_WORD = {"error": "no word in this text"}


def tag(
    model: Tagger, sequences: Sequences, classes: Sequence[str], batch_size: int, world: World
) -> tuple[list[list[str]], list[np.ndarray]]:
    """Tags sentences of any number and length.

    Args:
        model: in eval mode, on the world's device.
        batch_size: tokens of one forward, padding included.

    Returns:
        On the first rank the tags of each sentence, and the probability (L,) of each tag; nothing on the others.
    """
    padded = Padded(sequences.tokens, world.device)

    def record(index: Tensor) -> Records:
        tokens, mask = padded(index.to(world.device))
        emissions = model(tokens, mask)
        tags = model.crf.decode(emissions, mask)
        probability = model.crf.marginals(emissions, mask).gather(2, tags[:, :, None])[:, :, 0]
        return {"tags": unpad(tags, mask), "probability": unpad(probability.double(), mask)}

    records = collect(record, cost_shares(sequences.tokens.lengths, batch_size, world), world)
    if not records:
        return [], []
    tags, probability = sequences.give_back_tags(records["tags"]), sequences.give_back(records["probability"])
    return by_sentence(tags, classes), [probability.row(sentence) for sentence in range(len(tags.lengths))]


def text_predictor(model: Tagger, config: dict[str, Any], batch_size: int, world: World) -> Predict:
    """A function from texts to {"entities": [{"text", "label", "start", "end", "confidence"}]}, or {"error"}.

    Places count characters of the text as it came. A text is read as one sentence, cut into words as train's are, and
    into sequences where it is longer than the training's.

    Args:
        model: in eval mode, on the world's device.
        batch_size: tokens of one forward, padding included.
        world: the function returns something on the first rank alone.
    """
    features, cutting = load_features(config["features"]), Cutting.of(config["features"])

    def predict(texts: Sequence[str]) -> list[dict[str, Any]]:
        cut = [cut_text(text, cutting) for text in texts]
        encoded = [features.encode(words) for words, _ in cut if words]
        if not encoded:
            return [NO_WORD for _ in texts]
        sequences = Sequences(Ragged.of(encoded, np.int32), np.arange(len(encoded)), features, config)
        found = zip(*tag(model, sequences, config["classes"], batch_size, world), strict=True)
        if not world.is_first:
            return []
        pairs = zip(texts, cut, strict=True)
        return [found_in(text, spans, *next(found)) if words else NO_WORD for text, (words, spans) in pairs]

    return predict


def found_in(
    text: str, spans: Sequence[tuple[int, int]], tags: Sequence[str], probability: np.ndarray
) -> dict[str, Any]:
    """The entities of one text: spans of its words in it, their tags, and (L,) the probability of each."""
    found = []
    for one in entities(tags):
        start, end = spans[one.start][0], spans[one.end - 1][1]
        confidence = round(confidence_of(one, probability), DIGITS)
        found.append(
            {"text": text[start:end], "label": one.label, "start": start, "end": end, "confidence": confidence}
        )
    return {"entities": found}
