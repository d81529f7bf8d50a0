"""A bar on a terminal, a line from time to time in a log, nothing where it is soon over."""

import io
import sys

import pytest

from shared.core import progress as module
from shared.core.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: seconds[0])
    return seconds


def run(now: list[float], seconds: float, shown: bool = True) -> None:
    with progress("explain", 8, shown=shown) as advance:
        for _ in range(8):
            now[0] += seconds / 8
            advance(0, "Occlusion")
            advance(1)


def test_a_log_has_a_line_every_quarter_of_a_minute(now: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    run(now, 60.0)
    assert capsys.readouterr().out.splitlines() == [
        "explain: 12% after 15 s, Occlusion",
        "explain: 38% after 30 s, Occlusion",
        "explain: 62% after 45 s, Occlusion",
        "explain: 88% after 60 s, Occlusion",
    ]


@pytest.mark.parametrize(("seconds", "shown"), [(10.0, True), (60.0, False)])
def test_what_is_soon_over_and_other_processes_say_nothing(
    now: list[float], capsys: pytest.CaptureFixture[str], seconds: float, shown: bool
) -> None:
    run(now, seconds, shown)
    assert capsys.readouterr().out == ""


def test_a_terminal_has_a_bar_that_is_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DELAY_S", 0.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress("explain", 4) as advance:
        advance(2, "Occlusion")
        assert "explain:" in sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert sys.stderr.getvalue().endswith("\r")  # type: ignore[attr-defined]
