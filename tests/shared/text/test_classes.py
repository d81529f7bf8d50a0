"""Labelled texts of every form become tokens and labels with exact values, or one list of everything that is wrong."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from shared.core.errors import UserError
from shared.core.paths import Project
from shared.data.prepared import Prepared
from shared.text import classes as text_classes
from shared.text.params import PrepareTexts
from shared.text.tokens import ENCODER, PieceEncoder, load_encoder
from tests.empty_root import checkout, everything_below

__all__ = ["checkout"]

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
    max_tokens=50,
)
FORMS = ("reviews.csv", "reviews.jsonl.gz", "folder", "split folder")


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


def prepare(**changes: Any) -> Prepared:
    text_classes.prepare(Project("own"), PARAMS.model_copy(update=changes))
    return Prepared(Project("own").prepared)


def everything(prepared: Prepared) -> list[tuple[str, str]]:
    """All texts with their labels, of all splits."""
    found = []
    for name in prepared.splits:
        table = prepared.table(name)
        labels = [prepared.manifest["classes"][label] for label in table.fixed("label").tolist()]
        found += list(zip(table.strings("text"), labels, strict=True))
    return sorted(found)


# --- what is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_texts_and_labels(raw: Path, checkout: Path, form: str) -> None:
    save_as(raw, form)
    prepared = prepare()
    manifest = prepared.manifest
    assert everything(prepared) == sorted(some_rows())
    assert (manifest["source"], manifest["classes"]) == ("own", ["bad", "good"])
    assert {name: split["count"] for name, split in manifest["splits"].items()} == (
        {"train": 12, "valid": 2, "test": 6} if "split" in form else {"train": 14, "valid": 2, "test": 4}
    )


def test_a_single_file_is_data_too(raw: Path, checkout: Path) -> None:
    save(raw / "reviews.csv", table(some_rows(), "reviews.csv"))
    assert len(text_classes.read(raw / "reviews.csv", PARAMS).splits["train"]) == 14


def test_tokens_and_spans_are_those_of_the_encoder(raw: Path, checkout: Path) -> None:
    save_as(raw, "reviews.csv")
    prepared = prepare()
    test = prepared.table("test")
    for row, encoded in enumerate(load_encoder(prepared.read(ENCODER)).encode(test.strings("text"), 50)):
        assert test.ragged("tokens").row(row).tolist() == encoded.ids
        assert [tuple(span) for span in test.ragged("spans").row(row).tolist()] == encoded.spans
    assert "spans" not in prepared.table("train")


def test_the_vocabulary_is_that_of_train_alone(raw: Path, checkout: Path) -> None:
    save(raw / "train.csv", table(some_rows(), "train.csv"))
    save(raw / "test.csv", table([("Unheard of", "bad"), ("Review", "good")], "test.csv"))
    prepared = prepare()
    words = prepared.read(ENCODER)["words"]
    assert "review" in words
    assert "unheard" not in words
    assert prepared.manifest["splits"]["test"]["unknown_share"] == pytest.approx(2 / 3, abs=1e-6)


def test_unknown_tokens_are_counted_and_masks_are_not(
    raw: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint's tokenizer says nothing by [MASK], and [UNK] of what it does not know."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "[MASK]": 1, "review": 2, "number": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer, tokenizer.normalizer = pre_tokenizers.Whitespace(), normalizers.Lowercase()
    monkeypatch.setattr(text_classes, "checkpoint_pieces", lambda checkpoint: PieceEncoder(tokenizer, "[MASK]"))
    tokenizer.add_special_tokens(["[MASK]"])
    save(raw / "train.csv", table(some_rows(), "train.csv"))
    save(raw / "test.csv", table([("Review unheard", "bad"), ("[MASK] [MASK] [MASK] Review", "good")], "test.csv"))
    splits = prepare(tokenizer="checkpoint", checkpoint="some").manifest["splits"]
    assert splits["test"]["unknown_share"] == pytest.approx(1 / 6, abs=1e-6)


def test_evidence_marks_the_tokens_it_touches_in_the_normalised_text(raw: Path, checkout: Path) -> None:
    lines = [{"text": "A cafe\u0301 so bad", "label": "bad", "evidence": [[10, 13]]}, {"text": "fine", "label": "good"}]
    for name in ("train", "test"):
        save(raw / f"{name}.jsonl", "\n".join(map(json.dumps, lines)).encode())
    prepared = prepare(valid_fraction=0.0)
    evidence = prepared.table("test").ragged("evidence")
    assert [evidence.row(row).tolist() for row in range(2)] == [[False, False, False, True], [False]]
    assert "evidence" not in prepared.table("train")


def test_copies_stay_together_and_those_of_train_and_test_are_counted(raw: Path, checkout: Path) -> None:
    save(raw / "a.csv", table([*some_rows(), *some_rows(), *some_rows()], "a.csv"))
    assert prepare().manifest["num_shared"] == 0
    (raw / "a.csv").unlink()
    save(raw / "train.csv", table(some_rows(), "a.csv"))
    save(raw / "test.csv", table(some_rows(6, first=17), "a.csv"))
    assert prepare().manifest["num_shared"] == 3


def test_what_is_cut_off_is_counted(raw: Path, checkout: Path) -> None:
    save(raw / "a.csv", table([*some_rows(), ("so " * 80, "bad")], "a.csv"))
    splits = prepare(test_fraction=0.01).manifest["splits"]
    assert sum(split["num_truncated"] for split in splits.values()) == 1
    assert max(split["truncated_share"] for split in splits.values()) > 0.1


def test_hard_texts_are_no_problem(raw: Path, checkout: Path) -> None:
    hard = [
        ("x " * 500_000, "bad"),  # a line of 1 MB
        ("هذا الفيلم رائع", "good"),
        ("e\u0301\u0302\u0303", "bad"),
        ("\u0301", "good"),  # a combining sign alone
        ("👍🏽 ❤️", "good"),
        ("two\nlines", "bad"),
    ]
    save(raw / "train.csv", table([*some_rows(), *hard], "train.csv"))
    save(raw / "test.csv", table([("Zq wv", "bad"), ("Kx", "good")], "test.csv"))
    prepared = prepare()
    found = everything(prepared)
    assert {label for text, label in found if "رائع" in text} == {"good"}
    assert sum(len(text) == 1_000_000 for text, _ in found) == 1
    assert prepared.manifest["splits"]["test"]["unknown_share"] == 1.0


# --- what is wrong ------------------------------------------------------------------------------------------------

GOOD_LINES = [json.dumps({"text": text, "label": label}).encode() for text, label in some_rows(4)]


def test_all_problems_at_once_and_the_old_data_as_they_were(raw: Path, checkout: Path) -> None:
    save_as(raw, "reviews.csv")
    before = prepare().manifest
    (raw / "reviews.csv").unlink()
    lines = [
        *GOOD_LINES,
        b'{"text": "", "label": "bad"}',
        b'{"txt": "a typing error", "label": "bad"}',
        b'{"text": 7, "label": "bad"}',
        b'{"text": "no label", "label": null}',
        b'{"text": "outside", "label": "bad", "evidence": [[3, 99]]}',
    ]
    save(raw / "train.jsonl", b"\n".join(lines))
    save(raw / "test.jsonl", b'{"text": "new", "label": "ugly"}')
    with pytest.raises(UserError, match=r"^error: data/raw/own: 6 problems") as caught:
        prepare()
    for line, word in enumerate(("empty", "'txt'", "int", "null", "evidence"), 5):
        assert any(f"train.jsonl:{line}:" in row and word in row for row in caught.value.what.splitlines()), word
    assert "class 'ugly': 1 in test (first: test.jsonl:1), but missing in train" in caught.value.what
    assert Prepared(Project("own").prepared).manifest == before
    assert everything_below(checkout / "data/prepared")[0] == "own"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no texts; expected"),
        ({"a.csv": b"texts,label\nx,y\n"}, r"a.csv:1: no column 'text' \(prepare.text_column\)"),
        ({"a.csv": b"text,label\nx,y\nz,y\n"}, r"one class only \('y'\)"),
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
        prepare()
    assert not (checkout / "data/prepared").exists()


def test_a_folder_that_is_not_there(checkout: Path) -> None:
    with pytest.raises(UserError, match="data/raw/own: no such file or folder"):
        prepare()


@pytest.mark.parametrize(
    "names",
    [
        ("billing", "Billing"),
        ("billing", "billing\u200b"),
        ("bil\u00adling", "billing"),
        ("two words", "two\u00a0 words"),
        ("\uff21", "A"),
        ("\ufeffbilling\u2060", "billing"),
    ],
)
def test_classes_that_look_alike_are_one_line(raw: Path, checkout: Path, names: tuple[str, str]) -> None:
    rows = [(text, [*names, "delivery"][number % 3]) for number, (text, _) in enumerate(some_rows(60))]
    save(raw / "a.jsonl", table(rows, "a.jsonl"))
    if names[0].startswith("\ufeff"):  # which no text keeps
        names = ("billing\u2060", "billing")
    with pytest.raises(UserError, match="1 problem\n") as caught:
        prepare()
    assert all(ascii(name) in caught.value.what for name in names)
    assert "differ in case, spaces or invisible characters alone" in caught.value.what


def test_a_folder_beside_splits_is_refused(raw: Path, checkout: Path) -> None:
    for folder in ("train", "test", "more"):
        save(raw / folder / "1.txt", b"a text")
    with pytest.raises(UserError, match="more: beside train, expected only train, valid, test"):
        prepare()


def test_copies_stay_together_whatever_their_labels(
    raw: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = [(f"Unsure {number} as ALWAYS", label) for number in range(30) for label in ("bad", "good")]
    save(raw / "a.csv", table([*some_rows(), *twice], "a.csv"))
    prepared = prepare()
    assert prepared.manifest["num_shared"] == 0
    assert "30 texts occur with more than one label, such as a.csv:" in capsys.readouterr().out


def test_near_copies_and_classes_that_test_lacks_are_said(
    raw: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "it was a day like any other, and nobody would have thought that the bridge was to fall before noon"
    save(raw / "train.csv", table([*some_rows(), (long, "bad"), ("unique", "rare")], "train.csv"))
    save(raw / "test.csv", table([(f"Yes: {long.upper()}!", "bad"), ("fine", "good")], "test.csv"))
    prepare(valid_fraction=0.0)
    out = capsys.readouterr().out
    assert "1 texts of test are nearly the same as one of train or valid, such as test.csv:2 and train.csv:22" in out
    assert "classes without a text in test, so not measured: 'rare'" in out


def test_nothing_is_said_of_good_data(raw: Path, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_as(raw, "split folder")
    prepare()
    assert "nearly" not in (out := capsys.readouterr().out)
    assert "left out" not in out


@pytest.mark.parametrize("unlabelled", ["unsup", "unlabeled", "Unlabelled"])
def test_texts_without_labels_beside_the_classes_are_left_out(
    raw: Path, checkout: Path, capsys: pytest.CaptureFixture[str], unlabelled: str
) -> None:
    save_as(raw, "split folder")
    for number in range(7):
        save(raw / "train" / unlabelled / f"{number}.txt", b"whatever")
    save(raw / "train" / "urls_pos.txt", b"http://example.org")
    prepared = prepare()
    assert everything(prepared) == sorted(some_rows())
    out = capsys.readouterr().out
    assert f"{unlabelled}: 7 texts left out" in out
    assert "1 files left out, outside of any class folder: such as train/urls_pos.txt" in out


def test_a_column_of_splits_is_obeyed_and_said(raw: Path, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    splits = ["train", "Test", "dev", "train"]
    lines = [f"{text},{label},{splits[number % 4]}" for number, (text, label) in enumerate(some_rows(40))]
    save(raw / "a.csv", "\n".join(["text,label,split", *(line.replace(", ", " ") for line in lines)]).encode())
    counts = {name: split["count"] for name, split in prepare().manifest["splits"].items()}
    assert counts == {"train": 20, "valid": 10, "test": 10}
    assert "split: the splits are those of this column" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.zip", "unpack it"),
        ("train.csv.bz2", "unpack it"),
        ("a.xlsx", "save it as CSV UTF-8"),
        ("a.parquet", "to_csv"),
    ],
)
def test_what_is_not_read_is_named_with_what_to_do(raw: Path, checkout: Path, name: str, advice: str) -> None:
    save(raw / name, b"PK")
    for given in (raw, raw / name):
        with pytest.raises(UserError, match=name) as caught:
            text_classes.suggest(given)
        assert advice in caught.value.what


def test_a_test_without_labels_says_how_to_go_on(raw: Path, checkout: Path) -> None:
    save(raw / "train.csv", table(some_rows(), "train.csv"))
    save(raw / "test.csv", b"text\nwhat is this\n")
    with pytest.raises(UserError, match="leave the file out, and test is drawn from train"):
        prepare()


def test_numbers_of_pandas_are_class_names(raw: Path, checkout: Path) -> None:
    save(
        raw / "a.json", json.dumps([{"text": text, "label": float(len(label))} for text, label in some_rows()]).encode()
    )
    assert prepare().manifest["classes"] == ["3", "4"]


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


def wide(names: str, **columns: Any) -> bytes:
    """200 rows of a message and the columns that are functions of the row's number."""
    rows = [[f'"a message that is long, {n}"', *(str(column(n)) for column in columns.values())] for n in range(200)]
    return "\n".join([",".join([names, *columns]), *map(",".join, rows)]).encode()


