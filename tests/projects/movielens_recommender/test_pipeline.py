"""From a file of interactions to the page: what is learned, every file that is left, new users."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from projects.movielens_recommender import evaluate, explain, predict, prepare, train
from tests.whole_pipeline import assert_complete, run_all

PROJECT = Path(train.__file__).parent
SMALL = {
    "train.epochs": 25.0,
    "train.batch_size": 32,
    "train.micro_batch_size": 32,
    "train.validate_epochs": 5.0,
    "train.model.name": "factors",
    "train.model.size": 8,
    "train.model.dropout": 0.0,
    "train.lr": 0.03,
    "evaluate.ease_penalties": "[10.0]",
    "evaluate.knn_shrinkages": "[1.0]",
    "evaluate.als_alphas": "[10.0]",
    "evaluate.als_penalties": "[1.0]",
    "evaluate.als_size": 8,
    "explain.methods": "[history_occlusion, integrated_gradients]",
    "explain.num_scored": 12,
    "explain.num_shown": 4,
    "explain.num_randomised": 1,
    "runtime.device": "cpu",
    "runtime.processes": 1,
}
FILES = [
    "evaluate/metrics.json",
    "evaluate/page.json",
    "evaluate/predictions.csv",
    "evaluate/run.json",
    "explain/curves.tsv",
    "explain/metrics.json",
    "explain/page.json",
    "report.html",
    "train/history.tsv",
    "train/model.json",
    "train/model.safetensors",
    "train/run.json",
    "train/validation.tsv",
    "train/README.md",
]
NUM_GROUPS, OF_GROUP = 4, 12


def make(num_users: int) -> str:
    """Each user likes the films of one group of twelve alone; all groups are equally popular."""
    rng = np.random.default_rng(0)
    lines = ["user_id,item_id,rating,timestamp"]
    for user in range(num_users):
        group = user % NUM_GROUPS
        for place, item in enumerate(rng.permutation(OF_GROUP)[:10]):
            stars = rng.integers(2, 6)
            lines.append(f"<b>{user},film {group * OF_GROUP + item},{stars},{1_500_000_000 + 100 * user + place}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("root")
    (root / "data/raw/movielens_recommender").mkdir(parents=True)
    (root / "data/raw/movielens_recommender/ratings.csv").write_text(make(200), encoding="utf-8")
    with run_all(root, PROJECT, SMALL, (prepare, train, evaluate, explain)) as results:
        yield results


def test_it_learns_whose_films_go_together(results: Path) -> None:
    metrics = json.loads((results / "evaluate/metrics.json").read_text())
    assert (metrics["num_samples"], metrics["unit"], metrics["source"]) == (40, "users", "own")
    low, value, high = (metrics[f"ndcg_score_at_10{part}"] for part in ("_low", "", "_high"))
    assert low <= value <= high
    # two of the four films of the group that a user does not have are wanted
    assert value > 0.6
    assert metrics["recall_at_10"] == pytest.approx(1.0, abs=0.05)
    assert metrics["baseline"]["ease_ndcg_score_at_10"] > 0.6
    assert metrics["baseline"]["popularity_ndcg_score_at_10"] < 0.4
    assert metrics["exact_contributions"] == {"ease": 1.0, "als": 1.0}
    assert metrics["rating"]["models"].keys() == {"means", "factors", "svd_plus_plus", "svd_plus_plus_averaged"}


def test_reasons_are_what_the_model_uses(results: Path) -> None:
    metrics = json.loads((results / "explain/metrics.json").read_text())
    assert metrics["integrated_gradients"]["top_beats_others"] > 0.65
    assert metrics["history_occlusion"]["top_beats_others"] == 1
    assert metrics["history_occlusion"]["deletion_score"] > metrics["history_occlusion"]["deletion_score_random"]
    assert metrics["integrated_gradients"]["completeness_error"] < 0.05


def test_every_file_is_there_and_no_other(results: Path) -> None:
    assert_complete(results, FILES)


def test_data_are_text_on_the_page(results: Path) -> None:
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "user <b>" not in page
    for title in ("Against baselines", "Besides being right", "By activity", "Exact reasons of the baselines"):
        assert title in page


def test_predict_recommends_what_evaluate_measured(results: Path) -> None:
    predictor = predict.load_predictor()
    found, unknown, nothing = predictor(["film 0, film 1, film 2", "film 13, film 999, film 14, film 15", "film 999"])
    names = [one["item"] for one in found["items"]]
    assert len(names) == 10
    assert not set(names) & {"film 0", "film 1", "film 2"}
    assert set(names[:9]) == {f"film {n}" for n in range(3, 12)}
    assert unknown["unknown"] == ["film 999"]
    assert "none of its items is known" in nothing["error"]
    twice, once = predictor(["film 1, film 2, film 1", "film 2, film 1"])
    assert [one["score"] for one in twice["items"]] == [one["score"] for one in once["items"]]
    rows = (results / "evaluate/predictions.csv").read_text().splitlines()
    assert len(rows) == 41
    (of_user,) = predictor(["user=<b>199"])
    assert len(of_user["items"]) == 10
    assert predictor(["user=nobody"])[0]["error"].startswith("no such user")
