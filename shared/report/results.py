"""What the stages of a project left, read for its page. Whatever is missing reads as empty: the page leaves it out."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.core.headline import Headline, find_headline
from shared.core.paths import ROOT


@dataclass(frozen=True)
class Results:
    """The files of one project, by paths relative to its results folder.

    Args:
        project: name, the last part of projects/<name>.
        root: the checkout.
    """

    project: str
    root: Path = ROOT

    @property
    def folder(self) -> Path:
        return self.root / "projects" / self.project

    def path(self, name: str) -> Path:
        """projects/<name>/results/<name of the file>."""
        return self.folder / "results" / name

    def json(self, name: str) -> Any:
        """The content of a JSON file under results; an empty dict where there is none."""
        return _json(self.path(name))

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV or TSV file with a header; none where there is none."""
        path = self.path(name)
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))

    @property
    def manifest(self) -> dict[str, Any]:
        """What prepare says of the data."""
        manifest: dict[str, Any] = _json(self.root / "data" / "prepared" / self.project / "manifest.json")
        return manifest

    @property
    def on_sample(self) -> bool:
        """True where the figures were obtained on the project's embedded sample."""
        source: str = self.json("evaluate/metrics.json").get("source") or self.manifest.get("source", "")
        return source == "sample"

    @property
    def title(self) -> str:
        """The heading of the project's README, or its name."""
        readme = self.folder / "README.md"
        lines = readme.read_text(encoding="utf-8").splitlines() if readme.exists() else []
        return next((line.removeprefix("# ").strip() for line in lines if line.startswith("# ")), self.project)

    @property
    def headline(self) -> Headline | None:
        """The metric that the project is told by, if its evaluate stage has run."""
        return find_headline(self.json("evaluate/metrics.json"))


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
