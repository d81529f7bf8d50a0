"""A pipeline from raw data to its page, in a checkout of its own."""

import runpy
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shared.core import paths
from shared.report.page import build
from shared.report.results import Results


@contextmanager
def run_all(root: Path, project: Path, small: Mapping[str, Any], stages: Sequence[ModuleType]) -> Iterator[Path]:
    """Runs the stages and the page on what lies in data/raw/<project> below `root`, where the code believes to lie.

    Args:
        project: its folder, with params.yaml and dvc.yaml.
        small: dotted params that make it quick.
        stages: the modules prepare, train, evaluate, explain.

    Yields:
        The folder of the results.
    """
    folder = root / "projects" / project.name
    folder.mkdir(parents=True)
    shutil.copy(project / "dvc.yaml", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "ROOT", root)
        for stage in stages:
            run_module(stage, *(f"{key}={value}" for key, value in small.items()))
        build(Results(project.name, root))
        yield folder / "results"


def run_module(stage: ModuleType, *words: str) -> None:
    """`python -m <stage> <words>` in this process. Raises SystemExit where the command would end with a status."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(sys, "argv", [str(stage.__file__), *words])
        warnings.filterwarnings("ignore", ".* found in sys.modules", RuntimeWarning)  # tests import it as well
        runpy.run_module(stage.__name__, run_name="__main__")


def assert_complete(results: Path, files: Sequence[str]) -> None:
    """Every file but pictures, no other, and no checkpoint left."""
    found = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    assert {name for name in found if not name.endswith(".png")} == set(files)
    assert not list((paths.ROOT / ".checkpoints" / results.parent.name).iterdir())
