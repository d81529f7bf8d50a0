"""Outputs of the network -> texts, and when each of their words is said.

T outputs, K symbols.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torchaudio.functional import forced_align

from .decode import WordModel, greedy, prefix_beam
from .normalise import encode

LEAST = -12.0  # log probability below which beam search does not follow a symbol
Spell = Callable[[np.ndarray], str]  # (T, K) log probabilities -> the text


@dataclass(frozen=True)
class Word:
    """A word of a text and when it is said.

    Args:
        places: of each of its symbols, the first output that says it.
        last: output that says the last one.
        log_probability: of its symbols at their places, the mean.
    """

    text: str
    places: tuple[int, ...]
    last: int
    log_probability: float

    @property
    def first(self) -> int:
        """The first output that says it."""
        return self.places[0]

    @property
    def confidence(self) -> float:
        """The geometric mean of the probabilities of its symbols."""
        return float(np.exp(self.log_probability))


def greedy_text(log_probs: np.ndarray, alphabet: list[str]) -> str:
    """What the most probable path says."""
    return " ".join("".join(alphabet[one.symbol - 1] for one in greedy(log_probs)).split())


def make_spell(config: Mapping[str, Any]) -> Spell:
    """The decoder that was chosen in training.

    Args:
        config: alphabet, beam, word_weight and words: what model.json holds.
    """
    alphabet, beam, weight = config["alphabet"], int(config["beam"]), float(config["word_weight"])
    if beam == 1:
        return lambda log_probs: greedy_text(log_probs, alphabet)
    words, space = WordModel.from_plain(config["words"]), alphabet.index(" ") + 1

    def finished(prefix: tuple[int, ...]) -> float:
        """What the last word of a prefix adds, "" where two spaces follow each other."""
        before, word = ["", *"".join(alphabet[symbol - 1] for symbol in prefix).split(" ")][-2:]
        return weight * words.log_probability(before, word)

    def bonus(prefix: tuple[int, ...]) -> float:
        return finished(prefix[:-1]) if weight and prefix[-1] == space else 0.0

    def finish(prefix: tuple[int, ...]) -> float:
        if not weight:
            return 0.0
        last = "".join(alphabet[symbol - 1] for symbol in prefix).split(" ")[-1]
        return finished(prefix) + weight * words.log_probability(last, "")

    def spell(log_probs: np.ndarray) -> str:
        best = prefix_beam(log_probs, beam, bonus, finish, LEAST)[0][0]
        return " ".join("".join(alphabet[symbol - 1] for symbol in best).split())

    return spell


def align(log_probs: np.ndarray, text: str, alphabet: list[str]) -> list[Word]:
    """When each word of a text is said, by the most probable path that says it (Viterbi; torchaudio's forced_align).

    A text of the network's own, so that it fits: [] where it is empty.
    """
    if not text:
        return []
    target = torch.tensor([encode(text, alphabet)])
    path, scores = forced_align(torch.from_numpy(log_probs)[None], target, blank=0)
    symbols, chances = path[0].tolist(), scores[0].tolist()
    starts = [place for place, symbol in enumerate(symbols) if symbol and (place == 0 or symbols[place - 1] != symbol)]
    found, at = list[Word](), 0
    for word in text.split():
        own = starts[at : at + len(word)]
        last = own[-1]
        while last + 1 < len(symbols) and symbols[last + 1] == symbols[own[-1]]:
            last += 1
        found.append(Word(word, tuple(own), last, float(np.mean([chances[place] for place in own]))))
        at += len(word) + 1  # and the space
    return found
