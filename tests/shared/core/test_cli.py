"""What a stage's command line says: help, one block for the user's mistakes, a traceback for ours."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.core.cli import answer_help, errors_for_people, same_command
from shared.core.errors import Problems, Stopped, UserError
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
for words in ("--json", "--model", "import load_predictor"):  # the last is predict, with one voice everywhere
    assert words in out.getvalue(), words
"""


@pytest.mark.parametrize("project", PROJECTS)
def test_help_begins_with_commands_to_copy_and_does_not_wait_for_torch(project):
    modules = [f"projects.{project}.{script}" for script in [*stages(project), "predict"]]
    done = run("-c", HELP, *modules)
    assert done.returncode == 0, done.stderr


def test_help_names_a_params_file_that_cannot_be_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py", "--help"])
    with pytest.raises(SystemExit, match="2"):
        answer_help("__main__", "The help.", str(tmp_path / "train.py"))
    assert "params.yaml: no such file" in capsys.readouterr().err


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


def test_what_is_still_buffered_when_the_reader_has_left_leaves_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    code = "from shared.core.cli import errors_for_people as e\nwith e(): print('x')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            OSError(errno.EROFS, "Read-only file system", str(ROOT / "projects/x")),
            "projects/x: Read-only file",
        ),
        (PermissionError(errno.EACCES, "Permission denied", b"/data/lock"), "/data/lock: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk: No space left on device"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "a.npy"), "a.npy: Disk quota exceeded"),
    ],
)
def test_a_disk_that_cannot_be_written_is_named_without_a_traceback(error, says, capsys):
    with pytest.raises(SystemExit, match="2"), errors_for_people():
        raise error
    assert capsys.readouterr().err.startswith(f"error: {says}")


def test_a_missing_file_is_a_bug():
    with pytest.raises(FileNotFoundError), errors_for_people():
        Path("nowhere").read_text()


def test_a_stage_that_a_signal_stopped_says_what_was_kept(capsys):
    with pytest.raises(SystemExit, match="143"), errors_for_people():
        raise Stopped("step 7 is kept", signal.SIGTERM)
    assert capsys.readouterr().err == "step 7 is kept\n"


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({}, "python -m projects.mnist_cnn.train train.epochs=2 'train.note=a b'"),
        ({"DVC_STAGE": "projects/mnist_cnn/dvc.yaml:train"}, "dvc repro projects/mnist_cnn"),
        ({"DVC_STAGE": "projects/mnist_cnn/dvc.yaml:train", "DVC_EXP_NAME": "dark-sky"}, "the same command"),
        ({"TORCHELASTIC_RUN_ID": "none"}, "the same command"),
    ],
)
def test_the_same_command_is_what_the_user_typed(environment, command, monkeypatch):
    for name in ("DVC_STAGE", "DVC_EXP_NAME", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    words = ["train.epochs=2", "train.note=a b"]
    assert same_command(str(ROOT / "projects/mnist_cnn/train.py"), words) == command


def test_problems_are_capped_and_counted():
    problems = Problems("folder")
    for number in range(30):
        with problems.collect():
            raise UserError(f"{number}.png: broken")
    with pytest.raises(UserError, match="30 problems") as error:
        problems.raise_if_any()
    assert str(error.value).count(".png") == 20
    assert "... and 10 more" in str(error.value)
