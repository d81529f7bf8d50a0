"""From a folder of recordings to the page: what is learned, and every file that is left."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from projects.speech_commands import evaluate, explain, predict, prepare, train
from shared.audio.read import SOUNDS, sound_line
from shared.core.predict import predict_main
from tests import whole_pipeline
from tests.whole_pipeline import run_all

CLASSES = "falling <b>", "rising"
RATE_HZ = 4000
SMALL = {
    "prepare.rate_hz": RATE_HZ,
    "prepare.max_seconds": 0.6,
    "prepare.speaker_pattern": "^(s[0-9]+)_",
    "prepare.valid_fraction": 0.1,
    "prepare.test_fraction": 0.3,
    "train.epochs": 8.0,
    "train.batch_size": 16,
    "train.micro_batch_size": 16,
    "train.validate_epochs": 4.0,
    "train.model.width": 4,
    "train.mel.num_mels": 16,
    "train.mel.hop_ms": 16.0,
    "train.shift_ms": 20.0,
    "train.mask_bands": 0,
    "train.mask_frames": 0,
    "evaluate.snr_db": "[0.0]",
    "evaluate.stream_seconds": 20.0,
    "explain.num_scored": 4,
    "explain.num_shown": 2,
    "explain.num_randomised": 1,
    "runtime.device": "cpu",
    "runtime.processes": 1,
}
FILES = [
    *(f"evaluate/{name}" for name in ("conditions.json", "metrics.json", "page.json", "predictions.csv", "run.json")),
    "evaluate/robustness.tsv",
    *(f"explain/{name}" for name in ("curves.tsv", "metrics.json", "page.json")),
    *(f"train/{name}" for name in ("history.tsv", "model.json", "model.safetensors", "run.json", "validation.tsv")),
    "train/README.md",
    "report.html",
]


def sing(path: Path, rising: bool, rng: np.random.Generator, rate_hz: int = RATE_HZ) -> None:
    """A glide of an octave, up or down, somewhere in noise."""
    size = round(0.25 * rate_hz)
    hz = rng.uniform(300, 600) * np.geomspace(1, 2, size)
    glide = np.sin(2 * np.pi * np.cumsum(hz if rising else hz[::-1]) / rate_hz) * np.hanning(size)
    made = rng.normal(0, 0.1, round(rng.uniform(0.35, 0.5) * rate_hz))
    start = rng.integers(0, len(made) - size)
    made[start : start + size] += glide
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.2 * made, rate_hz)


def sing_all(folder: Path, num: int, seed: int, *, by_class: bool) -> None:
    rng = np.random.default_rng(seed)
    for number in range(num):
        place = folder / CLASSES[number % 2] if by_class else folder
        sing(place / f"s{number // 10}_{number:03}.wav", number % 2 == 1, rng)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root, project = tmp_path_factory.mktemp("root"), Path(train.__file__).parent
    sing_all(root / "data/raw" / project.name, 160, seed=0, by_class=True)
    with run_all(root, project, SMALL, (prepare, train, evaluate, explain)) as results:
        yield results


def test_it_learns(results: Path) -> None:
    metrics = json.loads((results / "evaluate/metrics.json").read_text())
    assert (metrics["num_samples"], metrics["unit"], metrics["source"]) == (50, "recordings", "own")
    assert metrics["accuracy"] > 0.9
    assert metrics["baseline"]["majority_accuracy"] == 0.5
    conditions = json.loads((results / "evaluate/conditions.json").read_text())
    assert len(conditions["by_speaker"]) == 5
    assert conditions["speaker_accuracy"] == pytest.approx(metrics["accuracy"], abs=1e-4)


def test_every_file_is_there_and_no_other(results: Path) -> None:
    sounds = list(results.rglob("*.mp3"))
    assert len(list((results / "explain/pictures").glob("*.mp3"))) == 2 * 3  # the recording, what is kept, what is left
    for path in sounds:
        assert len(soundfile.read(path)[0]) > 0
        path.rename(path.with_suffix(".png"))
    whole_pipeline.assert_complete(results, FILES)
    page = (results / "report.html").read_text()
    assert "falling &lt;b&gt;" in page
    assert "falling <b>" not in page
    assert page.count("<audio") >= 6


def test_new_recordings_are_told_apart_alone_and_in_long_ones(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sing_all(tmp_path, 20, seed=1, by_class=False)
    paths = sorted(tmp_path.iterdir())
    found = predict.load_predictor()(paths)
    assert np.mean([one["label"] == CLASSES[number % 2] for number, one in enumerate(found)]) > 0.85
    rng = np.random.default_rng(2)
    sing(tmp_path / "other.flac", True, rng, 44100)
    parts = [rng.normal(0, 0.02, 4 * RATE_HZ), soundfile.read(paths[1])[0], rng.normal(0, 0.02, 4 * RATE_HZ)]
    soundfile.write(tmp_path / "long.wav", np.concatenate(parts), RATE_HZ)
    (tmp_path / "text.wav").write_text("no recording")
    other, long, bad = predict.load_predictor()([tmp_path / name for name in ("other.flac", "long.wav", "text.wav")])
    assert other["label"] == "rising"
    file = str(tmp_path / "other.flac")
    predict_main(predict.load_predictor, SOUNDS, predict.__file__, "", line=sound_line, words=[file])
    assert capsys.readouterr().out == f"{sound_line(other)}  {file}\n"
    assert [one["label"] for one in long["events"] if 3.8 < one["time_s"] < 4.8][:1] in ([], ["rising"])
    assert "a text" in bad["error"]


def test_a_pipe_of_raw_samples_hears_what_the_file_holds(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(3)
    sing_all(tmp_path, 6, seed=4, by_class=False)
    parts = [rng.normal(0, 0.02, 3 * RATE_HZ)]
    for path in sorted(tmp_path.iterdir()):
        parts += [soundfile.read(path)[0], rng.normal(0, 0.02, 2 * RATE_HZ)]
    soundfile.write(tmp_path / "long.wav", np.concatenate(parts), RATE_HZ)
    raw = soundfile.read(tmp_path / "long.wav", dtype="int16")[0].tobytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
    predict_main(predict.load_predictor, SOUNDS, predict.__file__, "", line=sound_line, words=["-", "--json"])
    piped = [event for line in capsys.readouterr().out.splitlines() for event in json.loads(line)["events"]]
    (whole,) = predict.load_predictor()([tmp_path / "long.wav"])
    assert piped == whole["events"]
