"""Prepared data appear whole or not at all, and their manifest says what they are."""

import errno

import numpy as np
import pytest

from shared.core.errors import UserError
from shared.data.prepared import Prepared, write_prepared
from tests.empty_root import everything_below

SPLITS = {"train": {"label": np.arange(3)}, "test": {"label": np.arange(2)}}


def test_tables_files_and_counts_lie_beside_the_manifest(tmp_path):
    files, tables = {"encoder.json": {"words": ["ß"]}}, {"vectors": {"vector": np.eye(2)}}
    made = write_prepared(
        tmp_path / "own", SPLITS, {"classes": ["a"]}, counts={"test": {"lost": 7}}, files=files, tables=tables
    )
    prepared = Prepared(tmp_path / "own")
    assert prepared.manifest == made
    assert prepared.splits == sorted(SPLITS)
    assert (made["splits"]["test"]["lost"], made["splits"]["test"]["count"]) == (7, 2)
    assert made["splits"]["train"]["digest"] != made["splits"]["test"]["digest"]
    assert prepared.read("encoder.json") == files["encoder.json"]
    assert prepared.table("vectors").fixed("vector").tolist() == [[1, 0], [0, 1]]
    assert write_prepared(tmp_path / "again", SPLITS, {})["splits"]["train"] == made["splits"]["train"]


def test_a_full_disk_leaves_the_old(tmp_path, monkeypatch):
    write_prepared(tmp_path / "own", SPLITS, {"old": True})
    before = everything_below(tmp_path)

    def full(file, *_, **__):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shared.data.table.np.save", full)
    with pytest.raises(UserError, match="own: cannot be written: No space left on device"):
        write_prepared(tmp_path / "own", SPLITS, {})
    assert everything_below(tmp_path) == before
    assert Prepared(tmp_path / "own").manifest["old"]


def test_what_was_not_prepared_is_named(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.json: no prepared data") as error:
        Prepared(tmp_path).splits  # noqa: B018
    assert "dvc repro" in str(error.value)
