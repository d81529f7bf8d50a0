"""Schemes of tags: recognised, checked, converted."""

import pytest

from projects.conll_ner.tags import Entity, entities, faults, read_tag, recognise, write_tags

FOUND = [Entity(0, 2, "PER"), Entity(2, 3, "PER"), Entity(4, 5, "LOC"), Entity(5, 8, "ORG")]
IN_SCHEME = {
    "IOB1": ["I-PER", "I-PER", "B-PER", "O", "I-LOC", "I-ORG", "I-ORG", "I-ORG"],
    "BIO": ["B-PER", "I-PER", "B-PER", "O", "B-LOC", "B-ORG", "I-ORG", "I-ORG"],
    "BIOES": ["B-PER", "E-PER", "S-PER", "O", "S-LOC", "B-ORG", "I-ORG", "E-ORG"],
    "BILOU": ["B-PER", "L-PER", "U-PER", "O", "U-LOC", "B-ORG", "I-ORG", "L-ORG"],
}


@pytest.mark.parametrize("name", IN_SCHEME)
def test_every_scheme_is_recognised_and_means_the_same(name):
    tags = [read_tag(tag) for tag in IN_SCHEME[name]]
    scheme = recognise([tags, ["O"]])
    assert scheme == name.replace("BILOU", "BIOES")
    assert faults(tags, scheme) == []
    assert entities(tags) == FOUND
    assert write_tags(FOUND, 8, scheme) == tags


@pytest.mark.parametrize(
    ("scheme", "tags", "places"),
    [
        ("BIO", ["I-PER", "O", "B-LOC", "I-PER"], [0, 3]),
        ("IOB1", ["B-PER", "O", "I-LOC", "B-PER", "B-PER"], [0, 3]),
        ("BIOES", ["B-PER", "O", "E-PER", "S-PER", "I-PER"], [0, 2, 4]),
        ("BIOES", ["O", "B-PER"], [1]),
    ],
)
def test_illegal_tags_are_found(scheme, tags, places):
    assert [place for place, _ in faults(tags, scheme)] == places


def test_what_is_no_tag_and_no_scheme():
    assert [read_tag(text) for text in ("", "PER", "B-", "X-PER", "B-GPE-loc")] == [None, None, None, None, "B-GPE-loc"]
    assert recognise([["O", "O"], []]) is None
    assert entities([]) == []
