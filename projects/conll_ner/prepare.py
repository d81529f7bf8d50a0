"""Prepare stage: data/raw/conll_ner/ -> data/prepared/conll_ner/ (numbers for training).

    python -m projects.conll_ner.prepare                               # as params.yaml says
    python -m projects.conll_ner.prepare prepare.join_sentences=true   # what a document says elsewhere counts too

Accepts, and recognises by itself:
    <name>.{txt,conll,tsv,bio,iob}   a word a line, first the word, last its tag in IOB1, BIO or BIOES; .gz too
    <name>.jsonl                     a text a line: {"text": "...", "spans": [{"start": 0, "end": 5, "label": "PER"}]}
    a file, or any folder of files   a file's name may say its split: train; valid, dev, testa; test, testb

What has no valid or test file is split by prepare.valid_fraction and prepare.test_fraction, by the text of documents.
Everything wrong with the data is listed at once, and nothing is written then.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from shared.data.columns import write_columns

from shared.core.cli import run
from shared.core.errors import MAX_LISTED, Problems, UserError
from shared.core.files import replace_folder
from shared.core.paths import Project, show
from shared.data.prepared import SPLITS, write_manifest
from shared.data.source import NOTE, source_of
from shared.data.split import hold_out
from shared.text.pretrained import find_checkpoint
from shared.text.tokens import checkpoint_pieces, write_vectors

from .data import Features, PieceFeatures, WordFeatures, sequences, to_columns
from .formats import Sentence, find_files, read_files
from .params import Params, Prepare
from .tags import entities, tag_names

PROJECT = Project.of(__file__)
WORDS = "words"  # prepare.encoder: the vocabulary of train, and no checkpoint
UPDATES = 600  # about how many are suggested
BATCH = 800  # tokens, suggested


@dataclass(frozen=True)
class Annotated:
    """Everything read: where it is from, types of entities in alphabetical order, sentences of each split."""

    source: str
    classes: list[str]
    splits: dict[str, list[Sentence]]


def read(root: Path, params: Prepare) -> Annotated:
    """All of the raw data. Raises one UserError with everything that is wrong."""
    if not root.exists():
        raise UserError(f"{show(root)}: no such folder", fix="run the fetch stage, or put your data there")
    problems, notes = Problems(show(root)), Problems(show(root))
    paths, others = find_files(root)
    if not paths:
        problems.add("no files", "expected columns (.txt, .conll, .tsv) or spans (.jsonl)")
    sentences = read_files(paths, root, problems, notes)
    if paths and not problems.found and not any(tag != "O" for one in sentences for tag in one.tags):
        problems.add("tags", "no entity in any file, expected tags such as B-PER, or spans")
    splits = _divide(sentences, params)
    if sentences and not problems.found and not all(splits.get(name) for name in ("train", "test")):
        problems.add("splits", f"{len(sentences)} sentences make no train and test split, expected more documents")
    problems.raise_if_any(fix="mend these lines; data/README.md says which forms are accepted")
    for note in notes.found[:MAX_LISTED]:
        print(f"{note}; read as the begin of an entity")
    if len(notes.found) > MAX_LISTED:
        print(f"... and {len(notes.found) - MAX_LISTED} more")
    for path in others:
        if path.name != NOTE:
            print(f"left out, not annotated text: {show(path)}")
    classes = sorted({entity.label for one in sentences for entity in entities(one.tags)})
    return Annotated(source_of(root), classes, splits)


def _divide(sentences: list[Sentence], params: Prepare) -> dict[str, list[Sentence]]:
    """The splits as given, the missing ones drawn from train, whole documents, test first."""
    named = np.array([one.split or "train" for one in sentences], dtype=str)
    if params.learn_from_valid:
        named[named == "valid"] = "train"
    texts: dict[str, list[str]] = {}
    for one in sentences:
        texts.setdefault(one.document, []).append(one.text)
    keys = ["\n".join(texts[one.document]) for one in sentences]
    for name, fraction in (("test", params.test_fraction), ("valid", params.valid_fraction)):
        if not (named == name).any() and not (name == "valid" and params.learn_from_valid):
            rest = np.flatnonzero(named == "train")
            chosen = hold_out([keys[row] for row in rest], np.zeros(len(rest), int), fraction, params.seed, name)
            named[rest[chosen]] = name
    found = {name: [one for one, split in zip(sentences, named, strict=True) if split == name] for name in SPLITS}
    return {name: split for name, split in found.items() if split}


def make_features(data: Annotated, params: Prepare) -> Features:
    """What a word is to the model: from the words of train, or from a checkpoint's tokenizer."""
    if params.encoder == WORDS:
        return WordFeatures.build(data.splits["train"], params.max_words, params.min_count)
    return PieceFeatures(checkpoint_pieces(find_checkpoint(params.encoder)), params.encoder)


