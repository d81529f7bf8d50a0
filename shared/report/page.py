"""One self-contained HTML page of a project: projects/<name>/results/report.html, from the results of its stages.

    python -m shared.report.page cifar_cnn

Writes the model card beside the weights as well (results/train/README.md), and the index of all projects, which the
page links to. Readable offline, on a phone and printed; no script; the same results and commits give the same bytes.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from shared.core.cli import errors_for_people
from shared.core.errors import UserError
from shared.core.paths import show

from .blocks import Block, as_words, facts, fold, lines, section, text
from .card import card_as_markdown, model_card
from .html import Renderer, render, write_page
from .index import build_index, projects
from .results import STAGES, Results, run_facts, run_line
from .runs import run_blocks

NUM_CURVES = 2  # the others are folded
FLAT = 0.005  # a curve that changes by less, of its largest value, says nothing
SUMMARIES = "train", "evaluate", "explain"
LEARNING = (
    "A validation loss that rises while the training loss falls means that the model overfits. Training figures are "
    "measured while the weights change, with augmentation and dropout, so they may be worse than "
    "those of validation. Curves that hardly change are left out."
)


def build(results: Results) -> Path:
    """Writes the page and returns its path.

    Raises:
        UserError: there is no such project, or its stages left nothing.
    """
    if not results.folder.is_dir():
        raise UserError(f"projects/{results.project}: no such project", expected="the name of a folder in projects/")
    fix = f"dvc repro projects/{results.project}"
    try:
        made = [one for stage in STAGES for one in _sections(results, stage)]
        summaries = [_summary(results, stage) for stage in SUMMARIES]
    except FileNotFoundError as error:  # as in a fresh clone: git has the figures, DVC's cache the pictures
        what = f"{show(Path(error.filename))}: missing, though the results of its stage name it"
        raise UserError(what, fix=f"{fix}, or dvc pull projects/{results.project} where there is a remote") from None
    if not made:
        raise UserError(f"{show(results.folder / 'results')}: no results to show", fix=fix)
    again = render("reproduce.html", project=results.project, presets=results.presets, params=results.params)
    run, card, (beside, others) = run_facts(results), model_card(results), run_blocks(results)
    rest = [*others, *([section("Model card"), facts(card)] if card else [])]
    page = render(
        "page.html",
        project=results.project,
        title=results.title,
        on_sample=results.source == "sample",
        readme=bool(results.readme),
        presets=results.presets,
        run=Renderer(results.folder, "run").blocks([fold(run_line(run), [facts(run)])] if run else []),
        summary=Markup("\n").join([*summaries, Renderer(results.folder, "runs").blocks(beside)]),
        sections=[*made, *_titled(Renderer(results.folder, "page"), "", rest), ("How to reproduce", again)],
        others=[one.project for one in projects(results.root) if one.project != results.project],
    )
    if card:
        write_page(results.of("train") / "README.md", card_as_markdown(results))
    return write_page(results.folder / "results" / "report.html", page)


def write_blocks(path: Path, title: str, blocks: Sequence[Block], folder: Path) -> Path:
    """Writes a page that belongs to no project, and returns its path.

    Args:
        folder: what the names of files in the blocks are relative to.
    """
    sections = list(_titled(Renderer(folder, "page"), title, blocks))
    values = {"on_sample": False, "run": "", "summary": "", "others": []}
    return write_page(path, render("page.html", project="", title=title, sections=sections, **values))


def _summary(results: Results, stage: str) -> Markup:
    return Renderer(results.of(stage), f"{stage}-summary").blocks(results.summary(stage))


def _sections(results: Results, stage: str) -> Iterator[tuple[str, Markup]]:
    """Title and content of each section of a stage; blocks before its first one stand under the stage's own title."""
    left = results.pages.get(stage, {}).get("blocks", [])
    blocks: list[Block] = [*_learning(results), *left] if stage == "train" else left
    return _titled(Renderer(results.of(stage), stage), STAGES[stage], blocks)


def _titled(renderer: Renderer, title: str, blocks: Sequence[Block]) -> Iterator[tuple[str, Markup]]:
    """Title and content of each section; `title` is for blocks before the first one."""
    held = list[Block]()
    for block in [*blocks, section("")]:
        if block["block"] != "section":
            held.append(block)
            continue
        if held:
            yield title, renderer.blocks(held)
        title, held = block["title"], []


def _learning(results: Results) -> list[Block]:
    """A chart for each metric of history.tsv and validation.tsv that changes: two are seen, the others folded."""
    charts: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for name in ("history.tsv", "validation.tsv"):
        table = results.table(name)
        for key in [key for key in table if key not in ("step", "epoch")]:
            split, _, metric = key.partition("_") if key.startswith(("train_", "valid_")) else ("", "", key)
            pairs = [(float(x), float(y)) for x, y in zip(table["epoch"], table[key], strict=True) if _known(y)]
            label = {"train": "training", "valid": "validation", "": as_words(key)}[split]
            charts.setdefault(metric, {})[label] = [x for x, _ in pairs], [y for _, y in pairs]
    changing = {metric: series for metric, series in charts.items() if any(_changes(ys) for _, ys in series.values())}
    changing = dict(sorted(changing.items(), key=lambda chart: "validation" not in chart[1]))  # those say most
    made = [lines(f"learning-{metric}", as_words(metric), series, "epoch", "") for metric, series in changing.items()]
    more = f", and {len(made) - NUM_CURVES} more" if len(made) > NUM_CURVES else ""
    folded = fold(f"How to read these curves{more}", [text(LEARNING), *made[NUM_CURVES:]])
    return [section("Learning curves"), *made[:NUM_CURVES], folded] if made else []


def _changes(values: list[float]) -> bool:
    return bool(values) and max(values) - min(values) > FLAT * max(map(abs, values))


def _known(value: str) -> bool:
    return bool(value) and math.isfinite(float(value))


def main() -> None:
    """The command line: the name of one project."""
    given = sys.argv[1:]
    if {"-h", "--help"} & set(given):
        print((__doc__ or "").strip())
        return
    with errors_for_people():
        if len(given) != 1:
            raise UserError("one project's name is needed", expected="python -m shared.report.page cifar_cnn")
        print(show(build(Results(Path(given[0]).name))))
        build_index()


if __name__ == "__main__":
    main()
