"""What a stage's command line says: help, one block for the user's mistakes, a traceback for ours."""

import subprocess
import sys

import pytest

from shared.core.errors import Problems, UserError
from shared.core.paths import ROOT
from tests.pipelines import PROJECTS, stages


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)


HELP = """
import contextlib, io, runpy, sys
for module in sys.argv[1:]:
    out, sys.argv = io.StringIO(), [module, "--help"]
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert f"python -m {module}" in out.getvalue(), out.getvalue()
    assert "torch" not in sys.modules, module
"""


@pytest.mark.parametrize("project", PROJECTS)
def test_help_begins_with_commands_to_copy_and_does_not_wait_for_torch(project):
    modules = [f"projects.{project}.{script}" for script in [*stages(project), "predict"]]
    done = run("-c", HELP, *modules)
    assert done.returncode == 0, done.stderr


def test_a_wrong_key_is_one_block_and_exit_2():
    done = run("-m", "projects.cifar_cnn.prepare", "prepare.image_sise=32")
    assert done.returncode == 2
    assert done.stderr.startswith("error: projects/cifar_cnn/params.yaml: 1 problem")
    assert "did you mean prepare.image_size?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bug_shows_its_traceback():
    done = run("-c", "from shared.core.cli import errors_for_people as e\nwith e(): 1 / 0")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_a_reader_that_leaves_early_sees_no_traceback():
    code = "from shared.core.cli import errors_for_people as e\nwith e(): print('x' * 1_000_000, flush=True)"
    command = f'{sys.executable} -c "{code}" | head -c 1'
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("x", "")


def test_problems_are_capped_and_counted():
    problems = Problems("folder")
    for number in range(30):
        with problems.collect():
            raise UserError(f"{number}.png: broken")
    with pytest.raises(UserError, match="30 problems") as error:
        problems.raise_if_any()
    assert str(error.value).count(".png") == 20
    assert "... and 10 more" in str(error.value)
