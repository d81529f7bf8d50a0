"""Looks at a folder of labelled images before anything is trained on it.

    python -m tools.check projects/flowers                 # looks at data/raw/flowers
    python -m tools.check some/folder [--page PATH]

Says on the terminal and on one HTML page (report/check-<name>.html): images by class and split, sizes, damaged files,
copies (exact, re-encoded, resized, slightly cropped, mirrored), copies in two splits (leakage) or under two classes,
labels worth a second look. Exits 0; 1 when what looks like copies lies in two splits, or files are damaged or lie where
they should not; 2 when there is nothing to check.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.core.cli import errors_for_people
from shared.core.errors import MAX_LISTED, UserError
from shared.core.paths import ROOT, Project, show
from shared.report.page import write

from .findings import Findings, balance, caution, class_counts, describe_group, examine, modes, sizes
from .page import page


def lines(found: Findings) -> Iterator[str]:
    """The report for a terminal, twenty lines at most for each kind of finding."""
    yield from _counts(found)
    yield from _listed("problem(s) of the folder", found.problems)
    yield from _listed("damaged or unreadable file(s)", found.unreadable)
    yield from _listed("file(s) ignored: no image by the suffix", [show(path) for path in found.ignored])
    yield from _copies(found)
    yield from _hints(found)


def _counts(found: Findings) -> Iterator[str]:
    counts = class_counts(found)
    splits = list(next(iter(counts.values())))
    rows = [["class", *splits], *([name, *(f"{row[split]:,}" for split in splits)] for name, row in counts.items())]
    totals = [f"{sum(row[split] for row in counts.values()):,}" for split in splits]
    yield from _aligned([*rows, ["all", *totals]])
    ratio, few = balance(found)
    yield f"\nsmallest class / largest class: {ratio:.2f}" + (f"; few images: {', '.join(few)}" if few else "")
    for side, (low, middle, high) in sizes(found).items():
        yield f"{side}: {low:,} to {high:,} px, median {middle:,}"
    yield "modes: " + ", ".join(f"{mode} {count:,}" for mode, count in modes(found).items())


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        numbers = "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        yield f"{row[0]:<{widths[0]}}{numbers}"


def _listed(title: str, items: Sequence[str]) -> Iterator[str]:
    if not items:
        return
    yield f"\n{len(items):,} {title}"
    yield from (f"  - {item}" for item in items[:MAX_LISTED])
    if len(items) > MAX_LISTED:
        yield f"  ... and {len(items) - MAX_LISTED:,} more"


def _copies(found: Findings) -> Iterator[str]:
    if not found.groups:
        yield "\nno copies"
        return
    named = [
        f"{describe_group(found, group)}\n      "
        + " = ".join(found.pictures[member].file.id for member in group.members)
        for group in found.harmful_first
    ]
    leaks = f"{len(found.leaks):,} in two splits" if found.has_splits else "no splits to leak between"
    yield from _listed(f"group(s) of copies; {leaks}, {len(found.contradictions):,} under two classes", named)
    if warning := caution(found):
        yield f"  ! {warning}"


def _hints(found: Findings) -> Iterator[str]:
    hints = [
        f"{found.pictures[hint.picture].file.id}: {hint.agreeing} of {hint.neighbours} neighbours are {hint.other}"
        for hint in found.hints
    ]
    yield from _listed(f"label(s) worth a look, a hint only: {trust(found)}", hints)


def trust(found: Findings) -> str:
    """How far hints can be trusted, as a sentence without its full stop."""
    return f"the vote of such neighbours is right for {found.neighbour_accuracy or 0:.0%} of the images"


def _printable(line: str) -> str:
    """A file name may hold what moves the cursor or changes colours."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in line)


def locate(word: str) -> Path:
    """The folder that is meant: `projects/<name>` means the project's raw data.

    Raises:
        UserError: there is no such folder.
    """
    path = Path(word).absolute()
    is_project = path.parent == ROOT / "projects"
    folder = Project(path.name).raw if is_project else path
    if not folder.is_dir():
        fix = f"python -m projects.{path.name}.fetch" if is_project and path.is_dir() else ""
        raise UserError(f"{show(folder)}: no such folder", expected="a folder of labelled images", fix=fix)
    return folder


def parse(words: Sequence[str]) -> tuple[Path, Path]:
    """The folder to look at, and where its page goes.

    Raises:
        UserError: not one folder, or an unknown option.
    """
    rest, target = list(words), None
    if "--page" in rest[:-1]:
        place = rest.index("--page")
        target = Path(rest[place + 1]).absolute()
        del rest[place : place + 2]
    if len(rest) != 1 or rest[0].startswith("-"):
        raise UserError("one folder is needed", expected="python -m tools.check some/folder [--page PATH]")
    folder = locate(rest[0])
    return folder, target or ROOT / "report" / f"check-{folder.name}.html"


def main() -> int:
    """The command line. Returns the exit status."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print((__doc__ or "").strip())
        return 0
    with errors_for_people():
        folder, target = parse(sys.argv[1:])
        found = examine(folder)
        write(target, page(found))
        print("\n".join(map(_printable, lines(found))), flush=True)
        print(f"\npage: {show(target)}", flush=True)
        return 0 if found.is_fine else 1
    return 2  # errors_for_people has ended the process


if __name__ == "__main__":
    sys.exit(main())
