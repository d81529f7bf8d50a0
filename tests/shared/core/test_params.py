"""Params are checked whole, and what is wrong is named with the nearest key there is."""

import pytest
from pydantic import Field

from shared.core.errors import UserError
from shared.core.params import Section, flatten, load


class Train(Section):
    rate: float = Field(gt=0)
    epochs: int


class Evaluate(Section):
    rate: float = 1.0


class Tiny(Section):
    fetch: int = 0  # more like "epochs" than is good
    train: Train
    evaluate: Evaluate = Evaluate()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("train:\n  rate: 1e-05\n  epochs: 3\n")
    return path


def test_numbers_are_read_as_dvc_reads_them(file):
    assert load(Tiny, file).train.rate == 1e-5
    assert load(Tiny, file, ["train.rate=1e-3"]).train.rate == 1e-3


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("train.epoch=1", "did you mean train.epochs?"),
        ("epochs=2", "did you mean train.epochs?"),
        ("rat=1", "did you mean train.rate or evaluate.rate?"),
        ("evaluate.rat=1", "did you mean evaluate.rate?"),
        ("evaluate.epochs=1", "did you mean train.epochs?"),
        ("train.epochs=two", "train.epochs: 'two'"),
        ("train.rate=0", "greater than 0"),
        ("train.epochs=no", "'no'"),
        ("trian.rate=1", "did you mean train?"),
        ("train.rate.deep=1", "train.rate.deep"),
        ("train.rate", "not an override"),
        ("train.rate=[", "not a YAML value"),
        ("train.rate=2026-13-01", "not a YAML value"),
    ],
)
def test_what_is_wrong_is_named(file, word, says):
    with pytest.raises(UserError) as error:
        load(Tiny, file, [word])
    assert says in str(error.value)


def test_all_problems_are_told_at_once(file):
    with pytest.raises(UserError, match="3 problems"):
        load(Tiny, file, ["train.rate=-1", "train.epochs=x", "train.more=1"])


@pytest.mark.parametrize("text", ["", "- 1\n", "a: [\n", "a: \xff", "a: 2026-13-01"])
def test_a_file_that_is_no_mapping_is_named(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"params\.yaml"):
        load(Tiny, path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load(Tiny, tmp_path / "params.yaml")


def test_flatten_joins_keys():
    assert flatten({"a": {"b": 1, "c": {"d": 2}}}) == {"a.b": 1, "a.c.d": 2}
