"""Looks at a folder of labelled images before anything is trained on it.

    python -m tools.check projects/flowers                 # looks at data/raw/flowers
    python -m tools.check some/folder [--page PATH]

Names damaged files, copies (re-encoded, resized, slightly cropped, mirrored) in two splits or under two classes, and
labels worth a look, on the terminal and on one HTML page, report/check-<name>.html. Exits 0; 1 when files are damaged
or misplaced, or copies lie in two splits or may come to lie there when prepare draws them; 2 when there is nothing to
check.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shared.core.cli import errors_for_people
from shared.core.errors import MAX_LISTED, UserError
from shared.core.paths import ROOT, Project, show
from shared.report.blocks import Block, figure
from shared.report.page import write_blocks

from .blocks import finding_blocks
from .findings import examine


def told(blocks: Sequence[Block]) -> Iterator[str]:
    """Blocks as lines for a terminal, 20 rows of each at most."""
    for block in blocks:
        if "rows" not in block:
            yield f"\n{block['title']}" if block["block"] == "section" else block["text"]
            continue
        yield from (f"  {_row(row)}" for row in block["rows"][:MAX_LISTED])
        if len(block["rows"]) > MAX_LISTED:
            yield f"  ... and {len(block['rows']) - MAX_LISTED:,} more"


def _row(row: Any) -> str:
    if not isinstance(row, dict):
        return "  ".join(filter(None, map(_cell, row)))
    if "pictures" in row:
        return f"{row['title']}\n      " + " = ".join(one["caption"] for one in row["pictures"])
    return f"{row['caption']}: {row['note']}"


def _cell(cell: Any) -> str:
    return f"{figure(cell['value'])}  {cell['note']}" if isinstance(cell, dict) else figure(cell)


def locate(word: str) -> Path:
    """The folder that is meant: `projects/<name>` means the project's raw data. Raises UserError if there is none."""
    path = Path(word).absolute()
    folder = Project(path.name).raw if path.parent == ROOT / "projects" else path
    if not folder.is_dir():
        raise UserError(f"{show(folder)}: no such folder", expected="images; a project's stage fetch brings its own")
    return folder


def main() -> int:
    """The command line. Returns the exit status."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tools.check", description=__doc__, formatter_class=form)
    parser.add_argument("folder", help="of images, or projects/<name>")
    parser.add_argument("--page", type=Path, help="where the page goes")
    words = parser.parse_args()
    with errors_for_people(), tempfile.TemporaryDirectory() as scratch:
        folder, album = locate(words.folder), Path(scratch)
        found = examine(folder)
        blocks = list(finding_blocks(found, album))
        page = (words.page or ROOT / "report" / f"check-{folder.name}.html").absolute()
        write_blocks(page, f"Data check: {show(folder)}", blocks, album)
        text = "\n".join([*told(blocks), "", f"page: {show(page)}"])
        # a file name may hold what moves the cursor or changes colours
        print("".join(char if char.isprintable() or char == "\n" else "?" for char in text), flush=True)
        return 1 if found.leaks or found.damaged or found.problems else 0
    return 2  # errors_for_people has ended the process


if __name__ == "__main__":
    sys.exit(main())
