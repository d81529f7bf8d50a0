"""From a folder of drawings to the page: what is learned, and every file that is left."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from projects.mnist_cnn import evaluate, explain, predict, prepare, train
from tests.image_pipeline import assert_complete, assert_learned, assert_predicts, run_on_drawings


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    stages = (prepare, train, evaluate, explain)
    with run_on_drawings(tmp_path_factory.mktemp("root"), Path(train.__file__).parent, stages) as results:
        yield results


def test_it_learns_what_a_linear_model_cannot(results: Path) -> None:
    assert_learned(results)


def test_every_file_is_there_and_no_other(results: Path) -> None:
    assert_complete(results)


def test_new_images_are_told_apart(results: Path, tmp_path: Path) -> None:
    assert_predicts(predict.load_predictor(), tmp_path)
