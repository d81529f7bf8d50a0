"""The command line of a stage: help, params with overrides, one process or several, readable errors."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from shared.core import params as params_
from shared.core.errors import Stopped, UserError
from shared.core.files import DISK_ERRORS
from shared.core.paths import Project, show

P = TypeVar("P", bound=params_.Section)

FIRST_ERROR = "PIPELINES_FIRST_ERROR"  # names a file that the first failing process of several creates


def answer_help(name: str, doc: str | None, file: str) -> None:
    """Prints the help of `python -m projects.<name>.<stage> --help` and exits; does nothing without --help.

    Call it above the imports that take seconds.

    Args:
        name, doc, file: __name__, __doc__ and __file__ of the stage's module.
    """
    if name == "__main__" and {"-h", "--help"} & set(sys.argv[1:]):
        with errors_for_people():
            values = params_.read_yaml(Path(file).with_name("params.yaml"))
            print((doc or "").strip())
            for section in (Path(file).stem, "runtime"):
                keys = params_.flatten(values.get(section) or {}, f"{section}.")
                print(f"\nKeys of {section}, explained in params.py, with the values of params.yaml:")
                print("\n".join(f"    {key}={json.dumps(value)}" for key, value in keys.items()) or "    none")
        raise SystemExit(0)


def load_params(params: type[P], file: str, words: Sequence[str] | None) -> P:
    """params.yaml beside a stage's file, overridden by `section.key=value` words; None: those of the command line."""
    return params_.load(params, Path(file).with_name("params.yaml"), sys.argv[1:] if words is None else words)


def same_command(file: str, words: Sequence[str] | None) -> str:
    """What a user types to run a stage again in the way it was run: with DVC, or alone.

    Args:
        file, words: as `load_params` takes them.
    """
    path, given = Path(file).resolve(), sys.argv[1:] if words is None else words
    if "DVC_EXP_NAME" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ:  # whose words only the user knows
        return "the same command"
    if "DVC_STAGE" in os.environ:
        return f"dvc repro projects/{Project.of(file).name}"
    return shlex.join(["python", "-m", f"projects.{path.parent.name}.{path.stem}", *given])


def warn_of_overrides(file: str, words: Sequence[str] | None) -> None:
    """After a run with other numbers than those of params.yaml: says so, and how to get the results before it back."""
    given = [word for word in (sys.argv[1:] if words is None else words) if not word.startswith("runtime.")]
    if not given:
        return
    folder, stage = f"projects/{Project.of(file).name}", Path(file).stem
    print(
        f"note: {folder}/results/{stage} is now of {' '.join(given)}, not of params.yaml; back to what is committed:\n"
        f"  git checkout -- {folder}/results/{stage} && dvc checkout --force {folder}/dvc.yaml:{stage}\n"
        f"or, in a new run, to what params.yaml gives: dvc repro {folder}"
    )


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
    """Prints a UserError and exits 2. Ctrl-C and `| head` end the program without a traceback.

    A disk that is full or read-only is the user's to fix, wherever it is met. A file that does not exist is a bug.
    """
    try:
        yield
        sys.stdout.flush()  # a reader that has left, or a full disk, is noticed here and not while Python shuts down
    except UserError as error:
        _exit_2(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes
        raise SystemExit(141) from None
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        where = show(Path(os.fsdecode(error.filename))) if error.filename else "the disk"
        _exit_2(UserError(f"{where}: {error.strerror}", fix="free space or permissions, run again"))
    except Stopped as stopped:
        if stopped.what:
            print(stopped.what, file=sys.stderr)
        raise SystemExit(128 + stopped.signal) from None
    except KeyboardInterrupt:
        if _reports():
            print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _exit_2(error: UserError) -> None:
    with suppress(OSError):  # its own disk may be the full one
        sys.stdout.flush()
    if _reports():
        print(error, file=sys.stderr)
    raise SystemExit(2) from None


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
