"""Labelled texts of any form -> prepared tables, for every text classifier.

N texts, L tokens, K classes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shared.core.errors import Problems, UserError
from shared.core.paths import Project, show
from shared.core.predict import printable
from shared.data.labels import check_classes, class_names
from shared.data.source import source_of
from shared.data.split import divide
from shared.data.table import Column, Ragged
from shared.report.prepared import Counts, leave_prepared
from shared.text.copies import equal_texts, find_contradictions, find_near_copies
from shared.text.files import Text, guess_columns, read_folder
from shared.text.params import PrepareTexts
from shared.text.pretrained import find_checkpoint
from shared.text.tokens import (
    ENCODER,
    TOKENIZERS,
    Encoded,
    Encoder,
    Vocabulary,
    WordEncoder,
    checkpoint_pieces,
    lower_words,
)

_UPDATES = 1000  # what is suggested: about what the sample takes
MOST_TOKENS = 512  # suggested per text at most: more cost more than they help
MOST_NOTES = 5


@dataclass(frozen=True)
class LabelledTexts:
    """Everything read: where it is from, class names, the texts of each split (valid may be missing), and what was
    guessed or left out."""

    source: str
    classes: list[str]
    splits: dict[str, list[Text]]
    notes: list[str] = field(default_factory=list)

    @property
    def num_shared(self) -> int:
        """Texts of test that occur in train or valid as well, word for word: a model may have memorised them."""
        known = {text.text for name, split in self.splits.items() if name != "test" for text in split}
        return sum(text.text in known for text in self.splits["test"])


def read(root: Path, params: PrepareTexts) -> LabelledTexts:
    """Reads a file or a folder (see files.py). Raises one UserError with everything that is wrong."""
    if not root.exists():
        raise UserError(f"{show(root)}: no such file or folder", fix="run the fetch stage, or put your data there")
    problems, notes = Problems(show(root)), Problems(show(root))
    texts = read_texts(root, params.text_column, params.label_column, problems, notes)
    classes = class_names(texts)
    problems.raise_if_any(fix="fix or remove these; data/README.md says which forms are accepted")
    first = [texts[place] for place in equal_texts([text.text for text in texts])]  # copies stay together,
    rows = divide(  # whatever their labels
        [text.split for text in texts],
        [text.text for text in first],
        fractions={"test": params.test_fraction, "valid": params.valid_fraction},
        seed=params.seed,
        labels=np.array([classes.index(text.class_name) for text in first]),
    )
    splits = {name: [texts[row] for row in chosen.tolist()] for name, chosen in rows.items()}
    left = len(notes.found) - MOST_NOTES
    return LabelledTexts(
        source_of(root), classes, splits, notes.found[:MOST_NOTES] + [f"... and {left} more"] * (left > 0)
    )


def read_texts(root: Path, text_column: str, label_column: str, problems: Problems, notes: Problems) -> list[Text]:
    """As `read_folder`; classes that cannot be learned are problems as well."""
    texts = read_folder(root, text_column, label_column, problems, notes)
    check_classes(root, texts, problems, what="texts", forms=".csv, .tsv, .jsonl or .json files, or <class>/<name>.txt")
    return texts


def find_doubts(data: LabelledTexts) -> list[str]:
    """What may make training or its figures wrong, a line each: contradictory labels, classes that test lacks, near
    copies in two splits."""
    texts = [text for split in data.splits.values() for text in split]
    places = [name for name, split in data.splits.items() for _ in split]
    found = []
    if several := find_contradictions([text.text for text in texts], [text.class_name for text in texts]):
        some = ", ".join(f"{texts[place].id} {texts[place].class_name!r}" for place in several[0][:3])
        found.append(f"{len(several):,} texts occur with more than one label, such as {some}")
    tested = {text.class_name for text in data.splits["test"]}
    if untested := [repr(name) for name in data.classes if name not in tested]:
        found.append(f"classes without a text in test, so not measured: {', '.join(untested[:5])}")
    near = [
        (texts[one], texts[other])
        for one, other in find_near_copies([text.text for text in texts], places)
        if places[other] == "test" and texts[one].text != texts[other].text
    ]
    if near:
        one, other = near[0]
        found.append(
            f"{len(near):,} texts of test are nearly the same as one of train or valid, such as {other.id} and "
            f"{one.id}: accuracy on them says little about new texts"
        )
    return found


def prepare(project: Project, params: PrepareTexts) -> None:
    """The whole prepare stage: reads everything, then replaces the prepared data, and prints the counts.

    Columns: id, text, label (N,) int64, tokens (L,) int32; for test spans (L, 2) int32, where the tokens lie in the
    text, and evidence (L,) bool, where the data has it. encoder.json turns texts into tokens (tokens.py).
    """
    data = read(project.raw, params)
    encoder = make_encoder([text.text for text in data.splits["train"]], params)
    splits: dict[str, dict[str, Column]] = {}
    counts: dict[str, dict[str, Any]] = {}
    for name, texts in data.splits.items():
        encoded = list(encoder.encode((text.text for text in texts), params.max_tokens))
        splits[name] = _columns(texts, encoded, data.classes, with_spans=name == "test")
        counts[name] = _counts(encoded, encoder)
    manifest = {
        "source": data.source,
        "classes": data.classes,
        "max_tokens": params.max_tokens,
        "num_tokens": len(encoder),
        "checkpoint": params.checkpoint if params.tokenizer == "checkpoint" else None,
        "num_shared": data.num_shared,
    }
    by_class = {name: Counter(text.class_name for text in split) for name, split in data.splits.items()}
    rows = {label: {name: count[label] for name, count in by_class.items()} for label in data.classes}
    rows["texts"] = {name: len(split) for name, split in data.splits.items()}
    page: list[str | Counts] = [*data.notes, rows, *_notes(data, manifest, counts), *find_doubts(data)]
    leave_prepared(project.prepared, splits, manifest, page, params, counts=counts, files={ENCODER: encoder.config})


def suggest(root: Path) -> dict[str, Any]:
    """Params that suit a file or folder of texts: columns, length, vocabulary, batch and epochs from what is in it.

    Prints what was taken for what, with counts and samples. Raises one UserError with everything that is wrong.
    """
    if not root.exists():
        raise UserError(f"{show(root)}: no such file or folder")
    problems, notes = Problems(show(root)), Problems(show(root))
    text_column, label_column = guess_columns(root, problems, notes)
    problems.raise_if_any()
    params = PrepareTexts(
        seed=0, text_column=text_column, label_column=label_column, valid_fraction=0.1, test_fraction=0.2,
        tokenizer="lower_words", checkpoint="", max_words=30_000, min_count=1, max_tokens=MOST_TOKENS,
    )  # fmt: skip
    data = read(root, params)
    print("\n".join([*notes.found, *data.notes, *_taken(data), *find_doubts(data)]))
    texts = data.splits["train"]
    lengths = np.array([len(lower_words(text.text)) for text in texts])
    max_tokens = int(np.clip(np.ceil(np.quantile(lengths, 0.99) / 16) * 16, 32, MOST_TOKENS))
    total = int(np.minimum(lengths, max_tokens).sum())
    batch = int(np.clip(total // 50, max(256, max_tokens), 16_384))
    return {
        "prepare.text_column": text_column,
        "prepare.label_column": label_column,
        "prepare.max_tokens": max_tokens,
        "prepare.min_count": 2 if len(texts) >= 1000 else 1,
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.epochs": float(np.clip(round(_UPDATES * batch / total), 4, 40)),
    }


def _taken(data: LabelledTexts) -> list[str]:
    """The classes with their counts, and a text of each of three."""
    texts = [text for split in data.splits.values() for text in split]
    counts = Counter(text.class_name for text in texts)
    shown = [f"{printable(name)} {counts[name]:,}" for name in data.classes[:8]]
    shown += [f"and {len(data.classes) - 8} more"] * (len(data.classes) > 8)
    lines = [f"{len(texts):,} texts of {len(data.classes)} classes: {', '.join(shown)}"]
    for name in data.classes[:3]:
        text = next(text.text for text in texts if text.class_name == name)
        lines.append(f"  {printable(name)}: {printable(' '.join(text[:200].split())[:60])}")
    return lines


def make_encoder(texts: Sequence[str], params: PrepareTexts) -> Encoder:
    """The encoder that params ask for; its vocabulary is that of the training texts given, or the checkpoint's own."""
    if params.tokenizer == "checkpoint":
        return checkpoint_pieces(find_checkpoint(params.checkpoint))
    words = ((token.text for token in TOKENIZERS[params.tokenizer](text)) for text in texts)
    return WordEncoder(params.tokenizer, Vocabulary.build(words, params.max_words, params.min_count))


