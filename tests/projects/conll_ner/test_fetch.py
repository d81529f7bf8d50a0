"""The raw data are the sample or CoNLL-2003, whole, or as they were."""

import json
import os
import re
import subprocess
import sys

import pytest

from projects.conll_ner import fetch, prepare
from projects.conll_ner.params import Params
from projects.conll_ner.sample import AFTER, BEFORE, NOUNS, draw_names, write_sample
from shared.core.errors import UserError
from shared.core.params import load
from shared.core.paths import ROOT
from tests.data_mirror import mirror


def with_params(*words):
    return load(Params, ROOT / "projects/conll_ner/params.yaml", words)


SMALL = with_params("fetch.num_train=200", "fetch.num_valid=50", "fetch.num_test=60").fetch


def records(folder, split):
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def surfaces(rows):
    """(name, type) of every span."""
    return [(row["text"][span["start"] : span["end"]], span["label"]) for row in rows for span in row["spans"]]


def test_the_sample_is_the_same_again_and_other_splits_have_known_and_new_names(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_sample(tmp_path / name, SMALL)
    words = {}
    for split, count in (("train", 200), ("valid", 50), ("test", 60)):
        assert (tmp_path / "a" / f"{split}.jsonl").read_bytes() == (tmp_path / "b" / f"{split}.jsonl").read_bytes()
        rows = records(tmp_path / "a", split)
        assert len(rows) == count
        words[split] = {word for name, _ in surfaces(rows) for word in name.split()}
    pool = {split: set(first + last) for split, (first, last) in draw_names(SMALL.seed).items()}
    assert not pool["train"] & pool["test"]
    assert not pool["train"] & pool["valid"]
    assert words["train"] <= pool["train"]
    for split in ("valid", "test"):
        assert words[split] & pool["train"]
        assert words[split] & pool[split]
        assert words[split] <= pool["train"] | pool[split]


def test_names_do_not_depend_on_the_order_of_sets():
    """Faker draws some languages' towns from a set, whose order changes with every process."""
    code = "from projects.conll_ner.sample import draw_names; print(draw_names(0))"
    made = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(made) == 1
    assert b"test" in made.pop()


def test_every_name_has_evidence_and_no_other_type_is_decided_by_the_same_words(tmp_path):
    write_sample(tmp_path, with_params().fetch)
    decided = {}
    for split in ("train", "test"):
        for row in records(tmp_path, split):
            for span in row["spans"]:
                words = tuple(row["text"][start:end].lower() for start, end in span["evidence"])
                assert words
                assert not any(word.istitle() for word in words)
                decided.setdefault(words, set()).add(span["label"])
    assert all(len(labels) == 1 for labels in decided.values())
    assert len(decided) > len(" ".join(NOUNS.values()).split())


def test_deciding_nouns_and_phrases_belong_to_one_type():
    for of_type in (NOUNS, *({label: typed[label].replace("/", " ") for label in typed} for typed in (BEFORE, AFTER))):
        words = [set(re.findall(r"\[(\w+)\]", text) or text.split()) for text in of_type.values()]
        assert sum(map(len, words)) == len(set().union(*words))


def test_types_share_their_names_and_most_mentions_have_the_usual_one(tmp_path):
    write_sample(tmp_path, with_params().fetch)
    types = {}
    for name, label in surfaces(records(tmp_path, "train")):
        types.setdefault(name.split()[-1], []).append(label)
    often = [labels for labels in types.values() if len(labels) > 3]
    assert sum(len(set(labels)) > 1 for labels in often) > 0.5 * len(often)
    usual = sum(max(map(labels.count, labels)) for labels in often) / sum(map(len, often))
    assert 0.7 < usual < 0.9


def test_without_a_mirror_it_says_where_the_files_come_from_and_belong(tmp_path, monkeypatch):
    monkeypatch.delenv("DATASET_MIRROR", raising=False)
    with pytest.raises(UserError, match="conll2003: not in") as caught:
        fetch.official(tmp_path, SMALL)
    assert fetch.CONLL.url in str(caught.value)
    assert "eng.testb (plain or .gz) in $DATASET_MIRROR/conll2003/" in str(caught.value)


def test_other_files_are_refused(tmp_path, monkeypatch):
    folder, out = tmp_path / "mirror/conll2003", tmp_path / "out"
    folder.mkdir(parents=True)
    out.mkdir()
    (folder / "eng.train").write_text("Anna I-PER\n")
    monkeypatch.setenv("DATASET_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(UserError, match="3 problems") as caught:
        fetch.official(out, SMALL)
    for expected in ("eng.train: wrong checksum", "eng.testa: no such file", "eng.testb: no such file"):
        assert expected in caught.value.what
    (folder / "eng.testa.gz").write_bytes(b"no gzip")
    with pytest.raises(UserError, match=r"eng\.testa\.gz: damaged"):
        fetch.official(out, SMALL)


def test_the_official_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("DATASET_MIRROR", str(mirror("conll2003")))
    fetch.official(tmp_path, SMALL)
    data = prepare.read(tmp_path, with_params().prepare)
    counts = {name: (len(part), sum(len(one.words) for one in part)) for name, part in data.splits.items()}
    assert counts == {"train": (14_041, 203_621), "valid": (3_250, 51_362), "test": (3_453, 46_435)}
    assert data.classes == ["LOC", "MISC", "ORG", "PER"]
    assert len({one.document for one in data.splits["test"]}) == 231
