"""One self-contained HTML page of a project: projects/<name>/results/report.html, from the results of its stages.

    python -m shared.report.page cifar_cnn

Readable offline, on a phone and printed; no script; the same results give the same bytes.
"""

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from markupsafe import Markup

from shared.core.cli import errors_for_people
from shared.core.errors import UserError
from shared.core.files import write_atomic, writing
from shared.core.headline import Headline, find_headline
from shared.core.params import flatten, read_yaml
from shared.core.paths import ROOT, show

from .blocks import Block, as_words, lines, section, text
from .html import Renderer, render

STAGES = {"prepare": "Data", "train": "Training", "evaluate": "Evaluation", "explain": "Explanation"}
SUMMARIES = "train", "evaluate", "explain"
LEARNING = (
    "A validation loss that rises while the training loss falls means that the model overfits. Training figures are "
    "measured while the weights change, with augmentation and dropout, so they may be worse than "
    "those of validation. Curves that never change are left out."
)


@dataclass(frozen=True)
class Results:
    """What the stages of a project left. Missing files read as empty, and the page omits them.

    Args:
        project: name, the last part of projects/<name>.
        root: the checkout.
    """

    project: str
    root: Path = ROOT

    @property
    def folder(self) -> Path:
        return self.root / "projects" / self.project

    def of(self, stage: str) -> Path:
        """The folder in which a stage leaves its page.json, and which its pictures are relative to."""
        return self.root / "data" / "prepared" / self.project if stage == "prepare" else self.folder / "results" / stage

    def json(self, stage: str, name: str) -> Any:
        """The content of a stage's JSON file; an empty dict where there is none."""
        path = self.of(stage) / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def table(self, name: str) -> dict[str, list[str]]:
        """The columns of a TSV file of the train stage; none where there is none."""
        path = self.of("train") / name
        if not path.exists():
            return {}
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        return {key: [row[key] for row in rows] for key in (rows[0] if rows else ())}

    @cached_property
    def pages(self) -> dict[str, Any]:
        """Stage -> its page.json, of the stages that left one."""
        return {stage: page for stage in STAGES if (page := self.json(stage, "page.json"))}

    @cached_property
    def headline(self) -> Headline | None:
        """The metric that the project is judged by, if its evaluate stage has run."""
        return find_headline(self.json("evaluate", "metrics.json"))

    @property
    def source(self) -> str:
        """Where the data came from: "sample", "official" or "own"; "" where nothing says so."""
        source = self.headline.source if self.headline else ""
        return source or str(self.json("prepare", "manifest.json").get("source", ""))

    @property
    def title(self) -> str:
        """The heading of the project's README, or its name."""
        readme = self.folder / "README.md"
        rows = readme.read_text(encoding="utf-8").splitlines() if readme.exists() else []
        return next((row.removeprefix("# ").strip() for row in rows if row.startswith("# ")), self.project)

    @property
    def presets(self) -> list[str]:
        """Names of the files in presets/."""
        return sorted(path.stem for path in (self.folder / "presets").glob("*.yaml"))

    def params(self) -> dict[str, list[tuple[str, str, bool]]]:
        """Stage -> (key, value, whether it differs from params.yaml), as used."""
        used = {stage: page["params"] for stage, page in self.pages.items() if page["params"]}
        if trained := self.json("train", "model.json").get("params"):
            used["train"] = trained
        path = self.folder / "params.yaml"
        written = flatten(read_yaml(path)) if path.exists() else {}
        return {
            stage: [
                (key, _value(value), written.get(f"{stage}.{key}", value) != value)
                for key, value in flatten(used[stage]).items()
            ]
            for stage in STAGES
            if stage in used
        }


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
    except FileNotFoundError as error:  # as in a fresh clone: git has the figures, DVC's cache the pictures
        what = f"{show(Path(error.filename))}: missing, though the results of its stage name it"
        raise UserError(what, fix=f"{fix}, or dvc pull projects/{results.project} where there is a remote") from None
    if not made:
        raise UserError(f"{show(results.folder / 'results')}: no results to show", fix=fix)
    params = results.params()
    again = render("reproduce.html", project=results.project, presets=results.presets, params=params)
    run = _run(results, params)
    page = render(
        "page.html",
        project=results.project,
        title=results.title,
        on_sample=results.source == "sample",
        readme=(results.folder / "README.md").exists(),
        presets=results.presets,
        run=run,
        run_line=_run_line(run),
        summary=Markup("\n").join(_summary(results, stage) for stage in SUMMARIES),
        sections=[*made, ("How to reproduce", again)],
    )
    return write_page(results.folder / "results" / "report.html", page)


