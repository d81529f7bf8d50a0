"""Own data of every form; everything wrong named at once, and nothing half-written."""

import gzip
import json

import numpy as np
import pytest

from projects.conll_ner import prepare
from projects.conll_ner.formats import split_of
from projects.conll_ner.params import Params
from shared.core.errors import UserError
from shared.core.params import load
from shared.core.paths import ROOT
from shared.data.prepared import Prepared
from tests.empty_root import checkout, everything_below

__all__ = ["checkout"]

YAML = ROOT / "projects/conll_ner/params.yaml"
BIO = "Anna\tB-PER\nBecker\tI-PER\nsleeps\tO\n\nBonn\tB-LOC\nrests\tO\n\n"
IOB1 = "-DOCSTART- -X- O O\n\nAnna NNP I-NP I-PER\nBecker NNP I-NP I-PER\nsleeps VB I-VP O\n\nBonn NNP I-NP I-LOC\n"


def many(text, count):
    """The sentences of a file again and again, with a number in each, so that none are equal."""
    return "".join(text.replace("sleeps", f"sleeps{n}").replace("rests", f"rests{n}") for n in range(count))


@pytest.fixture
def raw(checkout):
    folder = checkout / "data/raw/conll_ner"
    folder.mkdir(parents=True)
    return folder


def run(*words):
    prepare.main(load(Params, YAML, words))


def prepared(raw):
    return Prepared(raw.parents[1] / "prepared/conll_ner")


def row_of(raw, split, column, row=0):
    return prepared(raw).table(split).ragged(column).row(row).tolist()


def problems(raw, *words):
    before = everything_below(raw.parents[1])
    with pytest.raises(UserError) as caught:
        run(*words)
    assert everything_below(raw.parents[1]) == before
    return str(caught.value)


def test_columns_of_a_file_without_splits(raw, capsys):
    (raw / "notes.conll").write_text("# a comment\n" + many(BIO, 20))
    (raw / "README.md").write_text("not data")
    run()
    manifest = prepared(raw).manifest
    assert {name: split["count"] for name, split in manifest["splits"].items()} == {"train": 29, "valid": 3, "test": 8}
    assert (manifest["classes"], manifest["source"]) == (["LOC", "PER"], "own")
    assert sum(split["entities"]["PER"] for split in manifest["splits"].values()) == 20
    assert "README.md: left out" in capsys.readouterr().out


def test_iob1_documents_and_gzip(raw):
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (raw / f"{name}.gz").write_bytes(gzip.compress(many(IOB1, 3).encode()))
    run("prepare.join_sentences=true")
    splits = prepared(raw).manifest["splits"]
    assert [(splits[name]["count"], splits[name]["sequences"]) for name in ("train", "valid", "test")] == [(6, 3)] * 3
    assert row_of(raw, "valid", "tags") == [3, 4, 0]
    assert prepared(raw).table("valid").fixed("document").tolist() == [0, 0, 1, 1, 2, 2]
    run("prepare.join_sentences=true", "prepare.learn_from_valid=true")
    splits = prepared(raw).manifest["splits"]
    assert (splits["train"]["count"], "valid" in splits) == (12, False)


def test_spans_with_evidence_keep_the_places_of_the_raw_text(raw):
    text = "Cafe\u0301 Bonn, in Bonn."
    spans = [{"start": 0, "end": 10, "label": "ORG"}, {"start": 15, "end": 19, "label": "LOC", "evidence": [[12, 14]]}]
    (raw / "train.jsonl").write_text(json.dumps({"text": text, "spans": spans}) + "\n\n")
    (raw / "test.jsonl").write_text(json.dumps({"text": "In Bonn", "entities": [[3, 7, "LOC"]]}) + "\n")
    run("prepare.valid_fraction=0.0")
    assert prepared(raw).table("train").strings("text")[0] == text
    assert [text[a:b] for a, b in row_of(raw, "train", "span")] == ["Cafe\u0301", "Bonn", ",", "in", "Bonn", "."]
    assert row_of(raw, "train", "tags") == [3, 4, 0, 0, 1, 0]
    assert row_of(raw, "train", "evidence") == [0, 0, 0, 2, 0, 0]


def test_everything_wrong_is_named_at_once_with_its_line(raw):
    (raw / "train.txt").write_text("Anna B-PER\nBecker\n\nBonn LOC\n")
    (raw / "b.conll").write_bytes(b"Anna B-PER\nB\x81r O\n")
    (raw / "empty.tsv").write_text(" \n")
    (raw / "broken.txt.gz").write_bytes(b"no gzip")
    lines = [
        "{",
        "[]",
        '{"text": " ", "spans": []}',
        '{"text": "a"}',
        '{"text": "Anna B", "spans": [[0, 9, "PER"]]}',
        '{"text": "Anna B", "spans": [[0, 4, "PER"], [2, 6, "PER"]]}',
        '{"text": "Anna B", "spans": [[1, 4, "PER"]]}',
        '{"text": "Anna B", "spans": [{"start": "0", "end": 4, "label": " "}]}',
        '{"text": "Anna B", "spans": [{"start": 0, "end": 4, "label": "PER", "evidence": [3]}]}',
    ]
    (raw / "test.jsonl").write_text("\n".join(lines) + "\n")
    found = problems(raw)
    for expected in (
        "train.txt:2: 1 columns, expected 2 as most lines have",
        "train.txt:4: 'LOC' is no tag",
        "b.conll:2: byte 0x81 is not UTF-8",
        "empty.tsv: no sentence in this file",
        "broken.txt.gz: cannot be read",
        "test.jsonl:1: line: Invalid JSON",
        "test.jsonl:2: line: list, expected an object",
        "test.jsonl:3: text: there is no word in it",
        "test.jsonl:4: spans: Field required",
        "test.jsonl:5: span [0, 9] is not inside the text of 6 characters",
        "test.jsonl:6: spans [0, 4] PER and [2, 6] PER overlap",
        "test.jsonl:7: span [1, 4] 'nna' begins inside a word in 'Anna B'",
        "test.jsonl:8: spans.0.start: Input should be a valid integer",
        "test.jsonl:8: spans.0.label",
        "test.jsonl:9: spans.0.evidence.0",
    ):
        assert expected in found, expected


