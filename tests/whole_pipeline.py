"""A pipeline from raw data to its page, in a checkout of its own."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.core import paths
from shared.core.params import Section, load
from shared.core.paths import Project
from shared.report.page import build
from shared.report.results import Results


@contextmanager
def run_all(
    root: Path, project: Path, params: type[Section], small: Mapping[str, Any], stages: Sequence[Any]
) -> Iterator[Path]:
    """Runs the stages and the page on what lies in data/raw/<project> below `root`, where the code believes to lie.

    Args:
        project: its folder, with params.yaml and dvc.yaml.
        small: dotted params that make it quick.
        stages: the modules prepare, train, evaluate, explain.

    Yields:
        The folder of the results.
    """
    (root / "projects" / project.name).mkdir(parents=True)
    shutil.copy(project / "dvc.yaml", root / "projects" / project.name)
    loaded = load(params, project / "params.yaml", [f"{key}={value}" for key, value in small.items()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "ROOT", root)
        for stage in stages:
            stage.main(loaded)
        build(Results(project.name, root))
        yield Project(project.name).folder / "results"


def assert_complete(results: Path, files: Sequence[str]) -> None:
    """Every file but pictures, no other, and no checkpoint left."""
    found = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    assert {name for name in found if not name.endswith(".png")} == set(files)
    assert not list((paths.ROOT / ".checkpoints" / results.parent.name).iterdir())
