"""MiniLM fine-tuned on SST-2: imdb_sentiment's preset `minilm` beside Hugging Face's own Trainer.

Both start from the same checkpoint and see the same 67,349 training phrases as often, at the same rates and in the same
precision, with as many phrases in a batch on average. Both are judged on the 872 development sentences, which choose
nothing here. Ours batches by length; the Trainer draws at random and pads, as it does when nothing else is asked for.
"""

import gzip
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shared.data.columns import read_columns
from torch import nn

from benchmarks.preset import load
from benchmarks.table import report
from projects.imdb_sentiment import prepare, train
from projects.imdb_sentiment.data import tokens_and_labels
from projects.imdb_sentiment.evaluate import predict
from projects.imdb_sentiment.params import Params
from shared.core.seed import derive
from shared.data.source import mirror_folder
from shared.evaluation.metrics import bootstrap
from shared.text import classes as text_classes
from shared.text.pretrained import find_checkpoint
from shared.training.checkpoint import Checkpoint
from shared.training.device import resolve_precision
from shared.training.distributed import local

PRESET = "minilm"
FILES = {"train.tsv": "phrase_train.tsv.gz", "test.tsv": "dev.tsv.gz"}
HEADER = "sentence\tlabel\n"
OWN = {
    "prepare.text_column": "sentence",
    "prepare.label_column": "label",
    "prepare.valid_fraction": 0.0,
    "train.epochs": 2.0,  # of so many phrases
}
LEAST_ACCURACY, MOST_SECONDS = 0.89, 1200


def make_data(mirror: Path, folder: Path, params: Params) -> Path:
    """SST-2 as own data, then in the prepared form, below a folder."""
    raw = folder / "raw"
    raw.mkdir()
    for name, packed in FILES.items():
        text = gzip.decompress((mirror / packed).read_bytes()).decode()
        (raw / name).write_text(text if text.startswith(HEADER) else HEADER + text)
    text_classes.write(folder / "prepared", prepare.read(raw, params.prepare), params.prepare)
    return folder / "prepared"


def ours(params: Params, prepared: Path, folder: Path) -> tuple[float, np.ndarray]:
    """Seconds of training, and which sentences of dev are right."""
    world = local("cpu")
    run, _ = train.train(params, prepared, Checkpoint(folder / "last.pt", world), world)
    records = predict(run.model.eval(), read_columns(prepared, "test"), params.evaluate, world)
    return run.progress.seconds, (records["logits"].argmax(1) == records["actual"]).numpy()


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """A prepared split as the Trainer wants it."""

    def __init__(self, prepared: Path, split: str) -> None:
        self.tokens, self.labels = tokens_and_labels(read_columns(prepared, split))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.tokens.row(index).tolist(), "label": int(self.labels[index])}


def theirs(params: Params, prepared: Path, folder: Path) -> tuple[float, np.ndarray]:
    """The same by transformers' Trainer, with its own defaults for whatever the preset does not say."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    chosen, source = params.train, find_checkpoint(params.prepare.checkpoint)
    rows, dev = Rows(prepared, "train"), Rows(prepared, "test")
    batch = round(len(rows) / math.ceil(len(rows) * rows.tokens.lengths.mean() / chosen.batch_size))
    torch.manual_seed(derive(chosen.seed, "weights"))
    model: nn.Module = AutoModelForSequenceClassification.from_pretrained(source, num_labels=2)
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        num_train_epochs=chosen.epochs,
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=64,
        learning_rate=chosen.lr,
        weight_decay=chosen.weight_decay,
        warmup_steps=chosen.warmup_fraction,  # below 1 it is a share
        max_grad_norm=chosen.clip_norm,
        label_smoothing_factor=chosen.label_smoothing,
        bf16=resolve_precision(chosen.precision, torch.device("cpu")) == "bf16",
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        seed=chosen.seed,
        disable_tqdm=True,
        logging_steps=params.runtime.log_steps,
    )
    collate = DataCollatorWithPadding(AutoTokenizer.from_pretrained(source))
    trainer = Trainer(model, arguments, data_collator=collate, train_dataset=rows)
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    predicted = trainer.predict(dev).predictions.argmax(1)
    return seconds, predicted == dev.labels.numpy()


def main() -> bool:
    """Measures and reports. Returns whether the targets were met; True, with a line, where there is no SST-2."""
    mirror = mirror_folder("sst2")
    if mirror is None:
        print("left out: no folder sst2 in $DATASET_MIRROR")
        return True
    params = load("imdb_sentiment", Params, PRESET, OWN)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepared = make_data(mirror, folder, params)
        runs = {"preset minilm, fit()": ours(params, prepared, folder), "Trainer": theirs(params, prepared, folder)}
    first = next(iter(runs.values()))[0]
    rows = [
        {
            "training": name,
            "seconds": round(seconds, 1),
            "time over fit()": round(seconds / first, 3),
            "dev accuracy": round(float(right.mean()), 4),
            "95 % interval": bootstrap(right, seed=0),
        }
        for name, (seconds, right) in runs.items()
    ]
    (seconds, right), (other_seconds, other_right) = runs.values()
    low, high = bootstrap(right.astype(float) - other_right, seed=0)
    precision = resolve_precision(params.train.precision, torch.device("cpu"))
    setup = {"phrases": 67_349, "sentences": len(right), "epochs": params.train.epochs, "precision": precision}
    difference = [float(right.mean() - other_right.mean()), low, high]
    report("pretrained", rows, ("torch", "transformers", "accelerate"), **setup, difference_and_interval=difference)
    not_worse = high >= 0 and seconds <= other_seconds
    return bool(not_worse and right.mean() >= LEAST_ACCURACY and seconds <= MOST_SECONDS)
