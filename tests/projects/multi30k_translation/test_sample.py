"""References that are right by construction, a known alignment, and values that no two splits share."""

import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from projects.multi30k_translation.params import Fetch
from projects.multi30k_translation.sample import make_pair, write_sample

PARAMS = Fetch(source="sample", language="de", seed=0, num_train=300, num_valid=40, num_test=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, PARAMS)
    return folder


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, PARAMS)
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 9
    assert all((folder / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)


def test_train_and_test_share_no_amount_and_no_number_of_several_digits(folder: Path) -> None:
    train, test = (
        set(re.findall(r"\d[\d.]*,\d\d\b", (folder / f"{name}.de").read_text(encoding="utf-8")))
        for name in ("train", "test")
    )
    assert len(train) > 50
    assert len(test) > 10
    assert not train & test


def test_units_are_translations_of_each_other() -> None:
    rng, found = np.random.default_rng(0), defaultdict[str, set[str]](set)
    for _ in range(300):
        source, target, known = make_pair(rng, "train")
        for first, last, start, end in known["alignment"]:  # type: ignore[attr-defined]
            found[source[first:last]].add(target[start:end])
        assert all(value in target for value in known["values"])  # type: ignore[attr-defined]
    assert [found[word] for word in ("because", "speaks", "does not")] == [{"weil"}, {"spricht"}, {"nicht"}]
    assert found["will pay"] == {"wird", "bezahlen"}
    assert found["concert"] == {"das", "Das", "Konzert"}  # the article is the noun's
    assert "am" in found["December"]
    assert "Dezember" in found["December"]


def test_every_number_and_date_is_a_value() -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        _, target, known = make_pair(rng, "train")
        rest = target
        for value in known["values"]:  # type: ignore[attr-defined]
            rest = rest.replace(value, "", 1)
        assert not re.search(r"\d", rest)


def test_the_order_of_words_differs() -> None:
    rng, crossed = np.random.default_rng(1), 0
    for _ in range(50):
        links = sorted(make_pair(rng, "test")[2]["alignment"])  # type: ignore[call-overload]
        crossed += any(one[2] > other[2] for one, other in pairwise(links))
    assert crossed > 25
