"""What is explained where the data know no alignment: the model's own translations."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from projects.multi30k_translation import explain
from projects.multi30k_translation.pieces import END, learn_pieces
from shared.core.errors import UserError
from shared.data.table import Ragged, Table, write_table
from shared.training.distributed import local


@pytest.mark.parametrize("empty", [1, 2])
def test_empty_translations_are_left_out_unless_all_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: int
) -> None:
    pieces = learn_pieces(["a b c d"], "bpe", 64)
    source = Ragged.of([one.ids for one in pieces.encode(["a", "b"], 8)], np.int32)
    write_table(tmp_path / "test", {"source_text": ["a", "b"], "target_text": ["c", "d"], "source": source})
    found = [[END]] * empty + [pieces.encode(["d c"], 8)[0].ids] * (2 - empty)
    monkeypatch.setattr(explain, "translate_all", lambda *given: found)
    evaluate = SimpleNamespace(batch_size=9)
    trained: Any = SimpleNamespace(model=None, params=SimpleNamespace(evaluate=evaluate), world=local())
    if empty == 1:
        (forced,) = explain.sentences(trained, Table(tmp_path / "test"), pieces, 2, 0)
        assert (forced.target, forced.units) == ("d c", None)
    else:
        with pytest.raises(UserError, match="all 2 translations are empty"):
            explain.sentences(trained, Table(tmp_path / "test"), pieces, 2, 0)
