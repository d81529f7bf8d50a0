"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, transcripts, worst errors).

    python -m projects.speech_ctc.evaluate                        # as params.yaml says
    python -m projects.speech_ctc.evaluate evaluate.num_worst=20  # this run only
    torchrun --nproc-per-node 2 -m projects.speech_ctc.evaluate

metrics.json      word error rate over the whole split (jiwer) with its 95 % interval, a bootstrap over utterances; its
                  substitutions, deletions and insertions per word of the references; character error rate; exact
                  match; greedy_error_rate without the beam and its words; blank_rate; where the data say when words are
                  said, time_error_s; baselines
predictions.csv   id, reference, hypothesis
run.json          seconds that the predictions took
page.json         the blocks of the page
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from shared.audio.features import LogMel
from shared.audio.show import show_sounds
from shared.core.files import replace_folder, write_tsv
from shared.data.batches import cost_shares, gather
from shared.data.table import Table
from shared.evaluation.comparison import baseline_blocks, leave_evaluation
from shared.evaluation.intervals import DIGITS
from shared.evaluation.records import collect
from shared.report import blocks
from shared.report.blocks import Block, section, table, text
from shared.training.stage import Trained, trained_stage

from . import scores
from .baselines import linear_texts
from .decode import blank_rate, greedy_text, make_spell
from .listening import align
from .model import Recogniser, load_model
from .params import Params

MOST_ROWS = 15  # of the tables of words, pairs and speakers
SLICES = 4  # of equal numbers of utterances, from the shortest to the longest


def time_errors(
    log_probs: Sequence[np.ndarray], texts: Sequence[str], test: Table, alphabet: list[str], frame_s: float
) -> np.ndarray:
    """(M,): how far the middle of each word, as it was heard, lies from where it is truly said, in seconds. Of the
    utterances whose text is right."""
    found = [np.zeros(0)]
    for row, (one, heard) in enumerate(zip(log_probs, texts, strict=True)):
        spans = test.ragged("spans").row(row)
        if len(spans) and heard == test.strings("text")[row]:
            middles = np.array([word.middle * frame_s for word in align(one, heard, alphabet)])
            found.append(np.abs(middles - spans.mean(1)))
    return np.concatenate(found)


def by_word(errors: scores.Errors, references: Sequence[str]) -> list[Block]:
    """The words that are missed most, and what is heard instead."""
    said = Counter(word for one in references for word in one.split())
    missed = Counter[str]()
    for (word, _), count in errors.pairs.items():
        missed[word] += count
    rows = [[word, said[word], count, count / said[word]] for word, count in missed.most_common(MOST_ROWS + 1) if word]
    pairs = [
        [one or "(nothing)", other or "(nothing)", count] for (one, other), count in errors.pairs.most_common(MOST_ROWS)
    ]
    return [
        section("By word"),
        table(["Word", "Said", "Missed", "Share"], rows[:MOST_ROWS], intro="The words that are missed most."),
        table(["Said", "Heard", "Times"], pairs, intro="What is heard instead; nothing is a deletion or an insertion."),
    ]  # fmt: skip


def by_length(errors: scores.Errors, seconds: np.ndarray) -> list[Block]:
    """Word error rate from the shortest to the longest utterances."""
    rows = []
    for part in np.array_split(np.argsort(seconds, kind="stable"), min(SLICES, len(seconds))):
        rate = errors.wrong[part].sum() / errors.words[part].sum()
        rows.append([f"{seconds[part].min():.1f} to {seconds[part].max():.1f} s", len(part), float(rate)])
    return [section("By length"), table(["Length", "Utterances", "Word error rate"], rows)]


def by_speaker(errors: scores.Errors, speakers: Sequence[str]) -> list[Block]:
    """Word error rate of each speaker, the worst first."""
    named, rows = np.array(speakers), list[tuple[str, int, float]]()
    for speaker in sorted(set(speakers)):
        own = named == speaker
        rows.append((speaker, int(own.sum()), float(errors.wrong[own].sum() / errors.words[own].sum())))
    rows.sort(key=lambda row: -row[2])
    intro = f"Of {len(rows)} speakers, the worst first."
    return [section("By speaker"), table(["Speaker", "Utterances", "Word error rate"], rows[:MOST_ROWS], intro=intro)]


