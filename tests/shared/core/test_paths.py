"""Names of files in messages."""

from pathlib import Path

from shared.core.errors import UserError
from shared.core.paths import ROOT, reason_of


def test_a_reason_does_not_repeat_the_name_of_the_file() -> None:
    for path in (ROOT / "a.png", Path("a.png"), "./a.png"):
        assert reason_of(UserError("a.png: empty", expected="an image"), path) == "empty (expected an image)"
