"""Figures by speaker, and of a stream."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from projects.speech_commands.conditions import (
    by_speaker,
    events_of,
    hop_seconds,
    in_stream,
    quiet_level,
    scores_of,
    stream_figures,
)
from projects.speech_commands.model import SoundNet
from projects.speech_commands.params import Model
from shared.audio.params import Mel
from shared.audio.stream import Found
from shared.data.table import Ragged, Table, write_table

MEL = Mel(num_mels=16, window_ms=32.0, hop_ms=10.0, low_hz=50.0)


def network() -> SoundNet:
    return SoundNet(Model(width=4, recurrent_size=0, dropout=0.0), MEL, 4000, 3).eval()


def test_the_mean_over_speakers_counts_each_once() -> None:
    speakers, right = ["a"] * 90 + ["b"] * 10, np.array([True] * 90 + [False] * 10)
    figures, blocks = by_speaker(speakers, right, seed=0)
    assert figures["by_speaker"] == {"a": 1.0, "b": 0.0}
    assert figures["speaker_accuracy"] == 0.5
    assert (figures["speaker_accuracy_low"], figures["speaker_accuracy_high"]) == (0.0, 1.0)
    assert blocks[1]["rows"][0][0] == "b"


def test_the_stated_recall_is_reached_with_the_fewest_false_alarms() -> None:
    found = [Found(0.3, 0.98, 60.0), Found(0.6, 0.92, 12.0), Found(0.9, 0.7, 1.0)]
    assert stream_figures(found, 50, 600, 0.2, True)[0] == {
        "stream_recall": 0.92, "stream_false_alarms_an_hour": 12.0, "stream_threshold": 0.6,
    }  # fmt: skip
    figures, _ = stream_figures(found[2:], 50, 600, 0.2, True)  # none reaches it: the most there is
    assert figures["stream_recall"] == 0.7


def test_windows_that_hear_the_same_are_one_event_and_background_is_none() -> None:
    scores = [(0.2 * number, np.array([0.95, 0.05] if number < 5 else [0.05, 0.95])) for number in range(10)]
    assert [event.label for event in events_of(scores, 0.9, {1})] == [0]
    assert [event.label for event in events_of(scores, 0.9, set())] == [0, 1]
    assert events_of(scores, 0.99, set()) == []


@pytest.mark.parametrize("window_s", [1.2, 0.1])
def test_windows_of_the_shortest_recordings_overlap_as_well(window_s: float) -> None:
    stream = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    times, scores = zip(*scores_of(network(), stream, 4000, window_s), strict=True)
    assert times[0] == pytest.approx(window_s / 2)
    assert np.diff(times) == pytest.approx(hop_seconds(window_s))
    assert hop_seconds(window_s) <= window_s / 2
    assert np.stack(scores).sum(1) == pytest.approx(1)


def test_a_stream_too_short_for_a_recording_finds_nothing_and_not_all(tmp_path: Path) -> None:
    columns = {"sound": Ragged.of([np.arange(4000)] * 2, np.int16), "label": np.array([0, 1])}
    write_table(tmp_path / "test", columns)
    chosen = SimpleNamespace(seed=0, stream_seconds=2.0)
    config = {"rate_hz": 4000, "classes": ["a", "b", "c"], "window_s": 1.0}
    trained: Any = SimpleNamespace(params=SimpleNamespace(evaluate=chosen), config=config, model=network())
    figures, blocks = in_stream(trained, Table(tmp_path / "test"))
    assert figures == {}
    assert len(blocks) == 2


def test_the_quiet_level_is_that_of_the_background() -> None:
    wave = np.random.default_rng(0).normal(0, 0.01, 8000).astype(np.float32)
    wave[3000:5000] += 0.5
    assert quiet_level(wave, 8000) == pytest.approx(0.01, rel=0.1)
