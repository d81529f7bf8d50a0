"""MiniLM fine-tuned on SST-2: imdb_sentiment's preset `minilm` beside Hugging Face's own Trainer.

Both start from the same checkpoint and see the same 67,349 training phrases as often, at the same rates and in the same
precision, with as many phrases in a batch on average. Both are evaluated on the 872 development sentences, which choose
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
from torch import Tensor, nn

from benchmarks.preset import Elsewhere, load, train
from benchmarks.table import report
from projects.imdb_sentiment.params import Params
from projects.imdb_sentiment.train import describe
from shared.core.seed import derive
from shared.data.batches import cost_shares, gather
from shared.data.prepared import Prepared
from shared.data.source import mirror_folder
from shared.data.table import Table
from shared.evaluation.intervals import bootstrap
from shared.evaluation.records import Records, collect
from shared.text import classes
from shared.text.pretrained import find_checkpoint
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
    project = Elsewhere("imdb_sentiment", folder)
    project.raw.mkdir()
    for name, packed in FILES.items():
        text = gzip.decompress((mirror / packed).read_bytes()).decode()
        (project.raw / name).write_text(text if text.startswith(HEADER) else HEADER + text)
    classes.prepare(project, params.prepare)
    return project.prepared


def ours(params: Params, prepared: Path, folder: Path) -> tuple[float, np.ndarray]:
    """Seconds of training, and which sentences of dev are right."""
    world, test = local(), Prepared(prepared).table("test")
    run, read = train(describe, params, prepared, world, folder), gather(test, "tokens", "label")

    def predict(index: Tensor) -> Records:
        batch = read(index)
        return {"right": run.model(batch["tokens"], batch["tokens_mask"]).argmax(1) == batch["label"]}

    shares = cost_shares(test.ragged("tokens").lengths, params.evaluate.batch_size, world)
    return run.progress.seconds, collect(predict, shares, world)["right"].numpy()


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """A prepared split as the Trainer wants it."""

    def __init__(self, table: Table) -> None:
        self.tokens, self.labels = table.ragged("tokens"), table.fixed("label")

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
    rows, dev = (Rows(Prepared(prepared).table(split)) for split in ("train", "test"))
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
    return seconds, predicted == dev.labels


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
