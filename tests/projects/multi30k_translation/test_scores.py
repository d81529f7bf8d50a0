"""Figures against sacrebleu's own, and known values."""

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from projects.multi30k_translation import scores

REFERENCES = [
    "a dog runs over the wide green field .",
    "two men sit on a bench and read .",
    "a girl sings a song .",
] * 5
OUTPUTS = ["a dog runs over the green field .", "two men sit on the bench and read .", "a girl sings ."] * 5


def test_summed_statistics_give_the_bleu_of_the_corpus() -> None:
    stats = scores.statistics(OUTPUTS, REFERENCES)
    assert scores.bleu_of(stats.sum(0)) == pytest.approx(BLEU().corpus_score(OUTPUTS, [REFERENCES]).score)


def test_the_interval_holds_the_figure_and_is_the_same_again() -> None:
    first, again = (scores.measure(OUTPUTS, REFERENCES, {}, seed=3) for _ in range(2))
    assert first == again
    assert first["bleu_score_low"] <= first["bleu_score"] <= first["bleu_score_high"]
    assert "tok:13a" in str(first["signature"])


def test_a_system_is_no_better_than_itself() -> None:
    others = {"same": OUTPUTS, "copy": ["x"] * len(OUTPUTS)}
    difference = scores.measure(OUTPUTS, REFERENCES, others, seed=0)["difference"]
    assert [difference[name] for name in ("same", "same_low", "same_high")] == [0, 0, 0]
    assert difference["copy_low"] > 0


def test_the_dictionary_finds_words_that_stand_together() -> None:
    sources, targets = ["a dog", "a cat", "the dog"], ["ein Hund", "ein Katze", "der Hund"]
    assert scores.dictionary(sources, targets, ["the cat 7"]) == ["der Katze 7"]


def test_what_is_to_be_kept() -> None:
    source, reference = "See {name} at https://a.b/c on 3 May 1,5", "Siehe {name} auf https://a.b/c am 3. Mai 1.5"
    assert sorted(scores.verbatim([source], [reference])[0]) == ["3", "https://a.b/c", "{name}"]
    assert scores.kept_share([["3"]], ["13 und 30"]) == (0, 1)


def test_rates_of_failures() -> None:
    found = scores.rates(["a", "b", "c", "d"], ["a", "", "x x x x", "d"], ["A", "B", "C", "d"])
    assert found == {"repetition_error_rate": 0.25, "copy_error_rate": 0.25, "empty_error_rate": 0.25}
    assert np.isfinite(list(found.values())).all()