def vocabulary_of(features: Features) -> list[str]:
    """The words that vectors are looked up for. Raises UserError for a checkpoint, which has its own."""
    if not isinstance(features, WordFeatures):
        raise UserError("prepare.vectors: a checkpoint has its own", fix='prepare.encoder=words, or vectors: ""')
    return features.words.words


def write(folder: Path, data: Annotated, params: Prepare) -> dict[str, Any]:
    """Replaces the prepared folder, whole or not at all. Returns the manifest."""
    features = make_features(data, params)
    tags = tag_names(data.classes)
    with replace_folder(folder) as new:
        manifest: dict[str, Any] = {
            "source": data.source,
            "classes": data.classes,
            "max_tokens": params.max_tokens,
            "join_sentences": params.join_sentences,
            "splits": {},
        }
        for name, sentences in data.splits.items():
            found = sequences(sentences, features, params.max_tokens, params.join_sentences)
            counts = write_columns(new / name, to_columns(found, features, tags))
            manifest["splits"][name] = counts | _counts(sentences, found)
        if params.vectors:
            manifest |= write_vectors(new, params.vectors, vocabulary_of(features))
        (new / "features.json").write_text(json.dumps(features.config, ensure_ascii=False), encoding="utf-8")
        write_manifest(new, manifest)
    return manifest


def _counts(sentences: list[Sentence], found: list[Sentence]) -> dict[str, Any]:
    """What a person would check."""
    labels = Counter(entity.label for one in sentences for entity in entities(one.tags))
    return {
        "sentences": len(sentences),
        "words": sum(len(one.tags) for one in sentences),
        "entities": dict(sorted(labels.items())),
        "cut_sentences": len({one.id.split("+")[0] for one in found if "+" in one.id}),
    }


def describe(manifest: dict[str, Any]) -> Iterator[str]:
    """Sentences, words and entities of each split."""
    splits, classes = manifest["splits"], manifest["classes"]
    width = max(len(name) for name in [*classes, "sequences", "sentences"])
    yield f"{manifest['source']}, {len(classes)} types of entities"
    yield " ".join([" " * width, *(f"{name:>8}" for name in splits)])
    for key, name in (("count", "sequences"), ("sentences", "sentences"), ("words", "words")):
        yield " ".join([f"{name:<{width}}", *(f"{split[key]:>8,}" for split in splits.values())])
    for name in classes:
        yield " ".join([f"{name:<{width}}", *(f"{split['entities'].get(name, 0):>8,}" for split in splits.values())])
    for name, split in splits.items():
        if split["cut_sentences"]:
            yield f"{name}: {split['cut_sentences']} sentences longer than prepare.max_tokens were cut into pieces"


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit annotated text of one's own. Raises one UserError with everything that is wrong."""
    params = Prepare(
        seed=0, encoder=WORDS, max_tokens=400, join_sentences=False, valid_fraction=0.1, test_fraction=0.2,
        learn_from_valid=False, max_words=50_000, vectors="", min_count=1,
    )  # fmt: skip
    data = read(root, params)
    train = data.splits["train"]
    words = sum(len(one.tags) for one in train)
    batch = min(max(64, words // 20), BATCH)
    return {
        "prepare.join_sentences": len({one.document for one in train}) < len(train),
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.epochs": float(min(max(4, round(UPDATES * batch / words)), 60)),
    }


def main(params: Params) -> None:
    """Reads everything, and only then replaces the prepared data."""
    start = time.perf_counter()
    data = read(PROJECT.raw, params.prepare)
    manifest = write(PROJECT.prepared, data, params.prepare)
    for line in describe(manifest):
        print(line)
    print(f"prepare: -> {show(PROJECT.prepared)} in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
