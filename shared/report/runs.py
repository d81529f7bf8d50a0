"""This run beside others: the last committed one, where its figures differ, and the records of the presets."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.core.headline import Headline, find_headline

from .blocks import Block, as_words, cell, figure, section, table, text
from .results import Results

OUTCOMES = {"better": "better", "worse": "worse", "": "no clear difference"}
OTHER_DATA = "other data"
INTRO = (
    "Runs on other data are not compared. The verdict says whether the other figure lies inside the 95 % interval of "
    "this run."
)


@dataclass(frozen=True)
class OtherRun:
    """The headline of another run.

    Args:
        name: what it was.
        value: its figure, the mean of several seeds.
        spread: the interval or the deviation, in words.
        data: source and number of test samples.
    """

    name: str
    value: float
    spread: str
    data: tuple[str, int | None]


def run_blocks(results: Results) -> tuple[list[Block], list[Block]]:
    """A sentence on the last committed run, and a table of all other runs; nothing where there are none."""
    headline = results.headline
    if headline is None:
        return [], []
    committed = [_run_of(name, found) for name, found in _committed(results) if found.name == headline.name]
    others = [*committed, *_recorded(results, headline)]
    if not others:
        return [], []
    rows = [["this run", headline.value, _interval(headline), _data(headline.source, headline.num_samples), None]]
    rows += [
        [
            one.name,
            one.value,
            one.spread,
            _data(*one.data),
            cell(*_difference(headline, one), note=_verdict(headline, one)),
        ]
        for one in others
    ]
    shown = table(["Run", as_words(headline.name), "95 %", "Data", "This run is better by"], rows, intro=INTRO)
    return [text(_sentence(headline, one)) for one in committed], [section("Other runs"), shown]


def _sentence(headline: Headline, other: OtherRun) -> str:
    where = f"{other.name[:1].upper()}{other.name[1:]}: {as_words(headline.name)} {figure(other.value)}"
    return f"{where}; this run: {_verdict(headline, other)}."


def _verdict(headline: Headline, other: OtherRun) -> str:
    if (headline.source, headline.num_samples) != other.data:
        return OTHER_DATA
    return "the same" if other.value == headline.value else OUTCOMES[headline.against(other.value)]


def _difference(headline: Headline, other: OtherRun) -> tuple[float | None, bool | None]:
    """By how much this run is better, and whether it clearly is."""
    verdict = _verdict(headline, other)
    if verdict == OTHER_DATA:
        return None, None
    gain = (headline.value - other.value) * (1 if headline.direction == "higher" else -1)
    return gain, {"better": True, "worse": False}.get(verdict)


def _interval(headline: Headline) -> str:
    return f"{figure(headline.low)} to {figure(headline.high)}"


def _data(source: str, num_samples: int | None) -> str:
    return ", ".join(filter(None, (source, f"{num_samples:,} tested" if num_samples else "")))


def _run_of(name: str, headline: Headline) -> OtherRun:
    return OtherRun(name, headline.value, _interval(headline), (headline.source, headline.num_samples))


def _recorded(results: Results, headline: Headline) -> Iterator[OtherRun]:
    """The records that have this run's headline."""
    for record in results.records:
        found = find_headline(record["runs"][0]["metrics"]) if record.get("runs") else None
        if found is None or found.name != headline.name:
            continue
        name, reached = f"record {record['preset']}", record["headline"]
        if reached["num_seeds"] > 1:
            spread = f"± {figure(reached['standard_deviation'])}, {reached['num_seeds']} seeds"
            yield OtherRun(name, reached["mean"], spread, (found.source, found.num_samples))
        else:
            yield _run_of(name, found)


def _committed(results: Results) -> Iterator[tuple[str, Headline]]:
    """The last committed run, unless its figures are these."""
    path = (results.of("evaluate") / "metrics.json").relative_to(results.root).as_posix()
    line = _git(results.root, "log", "--max-count=1", "--no-show-signature", "--format=%h %cs", "--", path)
    held = _git(results.root, "show", f"HEAD:./{path}") if line else ""  # none where the commit removed it
    metrics = json.loads(held or "{}")
    headline = find_headline(metrics)
    if headline and metrics != results.json("evaluate", "metrics.json"):
        commit, date = line.split()
        yield f"committed run {commit} of {date}", headline


def _git(root: Path, *words: str) -> str:
    """What a git command says; "" where there is no git, no repository or nothing to say."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, encoding="utf-8")
    except OSError:
        return ""
    return "" if done.returncode else done.stdout
