"""Rows of tables of every form are the same rows, and what is wrong is named with file and line."""

import gzip
import json
from pathlib import Path

import pytest

from shared.core.errors import Problems
from shared.data.rows import Row, find_tables, read_tables

WANTED = {"name": "prepare.name_column", "size": "prepare.size_column"}
ROWS = [{"name": "one, two", "size": "3"}, {"name": "größer", "size": "4"}]
CSV = 'size, name \n3,"one, two"\n\n4,größer\n'.encode()
FORMS = {
    "a.csv": CSV,
    "A.CSV.gz": gzip.compress(b"\xef\xbb\xbf" + CSV),
    "a.tsv": "name\tsize\none, two\t3\n\ngrößer\t4".encode(),
    "a.jsonl": "\n\n".join(map(json.dumps, ROWS)).encode(),
}


def read(folder: Path, files: dict[str, bytes]) -> tuple[list[Row], list[str]]:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    problems = Problems("data")
    return read_tables(find_tables(folder), WANTED, problems), problems.found


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    rows, problems = read(tmp_path, {name: FORMS[name], ".hidden.csv": b"", "notes.md": b""})
    assert ([row.values for row in rows], problems) == (ROWS, [])
    first = 1 if "jsonl" in name else 2
    assert [(row.where, row.id) for row in rows] == [
        (f"{tmp_path}/{name}:{line}", f"{name}:{line}") for line in (first, first + 2)
    ]
    assert find_tables(tmp_path / name) == [tmp_path / name]


def test_a_file_says_its_split_and_a_row_its_id(tmp_path: Path) -> None:
    files = {"train.csv": b"id,name,size\nx,a,1\n,b,2\n", "Val.csv.gz": gzip.compress(b"name,size\nc,3\n")}
    rows, problems = read(tmp_path, files)
    assert sorted((row.id, row.split) for row in rows) == [
        ("Val.csv.gz:2", "valid"), ("train.csv:3", "train"), ("x", "train")
    ]  # fmt: skip
    assert problems == []


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ('"Great" she says\t1\nThe "best\t2\n"Never\t3\nYes\t4', ['"Great" she says', 'The "best', '"Never', "Yes"]),
        ('"Tab\there"\t1\n"Two\nlines"\t2\n"a ""no"""\t3', ["Tab\there", "Two\nlines", 'a "no"']),
    ],
)  # fmt: skip
def test_quotation_marks_in_a_tsv_quote_only_where_they_match(tmp_path: Path, lines: str, names: list[str]) -> None:
    rows, problems = read(tmp_path, {"a.tsv": f"name\tsize\n{lines}\n".encode()})
    assert ([row.values["name"] for row in rows], problems) == (names, [])


def test_a_cell_of_a_megabyte(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, {"a.csv": b"name,size\n" + b"x " * 500_000 + b",1\n"})
    assert len(rows[0].values["name"]) == 1_000_000


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a.csv": b""}, "a.csv: empty, expected a header"),
        ({"a.csv": b"name,size\n"}, "a.csv: no rows"),
        ({"a.jsonl": b"\n"}, "a.jsonl: no rows"),
        ({"a.csv": b"names,size\nx,y\n"}, "a.csv:1: no column 'name' (prepare.name_column); did you mean 'names'?"),
        ({"a.csv": b"name,b\nx,y\n"}, "a.csv:1: no column 'size' (prepare.size_column); there are 'name', 'b'"),
        ({"a.csv": b"name,size\nx,y\nx,y,z\n"}, "a.csv:3: 3 values, expected 2"),
        ({"a.csv": b'name,size\n"x,y\n'}, "a.csv: the row in line 2: unexpected end of data"),
        ({"a.csv": b"name,size\nx,y\n\xff,y\n"}, "a.csv:3: name: bytes that are not UTF-8"),
        ({"a.jsonl": b'{"name": "x", "size": \n'}, "a.jsonl:1: not JSON"),
        ({"a.jsonl": b'["a", "list"]\n'}, "a.jsonl:1: list, expected an object"),
        ({"a.jsonl": b'{"name": "x"}\n'}, "a.jsonl:1: no column 'size'"),
        ({"a.csv.gz": b"name,size\n"}, "a.csv.gz: cannot be read: Not a gzipped file"),
        ({"a.csv.gz": gzip.compress(CSV)[:-9]}, "a.csv.gz: cannot be read: Compressed file ended"),
        ({"train.csv": CSV, "more.csv": CSV}, "more.csv: beside train, expected only train, valid and test"),
        ({"train.csv": CSV, "val.csv": CSV, "valid.csv": CSV}, "valid.csv: valid is already in val.csv"),
    ],
)
def test_each_problem_is_named(tmp_path: Path, files: dict[str, bytes], problem: str) -> None:
    (found,) = read(tmp_path, files)[1]
    assert found.startswith(f"{tmp_path}/{problem}")
