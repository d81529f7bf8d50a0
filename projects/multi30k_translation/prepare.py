"""Prepare stage: data/raw/multi30k_translation/ -> data/prepared/multi30k_translation/ (numbers for training).

    python -m projects.multi30k_translation.prepare                                  # as params.yaml says
    python -m projects.multi30k_translation.prepare prepare.source_language=de prepare.target_language=en
    python -m projects.multi30k_translation.prepare prepare.pieces=Helsinki-NLP/opus-mt-en-de     # a checkpoint's

Accepts, and detects automatically, for the languages en and de:
    <name>.en, <name>.de             two files, a sentence a line, aligned; <name> may be train, valid or test
    <name>.tsv                       source, target and, if wanted, notes a line; with names of columns or without
    <name>.jsonl                     {"en": "...", "de": "..."}, or source and target, or these under "translation"
    <name>.tmx                       translation memories

Any of them may be gzipped (.gz), UTF-8 or UTF-16. A line is what \\n or \\r\\n ends, and nothing else. What has no
valid or test split is split by prepare.valid_fraction and prepare.test_fraction; copies of a source stay together.
Pairs that would harm training are left out and counted. Everything wrong is listed at once; nothing is written then.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before libraries are imported, which takes seconds

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.core.cli import load_params, run_stage
from shared.core.errors import Problems, UserError
from shared.core.paths import Project, show
from shared.data.source import source_of
from shared.data.split import divide
from shared.data.table import Column, Ragged
from shared.report.prepared import leave_prepared
from shared.text.tokens import Encoded

from .checkpoint import pieces_of
from .cleaning import REASONS, TOO_LONG, check_sides, clean, plain
from .pairs import Pair, languages_of, read_pairs
from .params import Params, Prepare
from .pieces import LEARNED, PIECES, learn_pieces

UPDATES, BATCH = 1500, 4096  # what is suggested: about what the sample takes


@dataclass(frozen=True)
class Read:
    """Everything read: sample, official or own; the pairs of each split, plain; how many were left out of each, and
    why; what was guessed."""

    source: str
    splits: dict[str, list[Pair]]
    left_out: dict[str, Counter[str]]
    notes: list[str]


def read(root: Path, params: Prepare) -> Read:
    """All of the raw data. Raises one UserError with everything that is wrong."""
    if not root.exists():
        raise UserError(f"{show(root)}: no such file or folder", fix="run the fetch stage, or put your data there")
    problems, notes = Problems(show(root)), Problems(show(root))
    languages = params.source_language, params.target_language
    pairs = read_pairs(root, languages, problems, notes)
    for name in dict.fromkeys(pair.file for pair in pairs):
        check_sides(name, [pair for pair in pairs if pair.file == name], languages, problems)
    problems.raise_if_any(fix="fix or remove these; prepare --help says which forms are accepted")
    pairs = [pair._replace(source=plain(pair.source), target=plain(pair.target)) for pair in pairs]
    rows = divide(
        [pair.split for pair in pairs],
        [pair.source for pair in pairs],
        fractions={"test": params.test_fraction, "valid": params.valid_fraction},
        seed=params.seed,
    )
    splits, left_out = clean(
        {name: [pairs[row] for row in chosen.tolist()] for name, chosen in rows.items()}, params.max_ratio
    )
    for name in [name for name, kept in splits.items() if not kept]:
        reasons = "; ".join(f"{REASONS[key]}: {count:,}" for key, count in left_out[name].items())
        raise UserError(f"{show(root)}: no pair of {name} can be used ({reasons})", expected="some sentences")
    return Read(source_of(root), splits, left_out, notes.found)


def columns_of(rows: Sequence[tuple[Pair, Encoded, Encoded]]) -> dict[str, Column]:
    """The prepared form of a split: pairs, and their sides in pieces."""
    columns: dict[str, Column] = {
        "id": [pair.id for pair, _, _ in rows],
        "source_text": [pair.source for pair, _, _ in rows],
        "target_text": [pair.target for pair, _, _ in rows],
        "source": Ragged.of([source.ids for _, source, _ in rows], np.int32),
        "target": Ragged.of([target.ids for _, _, target in rows], np.int32),
    }
    known = [pair.known for pair, _, _ in rows if pair.known]
    if len(known) == len(rows):
        columns["alignment"] = Ragged.of([fact["alignment"] for fact in known], np.int32)
        columns["values"] = ["\n".join(fact["values"]) for fact in known]
    return columns


def write(folder: Path, data: Read, params: Prepare) -> None:
    """Replaces the prepared folder, whole or not at all, and prints the counts."""
    languages, learned = (params.source_language, params.target_language), params.pieces in LEARNED
    texts = (text for pair in data.splits["train"] for text in (pair.source, pair.target))
    pieces = learn_pieces(texts, params.pieces, params.num_pieces) if learned else pieces_of(params.pieces, languages)
    splits, left_out, cut = dict[str, dict[str, Column]](), dict(data.left_out), dict[str, int]()
    for name, pairs in data.splits.items():
        sources = pieces.encode([pair.source for pair in pairs], params.max_tokens)
        targets = pieces.encode([pair.target for pair in pairs], params.max_tokens, target=True)
        rows = list(zip(pairs, sources, targets, strict=True))
        whole = [row for row in rows if not row[1].num_cut + row[2].num_cut]
        if name == "train":  # from a target that is cut off a model would learn to end there
            left_out[name] = left_out[name] + Counter({TOO_LONG: len(rows) - len(whole)})
            rows = whole
        cut[name] = len(rows) - len(whole)
        if not rows:
            raise UserError(f"prepare.max_tokens: {params.max_tokens}, but every pair has more", fix="a larger one")
        splits[name] = columns_of(rows)
    kept = {name: len(columns["id"]) for name, columns in splits.items()}
    counts: dict[str, dict[str, int]] = {
        "pairs read": {name: count + left_out[name].total() for name, count in kept.items()},
        **{f"left out: {why}": {name: left_out[name][key] for name in splits} for key, why in REASONS.items()},
        "pairs": kept,
        "with a side that is cut off": cut,
    }
    for side in ("source", "target"):
        counts[f"{side} tokens"] = {name: len(columns[side].values) for name, columns in splits.items()}  # type: ignore
    manifest: dict[str, Any] = {
        "source": data.source,
        "languages": languages,
        "max_tokens": params.max_tokens,
        "checkpoint": "" if learned else params.pieces,
    }
    sentences = [f"{len(pieces):,} pieces, of both languages together ({params.pieces}).", *data.notes[:5]]
    leave_prepared(folder, splits, manifest, [*sentences, counts], params, files={PIECES: pieces.config})


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit sentence pairs of one's own. Raises one UserError with everything that is wrong."""
    source, target = languages_of(root)
    params = load_params(Params, __file__, []).prepare
    params = params.model_copy(update={"source_language": source, "target_language": target})
    tokens = sum(len(pair.source) + len(pair.target) for pair in read(root, params).splits["train"]) // 3
    return {
        "prepare.source_language": source,
        "prepare.target_language": target,
        "prepare.num_pieces": 600 if tokens < 400_000 else 4000,
        "train.epochs": float(min(max(4, round(UPDATES * BATCH / max(1, tokens))), 60)),
    }


def main(params: Params) -> None:
    """Reads everything, and only then replaces the prepared data."""
    project = Project.of(__file__)
    write(project.prepared, read(project.raw, params.prepare), params.prepare)


if __name__ == "__main__":
    run_stage(main, Params, __file__)