def write_blocks(path: Path, title: str, blocks: Sequence[Block], folder: Path) -> Path:
    """Writes a page that belongs to no project, and returns its path.

    Args:
        folder: what the names of files in the blocks are relative to.
    """
    sections = list(_titled(Renderer(folder, "page"), title, blocks))
    values = {"on_sample": False, "run": {}, "summary": ""}
    return write_page(path, render("page.html", project="", title=title, sections=sections, **values))


def write_page(path: Path, page: str) -> Path:
    """Writes the whole page or none of it, and returns its path."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, page.encode())
    return path


def _summary(results: Results, stage: str) -> Markup:
    blocks = results.pages.get(stage, {}).get("summary", [])
    return Renderer(results.of(stage), f"{stage}-summary").blocks(blocks)


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
    """A chart for each metric of history.tsv and validation.tsv that changes."""
    charts: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for name in ("history.tsv", "validation.tsv"):
        table = results.table(name)
        for key in [key for key in table if key not in ("step", "epoch")]:
            split, _, metric = key.partition("_") if key.startswith(("train_", "valid_")) else ("", "", key)
            pairs = [(float(x), float(y)) for x, y in zip(table["epoch"], table[key], strict=True) if _known(y)]
            label = {"train": "training", "valid": "validation", "": as_words(key)}[split]
            charts.setdefault(metric, {})[label] = [x for x, _ in pairs], [y for _, y in pairs]
    changing = {
        metric: series for metric, series in charts.items() if any(len(set(ys)) > 1 for _, ys in series.values())
    }
    made = [lines(f"learning-{metric}", as_words(metric), series, "epoch", "") for metric, series in changing.items()]
    return [section("Learning curves"), text(LEARNING, "small"), *made] if made else []


def _known(value: str) -> bool:
    return bool(value) and math.isfinite(float(value))


def _run(results: Results, params: dict[str, list[tuple[str, str, bool]]]) -> dict[str, str]:
    """Facts about the run as text; unknown ones are left out."""
    run, model = results.json("train", "run.json"), results.json("train", "model.json")
    where, network = run.get("hardware", {}), flatten(model.get("model", {}))
    clean = {True: "no uncommitted changes", False: "with uncommitted changes"}.get(run.get("clean"))
    changed = [f"{stage}.{key} = {value}" for stage, keys in params.items() for key, value, new in keys if new]
    facts = {
        "Trained": run.get("date", ""),
        "Commit": _joined(run.get("commit"), clean),
        "Model": _joined(*(f"{'' if key == 'name' else key} {value}" for key, value in network.items())),
        "Weights": f"{run['num_weights']:,}" if "num_weights" in run else "",
        "Seed": next((value for key, value, _ in params.get("train", []) if key == "seed"), ""),
        "Training time": _duration(run["seconds"]) if "seconds" in run else "",
        "Training": _joined(_counted(run, "steps"), _counted(run, "processes"), run.get("precision")),
        "Hardware": _joined(where.get("gpu"), f"{where['cores']} cores of {where['cpu']}" if "cpu" in where else ""),
        "Versions": _joined(*(f"{name} {version}" for name, version in run.get("versions", {}).items())),
        "Data": _joined(results.source, f"digest {model['trained_on'][:16]}" if "trained_on" in model else ""),
        "Overrides": _joined(*changed),
    }
    return {name: value for name, value in facts.items() if value}


def _run_line(run: dict[str, str]) -> str:
    """The most important of it."""
    words = {"Trained": "Trained {}", "Commit": "commit {}", "Weights": "{} weights", "Training time": "{}"}
    parts = [text.format(run[name]) for name, text in (words | {"Hardware": "{}"}).items() if name in run]
    return " · ".join(parts) or "What was run"


def _counted(run: dict[str, Any], name: str) -> str:
    return f"{run[name]:,} {name}" if run.get(name, 1) > 1 else ""


def _joined(*parts: str | None) -> str:
    return ", ".join(part.strip() for part in parts if part)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _duration(seconds: float) -> str:
    """35 -> "35 s", 572 -> "9 min 32 s", 7500 -> "2 h 5 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


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


if __name__ == "__main__":
    main()
