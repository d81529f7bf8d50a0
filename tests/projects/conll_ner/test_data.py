"""What a word is to the model, what a sequence is, what training sees."""

import numpy as np
import pytest
import torch

from projects.conll_ner.data import (
    FIXED,
    NEWLINE,
    SHAPES,
    Sequences,
    WordFeatures,
    blank,
    by_sentence,
    forget,
    load_features,
)
from projects.conll_ner.params import Params
from projects.conll_ner.tags import entities, tag_names
from shared.core.params import load
from shared.core.paths import ROOT
from shared.data.table import Ragged

TRAIN = load(Params, ROOT / "projects/conll_ner/params.yaml").train
NAMES = tag_names(["LOC", "PER"])
SENTENCES = [["Anna", "saw", "Bonn"], ["In", "Bonn"], ["Bonn"]]
WORDS = WordFeatures.build(SENTENCES * 3, 100, 1)
TOKENS = Ragged.of([WORDS.encode(words) for words in SENTENCES], np.int32)
DOCUMENTS = [0, 0, 1]


def arrange(tokens, documents, max_tokens, join):
    return Sequences(tokens, np.array(documents), WORDS, {"max_tokens": max_tokens, "join_sentences": join})


def listed(rows):
    return [rows.row(row).tolist() for row in range(len(rows.lengths))]


def tensors(rows):
    return [torch.tensor(row) for row in listed(rows)]


def test_word_features_and_back_from_their_config():
    encoded = WORDS.encode(["bonn", "Bonn", "BONN", "Zürich", NEWLINE, "x" * 50])
    assert encoded[0, 0] == encoded[1, 0] == encoded[2, 0] > 1
    assert encoded[3, 0] == 1
    assert encoded[1, 2] == encoded[2, 2] > 0 == encoded[0, 2]
    assert [SHAPES[index] for index in encoded[:5, 1]] == ["lower", "title", "upper", "title", "line end"]
    assert (encoded[5, FIXED:] > 0).all()
    np.testing.assert_array_equal(load_features(WORDS.config).encode(["Bonn"]), encoded[1:2])


def test_sentences_of_one_document_are_joined_and_come_apart_again():
    found = arrange(TOKENS, DOCUMENTS, 50, join=True)
    assert listed(found.take(np.arange(6), -1)) == [[0, 1, 2, -1, 3, 4], [5]]
    assert [part.tolist() for part in found.find()] == [[0, 0, 0, 0, 0, 1], [0, 1, 2, 4, 5, 0]]
    np.testing.assert_array_equal(found.tokens.row(0), WORDS.encode(["Anna", "saw", "Bonn", NEWLINE, "In", "Bonn"]))
    tags = found.take_tags(np.array([3, 0, 1, 0, 1, 1]))
    assert listed(tags) == [[3, 0, 1, 0, 0, 1], [1]]
    assert listed(found.give_back_tags(tensors(tags))) == [[3, 0, 1], [0, 1], [1]]
    assert len(arrange(TOKENS, DOCUMENTS, 50, join=False).tokens.lengths) == 3
    assert len(arrange(TOKENS, DOCUMENTS, 5, join=True).tokens.lengths) == 3


LONG = ["O", "B-PER", "I-PER", "I-PER", "I-PER", "B-LOC", "B-PER", "O"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 8])
def test_every_piece_of_a_long_sentence_is_legal_and_its_entities_stay_whole(limit):
    """An I- at the start of a sequence would cost the CRF 10,000, and one entity would count as three."""
    tokens = Ragged.of([WORDS.encode(list("abcdefgh"))], np.int32)
    found = arrange(tokens, [0], limit, join=True)
    assert found.tokens.lengths.max() <= limit
    tags = found.take_tags(np.array([NAMES.index(tag) for tag in LONG]))
    assert not any(NAMES[row[0]].startswith("I-") for row in listed(tags))
    (whole,) = by_sentence(found.give_back_tags(tensors(tags)), ["LOC", "PER"])
    assert entities(whole) == entities(LONG)


def test_rare_words_are_forgotten_more_often_and_the_same_way_again():
    counts = {2: 1000, 3: 1}
    tokens = np.repeat(list(counts), list(counts.values()))[:, None].repeat(5, 1)
    augment = forget(tokens, TRAIN.model_copy(update={"forget_rate": 1.0, "blank_rate": 0.0}))
    given = torch.tensor([2, 3]).repeat(200, 100)[:, :, None].repeat(1, 1, 5)
    mask = torch.ones(given.shape[:2], dtype=torch.bool)
    mask[:, -2:] = False

    def seen(rows, width, epoch):
        batch = {"tokens": given[rows, :width], "tokens_mask": mask[rows, :width], "sample": rows}
        return augment(batch, epoch)["tokens"]

    whole = seen(torch.arange(200), 200, 0.5)
    unknown = (whole[:, :, 0] == 1).float()
    assert unknown[:, 0:198:2].mean() < 0.01
    assert abs(unknown[:, 1:198:2].mean() - 0.5) < 0.02
    assert torch.equal(whole[:, :, 1:], given[:, :, 1:])
    assert torch.equal(whole[:, -2:], given[:, -2:])
    assert torch.equal(seen(torch.tensor([7, 3]), 9, 0.9), whole[[7, 3], :9])
    assert not torch.equal(seen(torch.arange(200), 200, 1.5), whole)


def test_blank_words_say_nothing_except_where_lines_end():
    tokens = torch.from_numpy(WORDS.encode(["Anna", NEWLINE, "Bonn"]))[None]
    found = blank(tokens)
    assert torch.equal(found[0, 1], tokens[0, 1])
    assert found[0, [0, 2]][:, [0, 1]].tolist() == [[1, 0], [1, 0]]
    assert found[0, 0, FIXED:].sum() == 0
