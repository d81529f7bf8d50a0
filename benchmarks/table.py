"""What every benchmark ends with: a Markdown table on the screen, the figures in benchmarks/results/<name>.json."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from shared.core.files import write_atomic, write_json
from shared.training.device import hardware

RESULTS = Path(__file__).with_name("results")
CPU = torch.device("cpu")

Row = Mapping[str, Any]


def report(
    name: str, rows: Sequence[Row], packages: Sequence[str] = ("torch",), device: torch.device = CPU, **setup: Any
) -> None:
    """Prints the rows and writes them with hardware and versions, but no date: the same figures are the same bytes.

    Args:
        name: of the benchmark, and of the file.
        rows: one mapping a line of the table, all with the keys of the first.
        packages: whose versions matter here.
        device: that computed.
        setup: further plain values that say under which conditions the figures hold.
    """
    print(markdown(rows), flush=True)
    versions = {"python": platform.python_version()} | {package: version(package) for package in packages}
    RESULTS.mkdir(exist_ok=True)
    tree = {"setup": setup, "columns": list(rows[0]), "rows": rows, "hardware": hardware(device), "versions": versions}
    write_json(RESULTS / f"{name}.json", tree)


def write_readme(what: Mapping[str, str], intro: str) -> None:
    """Writes benchmarks/README.md from the figures of all benchmarks that have been run.

    Args:
        what: name of each benchmark -> what it measures.
        intro: the text above the tables.
    """
    parts = [intro.strip()]
    for name, sentence in what.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            parts.append(f"## {name}\n{sentence[0].upper()}{sentence[1:]}.\n\n{_shown(json.loads(path.read_text()))}")
    write_atomic(RESULTS.with_name("README.md"), ("\n\n".join(parts) + "\n").encode())


def _shown(tree: Mapping[str, Any]) -> str:
    machine, versions = tree["hardware"], ", ".join(f"{name} {number}" for name, number in tree["versions"].items())
    setup = "".join(f"; {name.replace('_', ' ')}: {_word(value)}" for name, value in tree["setup"].items())
    gpu = f"{machine['gpu']}, " if "gpu" in machine else ""
    rows = [{name: row[name] for name in tree["columns"]} for row in tree["rows"]]
    return f"{markdown(rows)}\n\n{gpu}{machine['cores']} cores of {machine['cpu']}; {versions}{setup}."


def markdown(rows: Sequence[Row]) -> str:
    """A Markdown table.

    >>> print(markdown([{"loop": "by hand", "us": 12.345}]))
    | loop | us |
    | --- | --- |
    | by hand | 12.35 |
    """
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([_word(value) for value in row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_word, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
