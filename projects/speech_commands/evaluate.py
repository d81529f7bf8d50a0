"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, predictions, worst errors).

    python -m projects.speech_commands.evaluate                               # as params.yaml says
    python -m projects.speech_commands.evaluate evaluate.stream_seconds=3600  # a longer stream, this run only
    torchrun --nproc-per-node 2 -m projects.speech_commands.evaluate

What most files hold: shared/evaluation/classification.py. Besides these:
conditions.json   accuracy by speaker and its interval over speakers, by noise, and what detection in a stream finds
robustness.tsv    accuracy over the signal-to-noise ratio of added noise
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from shared.audio.baselines import sound_baselines
from shared.audio.show import show_sounds
from shared.core.files import write_json, write_tsv
from shared.data.batches import Batch, even_shares, gather
from shared.data.table import Table
from shared.evaluation.classification import Baselines, Case, evaluate_classes
from shared.report.blocks import Block, section
from shared.training.stage import Trained, trained_stage

from .conditions import by_noise, by_speaker, in_stream
from .model import SoundNet, load_model
from .params import Params


def main(trained: Trained[Params]) -> None:
    chosen, test, model = trained.params.evaluate, trained.prepared.table("test"), trained.model
    assert isinstance(model, SoundNet)
    sounds = test.ragged("sound")
    read = gather(test, "sound", "label", device=trained.world.device)
    players, figures, noisy = list[Block](), dict[str, Any](), list[tuple[float, float]]()

    def logits(batch: Batch) -> Tensor:
        found: Tensor = model(*model.features(batch["sound"], batch["sound_mask"]))
        return found

    def baselines(train: Table, test: Table) -> Baselines:
        return sound_baselines(train, test, trained.config["rate_hz"])

    def show_errors(rows: Sequence[int], cases: Sequence[Case], folder: Path) -> Block:
        waves = [sounds.row(row).astype(np.float32) / 32768 for row in rows]
        drawn, played = show_sounds(folder, waves, cases, model.features)
        players.extend([section("The same errors, to listen to"), played])
        return drawn

    def more(right: np.ndarray, guesses: Baselines) -> list[Block]:
        made = list(players)
        if trained.prepared.manifest["speakers"]:
            found, drawn = by_speaker(test.strings("speaker")[:], right, chosen.seed)
            figures.update(found)
            made += drawn
        found, noise, drawn = by_noise(trained, test, read, float(right.mean()))
        noisy.extend(noise)
        figures.update(found)
        made += drawn
        if chosen.stream_seconds:
            found, drawn = in_stream(trained, test)
            figures.update(found)
            made += drawn
        return made

    shares = even_shares(len(test), chosen.batch_size, trained.world)
    evaluate_classes(
        trained, logits, read, shares, unit="recordings", baselines=baselines, show_errors=show_errors, more=more
    )
    if trained.world.is_first:
        results = trained.project.results("evaluate")
        write_json(results / "conditions.json", figures)
        write_tsv(results / "robustness.tsv", ["snr_db", "accuracy"], noisy)


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
