"""Runs a pipeline from data to report: as params.yaml says, or with a preset as an experiment of its own.

    make repro PROJECT=cifar_cnn                               = dvc repro projects/cifar_cnn
    make repro PROJECT=cifar_cnn PRESET=official-cpu           in a temporary copy, the workspace stays clean
    python -m tools.repro cifar_cnn official --seeds 0 1 2    one experiment per seed, one record of all
    python -m tools.repro cifar_cnn --seeds 0 1 2             the same of params.yaml, recorded as `sample`

A preset (projects/<name>/presets/<preset>.yaml) holds only the keys that change. Its run is listed by `dvc exp show`
and leaves projects/<name>/records/<preset>.json: result, data, hardware and versions.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
from typing import Any

from ruamel.yaml import YAML

from shared.core.cli import errors_for_people
from shared.core.errors import UserError
from shared.core.files import write_json
from shared.core.headline import headline_of, in_words
from shared.core.params import Section, check_params, flatten, override, read_yaml
from shared.core.paths import ROOT, Project, show
from tools import readme

PARAMS_YAML = "sample"  # names the record of params.yaml without a preset


def find(name: str) -> Project:
    """A project by name, also as `projects/<name>/`. Raises UserError with the names there are."""
    names = readme.project_names(ROOT)
    name = name.rstrip("/").removeprefix("./").removeprefix("projects/")
    if name not in names:
        raise UserError(f"{name}: no such project", expected=f"one of {', '.join(names)}")
    return Project(name)


def reproduce(project: Project) -> None:
    """`dvc repro projects/<name>`; raises SystemExit with its status if it fails."""
    _dvc("repro", f"projects/{project.name}")
    metrics = json.loads((project.folder / "results/evaluate/metrics.json").read_text())
    print(f"\n{result({'runs': [{'metrics': metrics}]})}")
    print(f"the report: {show(project.folder / 'results/report.html')}")


def result(record: readme.Record) -> str:
    """The headline of a record in words."""
    metrics, number = record["runs"][0]["metrics"], len(record["runs"])
    headline = headline_of(metrics)
    how = f"mean and standard deviation of {number} seeds" if number > 1 else "95 % interval"
    words = f"{in_words(headline.name)} {readme.reached(record)}, {how}; {readme.data_words(metrics)}"
    best = headline.best_baseline
    baseline = f"; best simple baseline: {in_words(best[0])} {readme.digits(best[1])}" if best else ""
    return f"{words}{baseline} ({headline.direction} is better)"


def run_preset(project: Project, preset: str | None, seeds: list[int]) -> None:
    """Runs a preset, or params.yaml as it is, as one experiment per seed and writes the record of all."""
    changes = preset_changes(project, preset) if preset else {}
    preset = preset or PARAMS_YAML
    _refuse_unknown_files(project)
    runs, revisions = [], []
    for seed in seeds:
        name = f"{project.name}-{preset}-{seed}"
        sets = []
        for key, value in (changes | {"train.seed": seed}).items():
            word = value if isinstance(value, str) else json.dumps(value)
            sets += ["-S", f"projects/{project.name}/params.yaml:{key}={word}"]
        _dvc("exp", "run", "--temp", "--force", "--name", name, *sets, f"projects/{project.name}")
        revisions.append(_revision(name))
        runs.append(read_run(project, revisions[-1]))
    path = project.folder / "records" / f"{preset}.json"
    path.parent.mkdir(exist_ok=True)
    made = record(preset, changes, runs)
    write_json(path, made)
    print(f"\n{preset}: {result(made)}")
    print(f"the record: {show(path)} (commit it when it is good)")
    print(f"its model and page{f', of seed {seeds[0]}' * (len(seeds) > 1)}, in place of the results you have now:")
    print(f"  {bring_command(project, revisions[0])}")


def bring_command(project: Project, revision: str) -> str:
    """The command that brings an experiment's results into the workspace.

    By commit, since the experiment's name is not unique over commits. `dvc exp apply` would set every file of the
    workspace back to the experiment's, and ask for the data of all projects.
    """
    folder = f"projects/{project.name}"
    page = read_yaml(ROOT / "dvc.yaml")["stages"][folder]["cmd"]
    paths = f"{folder}/results {folder}/dvc.lock"
    return f"git restore --source={revision[:10]} -- {paths} && dvc checkout --force {folder}/dvc.yaml && {page}"


def preset_changes(project: Project, preset: str) -> dict[str, Any]:
    """The dotted keys a preset changes, checked against the project's params. Raises UserError."""
    path = project.folder / "presets" / f"{preset}.yaml"
    if not path.exists():
        names = sorted(file.stem for file in path.parent.glob("*.yaml"))
        raise UserError(f"{preset}: no such preset of {project.name}", expected=f"one of {', '.join(names)}")
    changes = flatten(read_yaml(path))
    tree = read_yaml(project.folder / "params.yaml")
    for key, value in changes.items():
        override(tree, key, value)
    model: type[Section] = importlib.import_module(f"projects.{project.name}.params").Params
    check_params(model, tree, show(path))
    return changes


