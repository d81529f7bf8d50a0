"""The literal commands of the README, on a small copy of the repository."""

import json
from pathlib import Path

import pytest

from tests.checkout import make_checkout, run

SMALL = {
    "fetch.num_train": 200,
    "fetch.num_test": 51,
    "train.epochs": 2.0,
    "train.batch_size": 20,
    "train.micro_batch_size": 20,
    "train.model.width": 8,
    "explain.num_scored": 4,
    "explain.num_shown": 4,
    "explain.num_randomised": 1,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = make_checkout(tmp_path_factory.mktemp("dvc") / "copy", num_train=10, num_valid=10, **SMALL).root
    (root / "projects/cifar_cnn/dvc.lock").unlink(missing_ok=True)
    commit(root, "start")
    run(root, "dvc", "repro", "projects/cifar_cnn")
    return root


def commit(root: Path, message: str) -> None:
    run(root, "git", "add", "-A")
    run(root, "git", "commit", "-qm", message)


def test_dvc_repro_of_the_folder_goes_from_data_to_report(root):
    results = root / "projects/cifar_cnn/results"
    assert "embedded sample" in (results / "report.html").read_text()
    assert json.loads((results / "evaluate/metrics.json").read_text())["num_samples"] == 51
    again = run(root, "dvc", "repro", "projects/cifar_cnn")
    assert "Running stage" not in again
    assert "up to date" in again
    assert run(root, "dvc", "status", "--with-deps", "projects/cifar_cnn").strip().endswith("up to date.")


def test_an_experiment_changes_a_param_and_shows_in_the_metrics(root):
    commit(root, "results")
    run(root, "dvc", "exp", "run", "-S", "projects/cifar_cnn/params.yaml:train.views=1", "projects/cifar_cnn")
    assert "train.views" in run(root, "dvc", "params", "diff")
    assert "cross_entropy_loss" in run(root, "dvc", "metrics", "diff")
    assert "index.html" in run(root, "dvc", "plots", "show")