def test_mixed_schemes_are_a_problem(raw):
    (raw / "train.txt").write_text(many(BIO, 5))
    (raw / "test.txt").write_text(many(IOB1, 5))
    assert "mixed schemes: test.txt is IOB1, train.txt is BIO" in problems(raw)
    (raw / "test.txt").write_text(many(BIO + "Anna I-PER\n\n", 5))
    assert "test.txt:8: I-PER where BIO has B-PER" in problems(raw)


def test_a_few_illegal_tags_are_named_and_read(raw, capsys):
    (raw / "train.txt").write_text(many(BIO, 20))
    (raw / "test.txt").write_text(many(BIO, 20) + "In O\nParis I-LOC\n")
    run()
    assert "test.txt:142: I-LOC where BIO has B-LOC" in capsys.readouterr().out
    assert row_of(raw, "test", "tags", 40) == [0, 1]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "expected columns"),
        ({"a.txt": "Anna O\n\nBonn O\n\nParis O\n"}, "no entity in train"),
        ({"a.txt": "Anna B-PER\n"}, "test: no sample is left"),
        ({"train.txt": many(BIO, 9), "test.txt": "\n# nothing\n"}, "test.txt: no sentence in this file"),
        ({"train.txt": many(BIO, 9), "test.txt": "sleeps O\n"}, "no entity in test"),
        ({"a.txt": many(BIO, 9), "source.json": "{"}, "source.json: not what fetch writes"),
    ],
)
def test_too_little(raw, files, expected):
    for name, text in files.items():
        (raw / name).write_text(text)
    assert expected in problems(raw, "prepare.test_fraction=0.2", "prepare.valid_fraction=0.0")


def test_hard_input_works(raw):
    arabic, combining, long_word = "ولدت آنا في بون", "A\u0323\u0308nna lebt in Bo\u0308nn", "x" * 1000
    texts = [f"Anna sah {word} {n}" for n, word in enumerate(["😀", "漢字", long_word, "\u200b", "\x00y"])]
    lines = [{"text": arabic, "spans": [[5, 8, "PER"]]}, {"text": combining, "spans": [[0, 6, "PER"]]}]
    lines += [{"text": text, "spans": [[0, 4, "PER"]]} for text in texts]
    lines += [{"text": "Anna geht. " * 3000, "spans": [[0, 4, "PER"]]}]
    (raw / "train.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    (raw / "test.jsonl").write_text(json.dumps({"text": "Qqq zzz vvv", "spans": [[0, 3, "PER"]]}))
    run("prepare.max_tokens=50", "prepare.valid_fraction=0.0")
    train = prepared(raw).manifest["splits"]["train"]
    assert (train["count"], train["sequences"], train["cut_sentences"]) == (8, 7 + 180, 1)
    np.testing.assert_array_equal(prepared(raw).table("test").ragged("tokens").values[:, 0], 1)  # unknown words alone


def test_the_terminal_gets_no_control_characters(raw, capsys):
    text = json.dumps({"text": "Anna \x1b[2J sleeps", "spans": [[0, 4, "PER"]]})
    (raw / "train.jsonl").write_text(text)
    (raw / "test.jsonl").write_text(text)
    run("prepare.valid_fraction=0.0")
    printed = capsys.readouterr().out
    assert "Anna \\x1b[2J sleeps" in printed
    assert "\x1b" not in printed


def test_the_beginning_of_a_long_text_without_spaces_is_shown(raw, capsys):
    line = json.dumps({"text": "\u738b\u660e\u53bb\u5317\u4eac\u3002" * 20, "spans": [[0, 2, "PER"]]})
    (raw / "train.jsonl").write_text(line)
    (raw / "test.jsonl").write_text(line)
    run("prepare.valid_fraction=0.0")
    assert "  \u738b\u660e\u53bb\u5317\u4eac" in capsys.readouterr().out


def test_a_line_of_ten_megabytes(raw):
    (raw / "train.txt").write_text("x" * 10_000_000 + " O\nAnna B-PER\n\nBonn B-LOC\n")
    (raw / "test.txt").write_text("Anna B-PER\n")
    run("prepare.valid_fraction=0.0")
    assert prepared(raw).manifest["splits"]["train"]["words"] == 3


def test_suggestions_and_split_names(raw):
    (raw / "mine.txt").write_text(many(BIO, 20))
    assert prepare.suggest(raw / "mine.txt")["prepare.join_sentences"] is False
    assert prepare.suggest(raw)["train.batch_size"] == 64
    names = ("x-dev.conll", "TEST.txt", "attest.txt", "training.txt", "Test/de/a.txt", "tests/a.txt")
    assert [split_of(name) for name in names] == ["valid", "test", None, "train", "test", None]
