"""Prepare stage: data/raw/speech_ctc/ -> data/prepared/speech_ctc/ (tables for training).

    python -m projects.speech_ctc.prepare                          # as params.yaml says
    python -m projects.speech_ctc.prepare prepare.rate_hz=16000    # another rate

Accepts, and detects automatically:
    <name>.csv, .tsv, .jsonl      a path and a text per row (Common Voice: path and sentence); speaker, split are obeyed
    metadata.csv and wavs/        as LJSpeech has it: id|text|normalised text
    <name>.wav with <name>.txt    pairs, in any folders; those below train/, valid/ or test/ are of that split
    words.csv                     beside any of these: path, start_s, end_s of each word in turn

Texts are normalised (transcripts.py says how). A text that has more symbols than its recording gives outputs to the
network could not be learned: such rows are named, with everything else that is wrong, and nothing is written then.
"""

from collections import Counter, defaultdict
from hashlib import blake2b
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from shared.audio.files import read_sounds, sound_notes, to_int16
from shared.core.cli import answer_help, load_params, run_stage
from shared.core.errors import Problems, UserError
from shared.core.paths import Project, show
from shared.data.rows import read_tables
from shared.data.source import source_of
from shared.data.split import divide
from shared.data.table import Column, Ragged, select
from shared.report.prepared import Counts, leave_prepared

from .decode import alphabet_of, encode, frames_needed, num_frames
from .params import Params, Prepare
from .transcripts import WORDS_TABLE, Utterance, find_utterances

UPDATES = 600  # suggested, at least: with few utterances, in small batches
Spans = dict[str, list[tuple[float, float]]]  # id -> start and end of each word in seconds


def read_spans(root: Path, found: list[Utterance], problems: Problems) -> Spans:
    """When each word is said, of the utterances that words.csv has."""
    path = root / WORDS_TABLE
    if not path.is_file():
        return {}
    spans: Spans = defaultdict(list)
    texts = {one.id: one.text for one in found}
    for row in read_tables([path], dict.fromkeys(("path", "start_s", "end_s"), WORDS_TABLE), problems):
        name = str(row.values["path"])
        try:
            start, end = float(row.values["start_s"]), float(row.values["end_s"])
        except (TypeError, ValueError):
            start, end = 0.0, 0.0
        if name not in texts:
            problems.add(row.where, f"{name}: no such utterance")
        elif not 0 <= start < end:
            problems.add(row.where, "expected numbers with start_s below end_s")
        else:
            spans[name].append((start, end))
    for name, of in spans.items():
        if len(of) != len(texts[name].split()):
            problems.add(f"{show(path)}: {name}", f"{len(of)} words, but the text has {len(texts[name].split())}")
    return spans


def prepare(project: Project, params: Prepare) -> None:
    """Reads everything, then replaces the prepared data, and prints the counts. Raises UserError with all problems."""
    root = project.raw
    if not root.exists():
        raise UserError(f"{show(root)}: no such folder", fix="run the fetch stage, or put your data there")
    problems, notes, rates = Problems(show(root)), Counter[str](), list[int]()
    found = find_utterances(root, problems)
    spans = read_spans(root, found, problems)
    kept = []
    for one, sound in zip(found, read_sounds([one.path for one in found], params.rate_hz, problems), strict=True):
        if sound is None:
            continue
        seconds = len(sound.samples) / params.rate_hz
        frames = num_frames(len(sound.samples), params.rate_hz, params.frame_ms)
        needed = frames_needed(one.text)
        if seconds > params.max_seconds:
            problems.add(one.where, f"{one.id}: {seconds:.1f} s, expected at most prepare.max_seconds="
                                    f"{params.max_seconds:g}: cut it where its text can be cut")  # fmt: skip
        elif needed > frames:
            problems.add(one.where, f"{one.id}: {seconds:.2f} s give {frames} outputs, its text needs {needed}: a "
                                    "wrong text, a recording cut short, or too large a prepare.frame_ms")  # fmt: skip
        kept.append(to_int16(sound.samples))
        notes.update(sound.notes)
        rates.append(sound.file_rate_hz)
    problems.raise_if_any(fix="fix or remove these; data/README.md says which forms are accepted")
    speakers = [one.speaker for one in found]
    known = len(set(speakers)) > 1 and all(speakers)
    copies = [blake2b(one.tobytes()).hexdigest() for one in kept]
    rows = divide(
        [one.split for one in found], speakers if known else copies,
        fractions={"test": params.test_fraction, "valid": params.valid_fraction}, seed=params.seed,
    )  # fmt: skip
    alphabet = alphabet_of([found[row].text for row in rows["train"].tolist()])
    places = set(alphabet)
    targets = [encode("".join(char for char in one.text if char in places), alphabet) for one in found]
    columns: dict[str, Column] = {
        "sound": Ragged.of(kept, np.int16),
        "target": Ragged.of([np.array(target) for target in targets], np.int64),
        "text": [one.text for one in found],
        "id": [one.id for one in found],
        "speaker": speakers if known else [""] * len(found),
    }  # fmt: skip
    splits = {name: select(columns, chosen) for name, chosen in rows.items()}
    for name, chosen in rows.items():
        of = [spans.get(found[row].id, []) for row in chosen.tolist()]
        if any(of):
            splits[name]["spans"] = Ragged.of([np.array(one, np.float32).reshape(-1, 2) for one in of], np.float32)
    manifest = {"source": source_of(root), "alphabet": alphabet, "rate_hz": params.rate_hz, "frame_ms": params.frame_ms,
                "max_seconds": params.max_seconds, "speakers": known}  # fmt: skip
    page = _page(splits, alphabet, params, notes, rates)
    learned = {copies[row] for row in rows["train"].tolist()}
    if twice := sum(copies[row] in learned for row in rows["test"].tolist()):
        page.append(f"{twice:,} recordings of test are in train as well, as the data's splits or speakers say.")
    leave_prepared(project.prepared, splits, manifest, page, params)


