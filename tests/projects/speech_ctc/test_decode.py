"""Decoding against brute force over all paths."""

from collections import defaultdict
from itertools import product
from math import exp, inf, log

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from projects.speech_ctc.decode import (
    WordModel,
    add_logs,
    blank_rate,
    collapse,
    frames_needed,
    greedy,
    prefix_beam,
)


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
