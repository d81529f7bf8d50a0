"""The list of all projects with their headline figures: report/index.html, linking to each project's page.

python -m shared.report.index
"""

import sys
from pathlib import Path

from shared.core.cli import errors_for_people
from shared.core.paths import ROOT, show

from .html import render
from .page import write
from .results import Results


def projects(root: Path) -> list[Results]:
    """Every folder of projects/ that has a params.yaml, by name."""
    return [Results(path.parent.name, root) for path in sorted((root / "projects").glob("*/params.yaml"))]


def build(root: Path = ROOT) -> Path:
    """Writes the list and returns its path. Projects that have not run yet are listed with the command to run."""
    return write(root / "report" / "index.html", render("index.html", projects=projects(root)))


def main() -> None:
    """The command line: takes nothing but --help."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print((__doc__ or "").strip())
        return
    with errors_for_people():
        print(show(build()))


if __name__ == "__main__":
    main()
