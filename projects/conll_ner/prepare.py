"""Prepare stage: data/raw/conll_ner/ -> data/prepared/conll_ner/ (numbers for training).

    python -m projects.conll_ner.prepare                               # as params.yaml says
    python -m projects.conll_ner.prepare prepare.join_sentences=true   # sentences of a document share context

Accepts, and detects automatically:
    <name>.{txt,conll,tsv,bio,iob}   a word per line, first the word, last its tag in IOB1, BIO or BIOES; .gz too
    <name>.jsonl                     a text per line: {"text": "...", "spans": [{"start": 0, "end": 5, "label": "PER"}]}
    a file, or any folder of files   a file's name may hold its split: train; valid, val, dev, testa; test, testb

What has no valid or test file is split by prepare.valid_fraction and prepare.test_fraction, by the text of documents.
Everything wrong with the data is listed at once, and nothing is written then.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torchtext is imported, which takes seconds

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.core.cli import run_stage
from shared.core.errors import MAX_LISTED, Problems, UserError
from shared.core.paths import Project, show
from shared.data.source import source_of
from shared.data.split import divide
from shared.data.table import Column, Ragged
from shared.report.prepared import leave_prepared
from shared.text.pretrained import find_checkpoint
from shared.text.tokens import checkpoint_pieces

from .data import Features, PieceFeatures, Sequences, WordFeatures
from .formats import Sentence, read_folder
from .params import Params, Prepare
from .tags import entities, tag_names

WORDS = "words"  # prepare.encoder: the vocabulary of train, and no checkpoint
UPDATES = 600  # about how many are suggested
BATCH = 800  # tokens, suggested


@dataclass(frozen=True)
class Annotated:
    """Everything read: sample, official or own; types of entities in alphabetical order; sentences of each split."""

    source: str
    classes: list[str]
    splits: dict[str, list[Sentence]]


def read(root: Path, params: Prepare) -> Annotated:
    """All of the raw data. Raises one UserError with everything that is wrong."""
    if not root.exists():
        raise UserError(f"{show(root)}: no such folder", fix="run the fetch stage, or put your data there")
    problems, notes = Problems(show(root)), Problems(show(root))
    sentences = read_folder(root, problems, notes)
    problems.raise_if_any(fix="fix these lines; data/README.md says which forms are accepted")
    for note in notes.found[:MAX_LISTED]:
        print(note)
    if len(notes.found) > MAX_LISTED:
        print(f"... and {len(notes.found) - MAX_LISTED} more")
    texts: dict[str, list[str]] = {}
    for one in sentences:
        texts.setdefault(one.document, []).append(one.text)
    given = ["train" if one.split == "valid" and params.learn_from_valid else one.split for one in sentences]
    rows = divide(
        given,
        ["\n".join(texts[one.document]) for one in sentences],
        fractions={"test": params.test_fraction, "valid": 0 if params.learn_from_valid else params.valid_fraction},
        seed=params.seed,
    )
    splits = {name: [sentences[row] for row in chosen.tolist()] for name, chosen in rows.items()}
    for name in ("train", "test"):
        if not any(entities(one.tags) for one in splits[name]):
            raise UserError(f"{show(root)}: no entity in {name}", expected="tags such as B-PER, or spans")
    classes = sorted({entity.label for one in sentences for entity in entities(one.tags)})
    return Annotated(source_of(root), classes, splits)


def columns_of(sentences: Sequence[Sentence], features: Features, classes: Sequence[str]) -> dict[str, Column]:
    """The prepared form of a split, a row a sentence: id, text, document (N,) int64; for each word its span (2,),
    tokens (F,), tag and, where the data says what decides, evidence."""
    place = {tag: number for number, tag in enumerate(tag_names(classes))}
    documents = {name: number for number, name in enumerate(dict.fromkeys(one.document for one in sentences))}
    columns: dict[str, Column] = {
        "id": [one.id for one in sentences],
        "text": [one.text for one in sentences],
        "document": np.array([documents[one.document] for one in sentences], np.int64),
        "span": Ragged.of([one.spans for one in sentences], np.int32),
        "tokens": Ragged.of([features.encode(one.words) for one in sentences], np.int32),
        "tags": Ragged.of([[place[tag] for tag in one.tags] for one in sentences], np.int64),
    }
    if any(one.evidence is not None for one in sentences):
        columns["evidence"] = Ragged.of([one.evidence or [0] * len(one.tags) for one in sentences], np.int32)
    return columns


def counts_of(
    sentences: Sequence[Sentence], columns: dict[str, Any], features: Features, config: dict[str, Any]
) -> dict[str, Any]:
    """What a person would check: words, entities of each type, and how many sentences are longer than max_tokens."""
    sequences = Sequences(columns["tokens"], columns["document"], features, config)
    return {
        "sentences": len(sentences),
        "sequences": len(sequences.tokens.lengths),
        "words": len(sequences.places),
        "cut_sentences": len(np.unique(np.searchsorted(columns["tokens"].offsets, sequences.cuts))),
        "entities": Counter(entity.label for one in sentences for entity in entities(one.tags)),
    }


def write(folder: Path, data: Annotated, params: Prepare) -> None:
    """Replaces the prepared folder, whole or not at all, and prints the counts."""
    features: Features
    if params.encoder == WORDS:
        train = [one.words for one in data.splits["train"]]
        features = WordFeatures.build(train, params.max_words, params.min_count)
    else:
        features = PieceFeatures(checkpoint_pieces(find_checkpoint(params.encoder)), params.encoder)
    manifest: dict[str, Any] = {"source": data.source, "classes": data.classes, "max_tokens": params.max_tokens}
    manifest["join_sentences"] = params.join_sentences
    splits = {name: columns_of(sentences, features, data.classes) for name, sentences in data.splits.items()}
    counts = {name: counts_of(data.splits[name], splits[name], features, manifest) for name in splits}
    keys = "sentences", "sequences", "words", "cut_sentences"
    rows = {key.replace("_", " "): {name: split[key] for name, split in counts.items()} for key in keys}
    rows |= {label: {name: split["entities"][label] for name, split in counts.items()} for label in data.classes}
    leave_prepared(folder, splits, manifest, [rows], params, counts=counts, files={"features.json": features.config})


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit annotated text of one's own. Raises one UserError with everything that is wrong."""
    params = Prepare(
        seed=0, encoder=WORDS, max_tokens=400, join_sentences=False, valid_fraction=0.1, test_fraction=0.2,
        learn_from_valid=False, max_words=50_000, min_count=1,
    )  # fmt: skip
    train = read(root, params).splits["train"]
    num_words = sum(len(one.words) for one in train)
    batch = min(max(64, num_words // 20), BATCH)
    return {
        "prepare.join_sentences": len({one.document for one in train}) < len(train),
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.epochs": float(min(max(4, round(UPDATES * batch / num_words)), 60)),
    }


def main(params: Params) -> None:
    """Reads everything, and only then replaces the prepared data."""
    project = Project.of(__file__)
    write(project.prepared, read(project.raw, params.prepare), params.prepare)


if __name__ == "__main__":
    run_stage(main, Params, __file__)
