"""Sentence pairs as people have them: accepted as they are, or named at once, with file and line, nothing written."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from projects.multi30k_translation import prepare
from projects.multi30k_translation.cleaning import check_sides, clean, off_by_a_line
from projects.multi30k_translation.pairs import Pair, languages_of, read_pairs
from projects.multi30k_translation.params import Prepare
from shared.core.errors import Problems, UserError
from shared.data.prepared import Prepared

LANGUAGES = "en", "de"
PARAMS = Prepare(
    seed=0, source_language="en", target_language="de", valid_fraction=0.1, test_fraction=0.1, pieces="bpe",
    num_pieces=100, max_tokens=64, max_ratio=4.0,
)  # fmt: skip


def fill(root: Path, files: Mapping[str, bytes]) -> Path:
    root.mkdir(exist_ok=True)
    for name, content in files.items():
        (root / name).write_bytes(content)
    return root


def found_in(root: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """The pairs, and what is wrong."""
    problems = Problems(root)
    pairs = read_pairs(root, LANGUAGES, problems, Problems(root))
    return [(pair.source, pair.target) for pair in pairs], problems.found


def pairs(count: int) -> list[Pair]:
    """Sentences of different lengths with numbers of their own."""
    return [
        Pair(
            "x",
            n,
            f"the number {n * 37} is{' very' * (n % 7)} large",
            f"die Zahl {n * 37} ist{' sehr' * (n % 7)} gross",
            None,
        )
        for n in range(1, count + 1)
    ]


def sides(count: int) -> tuple[list[bytes], list[bytes]]:
    made = pairs(count)
    return [pair.source.encode() for pair in made], [pair.target.encode() for pair in made]


# --- forms -----------------------------------------------------------------------------------------------------------

ODD = "a\u2028b", "c\x85d", "e\x0bf", "g\x0ch", "i\u200dj"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_is_what_line_feeds_end_and_nothing_else(tmp_path: Path, end: str) -> None:
    """With a byte order mark and, the second time, CRLF on one side alone."""
    source, target = end.join(ODD) + end, "\n".join("12345")
    found, problems = found_in(fill(tmp_path, {"x.en": b"\xef\xbb\xbf" + source.encode(), "x.de": target.encode()}))
    assert problems == []
    assert found == list(zip(ODD, "12345", strict=True))


WANTED = [("One, two.", 'Eins "zwei".'), ("Three.", "Drei.")]
TMX = '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE tmx SYSTEM "tmx14.dtd"><tmx version="1.4"><body>{}</body></tmx>'
UNIT = (
    '<tu><tuv xml:lang="EN-gb"><seg>{}</seg></tuv>'
    '<tuv xml:lang="{}"><seg><bpt i="1">&lt;b></bpt><hi>{}</hi></seg></tuv></tu>'
)
TMX_OF = TMX.format("".join(UNIT.format(en, "de", de) for en, de in WANTED))
FORMS = {
    "notes.tsv": "\n".join(f"{en}\t{de}\tnote" for en, de in WANTED).encode(),
    "named.tsv": ("de\ten\r\n" + "\r\n".join(f"{de}\t{en}" for en, de in WANTED)).encode("utf-16"),
    "nested.jsonl": "\n".join(json.dumps({"translation": {"en": en, "de": de}}) for en, de in WANTED).encode(),
    "flat.jsonl": "\n".join(json.dumps({"source": en, "target": de}) for en, de in WANTED).encode(),
    "memory.tmx": TMX_OF.encode(),
    "wide.tmx": TMX_OF.replace("UTF-8", "UTF-16").encode("utf-16"),
    "packed.tsv.gz": gzip.compress("\n".join(f"{en}\t{de}" for en, de in WANTED).encode()),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_give_the_same_pairs(tmp_path: Path, name: str) -> None:
    assert found_in(fill(tmp_path, {name: FORMS[name]})) == (WANTED, [])


def test_languages_are_read_from_the_data(tmp_path: Path) -> None:
    french = TMX.format(UNIT.format("One.", "fr-FR", "Un.")).encode()
    assert languages_of(fill(tmp_path / "tmx", {"x.tmx": french})) == ("en", "fr")
    files = {"x.cs.gz": b"", "x.en.GZ": b"", "README.md": b""}
    assert languages_of(fill(tmp_path / "files", files)) == ("en", "cs")
    assert languages_of(fill(tmp_path / "tsv", {"x.tsv": b""})) == LANGUAGES


# --- bad input -------------------------------------------------------------------------------------------------------

EN, DE = sides(120)
LATE = b"\n".join([*DE[:20], b"Neu.", *DE[20:-1]])
BOMB = b"""<!DOCTYPE tmx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<tmx><body><tu><tuv xml:lang="en"><seg>&b;</seg></tuv></tu></body></tmx>"""
BAD: dict[str, tuple[dict[str, bytes], str]] = {
    "another length": ({"x.en": b"a\nb\n", "x.de": b"a\n"}, "2 lines, but x.de has 1"),
    "one side": ({"x.en": b"a\n"}, "no x.de beside it"),
    "bytes": ({"x.en": b"a\n\xff\xfe\xfa\n\xc3\xa4\n", "x.de": b"a\nb\nc\n"}, "x.en:2: bytes that are not UTF-8"),
    "off by one": ({"x.en": b"\n".join(EN), "x.de": LATE}, "the target moves up"),
    "exchanged": ({"x.en": b"\n".join(DE), "x.de": b"\n".join(EN)}, "the sides look swapped: de where en"),
    "columns": ({"x.tsv": b"a\tb\nc\n"}, "x.tsv:2: 1 columns"),
    "an empty line": ({"x.tsv": b"a\tb\n\nc\td\n"}, "x.tsv:2: 1 columns"),
    "json": ({"x.jsonl": b'{"en": "a", "de": "b"}\n{"en": 1}\n{\n[]\n'}, "x.jsonl:2: no text of both languages"),
    "entities": ({"x.tmx": BOMB}, "x.tmx: declares entities"),
    "xml": ({"x.tmx": b"<tmx><body>"}, "not XML"),
    "other languages": ({"x.tmx": TMX_OF.replace('"de"', '"fr"').encode()}, "there are en-gb, fr"),
    "packed": ({"x.zip": b""}, "unpack it"),
    "nothing": ({}, "no pairs of sentences"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named(tmp_path: Path, name: str) -> None:
    files, message = BAD[name]
    with pytest.raises(UserError) as found:
        prepare.read(fill(tmp_path, files), PARAMS)
    assert message in str(found.value)


def test_everything_is_named_at_once_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, prepared, expected = tmp_path / "raw", tmp_path / "prepared", list[str]()
    for number, (files, message) in enumerate(BAD.values()):
        fill(raw, {name.replace("x.", f"x{number}."): content for name, content in files.items()})
        expected += [message.replace("x.", f"x{number}.")] * bool(files)

    class Own:
        @staticmethod
        def of(file: str) -> Any:
            return type("Project", (), {"raw": raw, "prepared": prepared})

    monkeypatch.setattr(prepare, "Project", Own)
    with pytest.raises(UserError) as found:
        prepare.main(type("Params", (), {"prepare": PARAMS}))  # type: ignore[arg-type]
    listed = "\n".join(found.value.problems)
    assert [message for message in expected if message not in listed] == []
    assert not prepared.exists()


def test_hard_but_valid_pairs_are_kept_or_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Empty lines, a line of 5,000 words, characters that training never had."""
    root = fill(tmp_path / "raw", {
        "train.en": b"\n".join([*EN, b"", b"long " * 5000]), "train.de": b"\n".join([*DE, b"Leer.", b"lang " * 5000]),
        "valid.en": b"\n".join(EN[:9]), "valid.de": b"\n".join(DE[:9]),
        "test.en": "日本語\n\n".encode() + b"word " * 5000, "test.de": "☃\n\n".encode() + b"Wort " * 5000,
    })  # fmt: skip
    prepare.write(tmp_path / "prepared", prepare.read(root, PARAMS), PARAMS)
    prepared, out = Prepared(tmp_path / "prepared"), capsys.readouterr().out
    assert [len(prepared.table(split)) for split in ("train", "valid", "test")] == [111, 9, 2]
    assert prepared.table("test").ragged("source").lengths.tolist() == [3, PARAMS.max_tokens]
    lines = {line.rsplit(maxsplit=3)[0].strip(): line.split()[-3:] for line in out.splitlines() if line.count(" ") > 3}
    assert lines["pairs read"] == ["122", "9", "3"]
    assert lines["left out: a side is empty"] == ["1", "0", "1"]
    assert lines["left out: a side has too many pieces"] == ["1", "0", "0"]
    assert lines["left out: its source is in valid or test as well"] == ["9", "0", "0"]
    assert lines["with a side that is cut off"] == ["0", "0", "1"]


