"""Taggers to compare with: a list of the names of train, and a linear model of each word and its neighbours."""

from collections.abc import Iterator

import numpy as np
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import SGDClassifier

from .data import shape
from .scores import Names, Tags, Words
from .tags import Entity, write_tags

WINDOW = 2  # words to each side that the linear model sees
AFFIXES = 4  # characters of the longest prefix and suffix
EPOCHS = 10
ALPHA = 1e-5  # of its penalty


def gazetteer(words: Words, names: Names) -> list[list[str]]:
    """Tags by names without context: the longest name of train that begins here, of its most frequent type."""
    longest = max(map(len, names), default=0)
    usual = {name: min(types, key=lambda label: (-types[label], label)) for name, types in names.items()}
    found = []
    for text in words:
        named, place = [], 0
        while place < len(text):
            sizes = range(min(longest, len(text) - place), 0, -1)
            size = next((size for size in sizes if tuple(text[place : place + size]) in usual), 0)
            if size:
                named.append(Entity(place, place + size, usual[tuple(text[place : place + size])]))
            place += size or 1
        found.append(write_tags(named, len(text)))
    return found


def linear(train: Words, tags: Tags, test: Words, seed: int) -> list[list[str]]:
    """Tags each word by itself: an averaged linear SVM on the spelling, shape and affixes of the word, and on the
    spelling and shape of two neighbours to each side."""
    hasher = FeatureHasher(input_type="string")
    model = SGDClassifier(alpha=ALPHA, max_iter=EPOCHS, tol=None, average=True, random_state=seed)
    model.fit(hasher.transform(_features(train)), np.concatenate([np.asarray(row) for row in tags]))
    found = model.predict(hasher.transform(_features(test)))
    return [row.tolist() for row in np.split(found, np.cumsum([len(text) for text in test])[:-1])]


def _features(texts: Words) -> Iterator[list[str]]:
    for text in texts:
        padded = [""] * WINDOW + list(text) + [""] * WINDOW
        seen = [(word.lower(), shape(word)) for word in padded]
        for place, word in enumerate(text):
            around = range(-WINDOW, WINDOW + 1)
            found = [f"{at} {part}" for at in around for part in seen[place + WINDOW + at]]
            lengths = range(1, min(AFFIXES, len(word)) + 1)
            yield [*found, word, *(f"^{word[:size]}" for size in lengths), *(f"{word[-size:]}$" for size in lengths)]
