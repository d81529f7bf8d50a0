"""Symbols, and decoding against brute force over all paths."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby, product
from math import exp, inf, log

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from projects.speech_ctc.decode import (
    BLANK,
    WordModel,
    add_logs,
    alphabet_of,
    blank_rate,
    encode,
    frames_needed,
    greedy,
    make_spell,
    prefix_beam,
    spelt,
)

ALPHABET = [" ", "a", "b"]


def outputs(symbols: str, confidence: float = 0.9) -> np.ndarray:
    """(T, 4) log probabilities of a path, "_" is the blank."""
    rows = np.full((len(symbols), 4), (1 - confidence) / 3)
    for place, symbol in enumerate(symbols):
        rows[place, 0 if symbol == "_" else ALPHABET.index(symbol) + 1] = confidence
    return np.log(rows).astype(np.float32)


def collapse(path: Sequence[int]) -> list[int]:
    """A path of symbols -> what it says: repeats are one, blanks are none."""
    return [symbol for symbol, _ in groupby(path) if symbol != BLANK]


def draw(frames: int, symbols: int, seed: int) -> np.ndarray:
    logits = torch.randn(frames, symbols, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (2 * logits).log_softmax(1).numpy()


def by_brute_force(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """Every target's probability, summed over all paths."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        found[tuple(collapse(path))] += exp(sum(log_probs[frame, symbol] for frame, symbol in enumerate(path)))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_beam_is_exact_when_it_is_wide_enough(seed: int) -> None:
    log_probs = draw(5, 3, seed)
    expected = by_brute_force(log_probs)
    found = dict(prefix_beam(log_probs, width=1000))
    assert {target for target, value in found.items() if value > -inf} == set(expected)
    assert all(exp(found[target]) == pytest.approx(value, rel=1e-9) for target, value in expected.items())
    best, _ = prefix_beam(log_probs, width=8)[0]
    assert expected[best] == max(expected.values())


@pytest.mark.parametrize("target", [[1], [1, 2], [1, 1], [2, 2, 1], []])
def test_the_loss_is_that_of_all_paths(target: list[int]) -> None:
    log_probs = draw(5, 3, 0)
    loss = F.ctc_loss(
        torch.from_numpy(log_probs)[:, None], torch.tensor([target], dtype=torch.long), [5], [len(target)],
        reduction="sum",
    )  # fmt: skip
    assert exp(-loss.item()) == pytest.approx(by_brute_force(log_probs)[tuple(target)], rel=1e-6)


@pytest.mark.parametrize(("target", "frames"), [([1, 2], 2), ([1, 1], 3), ([2, 2, 2], 5)])
def test_a_target_that_needs_more_frames_has_no_path(target: list[int], frames: int) -> None:
    assert frames_needed(target) == frames
    assert tuple(target) in by_brute_force(draw(frames, 3, 0))
    assert tuple(target) not in by_brute_force(draw(frames - 1, 3, 0))


def test_symbols_begin_after_the_blank() -> None:
    alphabet = alphabet_of(["two one", "won't"])
    assert alphabet == [" ", "'", "e", "n", "o", "t", "w"]
    assert encode("two one", alphabet) == [6, 7, 5, 1, 5, 4, 3]
    assert spelt([1, 6, 7, 5, 1, 1, 5, 4, 3, 1], alphabet) == "two one"
    with pytest.raises(KeyError):
        encode("x", alphabet)


def test_the_greedy_path_says_when() -> None:
    path = [0, 1, 1, 0, 1, 2, 2, 0]
    log_probs = np.log(np.full((8, 3), 0.1) + 0.7 * np.eye(3)[path])
    found = greedy(log_probs)
    assert [(one.symbol, one.first, one.last) for one in found] == [(1, 1, 2), (1, 4, 4), (2, 5, 6)]
    assert blank_rate(log_probs) == 3 / 8


def test_a_bonus_is_given_once_for_each_symbol() -> None:
    log_probs = draw(5, 3, 1)
    plain, favoured = dict(prefix_beam(log_probs, 1000)), dict(prefix_beam(log_probs, 1000, lambda prefix: log(3)))
    for target, value in plain.items():
        if value > -inf:
            assert favoured[target] == pytest.approx(value + len(target) * log(3))
    ended = dict(prefix_beam(log_probs, 1000, finish=lambda prefix: -1.0 * len(prefix)))
    assert ended[(1,)] == pytest.approx(plain[(1,)] - 1)


def test_logs_are_added_at_the_edge() -> None:
    assert add_logs(-inf, -inf) == -inf
    assert add_logs(-inf, 2.0) == 2.0
    assert add_logs(log(3), log(4)) == pytest.approx(log(7))


def test_the_words_after_a_word_have_probabilities_that_sum_to_one() -> None:
    model = WordModel.of(["one two", "one three", "two"])
    after_one = [model.log_probability("one", word) for word in (*model.vocabulary, "", "never heard")]
    assert sum(map(exp, after_one)) == pytest.approx(1)
    assert model.log_probability("one", "two") > model.log_probability("one", "one")


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
