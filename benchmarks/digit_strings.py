"""Word error rate of PocketSphinx with a loop of digits on the test strings of speech_ctc's presets.

It has an acoustic model of its own, learned from other speech; the strings are heard at 16 kHz with a fifth of a second
of silence around. speech_ctc's rates are those of the presets' records, which are of the same strings. From
$DATASET_MIRROR.
"""

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.preset import load
from benchmarks.spoken_digits import RATE_HZ, hear
from benchmarks.table import report
from projects.speech_ctc.digits import WORDS, bring_strings
from projects.speech_ctc.params import Params
from projects.speech_ctc.scores import count_errors, error_rate
from shared.core.paths import Project
from shared.evaluation.intervals import percentile_interval, resampled_sums

NAME, PRESETS = "speech_ctc", ("digits", "digits-new-speakers")
MOST_ERRORS = {"digits": 0.03, "digits-new-speakers": 0.12}


def pocketsphinx(preset: str, folder: Path) -> dict[str, Any]:
    """Its row: one preset's test strings."""
    from pocketsphinx import Decoder

    params = load(NAME, Params, preset)
    assert params.fetch
    (folder / preset).mkdir()
    bring_strings(folder / preset, params.fetch)
    with (folder / preset / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    grammar = folder / f"{preset}.gram"
    grammar.write_text(f"#JSGF V1.0;\ngrammar digits;\npublic <digits> = ({' | '.join(WORDS)})+;\n")
    decoder = Decoder(jsgf=str(grammar), samprate=RATE_HZ, loglevel="FATAL")
    errors = count_errors([row["text"] for row in rows], [hear(decoder, folder / preset / row["path"]) for row in rows])
    low, high = percentile_interval(error_rate(resampled_sums(errors.counts, 0)))
    return {"what": f"PocketSphinx, {preset}", "test strings": len(rows), "word error rate": round(errors.rate, 4),
            "95 %": f"{low:.3f} to {high:.3f}"}  # fmt: skip


def recorded(preset: str) -> dict[str, Any]:
    """speech_ctc's row, from the preset's record."""
    record = json.loads((Project(NAME).folder / f"records/{preset}.json").read_text())
    metrics, spread = record["runs"][0]["metrics"], record["headline"]["standard_deviation"]
    low, high = metrics["word_error_rate_low"], metrics["word_error_rate_high"]
    words = f"{low:.3f} to {high:.3f}" if spread is None else f"deviation {spread:.4f} of {len(record['runs'])} seeds"
    return {"what": f"speech_ctc, {preset}", "test strings": metrics["num_samples"],
            "word error rate": round(record["headline"]["mean"], 4), "95 %": words}  # fmt: skip


def main() -> bool:
    """Measures and reports. Returns whether the records are good enough."""
    ours = [recorded(preset) for preset in PRESETS]
    with tempfile.TemporaryDirectory() as folder:
        others = [pocketsphinx(preset, Path(folder)) for preset in PRESETS]
    report("digit_strings", [*ours, *others], ("torch", "pocketsphinx", "jiwer"))
    return all(row["word error rate"] <= most for row, most in zip(ours, MOST_ERRORS.values(), strict=True))
