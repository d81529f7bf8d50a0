"""One self-contained HTML page of a project: projects/<name>/results/report.html, from what its stages left.

    python -m shared.report.page cifar_cnn

Readable offline, on a phone and printed; no script; the same results give the same bytes.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from shared.core.cli import errors_for_people
from shared.core.errors import UserError
from shared.core.files import writing
from shared.core.paths import show

from . import attributions, sections
from .html import Section, render
from .results import Results

SECTIONS: tuple[Callable[[Results], Section | None], ...] = (
    sections.result,
    sections.data,
    sections.learning,
    sections.classes,
    sections.confusion,
    sections.calibration,
    sections.thresholds,
    sections.worst,
)
ATTRIBUTIONS = attributions.shown, attributions.faithfulness, attributions.curves


def build(results: Results) -> Path:
    """Writes the page and returns its path.

    Raises:
        UserError: there is no such project, or its stages left nothing.
    """
    again = f"dvc repro projects/{results.project}"
    if not results.folder.is_dir():
        raise UserError(f"projects/{results.project}: no such project", expected="the name of a folder in projects/")
    made = [section for make in SECTIONS if (section := make(results))] + sections.own(results, "train", "evaluate")
    made += [section for make in ATTRIBUTIONS if (section := make(results))] + sections.own(results, "explain")
    if not made:
        raise UserError(f"{show(results.path(''))}: no results to show", fix=again)
    made += [section for make in (sections.params, sections.reproduce) if (section := make(results))]
    page = render("page.html", title=results.title, sections=made, results=results)
    return write(results.path("report.html"), page)


def write(path: Path, page: str) -> Path:
    """The whole page or none of it. Not write_atomic of the weights: that one imports torch."""
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(page, encoding="utf-8", newline="\n")
        temporary.replace(path)
    return path


def main() -> None:
    """The command line: the name of one project."""
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print((__doc__ or "").strip())
        return
    with errors_for_people():
        if len(words) != 1:
            raise UserError("one project's name is needed", expected="python -m shared.report.page cifar_cnn")
        print(show(build(Results(Path(words[0]).name))))


if __name__ == "__main__":
    main()