@pytest.mark.parametrize(
    ("columns", "label", "also"),
    [
        ({"language": lambda n: n % 2, "category": lambda n: n % 4}, "category", "'language' (2 values)"),
        ({"lang": lambda n: n % 2, "Sentiment (human)": lambda n: n % 3}, "Sentiment (human)", "'lang' (2 values)"),
        ({"split": lambda n: ("train", "test")[n % 2], "mood": lambda n: n % 5}, "mood", ""),
        ({"nr": lambda n: n, "mood": lambda n: n % 5, "shop": lambda n: n % 7}, "mood", "'shop' (7 values)"),
        ({"toxic": lambda n: n % 2, "rude": lambda n: n // 2 % 2, "mood": lambda n: n % 3, "label": lambda n: n % 2},
         "label", "'toxic' (2 values), 'rude' (2 values), 'mood' (3 values)"),
        ({"reply": lambda n: f"an answer of length {n}", "mood": lambda n: n % 2}, "mood", "'reply' (long texts)"),
    ],
)  # fmt: skip
def test_the_columns_taken_and_their_rivals_are_said(
    raw: Path, capsys: pytest.CaptureFixture[str], columns: dict[str, Any], label: str, also: str
) -> None:
    save(raw / "a.csv", wide("message", **columns))
    suggested = text_classes.suggest(raw)
    out = capsys.readouterr().out
    assert (suggested["prepare.text_column"], suggested["prepare.label_column"]) == ("message", label)
    assert f"texts from the column 'message', classes from '{label}'" in out
    assert out.splitlines()[0].partition("; also possible: ")[2] == also
    assert len(out.splitlines()) <= 10


@pytest.mark.parametrize("values", ["01", ("True", "False"), ("0.0", "1.0")])
def test_several_labels_a_text_are_refused(raw: Path, values: Sequence[str]) -> None:
    columns = {name: lambda n, k=k: values[n // 2**k % 2] for k, name in enumerate(("toxic", "rude", "threat"))}
    save(raw / "a.csv", wide("message", **columns))
    with pytest.raises(UserError, match=r"3 columns of 0 and 1 \('toxic', 'rude', 'threat', ...\): several labels"):
        text_classes.suggest(raw)
