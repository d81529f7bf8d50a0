"""A small repository with a project `toy`, whose stages take no time, to try the tools on."""

import shutil
import sys
from pathlib import Path

from shared.core.paths import ROOT
from tests.checkout import run
from tools import deps

REAL = ["shared/core", "tools", ".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore", "Makefile", "LICENSE"]
REAL += [".gitattributes", "pyproject.toml", "requirements.lock", "requirements-pretrained.lock", "tests/conftest.py"]
REAL += ["tests/pipelines.py", "tests/test_pipelines.py"]

STAGE = '''"""Runs python -m projects.toy.{stage}: data/raw/toy -> data/prepared/toy -> projects/toy/results."""

import json
from pathlib import Path

from shared.core.cli import run_stage
from shared.core.errors import UserError
from shared.core.files import write_json
from shared.core.paths import Project

from .params import Params

{first}
PROJECT = Project.of(__file__)
RESULTS = PROJECT.folder / "results"


def main(params: Params) -> None:
    PROJECT.results("{stage}")
{body}

{more}
if __name__ == "__main__":
    run_stage(main, Params, __file__)
'''
SUGGEST = """
def suggest(root: Path) -> dict[str, object]:
    found = [path for path in sorted(root.rglob("*.txt")) if not path.read_text()]
    if found:
        raise UserError(f"{root}: problems\\n" + "\\n".join(f"  - {path.name}: zero bytes" for path in found))
    names = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else [root.name]
    return {"prepare.names": names, "train.scale": 2.0}
"""
PREPARE = """\
    PROJECT.prepared.mkdir(parents=True, exist_ok=True)
    numbers = [float(path.read_text()) for path in sorted(PROJECT.raw.rglob("*.txt"))]
    write_json(PROJECT.prepared / "manifest.json", {"numbers": numbers})
    write_json(PROJECT.prepared / "page.json", {})"""
TRAIN = """\
    run = {"seconds": 1.0, "precision": "fp32", "hardware": {"cores": 2, "cpu": "a CPU"}}
    write_json(RESULTS / "train/run.json", run)
    write_json(RESULTS / "train/model.json", {"scale": params.train.scale})"""
EVALUATE = """\
    accuracy = json.loads((RESULTS / "train/model.json").read_text())["scale"] / 10
    metrics = {"accuracy": accuracy, "accuracy_low": 0.1, "accuracy_high": 0.9, "num_samples": 1000}
    write_json(RESULTS / "evaluate/metrics.json", metrics | {"unit": "texts", "source": "sample"})
    write_json(RESULTS / "evaluate/run.json", {"predict_seconds": 1.0})"""
EXPLAIN = """\
    write_json(RESULTS / "explain/metrics.json", {})
    write_json(RESULTS / "explain/page.json", {})"""
