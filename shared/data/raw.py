"""The raw data of a project: what fetch brings, with a note of where it is from."""

import json
from collections.abc import Callable
from pathlib import Path

from shared.core.errors import UserError
from shared.core.files import replace_folder
from shared.core.paths import Project, show

NOTE = "source.json"


def fetch(project: Project, source: str, bring: Callable[[Path], None]) -> None:
    """Replaces the raw data, which appear whole or not at all.

    Args:
        source: sample or official.
        bring: puts the data into an empty folder.
    """
    with replace_folder(project.raw) as folder:
        bring(folder)
        (folder / NOTE).write_text(json.dumps({"source": source}) + "\n")
    print(f"fetch: {source} -> {show(project.raw)}")


def source_of(root: Path) -> str:
    """What `fetch` left a note of; data without a note are the user's own. Raises UserError on another note."""
    path = root / NOTE
    try:
        return str(json.loads(path.read_text())["source"]) if path.exists() else "own"
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{show(path)}: not what fetch writes", fix="remove it, if the data are your own") from None
