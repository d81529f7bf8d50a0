"""Sentences -> tags -> entities: what evaluate measures is what predict does."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from shared.core.predict import Predict
from shared.data.batches import Padded, cost_shares, unpad
from shared.data.table import Ragged
from shared.evaluation.records import Records, collect
from shared.text.align import cut_words
from shared.training.distributed import World

from .data import NEWLINE, Features, Sequences, by_sentence, load_features
from .model import Tagger
from .tags import entities

Tagged = tuple[list[list[str]], list[np.ndarray]]  # of each sentence its tags, and (L,) the probability of each


def tag(
    model: Tagger,
    tokens: Ragged,
    documents: np.ndarray,
    features: Features,
    config: dict[str, Any],
    batch_size: int,
    world: World,
) -> Tagged:
    """Tags sentences of any number and length.

    Args:
        model: in eval mode, on the world's device.
        tokens: of N sentences, each with a word at least, as `features` encodes them.
        documents: (N,) int64; sentences of one document come in a row.
        config: of the model.
        batch_size: tokens of one forward, padding included.

    Returns:
        On the first rank; nothing on the others.
    """
    sequences = Sequences.of(tokens, documents, features, config)
    padded = Padded(sequences.take(tokens.values, features.encode([NEWLINE])), world.device)

    def record(index: Tensor) -> Records:
        numbers, mask = padded(index.to(world.device))
        emissions = model(numbers, mask)
        tags = model.crf.decode(emissions, mask)
        probability = model.crf.marginals(emissions, mask).gather(2, tags[:, :, None])[:, :, 0]
        return {"tags": unpad(tags, mask), "probability": unpad(probability.double(), mask)}

    records = collect(record, cost_shares(sequences.words.lengths, batch_size, world), world)
    if not records:
        return [], []
    arrays = {name: [row.numpy() for row in records[name]] for name in ("tags", "probability")}
    tags = by_sentence(sequences.give_back_tags(arrays["tags"]), tokens.offsets, config["classes"])
    return tags, np.split(sequences.give_back(arrays["probability"]), tokens.offsets[1:-1])


def text_predictor(model: Tagger, config: dict[str, Any], batch_size: int, world: World) -> Predict:
    """A function from texts to {"entities": [{"text", "label", "start", "end", "confidence"}]}, or {"error"}.

    Places count characters of the text as it came; the confidence is the least probability of the entity's tags. A text
    is read as one sentence, cut where it is longer than the training's sequences.

    Args:
        model: in eval mode, on the world's device.
        batch_size: tokens of one forward, padding included.
        world: the function returns something on the first rank alone.
    """
    features = load_features(config["features"])

    def predict(texts: Sequence[str]) -> list[dict[str, Any]]:
        cut = [cut_words(text) for text in texts]
        encoded = [features.encode(words) for words, _ in cut if words]
        if not encoded:
            return [{"error": "no word in this text"} for _ in texts]
        tokens = Ragged.of(encoded, np.int32)
        tagged = tag(model, tokens, np.arange(len(encoded)), features, config, batch_size, world)
        found = iter(zip(*tagged, strict=True))
        if not world.is_first:
            return []
        return [
            found_in(text, spans, *next(found)) if words else {"error": "no word in this text"}
            for text, (words, spans) in zip(texts, cut, strict=True)
        ]

    return predict


def found_in(
    text: str, spans: Sequence[tuple[int, int]], tags: Sequence[str], probability: np.ndarray
) -> dict[str, Any]:
    """The entities of one text: spans of its words in it, their tags, and (L,) the probability of each."""
    found = []
    for first, last, label in entities(tags):
        start, end = spans[first][0], spans[last - 1][1]
        confidence = round(float(probability[first:last].min()), 6)
        found.append({"text": text[start:end], "label": label, "start": start, "end": end, "confidence": confidence})
    return {"entities": found}
