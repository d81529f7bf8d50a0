"""The data check of texts: what they are taken for, copies, contradictions, near copies, and what prepare refuses."""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from shared.core.errors import UserError
from tools.check.__main__ import main
from tools.check.texts import TextFindings, examine_texts

Rows = list[tuple[str, str]]
SEEN = "the parcel came on a wet Monday and the box was torn at one corner but nothing in it broke"
NEARLY = SEEN.replace("Monday", "Monday,").replace("broke", "cracked")  # the last of 17 phrases differs


def rows(count: int = 12) -> Rows:
    """All different, with two classes."""
    names = ["pump", "valve", "hose", "motor", "filter", "gasket"]
    return [
        (f"{names[n % 6]} number {n * 37} {'runs well' if n % 2 else 'leaks oil'} since {n} weeks", "ab"[n % 2])
        for n in range(count)
    ]


def as_csv(path: Path, found: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *found])
    return path


def as_folders(root: Path, found: Rows) -> Path:
    for number, (text, label) in enumerate(found):
        (root / label).mkdir(parents=True, exist_ok=True)
        (root / label / f"{number:03}.txt").write_text(text, encoding="utf-8")
    return root


def as_json(path: Path, found: Rows) -> Path:
    path.write_text(json.dumps([{"text": text, "label": label} for text, label in found]), encoding="utf-8")
    return path


FORMS: dict[str, Callable[[Path, Rows], Path]] = {
    "table": lambda folder, found: as_csv(folder / "all.csv", found),
    "folders": lambda folder, found: as_folders(folder / "all", found),
    "array": lambda folder, found: as_json(folder / "all.json", found),
}


def faults(found: TextFindings) -> list[int]:
    """Problems, copies in two splits, near copies, contradictions."""
    return list(found.faults.values())


# --- texts with classes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], [0, 0, 0, 0]),
        ([(SEEN, "a"), (SEEN.upper() + "  ", "a")], [0, 0, 0, 0]),  # copies of one label stay together
        ([(SEEN, "a"), (f" {SEEN.title()}", "b")], [0, 0, 0, 1]),
        ([(SEEN, "a"), (NEARLY, "a")], [0, 0, 1, 0]),
        ([(SEEN, "a"), (SEEN, "b"), (SEEN, "a"), (NEARLY, "b")], [0, 0, 1, 1]),
        ([("no", "a\u200b")], [1, 0, 0, 0]),  # looks like the class a
        ([("yes", "\uff21")], [1, 0, 0, 0]),  # and so does a wide A
    ],
)
def test_texts_of_every_form_are_judged_alike(tmp_path: Path, form: str, more: Rows, expected: list[int]) -> None:
    found = examine_texts(FORMS[form](tmp_path, rows() + more), None)
    assert found.what == f"texts with classes: {12 + len(more)}"
    assert faults(found) == expected, found


def test_with_a_test_split_only_copies_across_splits_count(tmp_path: Path) -> None:
    as_csv(tmp_path / "train.csv", [*rows(), (SEEN, "a"), (NEARLY, "a"), ("twice the same", "b")])
    as_csv(tmp_path / "test.csv", [("a new one here", "a"), ("something else", "b"), ("Twice  the same", "b")])
    found = examine_texts(tmp_path, None)
    assert faults(found) == [0, 1, 0, 0]
    assert [[text.split for text in group] for group in found.leaks] == [["train", "test"]]
    as_csv(tmp_path / "test.csv", [("a new one here", "a"), ("something else", "b"), (NEARLY + " once", "a")])
    assert faults(examine_texts(tmp_path, None)) == [0, 0, 1, 0]


def test_everything_is_listed_beside_what_prepare_refuses(tmp_path: Path) -> None:
    found = examine_texts(as_csv(tmp_path / "x.csv", [*rows(), ("", "a"), (SEEN, "a"), (SEEN, "b")]), None)
    assert faults(found) == [1, 0, 0, 1]
    assert "x.csv:14: text is empty" in found.problems[0]
    assert any("texts from the column 'text', classes from 'label' (2 values)" in note for note in found.notes)


