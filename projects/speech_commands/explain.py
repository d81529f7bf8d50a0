"""Explain stage: trained weights and test recordings -> results/explain/ (attributions and tests of them).

    python -m projects.speech_commands.explain                                      # as params.yaml says
    python -m projects.speech_commands.explain 'explain.methods=[group_occlusion]'  # this run only
    python -m projects.speech_commands.explain explain.num_scored=200               # closer figures, takes longer

What is explained are the log-odds of the class that the model predicts, right or wrong. Parts are patches of about a
twelfth of a second and an eighth of the bands. What the files hold, and which figure means what:
shared/explain/stage.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from shared.audio.features import mel_edges_hz
from shared.audio.params import Mel
from shared.audio.parts import PART_S, SOUND_METHODS, SoundScene, evidence_parts
from shared.audio.show import show
from shared.data.batches import Batch, Padded
from shared.data.table import Ragged
from shared.explain.parts import log_odds
from shared.explain.stage import class_facts, draw, explain
from shared.training.stage import Trained, trained_stage

from .model import SoundNet, load_model
from .params import Params

BATCH = 200  # recordings that go through the network at once


def value(model: nn.Module, batch: Batch) -> Tensor:
    """(M,): the log-odds of each recording's target class."""
    return log_odds(model(batch["mel"], batch["mel_mask"]), batch["target"])


@torch.inference_mode()
def listen(model: SoundNet, waves: Sequence[np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
    """N times (L,) samples -> log-mel (N, F, T), mask (N, T), probabilities (N, K), on the model's device."""
    pad = Padded(Ragged.of(waves, np.float32), next(model.parameters()).device)
    mel, frames = model.features(*pad(torch.arange(len(waves))))
    parts = torch.arange(len(waves)).split(BATCH)  # type: ignore[no-untyped-call]
    return mel, frames, torch.cat([model(mel[some], frames[some]) for some in parts]).softmax(1)


def main(trained: Trained[Params]) -> None:
    test, config, model = trained.prepared.table("test"), trained.config, trained.model
    assert isinstance(model, SoundNet)
    rows = draw(len(test), trained.params.explain.seed)
    waves = [test.ragged("sound").row(row).astype(np.float32) / 32768 for row in rows.tolist()]
    mel, frames, probabilities = listen(model, waves)
    hop_s = model.features.hop / config["rate_hz"]
    scene = SoundScene(
        mel.clone(),
        frames.clone(),
        max(1, round(PART_S / hop_s)),
        {"target": probabilities.argmax(1).clone()},
        sounds=waves,
    )
    if "evidence" in test:
        edges = mel_edges_hz(Mel(**config["mel"]), config["rate_hz"])
        boxes = torch.from_numpy(np.array(test.fixed("evidence")[rows])).double()
        scene = replace(scene, evidence=evidence_parts(boxes, scene, edges, hop_s))
    explain(
        trained,
        scene,
        value,
        class_facts(torch.from_numpy(np.array(test.fixed("label")[rows])), probabilities.cpu(), config["classes"]),
        methods=SOUND_METHODS,
        show=partial(
            show,
            features=model.features,
            classify=lambda some: listen(model, some)[2].cpu(),
            keep_fraction=trained.params.explain.keep_fraction,
        ),
        unit="recordings",
        part="patches",
    )


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__, alone=True)
