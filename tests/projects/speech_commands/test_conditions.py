"""Figures by speaker, and of a stream."""

import numpy as np
import pytest

from projects.speech_commands.conditions import by_speaker, events_of, quiet_level, stream_figures
from shared.audio.stream import Found


def test_the_mean_over_speakers_counts_each_once() -> None:
    speakers, right = ["a"] * 90 + ["b"] * 10, np.array([True] * 90 + [False] * 10)
    figures, blocks = by_speaker(speakers, right, seed=0)
    assert figures["by_speaker"] == {"a": 1.0, "b": 0.0}
    assert figures["speaker_accuracy"] == 0.5
    assert (figures["speaker_accuracy_low"], figures["speaker_accuracy_high"]) == (0.0, 1.0)
    assert blocks[1]["rows"][0][0] == "b"


def test_the_stated_recall_is_reached_with_the_fewest_false_alarms() -> None:
    found = [Found(0.3, 0.98, 60.0), Found(0.6, 0.92, 12.0), Found(0.9, 0.7, 1.0)]
    assert stream_figures(found, 50, 600, True)[0] == {
        "stream_recall": 0.92, "stream_false_alarms_an_hour": 12.0, "stream_threshold": 0.6,
    }  # fmt: skip
    assert stream_figures(found[2:], 50, 600, True)[0]["stream_recall"] == 0.7  # none reaches it: the most there is


def test_windows_that_hear_the_same_are_one_event_and_background_is_none() -> None:
    scores = [(0.2 * number, np.array([0.95, 0.05] if number < 5 else [0.05, 0.95])) for number in range(10)]
    assert [event.label for event in events_of(scores, 0.9, {1})] == [0]
    assert [event.label for event in events_of(scores, 0.9, set())] == [0, 1]
    assert events_of(scores, 0.99, set()) == []


def test_the_quiet_level_is_that_of_the_background() -> None:
    wave = np.random.default_rng(0).normal(0, 0.01, 8000).astype(np.float32)
    wave[3000:5000] += 0.5
    assert quiet_level(wave, 8000) == pytest.approx(0.01, rel=0.1)
