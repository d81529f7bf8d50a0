"""The gallery of all projects with their headlines and records: report/index.html, linking to each project's page.

python -m shared.report.index
"""

import sys
from pathlib import Path
from typing import Any

from markupsafe import Markup

from shared.core.cli import errors_for_people
from shared.core.paths import ROOT, show

from .blocks import Block
from .html import data_uri, highlighted, render, write_page
from .results import Results

THUMBNAILS = 4
EXCERPT = 30  # words and what is between them, of a text


def projects(root: Path) -> list[Results]:
    """Every folder of projects/ that has a params.yaml, by name."""
    return [Results(path.parent.name, root) for path in sorted((root / "projects").glob("*/params.yaml"))]


def build_index(root: Path = ROOT) -> Path:
    """Writes the gallery and returns its path. Projects that have not run yet are listed with the command to run."""
    cards = [
        {
            "project": one,
            "words": _words(one),
            "ran": (one.folder / "results" / "report.html").exists(),
            **_seen(one),
        }
        for one in projects(root)
    ]
    return write_page(root / "report" / "index.html", render("index.html", cards=cards))


def _words(results: Results) -> str:
    """The headline in words, as evaluate says it."""
    return next((block["value"] for block in results.summary("evaluate") if block["block"] == "number"), "")


def _seen(results: Results) -> dict[str, Any]:
    """What a card shows of a project: pictures, which summaries show first, or else the beginning of a text."""
    for stage, name, block in _in_order(results):
        if name in ("pictures", "strips") and block["rows"]:
            rows = block["rows"] if name == "pictures" else block["rows"][0]["pictures"]
            files = [row.get("still", row["file"]) for row in rows[:THUMBNAILS]]
            if all((results.of(stage) / file).exists() for file in files):  # pictures are not in git
                uris = [data_uri(results.of(stage), file, block.get("size", "small")) for file in files]
                return {"thumbnails": uris, "excerpt": ""}
    for _, name, block in _in_order(results):
        if name == "highlights" and block["rows"]:
            row = block["rows"][0]
            short = {key: row[key][:EXCERPT] for key in ("pieces", "underlined", "boxed") if key in row}
            label = next(iter(row["marks"]), "")
            marked = highlighted(short | {"marks": {label: row["marks"][label][:EXCERPT]}}, label)
            return {"thumbnails": [], "excerpt": marked + ("" if len(row["pieces"]) <= EXCERPT else " …")}
    return {"thumbnails": [], "excerpt": Markup("")}


def _in_order(results: Results) -> list[tuple[str, str, Block]]:
    """Stage, kind and block: of summaries, then of explain, evaluate and train."""
    stages = "explain", "evaluate", "train"
    found = [(stage, results.summary(stage)) for stage in stages]
    found += [(stage, results.pages.get(stage, {}).get("blocks", [])) for stage in stages]
    return [(stage, block["block"], block) for stage, blocks in found for block in blocks]


def main() -> None:
    """The command line: takes nothing but --help."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print((__doc__ or "").strip())
        return
    with errors_for_people():
        print(show(build_index()))


if __name__ == "__main__":
    main()