RAW, PREPARED, MODEL = "data/raw/${project}", "data/prepared/${project}", "R/train/model.json"
STAGES = {  # stage -> its code, what it reads, what it leaves in DVC's cache, and in git
    "fetch": ("    write_sample(PROJECT.raw)", [], [RAW], []),
    "prepare": (PREPARE, [RAW], [PREPARED], []),
    "train": (TRAIN, [PREPARED], [MODEL], ["R/train/run.json"]),
    "evaluate": (EVALUATE, [MODEL], [], ["R/evaluate/metrics.json", "R/evaluate/run.json"]),
    "explain": (EXPLAIN, [MODEL], [], ["R/explain/metrics.json", "R/explain/page.json"]),
}
PARAMS = """
from shared.core.params import Section


class Fetch(Section):
    source: str


class Prepare(Section):
    names: list[str]


class Train(Section):
    seed: int
    scale: float


class Params(Section):
    fetch: Fetch | None = None
    prepare: Prepare
    train: Train
    evaluate: dict[str, int]
    explain: dict[str, int]
"""
PARAMS_YAML = """# The sample.
fetch:
  source: sample
prepare:
  names: [one, two] # of folders
train:
  seed: 0
  scale: 1.0  # times
evaluate: {}
explain: {}
"""
PAGE = """
import sys

from shared.core.paths import Project

if __name__ == "__main__":
    folder = Project(sys.argv[1]).folder / "results"
    (folder / "train/README.md").write_text("A model card.")
    (folder / "report.html").write_text((folder / "evaluate/metrics.json").read_text())
"""
SAMPLE = (
    "from .words import NUMBER\n\ndef write_sample(raw):\n    raw.mkdir()\n    (raw / 'a.txt').write_text(NUMBER)\n"
)
EMPTY = ["projects", "projects/toy", "tests", "tests/projects", "tests/projects/toy", "shared", "shared/report"]
FILES = {f"{folder}/__init__.py": "" for folder in EMPTY} | {
    "projects/toy/README.md": "# toy: sums of numbers\n\nReached 0.99 with `toy`.\n",
    "projects/toy/params.py": PARAMS,
    "projects/toy/params.yaml": PARAMS_YAML,
    "projects/toy/sample.py": SAMPLE,
    "projects/toy/words.py": "NUMBER = '7'\n",
    "projects/toy/presets/large.yaml": "# more\ntrain:\n  scale: 5.0\n",
    "projects/toy/presets/official.yaml": "fetch:\n  source: official\n",
    "projects/toy/records/old.json": "{}\n",
    "projects/other/params.py": "a = 1\n",
    "tests/projects/toy/test_train.py": "from projects.toy.train import PROJECT\n\nassert PROJECT\n",
    "tests/projects/toy/test_sample.py": "from projects.toy.sample import write_sample\n\nassert write_sample\n",
    "tests/projects/toy/test_other.py": "from projects.other import params\n\nassert params\n",
    "shared/report/page.py": PAGE,
    "shared/report/templates/page.html": "<html>\n",
    "shared/unused.py": "a = 1\n",
    "dvc.yaml": "# One stage a project.\nstages:\n  index: # of all pages\n    cmd: python -m shared.report.page\n",
    "README.md": "# A repository\n",
}


def make_repository(root: Path) -> Path:
    """Writes it below `root`, which must not exist yet, with one commit."""
    for path in REAL:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copyfile
        copy(ROOT / path, root / path)
    shutil.rmtree(root / "tools/check", ignore_errors=True)
    for path, text in (FILES | _stages()).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    run(root, sys.executable, "-m", "ruff", "check", "--quiet", "--fix", "projects")
    run(root, sys.executable, "-m", "ruff", "format", "--quiet", "projects")
    for path, text in deps.stale(root).items():
        path.write_text(text)
    run(root, "git", "init", "--quiet", "--initial-branch", "main")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "start")
    return root


def _stages() -> dict[str, str]:
    files, dvc = {}, "vars:\n  - project: toy\n\nstages:\n"
    for stage, (body, reads, cached, plain) in STAGES.items():
        first = "from .sample import write_sample\n" if stage == "fetch" else ""
        more = SUGGEST if stage == "prepare" else ""
        code = STAGE.replace("{stage}", stage).replace("{first}", first).replace("{more}", more)
        files[f"projects/toy/{stage}.py"] = code.replace("{body}", body)
        dvc += f"  {stage}: # what runs\n    wdir: ../..\n    cmd: python -m projects.${{project}}.{stage}\n    deps:"
        dvc += "".join(f"\n      - {path}" for path in reads) or " []"
        dvc += f"\n    params:\n      - projects/${{project}}/params.yaml:\n          - {stage}\n    outs:\n"
        dvc += "".join(
            [f"      - {path}\n" for path in cached] + [f"      - {p}:\n          cache: false\n" for p in plain]
        )
    return files | {"projects/toy/dvc.yaml": dvc.replace("R/", "projects/${project}/results/")}
