"""A checkpoint belongs to one configuration; an interrupted run finds it, a finished one leaves nothing."""

import multiprocessing
import os
from contextlib import suppress

import pytest
import torch

from shared.core.errors import UserError
from shared.core.paths import Project
from shared.training import checkpoint as module
from shared.training.checkpoint import Checkpoint, code_deps, fingerprint, open_checkpoint
from shared.training.distributed import local
from tests.pipelines import PROJECTS


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr("shared.core.paths.ROOT", tmp_path)
    project = Project("flowers")
    project.folder.mkdir(parents=True)
    (tmp_path / "core").mkdir()
    (tmp_path / "core/loop.py").write_text("a = 1\n")
    (project.folder / "train.py").write_text("b = 1\n")
    text = "stages:\n  train:\n    deps:\n      - core\n      - projects/${project}/train.py\n      - data/prepared\n"
    (project.folder / "dvc.yaml").write_text(text)
    project.prepared.mkdir(parents=True)
    (project.prepared / "manifest.json").write_text("{}")
    return project


def test_the_fingerprint_covers_params_code_data_and_the_content_of_files(project, tmp_path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("package") / "model.safetensors"
    outside.write_text("weights")
    files = [outside]
    prints = [fingerprint(project, {"rate": 1}), fingerprint(project, {"rate": 1}, files)]
    prints.append(fingerprint(project, {"rate": 2}, files))
    for file in (tmp_path / "core/loop.py", project.folder / "train.py", project.prepared / "manifest.json", outside):
        file.write_text(file.read_text() + " ")
        prints.append(fingerprint(project, {"rate": 1}, files))
    assert len(set(prints)) == 7
    assert prints[-1] == fingerprint(project, {"rate": 1}, files)


def test_a_finished_run_leaves_nothing_an_interrupted_one_its_checkpoint(project, tmp_path):
    with suppress(KeyboardInterrupt), open_checkpoint(project, {}, local()) as checkpoint:
        checkpoint.save({"step": 7, "weights": torch.ones(2)})
        raise KeyboardInterrupt
    with open_checkpoint(project, {}, local()) as checkpoint:
        assert checkpoint.load()["step"] == 7
    with open_checkpoint(project, {}, local()) as checkpoint:
        assert checkpoint.load() is None
    assert not list((tmp_path / ".checkpoints/flowers").iterdir())


def try_to_open(project, queue):
    try:
        with open_checkpoint(project, {}, local()):
            queue.put("opened")
    except UserError as error:
        queue.put(str(error))


def test_a_second_run_of_the_same_configuration_says_who_trains(project):
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    with open_checkpoint(project, {}, local()):
        child = fork.Process(target=try_to_open, args=(project, queue))
        child.start()
        child.join()
    answer = queue.get()
    assert f"process {os.getpid()} is training" in answer
    assert "kill it" in answer


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"\x80\x02cos\nsystem\n(S'true'\ntR."])
def test_a_broken_or_hostile_checkpoint_is_named_and_not_run(tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"last\.pt: cannot be read") as error:
        Checkpoint(tmp_path / "last.pt", local()).load()
    assert "rm " in str(error.value)


@pytest.mark.parametrize("name", PROJECTS)
def test_the_train_stage_names_its_own_script_among_its_code(name):
    assert Project(name).folder / "train.py" in code_deps(Project(name))
