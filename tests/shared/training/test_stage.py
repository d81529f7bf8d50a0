"""The stages around a model: what training leaves, and that its weights are used with its own data alone."""

import json
import os
import signal
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.core.params import Section
from shared.core.paths import Project
from shared.core.sections import FitParams, Runtime
from shared.data.prepared import Prepared, write_prepared
from shared.training import stage as stages
from shared.training.distributed import World
from shared.training.stage import train_stage, trained_stage
from shared.training.weights import load_weights, read_config
from tests.empty_root import checkout
from tests.shared.training import tiny

__all__ = ["checkout"]

WORDS = ["train.epochs=1.0", "runtime.device=cpu"]


class Params(Section):
    train: FitParams
    runtime: Runtime


@pytest.fixture
def stage(checkout, monkeypatch):
    """The file of a stage of a project without code of its own, whose data are prepared."""
    folder = checkout / "projects/flowers"
    folder.mkdir(parents=True)
    params = {"train": tiny.PARAMS.model_dump(), "runtime": tiny.RUNTIME.model_dump()}
    (folder / "params.yaml").write_text(json.dumps(params))  # which is YAML
    (folder / "dvc.yaml").write_text("stages: {train: {deps: []}}")
    prepare(0)
    return str(folder / "train.py")


def prepare(label):
    splits = {name: {"label": np.array([label])} for name in ("train", "test")}
    write_prepared(Project("flowers").prepared, splits, {"classes": ["a"]})


def describe(params, prepared, world):
    return replace(tiny.describe(params.train), config={"model": {}, "classes": prepared.manifest["classes"]})


def load_model(folder):
    model = tiny.net()
    load_weights(folder, model)
    return model.eval(), read_config(folder, Section)


def test_a_training_leaves_weights_rows_and_what_it_was_run_with(stage, checkout):
    train_stage(describe, Params, stage, words=[*WORDS, "train.seed=3"])
    results = Path(stage).parent / "results/train"
    names = ["history.tsv", "model.json", "model.safetensors", "run.json", "validation.tsv"]
    assert sorted(path.name for path in results.iterdir()) == names
    config, run = (json.loads((results / name).read_text()) for name in ("model.json", "run.json"))
    assert config["params"] == tiny.PARAMS.model_dump() | {"epochs": 1.0, "seed": 3}
    assert config["trained_on"] == Prepared(Project("flowers").prepared).manifest["splits"]["train"]["digest"]
    assert (run["steps"], run["skipped_steps"], run["processes"], run["seed"]) == (6, 0, 1, 3)
    assert run["num_weights"] == sum(weight.numel() for weight in tiny.net().parameters())
    assert not list((checkout / ".checkpoints/flowers").iterdir())


def test_a_stage_that_does_not_divide_its_work_runs_on_the_first_rank(stage, monkeypatch):
    train_stage(describe, Params, stage, words=WORDS)
    seen = []
    for rank in (0, 1):
        monkeypatch.setattr(stages, "join", lambda runtime, rank=rank: nullcontext(World(rank, 2, torch.device("cpu"))))
        trained_stage(seen.append, load_model, Params, stage, alone=True, words=WORDS)
    assert [one.world.rank for one in seen] == [0]


def test_weights_are_used_with_the_data_they_were_trained_on_alone(stage, capsys):
    seen = []
    train_stage(describe, Params, stage, words=WORDS)
    trained_stage(seen.append, load_model, Params, stage, words=WORDS)
    assert (seen[0].config["classes"], seen[0].params.train.epochs, seen[0].model.training) == (["a"], 1.0, False)
    prepare(1)
    with pytest.raises(SystemExit, match="2"):
        trained_stage(seen.append, load_model, Params, stage, words=WORDS)
    told = capsys.readouterr().err
    assert "results/train/model.json: trained on another training split than that in data/prepared/flowers" in told
    assert "dvc repro projects/flowers" in told
    assert len(seen) == 1


def test_the_first_line_says_what_will_happen_and_the_last_ones_how_to_go_back(stage, capsys):
    train_stage(describe, Params, stage, words=WORDS)
    first, *_, note, back, _ = capsys.readouterr().out.splitlines()
    assert first.startswith("train: 1 samples, 6 steps (1 epochs), fp32 on cpu; kept every 30 s, and on Ctrl-C, in ")
    assert ".checkpoints/flowers/" in first
    assert note.startswith("note: projects/flowers/results/train is now of train.epochs=1.0, not of params.yaml")
    folder = "projects/flowers"
    assert back == f"  git checkout -- {folder}/results/train && dvc checkout --force {folder}/dvc.yaml:train"
    train_stage(describe, Params, stage, words=["runtime.device=cpu"])
    assert "note:" not in capsys.readouterr().out


def test_ctrl_c_says_what_is_kept_and_the_command_that_goes_on(stage, capsys, monkeypatch):
    def interrupted(params, prepared, world):
        training = describe(params, prepared, world)
        die = partial(os.kill, os.getpid(), signal.SIGINT)
        training.batches.augment = tiny.dying(len(training.batches), 4, die)
        return training

    monkeypatch.delenv("DVC_STAGE", raising=False)
    with pytest.raises(SystemExit, match="130"):
        train_stage(interrupted, Params, stage, words=WORDS)
    told = capsys.readouterr().err
    assert "interrupted: step 5 is kept in" in told
    assert "to do: python -m projects.flowers.train train.epochs=1.0 runtime.device=cpu (goes on from there)" in told
    train_stage(describe, Params, stage, words=WORDS)
    assert "resumed from step 5" in capsys.readouterr().out


def test_an_interrupted_training_goes_on_when_the_same_command_is_given_again(stage, capsys):
    def dying(params, prepared, world):
        training = describe(params, prepared, world)
        training.batches.augment = tiny.dying(len(training.batches), 4)
        return training

    with pytest.raises(tiny.Killed):
        train_stage(dying, Params, stage, words=WORDS)
    train_stage(describe, Params, stage, words=WORDS)
    assert "resumed from step 3" in capsys.readouterr().out


def test_a_training_in_float64_leaves_the_default_to_others(stage):
    seen = []

    def note(params, prepared, world):
        seen.append(torch.get_default_dtype())
        raise KeyboardInterrupt

    for precision in ("fp64", "fp32"):
        with pytest.raises(SystemExit):
            train_stage(note, Params, stage, words=[*WORDS, f"train.precision={precision}"])
    assert seen == [torch.float64, torch.float32]
