"""What holds for all code and all pipelines: floors, names, declared deps, locks."""

import ast
import hashlib
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.params import flatten, read_yaml
from shared.core.paths import ROOT
from tests.pipelines import PROJECTS, stages
from tools import deps

STAGES = [(project, stage) for project in PROJECTS for stage in stages(project)]
FLOORS = [["core"], ["data"], ["training"], ["report"], ["evaluation"], ["explain"]]  # the rooms are above all of these
SHARED = sorted(path for path in ROOT.glob("shared/*/**/*.py") if path.stat().st_size)
SECTIONS = [
    "Read it in this order",
    "The data",
    "The model and its training",
    "What you should see",
    "How it is measured",  # where the figures need words
    "Use and limits",
    "Adapting it",
]
VERBS = {"describe", "explain", "main", "prepare", "present", "read", "show", "suggest"}  # of several rooms or commands


def test_the_deps_are_what_the_code_imports():
    assert deps.stale() == {}, "run: make deps"


@pytest.mark.parametrize(("project", "stage"), STAGES)
def test_a_stage_is_named_like_its_script_params_and_results(project, stage):
    spec = stages(project)[stage]
    assert spec["cmd"] == f"python -m projects.{project}.{stage}"
    assert spec["wdir"] == "../.."
    assert spec["params"] == [{f"projects/{project}/params.yaml": [stage]}]


@pytest.mark.parametrize("project", PROJECTS)
def test_the_root_has_a_stage_for_the_page_of_the_project(project):
    assert read_yaml(ROOT / "dvc.yaml")["stages"][f"projects/{project}"] == deps.page_stage(project)


@pytest.mark.parametrize("project", PROJECTS)
def test_a_readme_has_its_sections_in_order_and_names_every_module(project):
    text = (ROOT / "projects" / project / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.+)$", text, re.MULTILINE)
    if found[0] != SECTIONS[0]:
        pytest.skip("a copy, which has a README of its own")
    assert found == [name for name in SECTIONS if name in found or name != "How it is measured"]
    reading = text.partition(f"## {SECTIONS[0]}")[2].partition("\n## ")[0]
    modules = {path.name for path in (ROOT / "projects" / project).glob("*.py") if path.stat().st_size}
    assert modules <= set(re.findall(r"`(\w+\.py)`", reading))


def place(name: str) -> tuple[str, str]:
    """shared.core.files -> (shared, core)."""
    top, _, rest = name.partition(".")
    return top, rest.partition(".")[0]


def imported(path: Path) -> list[tuple[str, str]]:
    return [place(name) for name in deps.names_imported(path) if deps.module_file(name).exists()]


def may_import(room: str, other: str) -> bool:
    """Its own room and those below it; what is on no floor is a room of a kind, above all floors."""
    order = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    return room == other or order.get(other, len(FLOORS)) < order.get(room, len(FLOORS))


@pytest.mark.parametrize("path", SHARED, ids=lambda path: str(path.relative_to(ROOT)))
def test_shared_imports_point_down(path):
    room = path.relative_to(ROOT).parts[1]
    assert [name for name in imported(path) if name[0] != "shared"] == []
    assert [other for _, other in imported(path) if not may_import(room, other)] == []


@pytest.mark.parametrize("project", PROJECTS)
def test_a_project_imports_shared_and_itself(project):
    for path in ROOT.glob(f"projects/{project}/**/*.py"):
        assert {name for name in imported(path) if name[0] != "shared"} <= {("projects", project)}


def test_core_is_read_without_torch_and_numpy():
    modules = ", ".join(f"shared.core.{path.stem}" for path in SHARED if path.parent.name == "core")
    code = f"import sys; sys.modules |= dict.fromkeys(('torch', 'numpy')); import {modules}"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def public_names(path: Path) -> Iterator[str]:
    """Of classes and functions: what other modules call. A constant is a detail of its module."""
    names = (node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef | ast.FunctionDef))
    return (name for name in names if not name.startswith("_") and name not in VERBS)


def test_one_name_for_one_thing():
    places = defaultdict(list)
    for path in SHARED:
        for name in public_names(path):
            places[name].append(path.relative_to(ROOT).as_posix())
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def lock(project):
    """What the last run recorded; nothing in a project that never ran."""
    path = ROOT / "projects" / project / "dvc.lock"
    return read_yaml(path)["stages"] if path.exists() else {}


def md5(path):
    """As DVC takes it: of a file its content, of a folder the list of its files' own."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    entries = [{"md5": md5(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


@pytest.mark.parametrize("project", PROJECTS)
def test_the_lock_belongs_to_the_code_and_params_in_the_tree(project):
    params = read_yaml(ROOT / "projects" / project / "params.yaml")
    for stage, entry in lock(project).items():
        for dep in entry["deps"]:
            made_by_a_stage = dep["path"].startswith("data/") or "/results/" in dep["path"]
            assert made_by_a_stage or md5(ROOT / dep["path"]) == dep["md5"], f"{stage}: {dep['path']} changed since"
        for values in entry.get("params", {}).values():
            assert flatten(values) == flatten({stage: params[stage]}), f"{stage}: params changed since"


def test_nothing_large_or_private_is_tracked():
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in files.split("\0") if name]
    assert [path for path in paths if path.exists() and path.stat().st_size > 1024 * 1024] == []
    assert "://" not in (ROOT / "requirements.lock").read_text()
