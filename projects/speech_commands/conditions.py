"""Where the model holds: by speaker, in noise, and as a detector in a stream.

N recordings, L samples, K classes, W windows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.audio.augment import add_noise
from shared.audio.features import full_scale
from shared.audio.stream import Detector, Event, Found, Score, Windows, count_found, make_stream
from shared.audio.voices import background
from shared.core.seed import derive
from shared.data.batches import Read
from shared.data.draws import Draws
from shared.data.table import Table
from shared.evaluation.intervals import bootstrap, wilson
from shared.report.blocks import Block, lines, section, table, text
from shared.training.stage import Trained

from .model import SoundNet
from .params import Params

BACKGROUND = {"background", "silence", "_silence_", "noise", "_background_noise_"}  # classes that are no detection
HOP_S = 0.2  # of the sliding window, at most
REFRACTORY_S = 1.0  # without a class before it is reported again
TOLERANCE_S = 0.3  # of the middle of a window from the true span
THRESHOLDS = 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98
STATED_RECALL = 0.9
MOST_SPEAKERS = 30  # rows of the table; of more, the worst
Figures = dict[str, Any]


def by_speaker(speakers: Sequence[str], right: np.ndarray, seed: int) -> tuple[Figures, list[Block]]:
    """Accuracy of each speaker, and their mean with its interval over speakers: what to expect of a new one."""
    named = np.array(speakers)
    found = {name: right[named == name] for name in sorted(set(speakers))}
    means = {name: round(float(of.mean()), 6) for name, of in found.items()}
    low, high = bootstrap(np.array(list(means.values())), derive(seed, "speakers"))
    figures = {
        "speaker_accuracy": round(float(np.mean(list(means.values()))), 6),
        "speaker_accuracy_low": low, "speaker_accuracy_high": high, "by_speaker": means,
    }  # fmt: skip
    ranked = sorted(found, key=lambda name: (means[name], name))[:MOST_SPEAKERS]
    rows = []
    for name in ranked:
        interval = wilson(int(found[name].sum()), len(found[name]))
        rows.append([name, len(found[name]), means[name], f"{interval[0]:.3f} to {interval[1]:.3f}"])
    intro = (
        f"Mean over {len(means)} speakers {figures['speaker_accuracy']:.3f}, {low:.3f} to {high:.3f} (95 %, bootstrap "
        "over speakers); the worst first."
    )
    return figures, [section("By speaker"), table(["Speaker", "Recordings", "Accuracy", "95 %"], rows, intro=intro)]


@torch.inference_mode()
def by_noise(
    trained: Trained[Params], test: Table, read: Read, clean: float
) -> tuple[Figures, list[tuple[float, float]], list[Block]]:
    """Accuracy with noise of several colours added to every test recording."""
    chosen, model = trained.params.evaluate, trained.model
    points = []
    for snr_db in sorted(chosen.snr_db, reverse=True):
        right = 0
        for index in torch.arange(len(test)).split(chosen.batch_size):  # type: ignore[no-untyped-call]
            batch = read(index)
            draws = Draws(chosen.seed, 0, index.to(trained.world.device))
            sound, mask = full_scale(batch["sound"]), batch["sound_mask"]
            sound = add_noise(sound, mask, draws, torch.full((len(index),), snr_db, device=sound.device))
            found = model(*model.features(sound, mask)).argmax(1)  # type: ignore[operator]
            right += int((found == batch["label"]).sum())
        points.append((snr_db, round(right / len(test), 6)))
    figures = {"clean_accuracy": clean, "by_snr_db": {f"{snr:g}": accuracy for snr, accuracy in points}}
    series = {"this model": ([snr for snr, _ in points], [accuracy for _, accuracy in points])}
    chart = lines("robustness", "Accuracy in added noise", series, "signal-to-noise ratio in dB", "accuracy", True)
    words = f"White, pink or brown noise is added to each recording as it is; without it the accuracy is {clean:.3f}."
    return figures, points, [section("In noise"), text(words), chart]


def in_stream(trained: Trained[Params], test: Table) -> tuple[Figures, list[Block]]:
    """Detection of test recordings in one bed of noise: recall and false alarms an hour at several thresholds."""
    chosen, rate_hz, classes = trained.params.evaluate, trained.config["rate_hz"], trained.config["classes"]
    rng = np.random.default_rng(derive(chosen.seed, "stream"))
    ignored, window_s = background_labels(classes), trained.config["window_s"]
    assert isinstance(trained.model, SoundNet)
    labels, sounds = test.fixed("label"), test.ragged("sound")
    rows = [row for row in rng.permutation(len(test)).tolist() if int(labels[row]) not in ignored]
    waves = [sounds.row(row).astype(np.float32) / 32768 for row in rows]
    level = np.median([quiet_level(wave, rate_hz) for wave in waves[:50]]) if waves else 0.0
    bed = (background(30 * rate_hz, rng, rate_hz) * level).astype(np.float32)
    stream, placed = make_stream(waves, chosen.stream_seconds, bed, rate_hz, rng)
    if not placed:
        words = f"No test recording of a class fits into a stream of {chosen.stream_seconds:g} s: nothing to detect."
        return {}, [section("In a stream"), text(words)]
    truth = [(int(labels[rows[number]]), start / rate_hz, (start + len(waves[number])) / rate_hz)
             for number, start in placed]  # fmt: skip
    scores = scores_of(trained.model, stream, rate_hz, window_s)
    found = [
        count_found(events_of(scores, threshold, ignored), truth, len(stream) / rate_hz / 3600, threshold, TOLERANCE_S)
        for threshold in THRESHOLDS
    ]
    return stream_figures(found, len(truth), chosen.stream_seconds, hop_seconds(window_s), bool(ignored))


def stream_figures(
    found: Sequence[Found], count: int, seconds: float, hop_s: float, has_background: bool
) -> tuple[Figures, list[Block]]:
    """The curve, and of the thresholds that reach the stated recall the one with the fewest false alarms."""
    reached = [one for one in found if one.recall >= STATED_RECALL]
    best = min(reached, key=lambda one: one.alarms_an_hour) if reached else max(found, key=lambda one: one.recall)
    figures = {
        "stream_recall": round(best.recall, 6),
        "stream_false_alarms_an_hour": round(best.alarms_an_hour, 3),
        "stream_threshold": best.threshold,
    }
    words = (
        f"{count} test recordings in {seconds / 60:g} minutes of noise, a window every {hop_s:g} s; a class is not "
        f"reported again before {REFRACTORY_S:g} s without it. At the threshold {best.threshold:g}, {best.recall:.1%} "
        f"are found, with {best.alarms_an_hour:.0f} false alarms an hour."
    )
    if not has_background:
        words += " No class of the data stands for background, so the model never learned what to ignore."
    curve = {"this model": ([one.alarms_an_hour for one in found], [1 - one.recall for one in found])}
    chart = lines("detection", "Missed over false alarms", curve, "false alarms an hour", "share missed", True)
    rows = [[f"{one.threshold:g}", one.recall, one.alarms_an_hour] for one in found]
    made = table(["Threshold", "Recall", "False alarms an hour"], rows)
    return figures, [section("In a stream"), text(words), chart, made]


def quiet_level(wave: np.ndarray, rate_hz: int) -> float:
    """RMS of the quietest tenth of a recording's stretches of 50 ms."""
    size = max(1, round(0.05 * rate_hz))
    stretches = wave[: len(wave) // size * size].reshape(-1, size) if len(wave) >= size else wave[None]
    return float(np.quantile(np.sqrt(np.square(stretches, dtype=np.float64).mean(1)), 0.1))


def background_labels(classes: Sequence[str]) -> set[int]:
    """The classes that are no detection, by their names."""
    return {label for label, name in enumerate(classes) if name.lower() in BACKGROUND}


def hop_seconds(window_s: float) -> float:
    """From one window to the next, so that neighbours overlap by half at least.

    Args:
        window_s: that of most training recordings.
    """
    return min(HOP_S, window_s / 2)


def make_score(model: SoundNet) -> Score:
    """(L,) float32 samples -> (K,) float64 probabilities, one window alone, so that equal windows give equal bits."""

    @torch.inference_mode()
    def score(window: np.ndarray) -> np.ndarray:
        found: Tensor = model(*model.features.alone(window))
        made: np.ndarray = found.cpu().double().softmax(1)[0].numpy()  # Apple's GPUs have no float64
        return made

    return score


def scores_of(model: SoundNet, stream: np.ndarray, rate_hz: int, window_s: float) -> list[tuple[float, np.ndarray]]:
    """The middle in seconds and the (K,) probabilities of every window."""
    score, windows = make_score(model), Windows(round(window_s * rate_hz), round(hop_seconds(window_s) * rate_hz))
    return [((start + windows.size / 2) / rate_hz, score(window)) for start, window in windows.feed(stream)]


def events_of(scores: Sequence[tuple[float, np.ndarray]], threshold: float, ignored: set[int]) -> list[Event]:
    """What a detector makes of windows that were scored already."""
    detector = Detector(lambda window: window, 1, 1.0, 1.0, threshold, REFRACTORY_S, ignored)
    return [event for time_s, found in scores for event in detector.judge(time_s, found)]