def _page(
    splits: dict[str, dict[str, Column]], alphabet: list[str], params: Prepare, notes: Counter[str],
    rates: list[int],
) -> list[str | Counts]:  # fmt: skip
    texts = {name: [str(text) for text in columns["text"]] for name, columns in splits.items()}
    seconds = np.concatenate([columns["sound"].lengths for columns in splits.values()]) / params.rate_hz  # type: ignore[union-attr]
    learned = {word for text in texts["train"] for word in text.split()}
    counts: dict[str, dict[str, int]] = {"utterances": {}, "words": {}, "words that train has not": {}, "speakers": {}}
    for name, of in texts.items():
        words = [word for text in of for word in text.split()]
        counts["utterances"][name], counts["words"][name] = len(of), len(words)
        counts["words that train has not"][name] = sum(word not in learned for word in words)
        counts["speakers"][name] = len(set(splits[name]["speaker"]) - {""})
    if not (known := counts["speakers"]["train"] > 0):
        del counts["speakers"]
    lines: list[str | Counts] = [
        f"{len(learned):,} different words of {len(alphabet)} characters ({''.join(alphabet[1:])} and the space); "
        f"{seconds.min():.2f} to {seconds.max():.2f} s, {median(seconds):.2f} s in the middle.",
        counts,
    ]
    for name in sorted(set(texts) - {"train"}):
        strange = Counter(char for text in texts[name] for char in text if char not in alphabet)
        if strange:
            listed = ", ".join(f"{char!r} {count:,} times" for char, count in strange.most_common(5))
            lines.append(f"{name} has characters that train has not, which are always errors: {listed}.")
    if known:
        both = set(splits["train"]["speaker"]) & set(splits["test"]["speaker"])
        tested = len(set(splits["test"]["speaker"]))
        lines.append(f"{len(both):,} of the {tested:,} speakers of test speak in train as well.")
    else:
        lines.append("Nothing tells speakers apart: one of train may speak in test as well.")
    return lines + sound_notes(notes, rates, params.rate_hz)


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit a folder of your own recordings. Raises one UserError with everything that is wrong."""
    params, problems = load_params(Params, __file__, []).prepare, Problems(show(root))
    found = find_utterances(root, problems)
    sounds = [one for one in read_sounds([one.path for one in found], params.rate_hz, problems) if one]
    problems.raise_if_any(fix="fix or remove these; data/README.md says which forms are accepted")
    seconds = np.array([len(one.samples) / params.rate_hz for one in sounds])
    rate = median([one.file_rate_hz for one in sounds])
    outputs = sum(num_frames(len(one.samples), params.rate_hz, params.frame_ms) for one in sounds)
    batch = min(max(400, outputs // 25), 3000)
    return {
        "prepare.rate_hz": 16000 if rate >= 16000 else 8000,
        "prepare.max_seconds": float(min(30.0, np.ceil(seconds.max() + 0.1))),
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.epochs": float(min(max(8, round(UPDATES * batch / max(1, outputs))), 60)),
    }


def main(params: Params) -> None:
    prepare(Project.of(__file__), params.prepare)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    run_stage(main, Params, __file__)
