"""From recordings with texts to the page: what is learned, and every file that is left."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file, save_file

from projects.speech_ctc import evaluate, explain, predict, prepare, train
from projects.speech_ctc.scores import count_errors
from shared.audio.read import SOUNDS
from shared.core.predict import predict_main
from tests import whole_pipeline
from tests.whole_pipeline import run_all, run_module

RATE_HZ = 4000
TONES_HZ = {"<lo>": 300, "hi": 1100}  # of the words; < and > are no letters: the text is lo
SMALL = {
    "prepare.rate_hz": RATE_HZ,
    "prepare.frame_ms": 30.0,
    "prepare.max_seconds": 2.0,
    "prepare.valid_fraction": 0.1,
    "prepare.test_fraction": 0.25,
    "train.epochs": 15.0,
    "train.batch_size": 500,
    "train.micro_batch_size": 500,
    "train.validate_epochs": 5.0,
    "train.lr": 0.01,
    "train.model.width": 4,
    "train.model.hidden_size": 16,
    "train.model.dropout": 0.0,
    "train.bands.num_mels": 16,
    "train.speed": 1.0,
    "train.mask_bands": 0,
    "train.mask_frames": 0,
    "explain.methods": "[occlusion]",
    "explain.num_scored": 6,
    "explain.num_shown": 2,
    "explain.num_randomised": 1,
    "runtime.device": "cpu",
    "runtime.processes": 1,
}
FILES = [
    *(f"evaluate/{name}" for name in ("metrics.json", "page.json", "predictions.csv", "run.json")),
    *(f"explain/{name}" for name in ("alignment.json", "curves.tsv", "metrics.json", "page.json")),
    *(f"train/{name}" for name in ("history.tsv", "model.json", "model.safetensors", "run.json", "validation.tsv")),
    "train/README.md",
    "report.html",
]


def sing(words: Sequence[str], rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Tones with pauses in noise, and when each sounds."""
    size, parts, spans, at = round(0.16 * RATE_HZ), [], [], 0
    for word in words:
        pause = rng.integers(round(0.08 * RATE_HZ), round(0.16 * RATE_HZ))
        hz = TONES_HZ[word] * rng.uniform(0.9, 1.1)
        parts += [np.zeros(pause), 0.3 * np.sin(2 * np.pi * hz * np.arange(size) / RATE_HZ) * np.hanning(size)]
        spans.append(((at + pause) / RATE_HZ, (at + pause + size) / RATE_HZ))
        at += pause + size
    made = np.concatenate([*parts, np.zeros(round(0.1 * RATE_HZ))])
    return made + rng.normal(0, 0.01, len(made)), spans


def sing_all(folder: Path, number: int, seed: int) -> list[str]:
    """Utterances of one to three words, with index.csv and words.csv; their texts."""
    rng, texts = np.random.default_rng(seed), []
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "index.csv").open("w") as index, (folder / "words.csv").open("w") as when:
        rows, spans = csv.writer(index), csv.writer(when)
        rows.writerow(["path", "text"])
        spans.writerow(["path", "start_s", "end_s"])
        for place in range(number):
            words = rng.choice(list(TONES_HZ), rng.integers(1, 4)).tolist()
            made, times = sing(words, rng)
            soundfile.write(folder / f"{place:03}.wav", made, RATE_HZ)
            rows.writerow([f"{place:03}.wav", " ".join(words)])
            spans.writerows([[f"{place:03}.wav", *time] for time in times])
            texts.append(" ".join(words).replace("<", "").replace(">", ""))
    return texts


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root, project = tmp_path_factory.mktemp("root"), Path(train.__file__).parent
    sing_all(root / "data/raw" / project.name, 160, seed=0)
    with run_all(root, project, SMALL, (prepare, train, evaluate, explain)) as results:
        yield results


def test_it_learns(results: Path) -> None:
    metrics = json.loads((results / "evaluate/metrics.json").read_text())
    assert (metrics["num_samples"], metrics["unit"], metrics["source"]) == (40, "utterances", "own")
    assert metrics["word_error_rate"] < 0.1
    assert metrics["baseline"]["frequent_text_word_error_rate"] > 0.4
    assert metrics["time_error_s"] < 0.1
    alignment = json.loads((results / "explain/alignment.json").read_text())
    assert alignment["occlusion_time_error_s"] < alignment["random_time_error_s"]


def test_every_file_is_there_and_no_other(results: Path) -> None:
    sounds = list(results.rglob("*.mp3"))
    assert len([path for path in sounds if "explain" in path.parts]) == 2
    for path in sounds:
        path.rename(path.with_suffix(".png"))
    whole_pipeline.assert_complete(results, FILES)


def test_new_recordings_are_understood_whole_long_and_piped(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = sing_all(tmp_path, 12, seed=1)
    paths = sorted(tmp_path.glob("*.wav"))
    found = predict.load_predictor()(paths)
    assert count_errors(texts, [one["text"] for one in found]).rate < 0.1
    assert all(
        0 <= word["start_s"] < word["end_s"] and 0 < word["confidence"] <= 1 for one in found for word in one["words"]
    )
    parts = [
        part for path in paths for part in (soundfile.read(path)[0], np.random.default_rng(2).normal(0, 0.01, 2500))
    ]
    soundfile.write(tmp_path / "long.flac", np.concatenate(parts), RATE_HZ)
    (tmp_path / "text.wav").write_text("no recording")
    long, bad = predict.load_predictor()([tmp_path / "long.flac", tmp_path / "text.wav"])
    assert count_errors([" ".join(texts)], [long["text"]]).rate < 0.2
    assert "a text" in bad["error"]
    raw = soundfile.read(tmp_path / "long.flac", dtype="int16")[0].tobytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
    predict_main(predict.load_predictor, SOUNDS, predict.__file__, "", line=predict.text_line, words=["-", "--json"])
    piped = [word for line in capsys.readouterr().out.splitlines() for word in json.loads(line)["words"]]
    assert piped == long["words"]


def test_lines_for_a_terminal() -> None:
    words = [{"text": "lo", "start_s": 0.5, "end_s": 0.7, "confidence": 1.0}]
    assert predict.text_line({"text": "lo", "words": words}) == "lo"
    assert predict.text_line({"text": "", "words": []}) == "(nothing)"
    assert predict.text_line({"words": [*words, words[0] | {"start_s": 12.0}]}) == "0.50 s lo  12.00 s lo"


def test_a_network_that_says_nothing_is_evaluated_and_not_explained(results: Path) -> None:
    place = results / "train/model.safetensors"
    weights = load_file(place)
    try:
        weights["head.bias"][0] = 1e4
        save_file(weights, place)
        words = [f"{key}={value}" for key, value in SMALL.items()]
        run_module(evaluate, *words)
        assert json.loads((results / "evaluate/metrics.json").read_text())["deletion_error_rate"] == 1.0
        with pytest.raises(SystemExit) as caught:
            run_module(explain, *words)
        assert caught.value.code == 2
    finally:
        weights["head.bias"][0] = 0.0
        save_file(weights, place)
