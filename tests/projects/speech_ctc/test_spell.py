"""Outputs to words: the alignment is the best path, the beam weighs words, windows give what the whole gives."""

from itertools import product

import numpy as np
import pytest
import torch

from projects.speech_ctc.decode import WordModel, collapse, prefix_beam
from projects.speech_ctc.listening import Heard, Listener
from projects.speech_ctc.spell import align, greedy_text, make_spell

ALPHABET = [" ", "a", "b"]


def outputs(symbols: str, confidence: float = 0.9) -> np.ndarray:
    """(T, 4) log probabilities of a path, "_" is the blank."""
    rows = np.full((len(symbols), 4), (1 - confidence) / 3)
    for place, symbol in enumerate(symbols):
        rows[place, 0 if symbol == "_" else ALPHABET.index(symbol) + 1] = confidence
    return np.log(rows).astype(np.float32)


def test_words_lie_where_their_symbols_are() -> None:
    found = align(outputs("_aa_b_ __bb_"), "ab b", ALPHABET)
    assert [(word.text, word.first, word.last) for word in found] == [("ab", 1, 4), ("b", 9, 10)]
    assert found[0].confidence == pytest.approx(0.9, rel=1e-5)
    assert align(outputs("___"), "", ALPHABET) == []


@pytest.mark.parametrize("seed", range(3))
def test_the_alignment_is_the_most_probable_path(seed: int) -> None:
    drawn = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)).log_softmax(1).numpy()
    target = [2, 1, 3]  # "a b"
    paths = [path for path in product(range(4), repeat=6) if collapse(path) == target]
    best = max(paths, key=lambda path: sum(drawn[place, symbol] for place, symbol in enumerate(path)))
    found = align(drawn, "a b", ALPHABET)
    assert [found[0].first, found[1].first] == [best.index(2), best.index(3)]


def test_words_that_follow_each_other_in_train_win_where_the_sound_leaves_it_open() -> None:
    unclear = outputs("a_ _b")
    unclear[4] = np.log([0.04, 0.01, 0.48, 0.47])
    words = WordModel.of(["a b", "a b", "b a"])
    plain = {"alphabet": ALPHABET, "beam": 8, "word_weight": 0.0, "words": words.plain()}
    assert make_spell(plain | {"beam": 1})(unclear) == "a a"
    assert make_spell(plain)(unclear) == "a a"
    assert make_spell(plain | {"word_weight": 1.0})(unclear) == "a b"
    assert WordModel.from_plain(words.plain()) == words


def test_a_symbol_that_is_nearly_impossible_is_not_followed() -> None:
    exact, pruned = (prefix_beam(outputs("ab", 0.999), 50, least=least) for least in (-np.inf, -7.0))
    assert exact[0] == pruned[0]
    assert len(pruned) < len(exact)


@pytest.mark.parametrize("sizes", [[1000], [37], [1, 999]])
def test_chunks_give_the_words_of_the_whole_and_no_window_its_edges(sizes: list[int]) -> None:
    config = {"alphabet": ALPHABET, "rate_hz": 100, "max_seconds": 2.0}
    said = "_a__b_ __aa_ _b__b_" + "_" * 40 + " _ab_ _ba" * 6 + "__"
    samples = np.repeat(["_ ab".index(symbol) for symbol in said], 10).astype(np.float32)  # an output has 10 samples

    def hear(window: np.ndarray) -> np.ndarray:
        made = outputs("".join("_ ab"[int(value)] for value in window[::10]))
        made[-1] = np.log(0.25)  # a network knows less at the end of a window
        return made

    listener, found, at = Listener(hear, config, 10), list[Heard](), 0
    while at < len(samples):
        for size in sizes:
            found += listener.feed(samples[at : at + size])
            at += size
    found += listener.close()
    assert " ".join(word.text for word in found) == greedy_text(outputs("_" + said[1:]), ALPHABET)
    assert [round(word.start_s * 10) for word in found][:3] == [1, 9, 14]
    assert list(listener.feed(samples[:50])) == []
    assert [(word.text, word.start_s) for word in listener.close()] == [("a", 0.1)]  # a new recording begins at 0
