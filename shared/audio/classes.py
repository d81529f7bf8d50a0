"""Labelled recordings of any form -> prepared tables, for every sound classifier.

N recordings, L samples.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from shared.audio.files import loudest, read_sounds, sound_notes, to_int16
from shared.audio.folder import Box, find_recordings
from shared.audio.params import PrepareSounds
from shared.core.errors import Problems, UserError
from shared.core.paths import Project, show
from shared.data.folder import find_copies
from shared.data.labels import class_names
from shared.data.source import source_of
from shared.data.split import divide
from shared.data.table import Column, Ragged, select
from shared.report.prepared import Counts, leave_prepared

NO_BOX = (np.nan,) * 4
_UPDATES = 600  # suggested: about what the sample takes
RATES_HZ = 8000, 16000, 22050  # suggested: the largest that most files reach
MOST_S = 30.0  # the largest prepare.max_seconds
SUGGESTED = {"seed": 0, "valid_fraction": 0.1, "test_fraction": 0.2, "max_seconds": MOST_S}  # to look at the data


@dataclass(frozen=True)
class LabelledSounds:
    """Everything read.

    Args:
        source: sample, official or own.
        classes: names, in the order of the labels.
        sounds: N rows (L,) int16.
        labels: (N,) int64.
        ids: N, the paths below the folder.
        given: N, the split of each; None where the data do not say.
        keys: N: what has one key stays in one split: a speaker, copies.
        speakers: N; empty where they are not known.
        boxes: (N, 4) float32: start and end in s, lowest and highest Hz of what decides; NaN where not known.
        rates: of the files.
        notes: sentences.
    """

    source: str
    classes: list[str]
    sounds: Ragged
    labels: np.ndarray
    ids: list[str]
    given: list[str | None]
    keys: list[str]
    speakers: list[str]
    boxes: np.ndarray
    rates: list[int]
    notes: list[str]

    def splits(self, params: PrepareSounds) -> dict[str, dict[str, Column]]:
        """The columns of each split: sound, ragged int16; label (N,) int64; id, speaker strings; and evidence (N, 4)
        float32 where some have it, NaN where not."""
        columns: dict[str, Column] = {"sound": self.sounds, "label": self.labels, "id": self.ids}
        columns["speaker"] = self.speakers or [""] * len(self.ids)
        fractions = {"test": params.test_fraction, "valid": params.valid_fraction}
        labels = None if self.speakers else self.labels  # a speaker is held out whole, whatever they say
        rows = divide(self.given, self.keys, fractions=fractions, seed=params.seed, labels=labels)
        found = {name: select(columns, chosen) for name, chosen in rows.items()}
        for name, chosen in rows.items():
            if np.isfinite(self.boxes[chosen]).any():
                found[name]["evidence"] = self.boxes[chosen]
        return found


def read(root: Path, params: PrepareSounds) -> LabelledSounds:
    """Reads a folder (see folder.py). Raises one UserError with everything that is wrong."""
    if not root.exists():
        raise UserError(f"{show(root)}: no such folder", fix="run the fetch stage, or put your data there")
    problems = Problems(show(root))
    found = find_recordings(root, params, problems)
    copies = find_copies(found.files, problems)
    classes = class_names(found.files)
    kept, boxes, rates, said = [], [], [], Counter[str]()
    most, num_cut = round(params.max_seconds * params.rate_hz), 0
    sounds = read_sounds([file.path for file in found.files], params.rate_hz, problems)
    for file, sound in zip(found.files, sounds, strict=True):
        if sound is None:
            continue
        start = loudest(sound.samples, most)
        kept.append(to_int16(sound.samples[start : start + most]))
        boxes.append(_moved(found.evidence.get(file.id), start / params.rate_hz))
        rates.append(sound.file_rate_hz)
        num_cut += len(sound.samples) > most
        said.update(sound.notes)
    problems.raise_if_any(fix="fix or remove these; data/README.md says which forms are accepted")
    notes = found.notes + sound_notes(said, rates, params.rate_hz)
    if num_cut:
        notes.append(f"{num_cut:,} recordings are longer than {params.max_seconds:g} s: their loudest part is kept.")
    return LabelledSounds(
        source=source_of(root),
        classes=classes,
        sounds=Ragged.of(kept, np.int16),
        labels=np.array([classes.index(file.class_name) for file in found.files], dtype=np.int64),
        ids=[file.id for file in found.files],
        given=[file.split for file in found.files],
        keys=found.speakers or copies,
        speakers=found.speakers,
        boxes=np.array(boxes, dtype=np.float32),
        rates=rates,
        notes=notes,
    )


def prepare(project: Project, params: PrepareSounds) -> None:
    """The whole prepare stage: reads everything, then replaces the prepared data, and prints the counts."""
    data = read(project.raw, params)
    splits = data.splits(params)
    manifest = {
        "source": data.source,
        "classes": data.classes,
        "rate_hz": params.rate_hz,
        "max_seconds": params.max_seconds,
        "window_s": round(float(np.median(splits["train"]["sound"].lengths)) / params.rate_hz, 3),  # type: ignore[union-attr]
        "speakers": bool(data.speakers),
    }
    counts = {
        name: {split: int((np.asarray(columns["label"]) == label).sum()) for split, columns in splits.items()}
        for label, name in enumerate(data.classes)
    }
    counts["recordings"] = {split: len(columns["id"]) for split, columns in splits.items()}
    if data.speakers:
        counts["speakers"] = {split: len(set(columns["speaker"])) for split, columns in splits.items()}
    lengths = np.sort(data.sounds.lengths) / params.rate_hz
    first = f"{len(data.classes)} classes at {params.rate_hz:,} Hz; {lengths[0]:.2f} to {lengths[-1]:.2f} s, "
    page: list[str | Counts] = [f"{first}{median(lengths):.2f} s in the middle.", counts, *data.notes]
    page += _shared_speakers(splits) if data.speakers else []
    leave_prepared(project.prepared, splits, manifest, page, params)


def _shared_speakers(splits: dict[str, dict[str, Column]]) -> list[str]:
    known, tested = (set(splits[name]["speaker"]) for name in ("train", "test"))
    both = known & tested
    if not both:
        return []
    return [f"{len(both):,} of the {len(tested):,} speakers of test speak in train as well, as the data's splits say."]


def _moved(box: Box | None, start_s: float) -> tuple[float, ...]:
    """A box in the part of a recording that is kept."""
    return NO_BOX if box is None else (max(0.0, box[0] - start_s), max(0.01, box[1] - start_s), *box[2:])


def suggest(root: Path, params: PrepareSounds) -> dict[str, Any]:
    """Params that suit a folder of recordings, and prints what was taken for what. Raises one UserError with everything
    that is wrong.

    Args:
        params: with the columns and the pattern to try.
    """
    data = read(root, params.model_copy(update=SUGGESTED))
    num_train = len(data.splits(params)["train"]["id"])
    rate = max([rate for rate in RATES_HZ if rate <= median(data.rates)], default=RATES_HZ[0])
    for line in data.notes:
        print(line)
    seconds = data.sounds.lengths / params.rate_hz
    batch = min(max(8, num_train // 20), 64, num_train)
    return {
        "prepare.rate_hz": rate,
        "prepare.max_seconds": min(MOST_S, round(float(np.quantile(seconds, 0.98)) + 0.05, 1)),
        "prepare.speaker_pattern": params.speaker_pattern if data.speakers else "",
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.epochs": float(min(max(8, round(_UPDATES / max(1, num_train // batch))), 100)),
    }
