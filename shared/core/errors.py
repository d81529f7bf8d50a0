"""Errors that users read: what is wrong, where, what was expected, what to do.

A `UserError` is something the user can fix; `shared.core.cli.run_stage` prints it as one block and exits 2.
Everything else is a bug and keeps its traceback.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

MAX_LISTED = 20


class UserError(Exception):
    """A mistake the user can fix.

    Args:
        what: one sentence that names the file or key and says what is wrong with it.
        expected: what would have been right.
        fix: what to do now, as a command where there is one.
    """

    def __init__(self, what: str, *, expected: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.expected, self.fix = what, expected, fix
        self.problems: list[str] = []  # each of them, where it lists several

    def __str__(self) -> str:
        lines = [f"error: {self.what}"]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.fix:
            lines.append(f"  to do: {self.fix}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:  # it crosses to other processes
        return partial(UserError, expected=self.expected, fix=self.fix), (self.what,), {"problems": self.problems}


class Stopped(KeyboardInterrupt):
    """Ctrl-C, or another signal that ended a stage. Printed without a traceback; the exit status is 128 + signal.

    Args:
        what: what was kept of the work, and what to do; "" where another process says so.
        signal: its number.
    """

    def __init__(self, what: str, signal: int) -> None:
        super().__init__(what)
        self.what, self.signal = what, signal


class Problems:
    """Collects everything wrong with a data set, so that the user fixes it at once and not file by file.

    >>> problems = Problems("data/raw/flowers")
    >>> problems.add("rose/7.png", "zero bytes, expected an image")
    >>> problems.raise_if_any(fix="remove or replace them")
    Traceback (most recent call last):
        ...
    shared.core.errors.UserError: error: data/raw/flowers: 1 problem
      - rose/7.png: zero bytes, expected an image
      to do: remove or replace them
    """

    def __init__(self, source: object) -> None:
        self.source = source
        self.found: list[str] = []

    def add(self, where: object, what: str) -> None:
        """Notes one problem: where (file, row or key) and what was found and expected there."""
        self.found.append(f"{where}: {what}")

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Notes a UserError raised inside and goes on."""
        try:
            yield
        except UserError as error:
            self.found += error.problems or [error.what + (f" (expected {error.expected})" if error.expected else "")]

    def raise_if_any(self, fix: str = "") -> None:
        """Raises one UserError that lists the first 20 problems and counts the rest."""
        if not self.found:
            return
        count = len(self.found)
        lines = [f"{self.source}: {count:,} problem{'s' if count > 1 else ''}"]
        lines += [f"  - {problem}" for problem in self.found[:MAX_LISTED]]
        if count > MAX_LISTED:
            lines.append(f"  ... and {count - MAX_LISTED:,} more")
        error = UserError("\n".join(lines), fix=fix)
        error.problems = list(self.found)
        raise error