def worst(
    trained: Trained[Params], order: Sequence[int], references: Sequence[str], texts: Sequence[str], features: LogMel
) -> list[Block]:
    """Spectrograms and players of the utterances with the most errors."""
    test, waves, cases = trained.prepared.table("test"), [], []
    for row in order:
        waves.append(test.ragged("sound").row(row).astype(np.float32) / 32768)
        said = f"said: {references[row]}; heard: {texts[row] or '(nothing)'}"
        cases.append({"title": said, "id": test.strings("id")[row]})
    with replace_folder(trained.project.results("evaluate") / "pictures") as folder:
        drawn, played = show_sounds(folder, waves, cases, features)
    return [section("The utterances with the most errors"), drawn, played] if cases else []


def main(trained: Trained[Params]) -> None:
    chosen, config, test, model = trained.params.evaluate, trained.config, trained.prepared.table("test"), trained.model
    assert isinstance(model, Recogniser)
    read = gather(test, "sound", device=trained.world.device)
    start = time.perf_counter()

    def predict(index: Tensor) -> dict[str, Any]:
        batch = read(index)
        found, frames = model(*model.features(batch["sound"], batch["sound_mask"]))
        return {"log_probs": [one[:size] for one, size in zip(found, frames.sum(1).tolist(), strict=True)]}

    lengths = -(-test.ragged("sound").lengths // model.frame_samples)
    records = collect(predict, cost_shares(lengths, chosen.batch_size, trained.world), trained.world)
    if not trained.world.is_first:
        return
    log_probs = [one.numpy() for one in records["log_probs"]]
    spell = make_spell(config)
    texts = [spell(one) for one in log_probs]
    seconds = time.perf_counter() - start
    references = test.strings("text")[:]
    greedy = [greedy_text(one, config["alphabet"]) for one in log_probs]
    train = trained.prepared.table("train")
    frequent = Counter(train.strings("text")[:]).most_common(1)[0][0]
    others = {
        "linear": linear_texts(train, test, config, model.frame_samples, chosen.seed),
        "frequent_text": [frequent] * len(test),
    }
    metrics: dict[str, Any] = scores.measure(references, texts, others, chosen.seed)
    metrics |= {"num_samples": len(test), "unit": "utterances", "source": trained.prepared.manifest["source"]}
    metrics["greedy_error_rate"] = round(scores.count_errors(references, greedy).rate, DIGITS)
    metrics["blank_rate"] = round(float(np.mean([blank_rate(one) for one in log_probs])), DIGITS)
    page = figures_block(metrics, config)
    if "spans" in test:
        off = time_errors(log_probs, texts, test, config["alphabet"], model.frame_samples / config["rate_hz"])
        if len(off):
            metrics["time_error_s"] = round(float(off.mean()), DIGITS)
            words = f"In utterances that are heard right, the middle of a word lies {off.mean():.3f} s on average from "
            page.append(text(words + f"where it is truly said, at most {np.quantile(off, 0.95):.3f} s in 95 of 100."))
    errors = scores.count_errors(references, texts)
    page += [*baseline_blocks(metrics), *by_word(errors, references)]
    page += by_length(errors, test.ragged("sound").lengths / config["rate_hz"])
    if trained.prepared.manifest["speakers"]:
        page += by_speaker(errors, test.strings("speaker")[:])
    ranked = np.argsort(-errors.wrong / errors.words, kind="stable")
    order = [row for row in ranked.tolist() if errors.wrong[row]][: chosen.num_worst]
    page += worst(trained, order, references, texts, model.features)
    rows = zip(test.strings("id"), references, texts, strict=True)
    write_tsv(trained.project.results("evaluate") / "predictions.csv", ("id", "reference", "hypothesis"), rows)
    leave_evaluation(trained, metrics, page, blocks.headline(metrics), seconds)


def figures_block(metrics: dict[str, Any], config: dict[str, Any]) -> list[Block]:
    """The rate by its kinds, what decoding adds, and what is compared."""
    names = {
        "Substitutions": "substitution_error_rate",
        "Deletions": "deletion_error_rate",
        "Insertions": "insertion_error_rate",
        "Character error rate": "character_error_rate",
        "Word error rate of the most probable path": "greedy_error_rate",
        "Utterances without an error": "exact_match_accuracy",
        "Outputs that say nothing (blank)": "blank_rate",
    }
    decoding = "the most probable path is read"
    if config["beam"] > 1:
        decoding = f"the {config['beam']} most probable texts are followed"
    if config["word_weight"]:
        decoding += f", with how often words follow each other in train at a weight of {config['word_weight']:g}"
    intro = (
        f"Errors are counted per word of the references, of which there are {metrics['num_words']:,}: {decoding}. Both "
        "sides are normalised alike: composed (NFKC), in small letters, without punctuation but apostrophes in words."
    )
    rows = [[name, metrics[key]] for name, key in names.items()]
    return [section("Figures"), table(["Figure", "Value"], rows, intro=intro)]


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
