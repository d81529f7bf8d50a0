"""Explain stage: trained weights and test utterances -> results/explain/ (attributions and tests of them).

    python -m projects.speech_ctc.explain                                      # as params.yaml says
    python -m projects.speech_ctc.explain 'explain.methods=[group_occlusion]'  # this run only
    python -m projects.speech_ctc.explain explain.num_scored=200               # closer figures, takes longer

What is explained is one word of a text that the network hears: the log-odds of the text against the same without that
word, both summed over all ways to say them. The question does not tell where the word is. Parts are stretches of 80 ms.
alignment.json    mean distance in seconds of a word's middle from where it is truly said: by each method's
                  attributions, by the outputs that say it (ctc), and by chance
What the other files hold, and which figure means what: shared/explain/stage.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shared.audio.features import mel_edges_hz
from shared.audio.parts import PART_S, SOUND_METHODS, SoundScene, evidence_parts
from shared.audio.show import show_words
from shared.core.errors import UserError
from shared.core.files import write_json
from shared.core.seed import derive
from shared.data.batches import Batch, Padded
from shared.data.table import Ragged
from shared.explain.parts import random_maps
from shared.explain.stage import FIGURE_DIGITS, Fact, draw, explain
from shared.report import blocks
from shared.report.blocks import section, table
from shared.training.stage import Trained, trained_stage

from .decode import encode, make_spell
from .listening import Word, align
from .model import Recogniser, ctc, load_model
from .params import Params

MOST_WORDS = 1  # of an utterance, drawn: its words share the recording


@dataclass(frozen=True)
class Asked:
    """N questions: why was this word heard there?

    Args:
        words: as they were heard, with the outputs that say them.
        middles: (N,) seconds, where the words are truly said; NaN where the data do not say.
        heard: N, the whole texts.
        said: N, the references.
    """

    scene: SoundScene
    words: list[Word]
    middles: np.ndarray
    heard: list[str]
    said: list[str]


def value(model: nn.Module, batch: Batch) -> Tensor:
    """(M,): log probability of the text "with" (M, S) less that of the text "without" (M, S), which has a word less."""
    log_probs, frames = model(batch["mel"], batch["mel_mask"])
    without, whole = (ctc(log_probs, frames, batch[name], batch[f"{name}_mask"]) for name in ("without", "with"))
    return without - whole


def ask(trained: Trained[Params]) -> Asked:
    """Words of drawn test utterances, one of each. Raises UserError where none is heard."""
    test, config, model = trained.prepared.table("test"), trained.config, trained.model
    assert isinstance(model, Recogniser)
    rng = np.random.default_rng(derive(trained.params.explain.seed, "words"))
    spell, sounds, device = make_spell(config), test.ragged("sound"), trained.world.device
    waves, words, heard, shorter, said, spans = [], [], [], [], [], []
    for row in draw(len(test), trained.params.explain.seed).tolist():
        wave = sounds.row(row).astype(np.float32) / 32768
        with torch.inference_mode():
            found = model(*model.features.alone(wave))[0][0].cpu().numpy()
        transcript, reference = spell(found), test.strings("text")[row]
        aligned = align(found, transcript, config["alphabet"])
        known = test.ragged("spans").row(row).tolist() if "spans" in test and transcript == reference else []
        for place in rng.permutation(len(aligned))[:MOST_WORDS].tolist():
            waves.append(wave)
            words.append(aligned[place])
            heard.append(transcript)
            shorter.append(" ".join(word.text for number, word in enumerate(aligned) if number != place))
            said.append(reference)
            spans.append(known[place] if known else [np.nan, np.nan])
    if not words:
        raise UserError("explain: the network hears no word in any utterance", fix="more train.epochs, see evaluate")
    pad = Padded(Ragged.of(waves, np.float32), device)
    with torch.inference_mode():
        mel, frames = model.features(*pad(torch.arange(len(waves))))
    fields: Batch = {}
    for name, texts in (("with", heard), ("without", shorter)):
        encoded = [np.array(encode(one, config["alphabet"]), np.int64) for one in texts]
        symbols = Padded(Ragged.of(encoded, np.int64), device)
        fields[name], fields[f"{name}_mask"] = symbols(torch.arange(len(texts)))
    part_frames = max(1, round(PART_S * config["rate_hz"] / model.features.hop))
    scene = SoundScene(mel.clone(), frames.clone(), part_frames, fields, sounds=waves, bands=1)
    if "spans" in test:
        boxes = torch.from_numpy(np.pad(np.array(spans), ((0, 0), (0, 2)), constant_values=(0, config["rate_hz"] / 2)))
        boxes[:, 2] = 0
        edges = mel_edges_hz(model.mel, config["rate_hz"])
        scene = replace(scene, evidence=evidence_parts(boxes, scene, edges, model.features.hop / config["rate_hz"]))
    return Asked(scene, words, np.array(spans).mean(1), heard, said)


def centres(maps: Tensor, part_s: float) -> np.ndarray:
    """(N,) seconds: the middle of what raises the score, weighted by how much."""
    mass = maps.double().clamp(min=0)
    at = (torch.arange(maps.shape[1]) + 0.5) * part_s
    found: np.ndarray = ((mass * at).sum(1) / mass.sum(1).clamp(min=1e-12)).numpy()
    return found


def main(trained: Trained[Params]) -> None:
    chosen, config, model = trained.params.explain, trained.config, trained.model
    assert isinstance(model, Recogniser)
    asked = ask(trained)
    facts: list[Fact] = [
        {"title": f"heard: {heard}", "correct": heard == said, "question": f"Why “{word.text}”, at "
         f"{word.first * model.frame_samples / config['rate_hz']:.2f} s? Said was: {said}."}
        for word, heard, said in zip(asked.words, asked.heard, asked.said, strict=True)
    ]  # fmt: skip
    scored = explain(
        trained, asked.scene, value, facts, methods=SOUND_METHODS, show=partial(show_words, rate_hz=config["rate_hz"]),
        unit="words", part="stretches",
    )  # fmt: skip
    middles = asked.middles[scored.rows.numpy()]
    known = np.isfinite(middles)
    figures: dict[str, Any] = {"num_words": int(known.sum())}
    results = trained.project.results("explain")
    if known.any():
        part_s = asked.scene.part_frames * model.features.hop / config["rate_hz"]
        drawn = random_maps(scored.subject.inside, derive(chosen.seed, "random times"))
        at = {name: centres(maps, part_s) for name, maps in [*scored.maps.items(), ("random", drawn)]}
        frame_s = model.frame_samples / config["rate_hz"]
        at["ctc"] = np.array([asked.words[row].middle * frame_s for row in scored.rows.tolist()])
        off = {name: float(np.abs(times - middles)[known].mean()) for name, times in at.items()}
        figures |= {f"{name}_time_error_s": round(of, FIGURE_DIGITS) for name, of in off.items()}
        titles = {name: SOUND_METHODS[name].title for name in scored.maps}
        titles |= {"random": "Random", "ctc": "The outputs that say it"}
        rows = [[title, figures[f"{name}_time_error_s"]] for name, title in titles.items()]
        intro = (
            f"Mean distance of a word's middle from where it is truly said, over {figures['num_words']} words of "
            "utterances that are heard right: by the middle of what raises its score, and by the outputs that say it."
        )
        blocks.append(results, [section("When each word is said"), table(["By", "Seconds"], rows, intro=intro)])
    write_json(results / "alignment.json", figures)


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__, alone=True)
