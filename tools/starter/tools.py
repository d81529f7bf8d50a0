"""git and DVC, as a starter calls them: quiet when all is well, a UserError with their words when not."""

import os
import subprocess
import sys
from pathlib import Path

from shared.core.errors import UserError


def git(root: Path, *words: str) -> str:
    """The output of a git command. Raises UserError with what git said."""
    done = subprocess.run(
        ["git", *words], cwd=root, env=_environment(), capture_output=True, text=True, errors="surrogateescape"
    )
    if done.returncode:
        raise UserError(f"git {words[0]} failed in {root}:\n{done.stderr.strip()}")
    return done.stdout


def succeeds(root: Path, *words: str) -> bool:
    """Whether a git command ends with 0; for questions that git answers so."""
    return subprocess.run(["git", *words], cwd=root, env=_environment(), capture_output=True).returncode == 0


def listed(root: Path, *paths: str) -> list[str]:
    """The files that git knows or would add below some paths, as paths from the root."""
    words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths]
    return sorted({name for name in git(root, *words).split("\0") if name and (root / name).is_file()})


def dvc_add(root: Path, path: str, lock: int) -> None:
    """`dvc add`, with its progress bar. Raises UserError if it fails, which has then said why.

    Args:
        lock: a descriptor the child holds too: should this process be killed, the next one waits for the child's end.
    """
    words = [sys.executable, "-m", "dvc", "add", path]
    done = subprocess.run(words, cwd=root, stdout=subprocess.DEVNULL, pass_fds=[lock], env=_environment())
    if done.returncode:
        raise UserError(f"dvc add {path} failed, for the reason above", fix="mend it and run the same command again")


def _environment() -> dict[str, str]:
    """Without what would point git at another repository (in a hook) or make errors of DVC's own warnings."""
    hidden = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "PYTHONWARNINGS")
    return {name: value for name, value in os.environ.items() if name not in hidden}
