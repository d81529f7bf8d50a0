"""Looks at labelled or annotated images, or texts, before anything is trained on them.

    python -m tools.check projects/flowers             # looks at data/raw/flowers
    python -m tools.check some/folder [--page PATH]    # images, boxes, masks or texts of any form that prepare reads
    python -m tools.check tickets.csv

Tells from the files what they are, and says so. Names what prepare would refuse, damaged files, copies in two splits
or under two classes (images that were re-encoded, resized, slightly cropped or mirrored; texts that are nearly the
same), boxes that are copies of another, nearly empty or out of their image, and labels worth a look, on the terminal
and on one HTML page, report/check-<name>.html. Exits 0 if all is well; 1 when a count of the verdict is not 0, also
where near copies may come to lie in two splits when prepare draws them; 2 when there is nothing to check.
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
from shared.core.walk import files_below
from shared.data.rows import TABLES, suffix_of
from shared.image.files import IMAGE_SUFFIXES
from shared.report.blocks import Block, figure


def as_lines(blocks: Sequence[Block]) -> Iterator[str]:
    """Blocks as lines for a terminal, 20 rows of each at most."""
    for block in blocks:
        if "rows" not in block:
            yield f"\n{block['title']}" if block["block"] == "section" else block["text"]
            continue
        yield from (f"  {_row(row)}" for row in block["rows"][:MAX_LISTED])
        if more := len(block["rows"][MAX_LISTED:]) + block.get("more", 0):
            yield f"  ... and {more:,} more"


def _row(row: Any) -> str:
    if not isinstance(row, dict):
        return "  ".join(filter(None, map(_cell, row)))
    if "pictures" in row:
        return f"{row['title']}\n      " + " = ".join(one["caption"] for one in row["pictures"])
    return f"{row['caption']}: {row['note']}"


def _cell(cell: Any) -> str:
    return f"{figure(cell['value'])}  {cell['note']}" if isinstance(cell, dict) else figure(cell)


def locate(word: str) -> tuple[Path, str | None]:
    """The data that are meant, and their project: `projects/<name>` means its raw data. Raises UserError if there are
    none."""
    path = Path(word).absolute()
    project = path.name if path.parent == ROOT / "projects" else None
    data = Project(project).raw if project else path
    if not data.exists():
        expected = "images or texts; a project's stage fetch brings its own"
        raise UserError(f"{show(data)}: no such file or folder", expected=expected)
    return data, project


def holds_images(data: Path) -> bool:
    """Whether these are images, not texts: a file beside each image describes it, a picture beside a table does too."""
    from shared.text.files import TEXT_SUFFIX  # seconds to import, as below

    if data.is_file():
        return False
    files = list(files_below(data))
    images = [path.stem for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    names = set(images)
    texts = sum(suffix_of(path) in {*TABLES, TEXT_SUFFIX} and path.stem not in names for path in files)
    return len(images) >= max(1, texts, 2 * (texts > 0))


def main() -> int:
    """The command line. Returns the exit status."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tools.check", description=__doc__, formatter_class=form)
    parser.add_argument("data", help="of images or texts, a file of texts, or projects/<name>")
    parser.add_argument("--page", type=Path, help="where the page goes")
    words = parser.parse_args()
    from shared.report.page import write_blocks  # seconds to import: --help must not wait for them

    from .annotated import examine_annotated
    from .blocks import blocks_of, with_rest
    from .findings import examine
    from .texts import examine_texts

    with errors_for_people(), tempfile.TemporaryDirectory() as scratch:
        (data, project), album = locate(words.data), Path(scratch)
        of_images = holds_images(data)
        annotated = examine_annotated(data, project) if of_images else None
        found = annotated or (examine(data, project) if of_images else examine_texts(data, project))
        blocks = list(blocks_of(found, album))
        page = (words.page or ROOT / "report" / f"check-{data.name}.html").absolute()
        write_blocks(page, f"Data check: {show(data)}", list(with_rest(blocks)), album)
        text = "\n".join([*as_lines(blocks), "", f"page: {show(page)}"])
        # file names may contain terminal escape sequences
        print("".join(char if char.isprintable() or char == "\n" else "?" for char in text), flush=True)
        return 1 if any(found.faults.values()) else 0
    return 2  # errors_for_people has ended the process


if __name__ == "__main__":
    sys.exit(main())
