"""Tables of interactions as people have them, and what is wrong with them, with file and row."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from projects.movielens_recommender.tables import (
    UNITS,
    Form,
    form_of,
    kind_of,
    note_missing,
    read_interactions,
    read_items,
    reading,
)
from shared.core.errors import Problems

ROWS = [("u1", "a", 4.0, 1_500_000_000), ("u1", "b", 3.5, 1_500_000_060), ("u2", "a", 1.0, 1_400_000_000)]


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def read(path: Path, **columns: str) -> tuple[pl.DataFrame, list[str], list[str]]:
    problems, notes, data = Problems("data"), Problems("data"), pl.DataFrame()
    with reading(path, problems):
        form = form_of(path, columns)
        note_missing(path, form, columns, problems)
        if {"user", "item"} <= form.fields.keys():
            data = read_interactions(path, form, problems, notes)
    return data, problems.found, notes.found


def lines(separator: str, header: str = "") -> str:
    rows = [separator.join(map(str, row)) for row in ROWS]
    return "".join(f"{line}\n" for line in ([header] if header else []) + rows)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ratings.csv", lines(",", "userId,movieId,rating,timestamp")),
        ("ratings.csv", lines(",", "userId,movieId,rating,timestamp").replace("\n", "\r\n")),
        ("ratings.csv", "\ufeff" + lines(";", "user;item;stars;time")),
        ("own.tsv", "timestamp\tnote\tuser_id:token\tproduct:token\trating:float\n"
         + "".join(f'{t}\t"said ""hi"",\n twice"\t{u}\t{i}\t{r}\n' for u, i, r, t in ROWS)),
        ("u.data", lines("\t")),
        ("u.data", lines("   ")),
        ("ratings.dat", lines("::").replace("\n", "\r\n")),
        ("ratings.csv.gz", lines(",")),
        ("ratings.dat.gz", lines("::")),
        ("ratings.csv", "\n" + lines(" , ", "user,item,rating,time") + "\n\n"),
    ],
)  # fmt: skip
def test_forms(tmp_path, name, text):
    found, problems, _ = read(put(tmp_path, name, text))
    assert problems == []
    assert found.cast({"user": pl.String, "item": pl.String}).rows() == ROWS


def test_a_header_is_found_and_its_lack_is_said(tmp_path):
    for text, header in ((lines(",", "user,item,rating,time"), 1), (lines(","), 0), ("\n\nwho,what\n7,8\n", 3)):
        assert form_of(put(tmp_path, "ratings.csv", text), {}).header == header
    _, _, notes = read(put(tmp_path, "ratings.csv", lines(",")))
    assert notes[0].endswith("ratings.csv: no header; column: user = 1, item = 2, rating = 3, time = 4")


def test_three_columns_are_ratings_or_times(tmp_path):
    assert form_of(put(tmp_path, "a.txt", "7 8 4\n7 9 3\n"), {}).fields == {"user": 0, "item": 1, "rating": 2}
    assert form_of(put(tmp_path, "a.txt", "7 8 1500000000\n7 9 1500000001\n"), {}).fields["time"] == 2


def test_params_name_columns_or_their_numbers(tmp_path):
    path = put(tmp_path, "own.csv", "who,what,when\nann,tea,2024-05-31\nbob,tea,2024-06-01T10:00:00Z\n")
    _, problems, _ = read(path)
    assert "no column of the user (such as user, customer, reviewer)" in problems[0]
    assert "its columns are who, what, when; prepare.user_column names it" in problems[0]
    found, problems, notes = read(path, user="who", item="what")
    assert problems == []
    assert found["time"].to_list() == [1717113600, 1717236000]
    assert any("written as text" in note for note in notes)
    _, problems, _ = read(path, user="who", item="what", rating="stars")
    assert "no column of the rating ('stars')" in problems[0]
    found, _, _ = read(put(tmp_path, "own.csv", lines(",")), user="2", item="1")
    assert found["user"].cast(pl.String).to_list() == ["a", "b", "a"]
    assert found.columns == ["user", "item"]
    _, problems, _ = read(path, user="1", item="9")
    assert "no column of the item ('9'); its columns are 1, 2, 3, 4; prepare.item_column names it" in problems[0]
    for text in ("1,1193,5\n2,7,3\n", "1,2,5\n2,7,3\n"):  # user 1 is not the name of a column
        found, problems, _ = read(put(tmp_path, "own.csv", text), user="1", item="2")
        assert (problems, found["user"].cast(pl.String).to_list()) == ([], ["1", "2"])
    found, problems, _ = read(put(tmp_path, "own.csv", "0,1\nann,tea\n"), user="0", item="1")
    assert (problems, found["user"].cast(pl.String).to_list()) == ([], ["ann"])
    path = put(tmp_path, "wide.csv", "x,u1,y,a,z\nx,u2,y,b,z\n")
    assert kind_of(path, form_of(path, {})) == "other"
    form = form_of(path, {"user": "2", "item": "4"})
    assert (kind_of(path, form), form.fields) == ("interactions", {"user": 1, "item": 3})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("u,i,4,100\nu,j,nan,100\n", "rows.csv:3: rating 'nan', expected a number"),
        ("u,i,4,100\nu,j,,100\n", "rows.csv:3: no rating"),
        ("u,i,4,100\nu,j,good,100\n", "rows.csv:3: rating 'good'"),
        ("u,i,4,100\n , j,4,100\n", "rows.csv:3: no user"),
        ("u,i,4,100\nu,j,4\n", "rows.csv:3: no time"),
        ("u,i,4,100\nu,j,4,100,5\n", "rows.csv:3: more than 4 fields"),
        ("u,i,4,100\nu,j,4,soon\n", "rows.csv:3: time 'soon'"),
        ("u,i,4,100\nuser,item,rating,time\n", "rows.csv:3: rating 'rating'"),
        ("u,i,4,1500000000\nu,j,4,1500000000000\n",
         "times in several units: 1 in seconds (first in row 2), 1 in milliseconds (first in row 3); expected one"),
        ("u,i,4,1500000000\nu,j,4,2024-05-31\n", "1 written as text (first in row 3); expected one"),
        ("1E+15,i,4,100\n2,i,4,100\n", "user '1E+15' and 0 more are numbers that have lost digits"),
        ("9007199254740992.0,i,4,100\n2.0,i,4,100\n", "user '9007199254740992.0' and 0 more are numbers that"),
        ("", "no rows"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, rows, said):
    _, problems, _ = read(put(tmp_path, "rows.csv", f"user,item,rating,time\n{rows}"))
    assert any(said in problem for problem in problems), problems


def test_all_problems_are_named_at_once(tmp_path):
    found, problems, _ = read(put(tmp_path, "rows.csv", "user,item,rating\n,a,4\nu,,4\nu,a,x\nu,a\nu,b,5\n"))
    assert [problem.split(": ")[1] for problem in problems] == [
        "no user",
        "no item",
        problems[2].split(": ")[1],
        "no rating",
    ]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["7", "007", "7"], ["007", "7"]),
        (["1024", "1024.0", "9007199254740993"], ["1024", "9007199254740993"]),
        (["1024.0", "x"], ["1024.0", "x"]),
        (["1234e567", "ab"], ["1234e567", "ab"]),
        (["1000000000", "99999999999999999999"], ["1000000000", "99999999999999999999"]),
    ],
)
def test_ids_are_strings(tmp_path, ids, expected):
    text = "user,item\n" + "".join(f"{one},i{row}\n" for row, one in enumerate(ids))
    found, problems, notes = read(put(tmp_path, "rows.csv", text))
    assert problems == []
    assert found["user"].dtype.categories.to_list() == expected
    assert any("floats" in note for note in notes) == (ids[1] == "1024.0")


def test_times_are_told_apart_by_their_size(tmp_path):
    for unit, digits in enumerate((0, 3, 6, 9)):
        found, problems, notes = read(put(tmp_path, "a.csv", f"user,item,time\nu,i,{1_500_000_000 * 10**digits}\n"))
        assert problems == []
        assert found["time"].to_list() == [1_500_000_000 * 10**digits]
        assert any(f"times are {UNITS[unit]}" in note for note in notes) == (unit > 0)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"user,item\n\xff\xfe\xfa,3\n")
    (tmp_path / "b.csv.gz").write_bytes(b"no gzip")
    (tmp_path / "c.parquet").write_bytes(b"no parquet")
    for name, said in (("a.csv", "not UTF-8"), ("b.csv.gz", "cannot be read"), ("c.parquet", "cannot be read")):
        _, problems, _ = read(tmp_path / name)
        assert said in problems[0]


def test_tables_are_told_apart(tmp_path):
    files = {
        "ratings.csv": lines(",", "userId,movieId,rating,timestamp"),
        "movies.csv": 'movieId,title,genres\na,"Alien, the film",Sci-Fi|Horror\nb,Brazil,Comedy\n',
        "users.csv": "userId,age\nu1,30\n",
        "tags.csv": "userId,movieId,tag,timestamp\nu1,a,dark,1500000000\n",
        "movies.dat": "1::Alien::Horror\n2::Brazil::Comedy\n",
        "likes.dat": "1::7\n2::7\n",
        "user_ratings.dat": "1::7\n2::7\n",
    }
    forms = {name: form_of(put(tmp_path, name, text), {}) for name, text in files.items()}
    kinds = [kind_of(tmp_path / name, form) for name, form in forms.items()]
    assert kinds == ["interactions", "items", "other", "other", "other", "interactions", "interactions"]
    notes = Problems("data")
    items = read_items(tmp_path / "movies.csv", forms["movies.csv"], notes)
    assert items.titles == {"a": "Alien, the film", "b": "Brazil"}
    assert items.tokens == {"a": ["sci-fi", "horror"], "b": ["comedy"]}
    assert notes.found[0].endswith("movies.csv: 2 items with genres")
    path = put(tmp_path, "texts.csv", "movieId,text\na,A ship\na,and a cat\n,lost\n")
    items.add(read_items(path, form_of(path, {}), notes))
    assert items.titles == {"a": "Alien, the film", "b": "Brazil"}  # which this table does not have
    assert items.tokens == {"a": ["sci-fi", "horror", "a", "ship", "and", "a", "cat"], "b": ["comedy"]}


def test_parquet_keeps_long_ids_and_reads_dates(tmp_path):
    long = 9007199254740993  # no float64
    rows = pl.DataFrame({"user": [long, 5], "item": ["x", "y"], "rating": [4.5, None], "tags": [["a"], ["b"]]})
    rows.with_columns(date=pl.date(1970, 1, 2)).write_parquet(tmp_path / "a.parquet")
    found, problems, _ = read(tmp_path / "a.parquet")
    assert [problem.rpartition("/")[2] for problem in problems] == ["a.parquet:2: no rating"]
    assert found.cast({"user": pl.String, "item": pl.String}).rows() == [(str(long), "x", 4.5, 86400)]


def test_a_form_says_how_a_table_is_read(tmp_path):
    form = form_of(put(tmp_path, "a.data", "7\t8\t4\t1500000000\n"), {})
    assert form == Form("\t", ["1", "2", "3", "4"], 0, {"user": 0, "item": 1, "rating": 2, "time": 3})