def read_run(project: Project, revision: str) -> dict[str, Any]:
    """The results of one experiment, read from its commit: DVC restores only declared files."""

    def text(path: str) -> str:
        return readme.git(ROOT, "show", f"{revision}:projects/{project.name}/{path}")

    metrics, explain, train, evaluate = (
        json.loads(text(f"results/{path}.json"))
        for path in ("evaluate/metrics", "explain/metrics", "train/run", "evaluate/run")
    )
    lock, params = (YAML(typ="safe").load(text(name)) for name in ("dvc.lock", "params.yaml"))
    stages = [lock["stages"][stage] for stage in ("fetch", "prepare") if stage in lock["stages"]]  # own data: no fetch
    return {
        "seed": params["train"]["seed"],
        "metrics": {key: value for key, value in metrics.items() if key != "by_class"},
        "explain": explain,
        "training": train | evaluate,
        "data_md5": {out["path"]: out["md5"] for stage in stages for out in stage["outs"]},
        "params": flatten(params),
    }


def record(preset: str, changes: dict[str, Any], runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One record of all runs of a preset: the mean and spread of the headline, and each run."""
    headlines = [headline_of(run["metrics"]) for run in runs]
    values = [headline.value for headline in headlines]
    headline = {
        "name": headlines[0].name,
        "mean": statistics.mean(values),
        "standard_deviation": statistics.stdev(values) if len(values) > 1 else None,
        "num_seeds": len(values),
    }
    return {"preset": preset, "headline": headline, "changes": changes, "runs": runs}


def _refuse_read_only() -> None:
    """DVC would call it an unexpected error."""
    folder = ROOT / ".dvc"
    if not os.access(folder, os.W_OK):
        raise UserError(
            f"{show(folder)}: cannot be written", expected="a checkout of your own", fix=f"git clone {ROOT} <folder>"
        )


def _refuse_unknown_files(project: Project) -> None:
    places = f"projects/{project.name}", "shared", ":!*/records/*", ":!*/results/*", ":!*dvc.lock"
    if unknown := readme.git(ROOT, "ls-files", "--others", "--exclude-standard", "--", *places).splitlines():
        raise UserError(
            "files that git does not know, so that DVC would not take them into the experiment:\n  - "
            + "\n  - ".join(unknown),
            fix=f"git add {' '.join(unknown[:3])}{' ...' if len(unknown) > 3 else ''}, or remove them",
        )


def _revision(name: str) -> str:
    # the newest: each commit it was run from keeps an experiment of this name
    newest = "--sort=-committerdate", "--count=1", "--format=%(objectname)"
    found = readme.git(ROOT, "for-each-ref", *newest, f"refs/exps/*/*/{name}").strip()
    assert found, f"DVC ran {name} and left no commit of it"
    return found


def _dvc(*words: str) -> None:
    status = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=ROOT).returncode
    if status:
        raise SystemExit(status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project")
    parser.add_argument("preset", nargs="?")
    parser.add_argument("--seeds", type=int, nargs="+")
    words = parser.parse_args()
    with errors_for_people():
        project = find(words.project)
        _refuse_read_only()
        if words.preset or words.seeds:
            run_preset(project, words.preset, list(dict.fromkeys(words.seeds or [0])))  # each seed once
        else:
            reproduce(project)


if __name__ == "__main__":
    main()
