"""The gallery of all projects with their headlines and records: report/index.html, linking to each project's page.

python -m shared.report.index
"""

import json
import sys
from pathlib import Path
from typing import Any

from shared.core.cli import errors_for_people
from shared.core.paths import ROOT, show

from .html import data_uri, render
from .page import Results, write_page

THUMBNAILS = 4


def projects(root: Path) -> list[Results]:
    """Every folder of projects/ that has a params.yaml, by name."""
    return [Results(path.parent.name, root) for path in sorted((root / "projects").glob("*/params.yaml"))]


def build_index(root: Path = ROOT) -> Path:
    """Writes the gallery and returns its path. Projects that have not run yet are listed with the command to run."""
    cards = [
        {
            "project": one,
            "records": _records(one),
            "thumbnails": _thumbnails(one),
            "ran": (one.folder / "results" / "report.html").exists(),
        }
        for one in projects(root)
    ]
    return write_page(root / "report" / "index.html", render("index.html", cards=cards))


def _records(results: Results) -> list[dict[str, Any]]:
    paths = sorted((results.folder / "records").glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _thumbnails(results: Results) -> list[str]:
    """The first pictures that a stage left: of explain, or else of evaluate or train."""
    for stage in ("explain", "evaluate", "train"):
        for block in results.pages.get(stage, {}).get("blocks", []):
            if block["block"] in ("pictures", "strips") and block["rows"]:
                rows = block["rows"] if block["block"] == "pictures" else block["rows"][0]["pictures"]
                return [data_uri(results.of(stage), row.get("still", row["file"])) for row in rows[:THUMBNAILS]]
    return []


def main() -> None:
    """The command line: takes nothing but --help."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print((__doc__ or "").strip())
        return
    with errors_for_people():
        print(show(build_index()))


if __name__ == "__main__":
    main()