# --- cleaning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0, 40])
@pytest.mark.parametrize("side", ["source", "target"])
def test_lines_that_are_off_by_one_are_noticed(start: int, side: str) -> None:
    good = pairs(120)
    assert off_by_a_line(good) is None
    texts = [pair.target for pair in good]
    moved = texts[:start] + (["Neu.", *texts[start:-1]] if side == "target" else [*texts[start + 1 :], "Neu."])
    found = off_by_a_line([pair._replace(target=text) for pair, text in zip(good, moved, strict=True)])
    assert found is not None
    assert abs(found[0] - start - 1) <= 2
    assert found[1] == side


def test_sides_of_the_wanted_languages_are_left_alone() -> None:
    problems = Problems("")
    check_sides("x", pairs(30), LANGUAGES, problems)
    assert problems.found == []


def test_cleaning_counts_what_it_leaves_out_and_keeps_test() -> None:
    good = pairs(60)
    turned = good[3]._replace(source=good[50].target, target=good[50].source)
    long = good[4]._replace(target="x " * 200)
    empty = [good[5]._replace(source=""), good[6]._replace(target="\xa0")]
    splits = {
        "train": [*good[:50], good[0], turned, long, *empty, good[59]],
        "test": [*good[55:], *[good[55]._replace(target="x " * 200)] * 2],
        "valid": [good[7]._replace(target="")],  # which keeps its source in train
    }
    kept, left = clean(splits, max_ratio=4.0)
    assert left["train"] == {"duplicate": 1, "swapped": 1, "ratio": 1, "empty": 2, "tested": 1}
    assert kept["train"] == good[:50]
    assert (kept["test"], kept["valid"]) == (splits["test"], [])
    assert (left["test"].total(), left["valid"].total()) == (0, 1)
