"""When words are said: the alignment is the best path, windows give what the whole gives."""

from itertools import product

import numpy as np
import pytest
import torch

from projects.speech_ctc.decode import greedy_text
from projects.speech_ctc.listening import Heard, Listener, align
from tests.projects.speech_ctc.test_decode import ALPHABET, collapse, outputs


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
