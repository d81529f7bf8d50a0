"""What the stages of a project left, as the page and the index read it."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from shared.core.headline import Headline, find_headline
from shared.core.params import flatten, read_yaml
from shared.core.paths import ROOT

from .blocks import Block

STAGES = {"prepare": "Data", "train": "Training", "evaluate": "Evaluation", "explain": "Explanation"}


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

    def summary(self, stage: str) -> list[Block]:
        """The most important blocks of a stage."""
        return list(self.pages.get(stage, {}).get("summary", []))

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

    @cached_property
    def readme(self) -> str:
        """The text of the project's README; "" where there is none."""
        path = self.folder / "README.md"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def title(self) -> str:
        """The heading of the project's README, or its name."""
        rows = self.readme.splitlines()
        return next((row.removeprefix("# ").strip() for row in rows if row.startswith("# ")), self.project)

    @property
    def records(self) -> list[dict[str, Any]]:
        """What the presets reached, by name."""
        paths = sorted((self.folder / "records").glob("*.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    @property
    def presets(self) -> list[str]:
        """Names of the files in presets/."""
        return sorted(path.stem for path in (self.folder / "presets").glob("*.yaml"))

    @cached_property
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


def run_facts(results: Results) -> dict[str, str]:
    """What was run, as texts by name; what is unknown is left out."""
    params = results.params
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


def run_line(run: Mapping[str, str]) -> str:
    """The most important of these facts."""
    words = {"Trained": "Trained {}", "Commit": "commit {}", "Weights": "{} weights"}
    names = *words, "Training time", "Hardware"
    parts = [words.get(name, "{}").format(run[name]) for name in names if name in run]
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
