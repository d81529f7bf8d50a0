"""The command line of a stage: help, params with overrides, one process or several, errors for people."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from shared.core import params as params_
from shared.core.errors import UserError

P = TypeVar("P", bound=params_.Section)

FIRST_ERROR = "PIPELINES_FIRST_ERROR"  # names a file that the first failing process of several creates


def answer_help(name: str, doc: str | None, file: str) -> None:
    """Answers `python -m projects.<name>.<stage> --help`, and ends; does nothing in any other case.

    To be called above the imports that take seconds.

    Args:
        name, doc, file: __name__, __doc__ and __file__ of the stage's module.
    """
    if name == "__main__" and {"-h", "--help"} & set(sys.argv[1:]):
        stage = Path(file).stem
        values = params_.read_yaml(Path(file).with_name("params.yaml"))
        print((doc or "").strip())
        for section in (stage, "runtime"):
            keys = params_.flatten(values.get(section, {}), f"{section}.")
            print(f"\nKeys of {section}, explained in params.py, with the values of params.yaml:")
            print("\n".join(f"    {key}={json.dumps(value)}" for key, value in keys.items()) or "    none")
        raise SystemExit(0)


def load_params(params: type[P], file: str, words: Sequence[str] | None) -> P:
    """params.yaml beside a stage's file, with `section.key=value` words; None: those of the command line."""
    return params_.load(params, Path(file).with_name("params.yaml"), sys.argv[1:] if words is None else words)


def run_stage(main: Callable[[P], None], params: type[P], file: str, words: Sequence[str] | None = None) -> None:
    """Runs `main(params)` for `python -m projects.<name>.<stage> [section.key=value ...]`.

    Args:
        main: the stage.
        params: the project's model of all sections.
        file: the stage's `__file__`; params.yaml lies beside it.
        words: of the command line; None: sys.argv.

    Exits 2 with one block of text on a UserError; lets a bug show its traceback.
    """
    with errors_for_people():
        main(load_params(params, file, words))


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