def _columns(
    texts: Sequence[Text], encoded: Sequence[Encoded], classes: Sequence[str], with_spans: bool
) -> dict[str, Column]:
    columns: dict[str, Column] = {
        "id": [text.id for text in texts],
        "text": [text.text for text in texts],
        "label": np.array([classes.index(text.class_name) for text in texts], np.int64),
        "tokens": Ragged.of([one.ids for one in encoded], np.int32),
    }
    if with_spans:  # what explaining needs
        columns["spans"] = Ragged.of([one.spans for one in encoded], np.int32)
        if any(text.evidence is not None for text in texts):
            pairs = zip(encoded, texts, strict=True)
            columns["evidence"] = Ragged.of([_overlap(one.spans, text.evidence or []) for one, text in pairs], bool)
    return columns


def _overlap(tokens: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Which tokens have a character in one of the spans."""
    return [any(start < end_ and start_ < end for start_, end_ in spans) for start, end in tokens]


def _counts(encoded: Sequence[Encoded], encoder: Encoder) -> dict[str, Any]:
    """What was cut off, and the share of unknown tokens among those that were kept."""
    cut, kept = [one.num_cut for one in encoded], sum(len(one.ids) for one in encoded)
    unknown = sum(one.ids.count(encoder.unknown) for one in encoded) if encoder.unknown is not None else 0
    return {
        "num_truncated": sum(num > 0 for num in cut),
        "truncated_share": round(sum(cut) / (sum(cut) + kept), 6),
        "unknown_share": round(unknown / kept, 6),
    }


def _notes(data: LabelledTexts, manifest: dict[str, Any], counts: dict[str, dict[str, Any]]) -> list[str]:
    """Lines to check: unknown words, what was cut off or occurs twice."""
    found = [f"{manifest['num_tokens']:,} different tokens"]
    found += [
        f"{name}: {split['unknown_share']:.1%} of the tokens unknown; {split['num_truncated']:,} texts cut at "
        f"{manifest['max_tokens']} tokens, {split['truncated_share']:.1%} of all tokens lost"
        for name, split in counts.items()
    ]
    if data.num_shared:
        found.append(f"{data.num_shared} texts of test occur in train or valid too: a model may have memorised them")
    return found
