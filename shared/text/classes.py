"""Labelled texts of any form -> the splits that training reads (see columns.py), for every text classifier.

N texts, L tokens, K classes.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.core.errors import Problems, UserError
from shared.core.files import replace_folder
from shared.core.paths import show
from shared.data.columns import Columns, Ragged, write_columns
from shared.data.prepared import SPLITS, write_manifest
from shared.data.source import source_of
from shared.data.split import hold_out
from shared.text.files import Text, guess_columns, read_folder
from shared.text.params import PrepareTexts
from shared.text.pretrained import find_checkpoint
from shared.text.tokens import (
    TOKENIZERS,
    Encoder,
    Vocabulary,
    WordEncoder,
    checkpoint_pieces,
    lower_words,
    train_pieces,
    write_vectors,
)

ENCODER = "encoder.json"
UPDATES = 1000  # what is suggested: about what the sample takes
MOST_TOKENS = 512  # and as many tokens of a text at most: more cost more than they tell


@dataclass(frozen=True)
class TextClasses:
    """Everything read: where it is from, class names, and the texts of each split; valid may be missing."""

    source: str
    classes: list[str]
    splits: dict[str, list[Text]]

    @property
    def num_shared(self) -> int:
        """Texts of test that stand in train or valid as well, word for word: what a model may know by heart."""
        known = {text.text for name, split in self.splits.items() if name != "test" for text in split}
        return sum(text.text in known for text in self.splits["test"])


def read(root: Path, params: PrepareTexts) -> TextClasses:
    """Reads a file or a folder (see text_files.py). Raises one UserError with everything that is wrong."""
    if not root.exists():
        raise UserError(f"{show(root)}: no such file or folder", fix="run the fetch stage, or put your data there")
    problems = Problems(show(root))
    texts = read_folder(root, params.text_column, params.label_column, problems)
    classes = _classes(texts)
    _check_classes(root, texts, classes, problems)
    problems.raise_if_any(fix="mend or remove these; data/README.md says which forms are accepted")
    return TextClasses(source_of(root), classes, _divide(texts, classes, params))


def _classes(texts: Sequence[Text]) -> list[str]:
    """Class names in alphabetical order; whole numbers in theirs."""
    names = {text.label for text in texts}
    numbers = all(name.lstrip("-").isascii() and name.lstrip("-").isdigit() for name in names)
    return sorted(names, key=lambda name: (int(name), name)) if numbers else sorted(names)


def _check_classes(root: Path, texts: Sequence[Text], classes: Sequence[str], problems: Problems) -> None:
    trained = {text.label for text in texts if text.split in ("train", None)}
    if not texts and not problems.found:
        problems.add(show(root), "no texts; expected .csv, .tsv or .jsonl files, or <class>/<name>.txt")
    elif texts and not trained:
        problems.add(show(root), "no texts to train on")
    elif len(classes) == 1:
        problems.add(show(root), f"one label only ({classes[0]!r}), expected two or more")
    for split in ("valid", "test"):
        counts = Counter(text.label for text in texts if text.split == split)
        for name in sorted(set(counts) - trained) if trained else ():
            first = next(text.id for text in texts if text.split == split and text.label == name)
            problems.add(f"label {name!r}", f"{counts[name]} in {split} (first: {first}), but missing in train")


def _divide(texts: Sequence[Text], classes: Sequence[str], params: PrepareTexts) -> dict[str, list[Text]]:
    """The splits as given, the missing ones drawn from train, test first; an empty one is left out.

    Copies of a text stay together: the draw depends on the text alone.
    """
    named = np.array([text.split or "train" for text in texts])
    labels = np.array([classes.index(text.label) for text in texts])
    for name, fraction in (("test", params.test_fraction), ("valid", params.valid_fraction)):
        if not (named == name).any():
            rest = np.flatnonzero(named == "train")
            keys = [texts[index].text for index in rest.tolist()]
            named[rest[hold_out(keys, labels[rest], fraction, params.seed, name)]] = name
    splits = {name: [texts[index] for index in np.flatnonzero(named == name).tolist()] for name in SPLITS}
    return {name: split for name, split in splits.items() if split}


# --- what suits ---------------------------------------------------------------------------------------------------


def suggest(root: Path) -> dict[str, Any]:
    """Params that suit a file or folder of texts: columns, length, vocabulary, batch and epochs from what is in it.

    Raises one UserError with everything that is wrong.
    """
    if not root.exists():
        raise UserError(f"{show(root)}: no such file or folder")
    text_column, label_column = guess_columns(root)
    params = PrepareTexts(
        seed=0, text_column=text_column, label_column=label_column, valid_fraction=0.1, test_fraction=0.2,
        tokenizer="lower_words", checkpoint="", max_words=30_000, min_count=1, vectors="", max_tokens=MOST_TOKENS,
    )  # fmt: skip
    texts = read(root, params).splits["train"]
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
        "train.epochs": float(np.clip(round(UPDATES * batch / total), 4, 40)),
    }


# --- writing ------------------------------------------------------------------------------------------------------


def make_encoder(texts: Sequence[str], params: PrepareTexts) -> Encoder:
    """The encoder that params ask for; its vocabulary is that of the training texts given, or the checkpoint's own."""
    if params.tokenizer == "checkpoint":
        return checkpoint_pieces(find_checkpoint(params.checkpoint))
    if params.tokenizer == "pieces":
        return train_pieces(texts, params.max_words, params.min_count)
    words = ((token.text for token in TOKENIZERS[params.tokenizer](text)) for text in texts)
    return WordEncoder(params.tokenizer, Vocabulary.build(words, params.max_words, params.min_count))


