"""Word errors: over the corpus, by their kinds, with an interval."""

import numpy as np
import pytest

from projects.speech_ctc.scores import count_errors, measure

SAID = ["one two three four five six", "seven", "eight nine"]
HEARD = ["one two four four five six", "", "eight nine ten"]


def test_the_rate_is_over_the_corpus_and_not_the_mean_of_utterances() -> None:
    errors = count_errors(SAID, HEARD)
    assert (errors.substitutions.tolist(), errors.deletions.tolist(), errors.insertions.tolist()) == (
        [1, 0, 0], [0, 1, 0], [0, 0, 1],
    )  # fmt: skip
    assert errors.rate == pytest.approx(3 / 9)
    assert np.mean(errors.wrong / errors.words) == pytest.approx((1 / 6 + 1 + 1 / 2) / 3)
    assert errors.pairs == {("three", "four"): 1, ("seven", ""): 1, ("", "ten"): 1}


def test_figures_have_an_interval_and_kinds_add_up() -> None:
    found = measure(SAID * 20, HEARD * 20, {}, seed=0)
    assert found["word_error_rate_low"] < found["word_error_rate"] < found["word_error_rate_high"]
    kinds = sum(found[f"{kind}_error_rate"] for kind in ("substitution", "deletion", "insertion"))
    assert kinds == pytest.approx(found["word_error_rate"], abs=1e-5)
    assert (found["exact_match_accuracy"], found["num_words"]) == (0.0, 180)
    assert measure(SAID, SAID, {}, seed=0)["word_error_rate_high"] == 0


def test_a_baseline_with_more_errors_is_worse() -> None:
    found = measure(SAID, HEARD, {"silent": [""] * 3, "same": HEARD}, seed=0)
    assert found["baseline"] == {"silent_word_error_rate": 1.0, "same_word_error_rate": round(3 / 9, 6)}
    assert found["difference"]["silent"] == pytest.approx(6 / 9, abs=1e-5)
    assert (found["difference"]["same_low"], found["difference"]["same_high"]) == (0, 0)
