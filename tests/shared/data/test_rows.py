"""Rows of tables of every form are the same rows, and what is wrong is named with file and line."""

import gzip
import json
from pathlib import Path

import pytest

from shared.core.errors import Problems
from shared.data.rows import Row, find_tables, find_unread, read_rows, read_tables

WANTED = {"name": "prepare.name_column", "size": "prepare.size_column"}
ROWS = [{"name": "one, two", "size": "3"}, {"name": "größer", "size": "4"}]
CSV = 'size, name \n3,"one, two"\n\n4,größer\n'.encode()
FORMS = {
    "a.csv": CSV,
    "A.CSV.gz": gzip.compress(b"\xef\xbb\xbf" + CSV),
    "a.tsv": "name\tsize\none, two\t3\n\ngrößer\t4".encode(),
    "a.jsonl": "\n\n".join(map(json.dumps, ROWS)).encode(),
}
OTHER_FORMS = {
    "semicolons": ("a.csv", "\ufeffname;size\r\none, two;3\r\ngrößer;4\r\n".encode()),
    "tabs in a .csv": ("a.csv", "name\tsize\none, two\t3\ngrößer\t4\n".encode()),
    "bars in a .tsv": ("a.tsv", "name|size\none, two|3\ngrößer|4\n".encode()),
    "Excel names the separator": ("a.csv", 'sep=;\r\nname;size\r\n"one, two";3\r\ngrößer;4\r\n'.encode()),
    "a comma in the header too": ("a.csv", b'"note, own";name;size\n;one, two;3\n;gr\xc3\xb6\xc3\x9fer;4\n'),
    "Excel's Unicode text": ("a.csv", "name\tsize\r\none, two\t3\r\ngrößer\t4\r\n".encode("utf-16")),
    "big-endian": ("a.csv.gz", gzip.compress(b"\xfe\xff" + CSV.decode().encode("utf-16-be"))),
    "no mark": ("a.csv", CSV.decode().encode("utf-16-le")),
    "UTF-32": ("a.csv", CSV.decode().encode("utf-32")),
    "Windows": ("a.csv", CSV.decode().encode("cp1252")),
    "a list": ("a.json", json.dumps(ROWS, indent=2).encode()),
    "a list in .jsonl": ("a.jsonl", json.dumps(ROWS).encode()),
    "lines in .json": ("a.json", "\n".join(map(json.dumps, ROWS)).encode()),
    "a list under a key": ("a.json", json.dumps({"version": 1, "data": ROWS}).encode()),
    "columns": ("a.json", json.dumps({k: {str(i): row[k] for i, row in enumerate(ROWS)} for k in WANTED}).encode()),
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


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_forms_that_programs_export_give_the_same_rows(tmp_path: Path, form: str) -> None:
    name, data = OTHER_FORMS[form]
    (tmp_path / name).write_bytes(data)
    problems, notes = Problems("data"), Problems("data")
    rows = read_tables(find_tables(tmp_path), WANTED, problems, notes)
    found = [{key: row.values[key] for key in WANTED} for row in rows]
    assert (found, problems.found) == (ROWS, [])
    assert notes.found == (
        [f"{tmp_path}/a.csv: not UTF-8: read as windows-1252, which gives größer"] * (form == "Windows")
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Очень хорошо", "cp1251"),
        ("żółw śpi", "cp1250"),
        ("Müde", "mac-roman"),
        ("Müde Füße", "cp850"),
        ("とても良い", "shift-jis"),
        ("πολύ καλό", "cp1253"),
    ],
)
def test_other_encodings_are_not_guessed(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(f"name,size\nfine,1\n{text},2\n".encode(encoding))
    problems, notes = Problems("data"), Problems("data")
    assert [row.values["name"] for row in read_tables(find_tables(tmp_path), WANTED, problems, notes)] == ["fine"]
    assert problems.found == [f"{tmp_path}/a.csv:3: name: bytes that are not UTF-8; save the file as UTF-8"]
    assert notes.found == []


def test_a_few_broken_bytes_in_utf8_are_not_windows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("name,size\nsüß,1\n".encode() + b"caf\xe9,2\n")
    problems, notes = Problems("data"), Problems("data")
    assert len(read_tables(find_tables(tmp_path), WANTED, problems, notes)) == 1
    assert (len(problems.found), notes.found) == (1, [])


LONG = [f"the {word} was as it always is, or nearly so" for word in ("soup", "lamp", "key", "engine")]
WITHOUT_NAMES = {
    "AG News": "".join(f'"{1 + n % 2}","Title {n}","{text}"\n' for n, text in enumerate(LONG)),
    "label first": "".join(f"{('good', 'bad')[n % 2]};{text}\n" for n, text in enumerate(LONG)),
    "numbers": "".join(f"{n}\t{text}\t{n % 2}\n" for n, text in enumerate(LONG)),
}
WITH_NAMES = {
    "short names": "text,label\n" + "".join(f'"{text}",{n % 2}\n' for n, text in enumerate(LONG)),
    "pandas' numbers": "0,1\n" + "".join(f'"{text}",{n % 2}\n' for n, text in enumerate(LONG)),
    "a class is named like its column": "review,spam\n"
    + "".join(f'"{t}",{("spam", "ham")[t > "the l"]}\n' for t in LONG),
    "a question": '"What did you think of it?",mood\n' + "".join(f'"{t}",{"ab"[t > "the l"]}\n' for t in LONG),
}


@pytest.mark.parametrize("form", [*WITHOUT_NAMES, *WITH_NAMES])
def test_a_table_without_names_keeps_its_first_row(tmp_path: Path, form: str) -> None:
    content = (WITHOUT_NAMES | WITH_NAMES)[form]
    path = tmp_path / "a.csv"
    path.write_text(content, encoding="utf-8")
    notes = Problems("data")
    rows = [row for _, row in read_rows(path, {}, Problems("data"), notes)]
    assert len(rows) == 4
    assert [next(value for value in row.values() if len(value) > 20) for row in rows] == LONG
    assert [name.isdigit() for name in rows[0]] == [form in WITHOUT_NAMES or "numbers" in form] * len(rows[0])
    assert len(notes.found) == (form in WITHOUT_NAMES)


def test_columns_without_names_are_chosen_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(WITHOUT_NAMES["AG News"], encoding="utf-8")
    problems = Problems("data")
    rows = list(read_rows(path, {"3": "prepare.text_column", "1": "prepare.label_column"}, problems))
    assert ([(row["1"], row["3"]) for _, row in rows], problems.found) == (list(zip("1212", LONG, strict=True)), [])
    assert list(read_rows(path, WANTED, problems)) == []
    assert problems.found[0].endswith("choose prepare.name_column and prepare.size_column of '1', '2', '3'")


def test_a_backslash_before_a_quotation_mark(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, {"a.csv": b'name,size\n"she said \\"no\\", twice",1\n"b",2\n'})
    assert ([row.values["name"] for row in rows], problems) == (['she said "no", twice', "b"], [])


def test_what_describes_tables_is_none_and_what_is_packed_is_named(tmp_path: Path) -> None:
    for name in (
        "train.csv",
        "test.json",
        "dataset_infos.json",
        "source.json",
        "old.ZIP",
        "more.xlsx",
        "a.tar.gz",
        "x.bz2",
    ):
        (tmp_path / name).touch()
    assert [path.name for path in find_tables(tmp_path)] == ["test.json", "train.csv"]
    assert [path.name for path, _ in find_unread(tmp_path)] == ["a.tar.gz", "more.xlsx", "old.ZIP", "x.bz2"]


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
        ({"a.csv": b"name,size,size\nx,1,2\n"}, "a.csv:1: 2 columns 'size', expected one"),
        ({"a.csv": b"name,size\nx,1\nname,size\ny,2\n"}, "a.csv:3: the names of the columns again"),
        ({"a.csv": "\ufeffname,size\nx,1".encode("utf-16-le")[:-1]}, "a.csv: begins as utf-16-le, but byte 27 is not"),
        ({"a.json": b'{"name": "x"}'}, "a.json:1: no column 'size'"),
        ({"a.json": b'[{"name": "x", "size": 1}, 7]'}, "a.json:2: int, expected an object"),
        ({"a.jsonl": b'["a", "list"]\n'}, "a.jsonl:1: list, expected an object"),
        ({"a.jsonl": b'{"name": "x"}\n'}, "a.jsonl:1: no column 'size'"),
        (
            {"a.jsonl": b'{"name": "\\ud83d\\ude00", "size": 1}\n{"name": "\\ud83d", "size": 1}\n'},
            "a.jsonl:2: name: bytes that are not UTF-8, or half of a surrogate pair",
        ),
        ({"a.csv.gz": b"name,size\n"}, "a.csv.gz: cannot be read: Not a gzipped file"),
        ({"a.csv.gz": gzip.compress(CSV)[:-9]}, "a.csv.gz: cannot be read: Compressed file ended"),
        ({"train.csv": CSV, "more.csv": CSV}, "more.csv: beside train, expected only train, valid and test"),
        ({"train.csv": CSV, "val.csv": CSV, "valid.csv": CSV}, "valid.csv: valid is already in val.csv"),
    ],
)
def test_each_problem_is_named(tmp_path: Path, files: dict[str, bytes], problem: str) -> None:
    (found,) = read(tmp_path, files)[1]
    assert found.startswith(f"{tmp_path}/{problem}")
