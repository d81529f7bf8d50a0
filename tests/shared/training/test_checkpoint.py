"""A checkpoint belongs to one configuration; an interrupted run finds it, a finished one leaves nothing."""

import multiprocessing
import os
import signal
from contextlib import suppress

import pytest
import torch

from shared.core.errors import Stopped, UserError
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


def test_a_checkpoint_is_due_half_a_minute_after_the_last_one_or_later_where_writing_takes_long(tmp_path, monkeypatch):
    now, writing = [0.0], [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "write_atomic", lambda path, data: now.append(now.pop() + writing[0]))
    checkpoint = Checkpoint(tmp_path / "last.pt", local())

    def due(second):
        now[0] = second
        return checkpoint.is_due(1)

    assert [due(second) for second in (0, 29, 30)] == [False, False, True]
    checkpoint.save({})
    assert [due(second) for second in (59, 60)] == [False, True]
    writing[0] = 5.0
    checkpoint.save({})  # ends at 65
    assert [due(second) for second in (95, 164, 165)] == [False, False, True]


def test_a_second_signal_ends_at_once_and_says_that_nothing_is_kept(project, monkeypatch):
    monkeypatch.setattr(module, "AGAIN_S", 0.0)

    def twice():
        with open_checkpoint(project, {}, local()):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("went on")

    with pytest.raises(Stopped, match="nothing is kept") as stopped:
        twice()
    assert stopped.value.signal == signal.SIGTERM


def test_the_same_signal_by_two_ways_is_one(project, capfd):
    with suppress(Stopped), open_checkpoint(project, {}, local()) as checkpoint:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
        assert checkpoint.is_due(8)
        checkpoint.save({})
    assert capfd.readouterr().err.count("ends after this step") == 1


def test_a_signal_after_the_last_step_leaves_the_checkpoint_to_the_next_run(project):
    def late():
        with open_checkpoint(project, {}, local()) as checkpoint:
            checkpoint.is_due(9)
            checkpoint.save({"step": 9})
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped, match="step 9 is kept"):
        late()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with open_checkpoint(project, {}, local()) as checkpoint:
        assert checkpoint.load() == {"step": 9}


def test_a_signal_that_nohup_ignores_stays_ignored(project):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with open_checkpoint(project, {}, local()) as checkpoint:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not checkpoint.is_due(1)
    finally:
        signal.signal(signal.SIGHUP, before)


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
