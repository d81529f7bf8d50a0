import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from shared.core.params import flatten, read_yaml
from shared.core.paths import ROOT
from tests.pipelines import PROJECTS, imported, stages

STAGES = [(project, stage) for project in PROJECTS for stage in stages(project)]


def covers(dep: str, file: Path) -> bool:
    return file == ROOT / dep or (ROOT / dep) in file.parents


@pytest.mark.parametrize(("project", "stage"), STAGES)
def test_every_module_a_stage_imports_is_among_its_deps(project, stage):
    script = ROOT / "projects" / project / f"{stage}.py"
    deps = stages(project)[stage]["deps"]
    missing = [file for file in {script, *imported(script)} if not any(covers(dep, file) for dep in deps)]
    assert sorted(str(file.relative_to(ROOT)) for file in missing) == []


@pytest.mark.parametrize(("project", "stage"), STAGES)
def test_every_code_dep_is_imported(project, stage):
    script = ROOT / "projects" / project / f"{stage}.py"
    used = {script, *imported(script)}
    code = [
        dep for dep in stages(project)[stage]["deps"] if dep.endswith(".py") or (ROOT / dep / "__init__.py").exists()
    ]
    assert [dep for dep in code if not any(covers(dep, file) for file in used)] == []


@pytest.mark.parametrize(("project", "stage"), STAGES)
def test_a_stage_is_named_like_its_script_params_and_results(project, stage):
    spec = stages(project)[stage]
    assert spec["cmd"] == f"python -m projects.{project}.{stage}"
    assert spec["wdir"] == "../.."
    assert spec["params"] == [{f"projects/{project}/params.yaml": [stage]}]


@pytest.mark.parametrize("project", PROJECTS)
def test_the_root_has_a_stage_named_after_the_project(project):
    assert f"projects/{project}" in read_yaml(ROOT / "dvc.yaml")["stages"]


def test_imports_point_one_way():
    for file in ROOT.glob("shared/**/*.py"):
        assert not [path for path in imported(file) if "projects" in path.relative_to(ROOT).parts[:1]], file
    for project in PROJECTS:
        for file in (ROOT / "projects" / project).glob("*.py"):
            others = {
                path.relative_to(ROOT).parts[1]
                for path in imported(file)
                if path.relative_to(ROOT).parts[0] == "projects"
            }
            assert others <= {project, "__init__.py"}, file


def lock(project):
    """What the last run recorded; nothing in a project that never ran."""
    path = ROOT / "projects" / project / "dvc.lock"
    return read_yaml(path)["stages"] if path.exists() else {}


def recorded(project):
    return [(stage, dep) for stage, entry in lock(project).items() for dep in entry["deps"]]


def md5(path):
    """As DVC takes it: of a file its content, of a folder the list of its files' own."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    entries = [{"md5": md5(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


@pytest.mark.parametrize("project", PROJECTS)
def test_the_lock_belongs_to_the_code_and_params_in_the_tree(project):
    for stage, dep in recorded(project):
        made_by_a_stage = dep["path"].startswith("data/") or "/results/" in dep["path"]
        if not made_by_a_stage:
            assert md5(ROOT / dep["path"]) == dep["md5"], f"{stage}: {dep['path']} changed since"
    params = read_yaml(ROOT / "projects" / project / "params.yaml")
    for stage, entry in lock(project).items():
        for values in entry.get("params", {}).values():
            assert flatten(values) == flatten({stage: params[stage]}), f"{stage}: params changed since"


def test_nothing_large_or_private_is_tracked():
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in files.split("\0") if name]
    assert [path for path in paths if path.exists() and path.stat().st_size > 1024 * 1024] == []
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
