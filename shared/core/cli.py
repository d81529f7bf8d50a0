"""The command line of a stage: help, params with overrides, one process or several, errors for people."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from shared.core import params as params_
from shared.core.errors import UserError

P = TypeVar("P", bound=params_.Section)

FIRST_ERROR = "PIPELINES_FIRST_ERROR"  # names a file that the first failing process of several creates


def run(main: Callable[[P], None], params: type[P], file: str, doc: str | None) -> None:
    """Runs `main(params)` for `python -m projects.<name>.<stage> [section.key=value ...]`.

    Args:
        main: the stage.
        params: the project's model of all sections.
        file: the stage's `__file__`; params.yaml lies beside it.
        doc: the module's docstring, which is its help.

    Exits 2 with one block of text on a UserError; lets a bug show its traceback.
    """
    words = sys.argv[1:]
    with errors_for_people():
        if {"-h", "--help"} & set(words):
            print((doc or "").strip(), flush=True)
            return
        main(params_.load(params, Path(file).with_name("params.yaml"), words))


class errors_for_people:
    """`with errors_for_people():` prints a UserError and exits 2. Ctrl-C and `| head` end it without a traceback."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UserError):
            sys.stdout.flush()
            if _reports():
                print(error, file=sys.stderr)
            raise SystemExit(2) from None
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes
            raise SystemExit(141) from None
        if isinstance(error, KeyboardInterrupt):
            print("interrupted", file=sys.stderr)
            raise SystemExit(130) from None


def _reports() -> bool:
    """Whether this process prints the error: of several started together, the first to fail does."""
    path = os.environ.get(FIRST_ERROR)
    if not path:
        return True
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