def vocabulary_of(encoder: Encoder) -> list[str]:
    """The words that vectors are looked up for. Raises UserError for an encoder of pieces, which has none."""
    if not isinstance(encoder, WordEncoder):
        raise UserError("prepare.vectors: are of whole words", fix='prepare.tokenizer=lower_words, or vectors: ""')
    return encoder.vocabulary.words


def write(folder: Path, data: TextClasses, params: PrepareTexts) -> dict[str, Any]:
    """Replaces the prepared folder, whole or not at all, and returns the manifest.

    encoder.json          what turns texts into ids, see text.py
    <split>/              columns: id, text, label (N,) int64, tokens (L,) int32; for test spans (L, 2) int32, where the
                          tokens lie in the text, and evidence (L,) bool, where the data says what decides
    """
    encoder = make_encoder([text.text for text in data.splits["train"]], params)
    with replace_folder(folder) as new:
        splits = {
            name: _write_split(new / name, split, data.classes, encoder, params) for name, split in data.splits.items()
        }
        manifest: dict[str, Any] = {
            "source": data.source,
            "classes": data.classes,
            "max_tokens": params.max_tokens,
            "num_tokens": len(encoder),
            "checkpoint": params.checkpoint if params.tokenizer == "checkpoint" else None,
            "num_shared": data.num_shared,
            "splits": splits,
        }
        if params.vectors:
            manifest |= write_vectors(new, params.vectors, vocabulary_of(encoder))
        (new / ENCODER).write_text(json.dumps(encoder.config, ensure_ascii=False, indent=0), encoding="utf-8")
        write_manifest(new, manifest)
    return manifest


def read_encoder(prepared: Path) -> dict[str, Any]:
    """The config that `shared.text.tokens.load_encoder` takes."""
    config: dict[str, Any] = json.loads((prepared / ENCODER).read_text(encoding="utf-8"))
    return config


def _write_split(
    folder: Path, texts: Sequence[Text], classes: Sequence[str], encoder: Encoder, params: PrepareTexts
) -> dict[str, Any]:
    encoded = list(encoder.encode((text.text for text in texts), params.max_tokens))
    columns: Columns = {
        "id": [text.id for text in texts],
        "text": [text.text for text in texts],
        "label": np.array([classes.index(text.label) for text in texts], np.int64),
        "tokens": Ragged.of([one.ids for one in encoded], np.int32),
    }
    if folder.name == "test":  # what explaining needs
        columns["spans"] = Ragged.of([one.spans for one in encoded], np.int32)
    if folder.name == "test" and any(text.evidence is not None for text in texts):
        decides = [_overlap(one.spans, text.evidence or []) for one, text in zip(encoded, texts, strict=True)]
        columns["evidence"] = Ragged.of(decides, bool)
    cut = [one.num_cut for one in encoded]
    total = sum(cut) + sum(len(one.ids) for one in encoded)
    counts = {"num_truncated": sum(num > 0 for num in cut), "truncated_share": round(sum(cut) / total, 6)}
    unknown = sum(ids.count(encoder.blank) for ids, *_ in encoded)
    return write_columns(folder, columns) | counts | {"unknown_share": round(unknown / (total - sum(cut)), 6)}


def _overlap(tokens: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Which tokens have a letter in one of the spans."""
    return [any(start < end_ and start_ < end for start_, end_ in spans) for start, end in tokens]


def describe(data: TextClasses, manifest: dict[str, Any]) -> Iterator[str]:
    """What a person would check: texts of each class in each split, unknown words, what was cut off or stands twice."""
    width = max(len(name) for name in [*data.classes, "texts"])
    yield f"{data.source}, {len(data.classes)} classes, {manifest['num_tokens']:,} different tokens"
    yield " ".join([" " * width, *(f"{name:>7}" for name in data.splits)])
    counts = {name: Counter(text.label for text in split) for name, split in data.splits.items()}
    for label in data.classes:
        yield " ".join([f"{label:<{width}}", *(f"{count[label]:>7,}" for count in counts.values())])
    yield " ".join([f"{'texts':<{width}}", *(f"{len(split):>7,}" for split in data.splits.values())])
    for name, split in manifest["splits"].items():
        yield (
            f"{name}: {split['unknown_share']:.1%} of the tokens unknown; {split['num_truncated']:,} texts cut at "
            f"{manifest['max_tokens']} tokens, {split['truncated_share']:.1%} of all tokens lost"
        )
    if data.num_shared:
        yield f"{data.num_shared} texts of test stand in train or valid as well: a model may know them by heart"