# --- annotated texts ----------------------------------------------------------------------------------------------

PLACES = [(place, "B-LOC") for place in ["Ghent", "Lyon", "Turin", "Graz", "Brno", "Leeds", "Cadiz", "Bergen"]]


def as_conll(path: Path, of: Sequence[tuple[str, str]]) -> Path:
    """Sentences of (place, its tag)."""
    blocks = [f"Trains O\nto O\n{place} {tag}\nleave O\n" for place, tag in of]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def as_spans(path: Path, of: Sequence[tuple[str, str]]) -> Path:
    lines = []
    for place, tag in of:
        spans = [{"start": 10, "end": 10 + len(place), "label": tag[2:]}]
        lines.append(json.dumps({"text": f"Trains to {place} leave", "spans": spans}))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def as_words(path: Path, of: Sequence[tuple[str, str]]) -> Path:
    """A table with a row a word."""
    table = [("Sentence #", "Word", "Tag")]
    for number, (place, tag) in enumerate(of, 1):
        words = [("Trains", "O"), ("to", "O"), (place, tag), ("leave", "O")]
        table += [(f"Sentence: {number}", *pair) for pair in words]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table)
    return path


ANNOTATED = {"a.conll": as_conll, "a.jsonl": as_spans, "a.csv": as_words}


@pytest.mark.parametrize("name", ANNOTATED)
def test_annotated_texts_are_recognised_and_compared(tmp_path: Path, name: str) -> None:
    write = ANNOTATED[name]
    found = examine_texts(write(tmp_path / name, PLACES), None)
    assert found.what == "annotated texts, as conll_ner takes them: 8"
    assert faults(found) == [0, 0, 0, 0]
    assert "entities: LOC 8" in found.notes
    again = [(place, "B-ORG") for place, _ in PLACES[:3]]
    assert faults(examine_texts(write(tmp_path / name, PLACES + again), None)) == [0, 0, 0, 3]  # with two annotations
    found = examine_texts(write(tmp_path / name, [*PLACES, ("Rome", "B-Loc")]), None)
    assert found.problems == ["types: 'LOC', 'Loc' differ in case, spaces or invisible characters alone"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows())),
        ("a.jsonl", "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows())),
        ("a.csv", "Review;Stars\n" + "".join(f"{text};{label}\n" for text, label in rows())),
        ("a.json", json.dumps({"data": [{"text": text, "intent": label} for text, label in rows()]})),
    ],
)
def test_texts_with_classes_are_not_taken_for_annotated_ones(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert examine_texts(tmp_path / name, None).what == "texts with classes: 12"


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("reviews.zip", b"PK", "packed: unpack it"),
        ("reviews.xlsx", b"PK", "an Excel workbook: save it as CSV UTF-8"),
        ("reviews.csv", b"", "empty, expected a header and rows"),
        ("notes.docx", b"x", "no texts; expected .csv, .tsv, .jsonl or .json files"),
    ],
)
def test_what_no_reader_reads_is_one_error_that_names_the_cause(
    tmp_path: Path, name: str, content: bytes, cause: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        examine_texts(tmp_path / name, None)
    assert cause in caught.value.what


# --- command line -------------------------------------------------------------------------------------------------


def test_exit_status_page_and_terminal_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, more, status in (("fine", [], 0), ("twice", [(f"{SEEN} {n}", "a") for n in range(30)], 1)):
        path = as_csv(tmp_path / f"{name}.csv", rows() + more)
        monkeypatch.setattr(sys, "argv", ["check", str(path), "--page", str(tmp_path / "page.html")])
        assert main() == status
        told, page = capsys.readouterr().out, (tmp_path / "page.html").read_text()
        for text in (told, page):
            assert f"Taken for texts with classes: {12 + len(more)}." in text
            assert ("a warning: a test set that prepare draws" in text) == bool(status)
        assert ("... and 9 more" in told) == bool(status)  # of 29 pairs
