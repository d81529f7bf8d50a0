"""Prepare stage: data/raw/conll_ner/ -> data/prepared/conll_ner/ (numbers for training).

    python -m projects.conll_ner.prepare                               # as params.yaml says
    python -m projects.conll_ner.prepare prepare.join_sentences=true   # sentences of a document share context

Accepts, and detects automatically:
    <name>.{txt,conll,tsv,bio,...}   a word per line with its tag in IOB1, BIO or BIOES, or its type alone; .gz too
    <name>.csv                       a word per row in named columns, such as Sentence #, Word, Tag
    <name>.{jsonl,json}              a text per record: {"text": "...", "spans": [{"start": 0, "end": 5, "label": "X"}]}
                                     also as doccano, Label Studio, Prodigy export it; or a list of words, one of tags
    a file, or any folder of files   a file's name, or else its folder's, may hold its split: train; valid, val, dev,
                                     testa; test, testb

What has no valid or test file is split by prepare.valid_fraction and prepare.test_fraction, by the text of documents.
Everything wrong with the data is listed at once, and nothing is written then.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torchtext is imported, which takes seconds

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.core.cli import load_params, run_stage
from shared.core.errors import Problems, UserError
from shared.core.paths import Project, show
from shared.core.predict import printable
from shared.data.source import source_of
from shared.data.split import divide
from shared.data.table import Column, Ragged
from shared.report.prepared import leave_prepared
from shared.text.files import Text
from shared.text.pretrained import find_checkpoint
from shared.text.tokens import checkpoint_pieces

from .cutting import Cutting, Mark, Sentence, learn, sentence_of
from .data import Features, PieceFeatures, Sequences, WordFeatures
from .formats import read_folder, split_of
from .params import Params, Prepare
from .tags import entities, tag_names

WORDS = "words"  # prepare.encoder: the vocabulary of train, and no checkpoint
UPDATES = 600  # about how many are suggested
BATCH = 800  # tokens, suggested
MOST_LINES, MOST_TYPES, NUM_SHOWN = 4, 12, 3  # lines of one kind, types and sentences that are printed


@dataclass(frozen=True)
class Annotated:
    """Everything read: sample, official or own; types of entities in alphabetical order; sentences of each split, and
    how text is cut into their words."""

    source: str
    classes: list[str]
    splits: dict[str, list[Sentence]]
    cutting: Cutting


def read(root: Path, params: Prepare) -> Annotated:
    """All of the raw data; prints what was taken for what. Raises one UserError with everything that is wrong."""
    if not root.exists():
        raise UserError(f"{show(root)}: no such folder", fix="run the fetch stage, or put your data there")
    problems, notes = Problems(show(root)), Problems(show(root))
    texts, summary = read_folder(root, problems, notes)
    problems.raise_if_any(fix="fix these lines; data/README.md says which forms are accepted")
    of_document: dict[str, list[str]] = defaultdict(list)
    for one in texts:
        of_document[one.document].append(one.text)
    whole = {document: "\n".join(lines) for document, lines in of_document.items()}
    named = [split_of(one.id) for one in texts]
    given = ["train" if split == "valid" and params.learn_from_valid else split for split in named]
    rows = divide(
        given,
        [whole[one.document] for one in texts],
        fractions={"test": params.test_fraction, "valid": 0 if params.learn_from_valid else params.valid_fraction},
        seed=params.seed,
    )
    for name in ("train", "test"):
        if not any(texts[row].marks for row in rows[name].tolist()):
            raise UserError(f"{show(root)}: no entity in {name}", expected="tags such as B-PER, or spans")
    cutting = learn([texts[row] for row in rows["train"].tolist()])
    splits = {name: [sentence_of(texts[row], cutting) for row in chosen.tolist()] for name, chosen in rows.items()}
    types = Counter(mark.label for one in texts for mark in one.marks)
    for line in [*_first(notes.found), *_first(summary), *filter(None, [str(cutting)]), *taken(splits["train"], types)]:
        print(printable(line))
    return Annotated(source_of(root), sorted(types), splits, cutting)


def annotated_texts(root: Path, problems: Problems, notes: Problems) -> list[Text]:
    """All texts for the data check, each with what is marked in it as its class."""
    texts, summary = read_folder(root, problems, notes)
    types = Counter(mark.label for one in texts for mark in one.marks)
    if texts and not types:
        problems.add(show(root), "no entity in it, expected tags such as B-PER, or spans")
    notes.found += summary + [f"entities: {', '.join(_counted(types))}"] * bool(types)
    return [Text(one.id, one.text, _marked(one.text, one.marks), split_of(one.id)) for one in texts]


def _marked(text: str, marks: Sequence[Mark]) -> str:
    """What is marked in a text: the same for copies that differ in case and white space alone."""
    names = (f"{' '.join(text[mark.start : mark.end].casefold().split())} = {mark.label}" for mark in marks)
    return ", ".join(names) or "nothing"


def _counted(types: Counter[str]) -> list[str]:
    more = [f"and {len(types) - MOST_TYPES} more types"] if len(types) > MOST_TYPES else []
    return [f"{label} {number:,}" for label, number in types.most_common(MOST_TYPES)] + more


def _first(lines: Sequence[str]) -> list[str]:
    rest = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"... and {rest:,} more"] if rest > 0 else [])]


def taken(train: Sequence[Sentence], types: Counter[str]) -> list[str]:
    """The types with their counts, and the first sentences with entities: so that a person sees what was read."""
    lines = [f"entities: {', '.join(_counted(types))}"]
    for one in [one for one in train if entities(one.tags)][:NUM_SHOWN]:
        names = [(" ".join(one.words[start:end]), label) for start, end, label in entities(one.tags)]
        listed = ", ".join(f"{_short(name, 40)} = {label}" for name, label in names[:4])
        lines.append(f"  {_short(one.text, 60)}  {listed}")
    return lines


def _short(text: str, size: int) -> str:
    """One line of at most this many characters; textwrap.shorten shows nothing of a long text without spaces."""
    line = " ".join(text.split())
    return line if len(line) <= size else f"{line[: size - 6]} [...]"


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
    leave_prepared(
        folder,
        splits,
        manifest,
        [rows],
        params,
        counts=counts,
        files={"features.json": {**features.config, **data.cutting.config}},
    )


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit annotated text of one's own. Raises one UserError with everything that is wrong."""
    train = read(root, load_params(Params, __file__, []).prepare).splits["train"]
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
