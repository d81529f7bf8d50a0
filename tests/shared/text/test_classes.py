"""Labelled texts of every form become tokens and labels with exact values, or one list of everything that is wrong."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared.data.columns import Ragged, read_columns

from shared.core.errors import UserError
from shared.data.prepared import read_manifest
from shared.text import classes as text_classes
from shared.text.classes import read_encoder
from shared.text.params import PrepareTexts
from shared.text.tokens import VECTORS, load_encoder
from tests.empty_root import checkout, everything_below

__all__ = ["checkout"]

PREPARED = "data/prepared/own"
PARAMS = PrepareTexts(
    seed=0,
    text_column="text",
    label_column="label",
    valid_fraction=0.1,
    test_fraction=0.2,
    tokenizer="lower_words",
    checkpoint="",
    max_words=1000,
    min_count=1,
    vectors="",
    max_tokens=50,
)
FORMS = ("reviews.csv", "reviews.tsv", "reviews.jsonl", "reviews.csv.gz", "reviews.jsonl.gz", "folder", "split folder")


@pytest.fixture
def raw(checkout: Path) -> Path:
    folder = checkout / "data/raw/own"
    folder.mkdir(parents=True)
    return folder


def some_rows(num: int = 20, first: int = 0) -> list[tuple[str, str]]:
    return [(f"Review, number {number}", ("bad", "good")[number % 2]) for number in range(first, first + num)]


def table(rows: Sequence[Sequence[str]], name: str) -> bytes:
    if ".jsonl" in name:
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    elif ".tsv" in name:
        lines = ["text\tlabel", *("\t".join(row) for row in rows)]
    else:
        lines = ["label,text", *(f'{label},"{text}"' for text, label in rows)]
    data = ("\n".join(lines) + "\n").encode()
    return gzip.compress(data) if name.endswith(".gz") else data


def save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def save_as(raw: Path, form: str) -> None:
    if "folder" not in form:
        return save(raw / form, table(some_rows(), form))
    for number, (text, label) in enumerate(some_rows()):
        split = ("train", "test")[number >= 14] if "split" in form else "."
        save(raw / split / label / f"{number:02}.txt", text.encode())
    return None


def prepare(checkout: Path, **changes: Any) -> dict[str, Any]:
    params = PARAMS.model_copy(update=changes)
    return text_classes.write(checkout / PREPARED, text_classes.read(checkout / "data/raw/own", params), params)


def everything(checkout: Path) -> list[tuple[str, str]]:
    """All texts with their labels, of all splits."""
    manifest = read_manifest(checkout / PREPARED)
    found = []
    for name in manifest["splits"]:
        columns = read_columns(checkout / PREPARED, name)
        labels = [manifest["classes"][label] for label in np.asarray(columns["label"]).tolist()]
        found += list(zip(map(str, columns["text"]), labels, strict=True))
    return sorted(found)


# --- what is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_texts_and_labels(raw: Path, checkout: Path, form: str) -> None:
    save_as(raw, form)
    manifest = prepare(checkout)
    assert everything(checkout) == sorted(some_rows())
    assert (manifest["source"], manifest["classes"]) == ("own", ["bad", "good"])
    assert {name: split["count"] for name, split in manifest["splits"].items()} == (
        {"train": 12, "valid": 2, "test": 6} if "split" in form else {"train": 14, "valid": 2, "test": 4}
    )


def test_a_single_file_is_data_too(raw: Path, checkout: Path) -> None:
    save(raw / "reviews.csv", table(some_rows(), "reviews.csv"))
    assert len(text_classes.read(raw / "reviews.csv", PARAMS).splits["train"]) == 14


def test_tokens_and_spans_are_those_of_the_encoder(raw: Path, checkout: Path) -> None:
    save_as(raw, "reviews.csv")
    prepare(checkout)
    encoder = load_encoder(text_classes.read_encoder(checkout / PREPARED))
    test = read_columns(checkout / PREPARED, "test")
    tokens, spans = test["tokens"], test["spans"]
    assert isinstance(tokens, Ragged)
    assert isinstance(spans, Ragged)
    for row, encoded in enumerate(encoder.encode(map(str, test["text"]), 50)):
        assert tokens.row(row).tolist() == encoded.ids
        assert [tuple(span) for span in spans.row(row).tolist()] == encoded.spans


def test_the_vocabulary_is_that_of_train_alone(raw: Path, checkout: Path) -> None:
    save(raw / "train.csv", table(some_rows(), "train.csv"))
    save(raw / "test.csv", table([("Unheard of", "bad"), ("Review", "good")], "test.csv"))
    manifest = prepare(checkout)
    words = text_classes.read_encoder(checkout / PREPARED)["words"]
    assert "review" in words
    assert "unheard" not in words
    assert manifest["splits"]["test"]["unknown_share"] == pytest.approx(2 / 3, abs=1e-6)


def test_quotation_marks_in_a_tsv_quote_only_where_they_match(raw: Path) -> None:
    plain = [('"Great" is what they say', "good"), ('The "best', "bad"), ('"Never again', "bad"), ("Yes", "good")]
    save(raw / "a.tsv", table(plain, "a.tsv"))
    read = text_classes.read(raw, PARAMS)
    assert sorted(text.text for split in read.splits.values() for text in split) == sorted(text for text, _ in plain)
    save(raw / "a.tsv", b'text\tlabel\n"Tab\there"\tgood\n"He said ""no"""\tbad\nx\tbad\ny\tgood\n')
    read = text_classes.read(raw, PARAMS)
    assert {text.text for split in read.splits.values() for text in split} == {"Tab\there", 'He said "no"', "x", "y"}


