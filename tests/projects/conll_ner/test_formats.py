"""Every form that people export is read as what it means; what was taken is said, and what cannot be is refused."""

import gzip
import json
from itertools import product

import pytest

from projects.conll_ner.formats import read_folder
from shared.core.errors import Problems

ADA = {"Ada Brook": "PER", "Northby": "LOC"}
TEXT = "Ada Brook left Northby."


def read(tmp_path, name, content):
    """The entities of each text, what was said, what is wrong."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    problems, notes = Problems(path), Problems(path)
    texts, said = read_folder(path, problems, notes)
    found = [{one.text[mark.start : mark.end]: mark.label for mark in one.marks} for one in texts]
    return found, " | ".join([*said, *notes.found]), " | ".join(problems.found)


def lines(*records):
    return "\n".join(json.dumps(one) for one in records)


def mark(start, end, label, **more):
    return {"start": start, "end": end, "label": label, **more}


MARKS = [mark(0, 9, "PER"), mark(15, 22, "LOC")]
TRIPLES = [[0, 9, "PER"], [15, 22, "LOC"]]
OFFSETS = [
    {"id": 1, "label": "PER", "start_offset": 0, "end_offset": 9},
    {"label": "LOC", "start_offset": 15, "end_offset": 22},
]
RESULTS = [
    {"type": "labels", "value": {"start": start, "end": end, "text": "", "labels": [label]}}
    for start, end, label in TRIPLES
]
TASK = {"id": 1, "data": {"text": TEXT, "source": "x"}, "annotations": [{"was_cancelled": False, "result": RESULTS}]}
RECORDS = {
    "doccano label": {"id": 3, "text": TEXT, "label": TRIPLES, "Comments": []},
    "doccano relations": {"text": TEXT, "entities": OFFSETS, "relations": []},
    "labels": {"text": TEXT, "labels": TRIPLES},
    "label studio": TASK,
    "label studio, other name of the text": TASK | {"data": {"body": TEXT, "n": 1}},
    "label studio minimal": {"text": TEXT, "label": [result["value"] for result in RESULTS]},
    "prodigy": {"text": TEXT, "spans": MARKS, "answer": "accept", "tokens": []},
    "spacy 2": [TEXT, {"entities": TRIPLES}],
    "two lists": {
        "tokens": ["Ada", "Brook", "left", "Northby", "."],
        "ner_tags": ["B-PER", "I-PER", "O", "B-LOC", "O"],
    },
    "two lists of other names, a line end among the words": {
        "words": ["Ada", "\n", "Brook", "left", "Northby", "."],
        "ner": ["B-PER", "I-PER", "I-PER", "O", "B-LOC", "O"],
    },
}


@pytest.mark.parametrize(("form", "suffix"), [*product(RECORDS, ["a.jsonl", "a.json", "object.json", "one.json"])])
def test_records(tmp_path, form, suffix):
    content = {"a.jsonl": lines(RECORDS[form]), "a.json": json.dumps([RECORDS[form]] * 2, indent=1)}
    content["object.json"] = json.dumps({"classes": ["PER"], "annotations": [RECORDS[form]]})
    content["one.json"] = json.dumps(RECORDS[form], indent=1)
    found, said, wrong = read(tmp_path, suffix, content[suffix])
    assert (found, wrong) == ([ADA] * (2 if suffix == "a.json" else 1), "")
    assert f"{suffix}: " in said


def test_two_empty_lists_are_no_sentence(tmp_path):
    content = lines({"tokens": [], "ner_tags": []}, RECORDS["two lists"])
    assert read(tmp_path, "a.jsonl", content)[::2] == ([ADA], "")


def test_what_an_annotator_did_not_accept_is_left_out_and_counted(tmp_path):
    answers = [{"text": TEXT, "spans": MARKS, "answer": answer} for answer in ("accept", "reject", "ignore", "reject")]
    found, said, wrong = read(tmp_path, "a.jsonl", lines(*answers, {"text": "None here.", "answer": "accept"}))
    assert (found, wrong) == ([ADA, {}], "")
    assert "2 texts left out: answer 'reject'" in said
    tasks = [TASK, TASK | {"annotations": []}, TASK | {"annotations": [{"was_cancelled": True, "result": []}]}]
    found, said, _ = read(tmp_path, "b.json", json.dumps(tasks))
    assert (found, "2 texts left out: no annotation" in said) == ([ADA], True)


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([[0, 10, "PER"], [14, 22, "LOC"]], "2 spans without the white space"),
        ([*TRIPLES, [0, 9, "PER"]], "1 spans that stand there twice"),
        ([*TRIPLES, [0, 10, "PER"]], "1 spans that stand there twice"),
    ],
)
def test_spans_are_trimmed_and_counted_once(tmp_path, spans, said):
    found, told, wrong = read(tmp_path, "a.jsonl", lines({"text": TEXT, "spans": spans}))
    assert (found, wrong) == ([ADA], "")
    assert said in told


@pytest.mark.parametrize("before", ["😀 ", "\U0001d49cb 😀😀\n", "👨\u200d👩\u200d👧 "])
@pytest.mark.parametrize("unit", ["characters", "UTF-16 units", "UTF-8 bytes"])
def test_offsets_in_any_unit(tmp_path, before, unit):
    shift = {"characters": len(before), "UTF-16 units": len(before.encode("utf-16-le")) // 2}
    shift["UTF-8 bytes"] = len(before.encode())
    moved = [[start + shift[unit], end + shift[unit], label] for start, end, label in TRIPLES]
    content = lines({"text": TEXT, "spans": TRIPLES}, {"text": before + TEXT, "spans": moved})
    found, said, wrong = read(tmp_path, "a.jsonl", content)
    assert (found, wrong) == ([ADA, ADA], "")
    assert (unit in said) == (unit != "characters")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"text": TEXT, "spans": [[0, 8, "PER"]]}, "ends inside a word"),
        ({"text": TEXT, "spans": [[1, 9, "PER"]]}, "begins inside a word"),
        ({"text": TEXT, "spans": [[3, 4, "PER"]]}, "holds no word"),
        ({"text": TEXT, "spans": [[0, 9, "PER"], [0, 9, "ORG"]]}, "overlap, expected one label a word"),
        (
            {"data": {"image": 3}, "annotations": [{"result": [{"value": None}, 7]}]},
            "text: Input should be a valid string",
        ),
        ({"text": TEXT, "label": "good"}, "spans: Input should be a valid list"),
        ([TEXT, "good"], "expected an object with text and spans"),
        ({"text": "Ada \ud83d", "spans": [[0, 3, "PER"]]}, "a.jsonl:1: text: "),
        ({"text": TEXT, "spans": [mark(0, 9, ["PER", "ORG"])]}, "spans.0.label"),
        ({"tokens": ["a", "b"], "ner_tags": ["O"]}, "two lists of one length"),
        ({"tokens": ["a", "b"], "ner_tags": [0, 3]}, "0 is no string, expected words, and of tags the name of each"),
        ({"tokens": ["a", 7], "ner_tags": ["O", "O"]}, "7 is no string"),
    ],
)
def test_records_that_cannot_be(tmp_path, record, expected):
    assert expected in read(tmp_path, "a.jsonl", lines(record))[2]


WORDS = [("Ada", "B-PER"), ("Brook", "I-PER"), ("left", "O"), ("Northby", "B-LOC"), (".", "O")]


def columns(shape, repeat=2):
    """Two sentences, each line made by a function of number, word, tag, sentence."""
    sentences = (
        "\n".join(shape(n, word, tag, sentence) for n, (word, tag) in enumerate(WORDS, 1)) for sentence in range(repeat)
    )
    return "\n\n".join(sentences) + "\n"


def inner(word):
    return "B-LOC" if word == "Brook" else "O"


ENDS = {"Ada": "B-PER", "Brook": "E-PER", "Northby": "S-LOC"}
COLUMNS = {
    "germeval": (lambda n, w, t, s: f"{n}\t{w}\t{t}\t{inner(w)}", "words from column 2, tags from column 3 of 4"),
    "no inner tag at all": (lambda n, w, t, s: f"{n}\t{w}\t{t}\tO", "tags from column 3"),
    "chunks are no rival of names": (lambda n, w, t, s: f"{w} NN B-NP {t}", "tags from column 4"),
    "number, tag first": (lambda n, w, t, s: f"{t} {n} {w}", "words from column 3, tags from column 1"),
    "document, part, number": (lambda n, w, t, s: f"doc{s} 0 {n} {w} {t}", "words from column 4, tags from column 5"),
    "a column behind the tag": (lambda n, w, t, s: f"{w} {t} 0.9{n}", "words from column 1, tags from column 2"),
    "types alone": (lambda n, w, t, s: f"{w}\t{t[2:] or 'O'}", "(types without B- and I-)"),
    "types alone, numbered": (lambda n, w, t, s: f"{n}\t{w}\t{t[2:] or 'O'}", "words from column 2"),
    "BMES": (lambda n, w, t, s: f"{w} {ENDS.get(w, 'O')}", "(BIOES)"),
}


@pytest.mark.parametrize("form", COLUMNS)
def test_the_columns_of_word_and_tag_are_found_and_said(tmp_path, form):
    shape, expected = COLUMNS[form]
    comment = "#\thttp://example.org [2009]\n# text = We flew the B-52\n"
    found, said, wrong = read(tmp_path, "a.tsv", comment + columns(shape))
    assert (found, wrong) == ([ADA, ADA], "")
    assert expected in said


def table(separator, header, *, repeat):
    rows = [header]
    for number in range(2):
        for place, (word, tag) in enumerate(WORDS):
            cells = [f"Sentence: {number + 1}" if repeat or not place else "", word, "NN", tag]
            rows.append(separator.join(cells))
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("kaggle.csv", table(",", "Sentence #,Word,POS,Tag", repeat=False)),
        ("every_row.csv", table(",", "sentence_id,token,pos,ner", repeat=True)),
        ("tabs.tsv", table("\t", "Sentence #\tWord\tPOS\tTag", repeat=False)),
        ("named.tsv", "word\tpos\tner\n" + columns(lambda n, w, t, s: f"{w}\tNN\t{t}")),
    ],
)
def test_a_table_of_one_word_a_row(tmp_path, name, content):
    found, said, wrong = read(tmp_path, name, content)
    assert (found, wrong) == ([ADA, ADA], "")
    assert "words from '" in said


def test_a_table_that_windows_wrote_keeps_its_letters(tmp_path):
    content = table(",", "Sentence #,Word,POS,Tag", repeat=False).replace("Brook", "M\u00fcller")
    found, said, wrong = read(tmp_path, "kaggle.csv", content.encode("cp1252"))
    assert (found, wrong) == ([{"Ada M\u00fcller": "PER", "Northby": "LOC"}] * 2, "")
    assert "read as windows-1252" in said


def test_names_of_fewer_columns_are_not_used(tmp_path):
    content = "\tword\tner\n" + columns(lambda n, w, t, s: f"{n}\t{w}\t{t}")
    found, said, wrong = read(tmp_path, "pandas.tsv", content)
    assert (found, wrong) == ([ADA, ADA], "")
    assert "words from column 2, tags from column 3 of 3" in said


def test_a_comment_of_two_columns_is_no_word_where_types_stand_alone(tmp_path):
    found, _, wrong = read(tmp_path, "a.txt", "# one\n" + columns(lambda n, w, t, s: f"{w} {t[2:] or 'O'}"))
    assert (found, wrong) == ([ADA, ADA], "")


@pytest.mark.parametrize("name", ["de.train", "de.dev", "de.test", "a.iobes.gz"])
def test_suffixes_of_columns(tmp_path, name):
    content = columns(lambda n, w, t, s: f"{w} {t}").encode()
    assert read(tmp_path, name, gzip.compress(content) if name.endswith("gz") else content)[::2] == ([ADA, ADA], "")


def test_one_docstart_is_no_document_and_hashtags_are_words(tmp_path):
    content = "-DOCSTART- -X- O\n" + columns(lambda n, w, t, s: f"{'#tag' if w == 'left' else w} -X- _ {t}", 3)
    path = tmp_path / "export.conll"
    path.write_text(content)
    texts, _ = read_folder(path, Problems(""), Problems(""))
    assert len({one.document for one in texts}) == 3
    assert "#tag" in texts[0].text


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.tsv", "1\t1996\tO\n2\t7\tB-PER\n", "holds numbers alone"),
        ("a.tsv", "Ada\tB-PER\nBrook\tI-PER\tx\nleft\tO\n", "a.tsv:2: 3 columns, expected 2"),
        ("a.txt", "Ada Brook left.\nShe came back.\n", "no column of tags"),
        ("a.txt", "Ada\nBrook\n", "1 columns, expected at least 2"),
        ("a.csv", "text,label\nAda,good\n", "expected 'Sentence #', 'Word' and 'Tag'"),
        ("a.csv", "Word,Tag\nAda,B-PER\n", "expected 'Sentence #', 'Word' and 'Tag'"),
    ],
)
def test_columns_that_cannot_be(tmp_path, name, content, expected):
    assert expected in read(tmp_path, name, content)[2]


def test_every_file_of_one_column_is_named(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("Ada\nBrook\n")
    problems = Problems(tmp_path)
    read_folder(tmp_path, problems, Problems(tmp_path))
    expected = "1 columns, expected at least 2: the word and its tag"
    assert problems.found == [f"a.txt:1: {expected}", f"b.txt:1: {expected}"]
