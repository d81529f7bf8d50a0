"""The literal commands of the README, on a small copy of the repository."""

import json

import pytest

from tests.checkout import Checkout, make_checkout

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
def copy(tmp_path_factory) -> Checkout:
    copy = make_checkout(tmp_path_factory.mktemp("dvc") / "copy", num_train=10, num_valid=10, **SMALL)
    (copy.root / "projects/cifar_cnn/dvc.lock").unlink(missing_ok=True)
    commit(copy, "start")
    return copy


def commit(copy: Checkout, message: str) -> None:
    author = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    for command in (["git", "add", "-A"], ["git", *author, "commit", "-qm", message]):
        done = copy.run(command)
        assert done.returncode == 0, done.stdout


def dvc(copy: Checkout, *words: str) -> str:
    done = copy.run(["dvc", *words])
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_dvc_repro_of_the_folder_goes_from_data_to_report(copy):
    dvc(copy, "repro", "projects/cifar_cnn")
    page = (copy.root / "projects/cifar_cnn/results/report.html").read_text()
    assert "embedded sample" in page
    metrics = json.loads((copy.root / "projects/cifar_cnn/results/evaluate/metrics.json").read_text())
    assert metrics["num_samples"] == 51
    again = dvc(copy, "repro", "projects/cifar_cnn")
    assert "Running stage" not in again
    assert "up to date" in again
    assert copy.run(["dvc", "status", "--with-deps", "projects/cifar_cnn"]).stdout.strip().endswith("up to date.")


def test_an_experiment_changes_a_param_and_shows_in_the_metrics(copy):
    dvc(copy, "repro", "projects/cifar_cnn")
    commit(copy, "results")
    dvc(copy, "exp", "run", "-S", "projects/cifar_cnn/params.yaml:train.views=1", "projects/cifar_cnn")
    assert "train.views" in dvc(copy, "params", "diff")
    assert "cross_entropy_loss" in dvc(copy, "metrics", "diff")
    assert "index.html" in dvc(copy, "plots", "show")
