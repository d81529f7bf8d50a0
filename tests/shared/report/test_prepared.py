"""What prepare leaves for the page is what it prints."""

from pathlib import Path

import numpy as np
import pytest

from shared.core.params import Section
from shared.data.prepared import Prepared
from shared.report import blocks
from shared.report.prepared import leave_prepared


class Params(Section):
    seed: int = 3


def test_the_page_and_the_terminal_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = ["Two cats.", {"cat": {"train": 1200, "test": 2}}]
    leave_prepared(tmp_path / "own", {"train": {"label": np.arange(3)}}, {"source": "own"}, page, Params())
    prepared = Prepared(tmp_path / "own")
    assert prepared.manifest["splits"]["train"]["count"] == 3
    assert prepared.read("page.json") == blocks.page([blocks.text(page[0]), blocks.counts(page[1])], params={"seed": 3})
    assert "Two cats.\n      train    test\ncat   1,200       2\nprepare: own -> " in capsys.readouterr().out