def test_evidence_marks_the_tokens_it_touches_in_the_normalised_text(raw: Path, checkout: Path) -> None:
    lines = [{"text": "A cafe\u0301 so bad", "label": "bad", "evidence": [[10, 13]]}, {"text": "fine", "label": "good"}]
    for name in ("train", "test"):
        save(raw / f"{name}.jsonl", "\n".join(map(json.dumps, lines)).encode())
    prepare(checkout, valid_fraction=0.0)
    evidence = read_columns(checkout / PREPARED, "test")["evidence"]
    assert isinstance(evidence, Ragged)
    assert [evidence.row(row).tolist() for row in range(2)] == [[False, False, False, True], [False]]
    assert "evidence" not in read_columns(checkout / PREPARED, "train")


def test_copies_stay_together_and_those_of_train_and_test_are_counted(raw: Path, checkout: Path) -> None:
    save(raw / "a.csv", table([*some_rows(), *some_rows(), *some_rows()], "a.csv"))
    assert prepare(checkout)["num_shared"] == 0
    (raw / "a.csv").unlink()
    save(raw / "train.csv", table(some_rows(), "a.csv"))
    save(raw / "test.csv", table(some_rows(6, first=17), "a.csv"))
    assert prepare(checkout)["num_shared"] == 3


def test_what_is_cut_off_is_counted(raw: Path, checkout: Path) -> None:
    save(raw / "a.csv", table([*some_rows(), ("so " * 80, "bad")], "a.csv"))
    splits = prepare(checkout, test_fraction=0.01)["splits"]
    assert sum(split["num_truncated"] for split in splits.values()) == 1
    assert max(split["truncated_share"] for split in splits.values()) > 0.1


def test_the_same_data_make_the_same_bytes(raw: Path, checkout: Path) -> None:
    save_as(raw, "reviews.csv")
    made = [prepare(checkout) for _ in range(2)]
    assert made[0] == made[1]


def test_hard_texts_are_no_problem(raw: Path, checkout: Path) -> None:
    hard = [
        ("x " * 5_000_000, "bad"),  # a line of 10 MB
        ("هذا الفيلم رائع", "good"),
        ("e\u0301\u0302\u0303", "bad"),
        ("\u0301", "good"),  # a combining sign alone
        ("👍🏽 ❤️", "good"),
        ("two\nlines", "bad"),
    ]
    save(raw / "train.csv", table([*some_rows(), *hard], "train.csv"))
    save(raw / "test.csv", table([("Zq wv", "bad"), ("Kx", "good")], "test.csv"))
    prepare(checkout)
    assert {label for text, label in everything(checkout) if "رائع" in text} == {"good"}
    assert sum(len(text) == 10_000_000 for text, _ in everything(checkout)) == 1
    assert read_manifest(checkout / PREPARED)["splits"]["test"]["unknown_share"] == 1.0


def test_numbers_as_labels_keep_their_order(raw: Path, checkout: Path) -> None:
    lines = [json.dumps({"text": f"text {number}", "label": number % 11}) for number in range(44)]
    save(raw / "a.jsonl", "\n".join(lines).encode())
    assert prepare(checkout)["classes"] == [str(number) for number in range(11)]


# --- what is wrong ------------------------------------------------------------------------------------------------

GOOD_LINES = [json.dumps({"text": text, "label": label}).encode() for text, label in some_rows(4)]


