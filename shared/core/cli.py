"""The command line of a stage: help, params with overrides, one process or several, readable errors."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from shared.core import params as params_
from shared.core.errors import UserError

P = TypeVar("P", bound=params_.Section)

FIRST_ERROR = "PIPELINES_FIRST_ERROR"  # names a file that the first failing process of several creates


def answer_help(name: str, doc: str | None, file: str) -> None:
    """Prints the help of `python -m projects.<name>.<stage> --help` and exits; does nothing without --help.

    Call it above the imports that take seconds.

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
    """params.yaml beside a stage's file, overridden by `section.key=value` words; None: those of the command line."""
    return params_.load(params, Path(file).with_name("params.yaml"), sys.argv[1:] if words is None else words)


def run_stage(main: Callable[[P], None], params: type[P], file: str, words: Sequence[str] | None = None) -> None:
    """Runs `main(params)` for `python -m projects.<name>.<stage> [section.key=value ...]`.

    Args:
        params: the project's model of all sections.
        file: the stage's `__file__`; params.yaml lies beside it.
        words: of the command line; None: sys.argv.
    """
    with errors_for_people():
        main(load_params(params, file, words))


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Prints a UserError and exits 2. Ctrl-C and `| head` end the program without a traceback."""
    try:
        yield
    except UserError as error:
        sys.stdout.flush()
        if _reports():
            print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes
        raise SystemExit(141) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _reports() -> bool:
    """Whether this process prints the error: of several started together, the first to fail does."""
    path = os.environ.get(FIRST_ERROR)
    if not path:
        return True
    try:
        Path(path).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
