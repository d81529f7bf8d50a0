"""Copies of texts are found for what they are, and what only looks like them is not."""

import time

import numpy as np
import pytest

from shared.text.copies import equal_texts, find_contradictions, find_near_copies

REVIEW = (
    "I had not expected much of this place, but the soup was warm, the bread fresh and the music quiet enough to talk"
)
OTHERS = [f"{' '.join(f'w{(7 * n + 3 * k) % 97}' for k in range(20))}." for n in range(30)]


def test_copies_differ_in_case_and_white_space_alone() -> None:
    assert equal_texts(["A b", "a\u00a0 B\n", "a b!", "A b"]) == [0, 0, 2, 0]


@pytest.mark.parametrize(
    ("labels", "found"), [("xxxx", []), ("xyxx", [[0, 1, 3]]), ("xxyx", []), ("xyzw", [[0, 1, 3]])]
)
def test_copies_of_several_labels(labels: str, found: list[list[int]]) -> None:
    assert find_contradictions(["A b", "a b ", "a :(", "a b"], list(labels)) == found


@pytest.mark.parametrize(
    ("copy", "near"),
    [
        (REVIEW.upper() + "!", True),
        (REVIEW.replace(",", " -"), True),
        (REVIEW + ", thanks", True),
        (REVIEW.replace("quiet", "loud"), False),  # three of its phrases, which may be what matters
        (" ".join(reversed(REVIEW.split())), False),
        ("I had not expected much of this place", False),
    ],
)
def test_near_copies_in_two_splits(copy: str, near: bool) -> None:
    texts = [*OTHERS, REVIEW, copy]
    assert find_near_copies(texts, ["train"] * 31 + ["test"]) == ([(30, 31)] if near else [])
    assert find_near_copies(texts, ["train"] * 32) == []


def test_short_texts_and_texts_without_words() -> None:
    texts = [
        "Good.",
        ":-)",
        "good",
        ":-(",
        "Bad",
        "\u0939\u093f\u0928\u094d\u0926\u0940",
        "\u0939\u0940\u0928\u094d\u0926\u0940",
    ]
    splits = ["train", "train", "test", "test", "test", "train", "test"]
    assert find_near_copies(texts, splits) == [(0, 2)]


def test_many_texts_of_one_template_take_no_quadratic_time() -> None:
    start = time.process_time()
    texts = [f"Dear customer, your order {n} has left our house today and will be with you soon" for n in range(3000)]
    find_near_copies(texts, ["train", "test"] * 1500)
    assert time.process_time() - start < 20


def test_a_long_text_with_one_word_changed_is_found() -> None:
    words = [f"w{number}" for number in np.random.default_rng(0).integers(0, 5000, 200)]
    changed = [*words[:90], "else", *words[91:]]
    assert find_near_copies([" ".join(words), " ".join(changed)], ["valid", "test"]) == [(0, 1)]