def test_all_problems_at_once_and_the_old_data_as_they_were(raw: Path, checkout: Path) -> None:
    save_as(raw, "reviews.csv")
    prepare(checkout)
    before = read_manifest(checkout / PREPARED)
    (raw / "reviews.csv").unlink()
    lines = [
        *GOOD_LINES,
        b'{"text": "", "label": "bad"}',
        b'{"text": "broken", "label": ',
        b'["a", "list"]',
        b'{"txt": "a typing error", "label": "bad"}',
        b'{"text": "caf\xe9", "label": "bad"}',
        b'{"text": 7, "label": "bad"}',
        b'{"text": "no label", "label": null}',
        b'{"text": "outside", "label": "bad", "evidence": [[3, 99]]}',
    ]
    save(raw / "train.jsonl", b"\n".join(lines))
    save(raw / "test.jsonl", b'{"text": "new", "label": "ugly"}')
    with pytest.raises(UserError, match=r"^error: data/raw/own: 9 problems") as caught:
        prepare(checkout)
    for line, word in enumerate(("empty", "not JSON", "list", "'txt'", "UTF-8", "int", "null", "evidence"), 5):
        assert any(f"train.jsonl:{line}:" in row and word in row for row in caught.value.what.splitlines()), word
    assert "label 'ugly': 1 in test (first: test.jsonl:1), but missing in train" in caught.value.what
    assert read_manifest(checkout / PREPARED) == before
    assert everything_below(checkout / "data/prepared")[0] == "own"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no texts; expected"),
        ({"a.csv": b""}, "a.csv: empty, expected a header"),
        ({"a.csv": b"text,label\n"}, "a.csv: no rows"),
        ({"a.csv": b"texts,label\nx,y\n"}, r"a.csv:1: no column 'text' .*did you mean 'texts'\?"),
        ({"a.csv": b"a,b\nx,y\n"}, "no column 'label' .*there are 'a', 'b'"),
        ({"a.csv": b"text,label\nx,y\nx,y,z\n"}, "a.csv:3: 3 values, expected 2"),
        ({"a.csv": b'text,label\n"x,y\n'}, "a.csv: the row in line 2: unexpected end of data"),
        ({"a.csv": b"text,label\nx,y\nz,y\n"}, r"one label only \('y'\)"),
        ({"a.csv": b"text,label\nx,y\n\xff,y\n"}, "a.csv:3: text: bytes that are not UTF-8"),
        ({"a.csv.gz": b"text,label\n"}, "a.csv.gz: cannot be read: Not a gzipped file"),
        ({"train.csv": b"text,label\nx,y\nu,v\n", "more.csv": b"text,label\nx,y\n"}, "more.csv: beside train"),
        ({"val.csv": b"text,label\nx,y\nu,v\n"}, "no texts to train on"),
        ({"good/1.txt": b"x", "bad/1.txt": b"\xff"}, "bad/1.txt: bytes that are not UTF-8"),
        ({"good/1.txt": b"x", "bad/1.txt": b" \n"}, "bad/1.txt: empty"),
        ({"good/1.txt": b"x", "bad/1.md": b"x"}, "bad: a class without .txt files"),
    ],
)
def test_data_that_cannot_be_learned_from(raw: Path, checkout: Path, files: dict[str, bytes], message: str) -> None:
    for name, data in files.items():
        save(raw / name, data)
    with pytest.raises(UserError, match=message):
        prepare(checkout)
    assert not (checkout / "data/prepared").exists()


def test_a_folder_that_is_not_there(checkout: Path) -> None:
    with pytest.raises(UserError, match="data/raw/own: no such file or folder"):
        prepare(checkout)


# --- what is suggested --------------------------------------------------------------------------------------------


def test_columns_are_guessed_and_sizes_follow_from_the_texts(raw: Path) -> None:
    rows = [f"{number},{('no', 'yes')[number % 2]},{'a long text ' * 5}{number}" for number in range(200)]
    save(raw / "a.csv", "\n".join(["number,answer,comment", *rows]).encode())
    suggested = text_classes.suggest(raw)
    assert suggested["prepare.text_column"] == "comment"
    assert suggested["prepare.label_column"] == "answer"
    assert suggested["prepare.max_tokens"] == 32
    assert suggested["prepare.min_count"] == 1
    assert suggested["train.batch_size"] == suggested["train.micro_batch_size"] == 256
    assert suggested["train.epochs"] == 40.0


def test_vectors_of_the_vocabulary_lie_beside_it(raw: Path, checkout: Path, tmp_path: Path) -> None:
    save_as(raw, "reviews.csv")
    (tmp_path / "glove.txt").write_text("review 1 2 3\n, 4 5 6\n")
    manifest = prepare(checkout, vectors=str(tmp_path / "glove.txt"))
    vectors = np.load(checkout / PREPARED / VECTORS)
    words = read_encoder(checkout / PREPARED)["words"]
    assert vectors.shape == (len(words), 3)
    assert vectors[words.index("review")].tolist() == [1, 2, 3]
    assert manifest["vectors_share"] == round(2 / len(words), 6)
    with pytest.raises(UserError, match="vectors: are of whole words"):
        prepare(checkout, vectors=str(tmp_path / "glove.txt"), tokenizer="pieces")
