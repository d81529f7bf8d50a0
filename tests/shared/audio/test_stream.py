"""A stream in chunks is the same as the whole, and detections are counted as documented."""

import numpy as np
import pytest

from shared.audio.stream import Detector, Event, Windows, count_found, make_stream


@pytest.mark.parametrize("chunk", [1, 7, 100, 1000])
def test_chunks_make_no_difference(chunk: int) -> None:
    samples = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    whole = list(Windows(100, 30).feed(samples))
    windows = Windows(100, 30)
    parts = [pair for start in range(0, 1000, chunk) for pair in windows.feed(samples[start : start + chunk])]
    assert [start for start, _ in parts] == [start for start, _ in whole] == list(range(0, 901, 30))
    assert all((one == other).all() for (_, one), (_, other) in zip(parts, whole, strict=True))
    assert all((window == samples[start : start + 100]).all() for start, window in whole)


def test_a_class_is_reported_once_until_it_was_silent_for_long_enough() -> None:
    heard = np.zeros(100)
    heard[10:20] = heard[24:26] = heard[60:65] = 0.9
    detector = Detector(lambda window: np.array([1 - window[0], window[0]]), 10, 0.1, 0.1, 0.5, 1.0, ignored=[0])
    events = [event for start in range(0, 100, 13) for event in detector.feed(heard[start : start + 13])]
    assert [(event.label, round(event.time_s, 2)) for event in events] == [(1, 1.05), (1, 6.05)]
    assert events[0].score == pytest.approx(0.9)


def test_a_recording_shorter_than_a_window_is_heard_at_its_end() -> None:
    detector = Detector(lambda window: np.array([0.1, window.mean()]), 10, 1.0, 0.5, 0.5, 1.0)
    assert list(detector.feed(np.full(6, 0.9))) == []
    assert [(event.label, event.time_s) for event in detector.close()] == [(1, 0.3)]
    assert [event.label for event in detector.feed(np.full(40, 0.9))] == []
    assert list(detector.close()) == []  # its windows have been heard


def test_digital_silence_is_no_event() -> None:
    detector = Detector(lambda window: np.array([0.0, 1.0]), 10, 1.0, 0.5, 0.5, 1.0)
    assert list(detector.feed(np.zeros(5))) == list(detector.close()) == list(detector.feed(np.zeros(40))) == []
    assert len(list(detector.feed(np.ones(10)))) == 1


def test_recall_and_false_alarms() -> None:
    truth = [(0, 1.0, 2.0), (1, 5.0, 6.0), (0, 9.0, 10.0)]
    events = [Event(0, 0.9, 1.5), Event(0, 0.9, 2.1), Event(1, 0.8, 5.5), Event(1, 0.9, 9.5)]
    found = count_found(events, truth, hours=0.5, threshold=0.5, tolerance_s=0.2)
    assert found.recall == pytest.approx(2 / 3)
    assert found.alarms_an_hour == 4  # the second of one word, and another class


def test_no_silence_tells_where_a_recording_ends() -> None:
    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1, 800).astype(np.float32) for _ in range(5)]
    stream, placed = make_stream(sounds, 30.0, rng.normal(0, 0.1, 2000), 1000, rng)
    assert len(stream) == 30_000
    assert [number for number, _ in placed] == list(range(len(placed)))
    levels = np.sqrt(np.square(stream.reshape(-1, 100)).mean(1))
    assert levels.min() > 0.05
    for number, start in placed:
        assert np.allclose(stream[start + 100 : start + 700], sounds[number][100:700])
