"""The networks: padding changes nothing, directions are right, n-grams have the votes that were worked out by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from projects.imdb_sentiment.model import CheckpointClassifier, NGramClassifier, RecurrentClassifier, learn_ratios
from projects.imdb_sentiment.params import Model
from shared.data.table import Ragged
from shared.text.pretrained import from_config

NUM_TOKENS, BLANK = 40, 1
MODEL: dict[str, Any] = {
    "name": "ngrams", "width": 8, "hidden": 8, "dropout": 0.3, "word_dropout": 0.3, "ngrams": 3, "min_texts": 1,
}  # fmt: skip
TINY_BERT = {
    "model_type": "bert", "vocab_size": NUM_TOKENS, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 8, "max_position_embeddings": 16, "num_labels": 3,
}  # fmt: skip
KINDS = ["bilstm", "ngrams", "checkpoint"]


def ngrams_of(longest: int, texts: Tensor) -> NGramClassifier:
    """A linear model that knows the n-grams of some texts, with random weights, as if trained."""
    params = Model(**MODEL | {"ngrams": longest})
    rows = Ragged.of([[token for token in row if token] for row in texts.tolist()], np.int32)
    keys, ratios = learn_ratios(rows, torch.arange(len(texts)) % 3, 3, params, BLANK)
    model = NGramClassifier(params, len(keys), BLANK, num_classes=3).eval()
    model.votes.fill(keys, torch.ones_like(ratios).index_fill(0, torch.tensor(0), 0.0))
    torch.manual_seed(0)
    nn.init.normal_(model.votes.weight.weight)
    return model.double()


def make(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "ngrams":
        return ngrams_of(3, some_texts()[0])
    if kind == "checkpoint":
        model: nn.Module = CheckpointClassifier(from_config("classifier", TINY_BERT), blank=4, special=[2, 3])
    else:
        model = RecurrentClassifier(Model(**MODEL), NUM_TOKENS, BLANK, num_classes=3)
    return model.double().eval()


def some_texts() -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(1)
    mask = torch.arange(9) < torch.tensor([[9], [4], [1], [7]])
    return torch.randint(5, NUM_TOKENS, mask.shape, generator=draws).masked_fill(~mask, 0), mask


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing_nor_do_other_texts_but_the_order_of_words(kind: str) -> None:
    model, (tokens, mask) = make(kind), some_texts()
    logits = model(tokens, mask)
    assert logits.shape == (4, 3)
    filled = tokens.masked_fill(~mask, 7)
    torch.testing.assert_close(model(filled, mask), logits, rtol=0, atol=1e-12)
    longer = [nn.functional.pad(part, (0, 5)) for part in (tokens, mask)]
    torch.testing.assert_close(model(*longer), logits, rtol=0, atol=1e-12)
    for row, length in enumerate(mask.sum(dim=1).tolist()):
        alone = model(tokens[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone[0], logits[row], rtol=0, atol=1e-12)
    assert not torch.allclose(model(tokens.flip(1)[:1], mask[:1]), logits[:1], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_has_no_share_in_the_gradient(kind: str) -> None:
    model, (tokens, mask) = make(kind), some_texts()
    kept: list[Tensor] = []
    layer = model.get_submodule(str(model.embedding_layer))
    layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
    total = model(tokens, mask).square().sum()
    assert len(kept) == 1  # once a pass, or attributions to it would be those of one call
    assert kept[0].shape[:2] == tokens.shape
    (gradient,) = torch.autograd.grad(total, kept[0])
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask].abs().sum(dim=-1) > 0).any()


def test_both_directions_are_those_of_a_packed_net() -> None:
    ours = make("bilstm")
    theirs = nn.LSTM(8, 8, batch_first=True, bidirectional=True).double()
    for name, weight in ours.ahead.named_parameters():
        theirs.get_parameter(name).data.copy_(weight)
        theirs.get_parameter(f"{name}_reverse").data.copy_(ours.back.get_parameter(name))
    mask = some_texts()[1]
    vectors = torch.randn(*mask.shape, 8, dtype=torch.float64)
    packed = pack_padded_sequence(vectors, mask.sum(dim=1), batch_first=True, enforce_sorted=False)
    expected = pad_packed_sequence(theirs(packed)[0], batch_first=True)[0]
    torch.testing.assert_close(ours.states(vectors, mask)[mask], expected[mask], rtol=0, atol=1e-12)


def test_the_baseline_says_nothing_and_keeps_marks_and_padding() -> None:
    tokens, mask = torch.tensor([[2, 9, 8, 3, 0]]), torch.tensor([[True] * 4 + [False]])
    for kind in ("bilstm", "ngrams"):
        assert make(kind).baseline(tokens, mask).tolist() == [[1, 1, 1, 1, 0]]
    assert make("checkpoint").baseline(tokens, mask).tolist() == [[2, 4, 4, 3, 0]]


def test_ratios_are_those_of_naive_bayes() -> None:
    """Texts 5 6 | 5 | 6 5 6 of classes 0, 0, 1: 5 is in 2 and 1 of their texts, 6 in 1 and 1, the pairs in one each."""
    rows, labels = Ragged.of([[5, 6], [5], [6, 5, 6]], np.int32), torch.tensor([0, 0, 1])
    keys, ratios = learn_ratios(rows, labels, 2, Model(**MODEL | {"ngrams": 1}), BLANK)
    assert len(keys) == 3  # what is not known, 5, 6
    inside, outside = np.array([1, 3, 2]) / 6, np.array([1, 2, 2]) / 5  # 1 + counts; the first says nothing below
    expected = sorted(np.log(inside[1:] / outside[1:]).tolist())
    torch.testing.assert_close(ratios[1:, 0].sort().values, torch.tensor(expected))
    torch.testing.assert_close(ratios[1:, 1], -ratios[1:, 0])
    assert (ratios[0] == 0).all()
    assert len(learn_ratios(rows, labels, 2, Model(**MODEL | {"ngrams": 2}), BLANK)[0]) == 5
    assert len(learn_ratios(rows, labels, 2, Model(**MODEL | {"ngrams": 2, "min_texts": 2}), BLANK)[0]) == 4


def test_pairs_tell_texts_apart_that_have_the_same_words() -> None:
    texts = torch.tensor([[5, 6, 7], [7, 5, 6]])
    mask = torch.ones_like(texts, dtype=torch.bool)
    torch.testing.assert_close(*ngrams_of(1, texts)(texts, mask))
    assert not torch.allclose(*ngrams_of(2, texts)(texts, mask))


def test_an_n_gram_votes_once_a_text_and_its_places_share_the_vote() -> None:
    texts = torch.tensor([[5, 5, 7, 5], [7, 5, 7, 7]])
    votes = ngrams_of(1, texts).votes(texts)
    torch.testing.assert_close(*votes.sum(dim=1))
    torch.testing.assert_close(votes[0, 0], votes[0, 3])
    torch.testing.assert_close(votes[0, 0], votes[1, 1] / 3)


def test_an_n_gram_is_left_out_of_a_text_everywhere_and_as_often_as_asked() -> None:
    texts = torch.arange(5, 40).repeat(300, 2)
    votes = ngrams_of(1, texts).votes.train()
    kept = votes(texts)[..., 0] != 0
    assert (kept[:, :35] == kept[:, 35:]).all()
    assert abs(kept.double().mean().item() - 0.7) < 0.02
    torch.testing.assert_close(votes(texts).mean(dim=0), votes.eval()(texts)[0], rtol=0.2, atol=0.1)


def test_an_n_gram_that_training_never_saw_says_nothing() -> None:
    model, mask = ngrams_of(3, torch.tensor([[5, 6], [7, 8]])), torch.ones(1, 2, dtype=torch.bool)
    model.bias.data.zero_()
    assert (model(torch.tensor([[20, 21]]), mask) == 0).all()
    assert (model(torch.tensor([[BLANK, BLANK]]), mask) == 0).all()
    assert (model(torch.tensor([[5, 6]]), mask) != 0).all()


def test_words_are_hidden_in_training_alone_and_as_often_as_asked() -> None:
    embedding = make("bilstm").embedding
    tokens = torch.full((100, 50), 5).masked_fill(torch.arange(50) >= 40, 0)
    blank, word = (embedding(torch.tensor([[id_]]))[0, 0] for id_ in (BLANK, 5))
    assert (embedding(tokens)[:, :40] == word).all()
    vectors = embedding.train()(tokens)
    hidden = (vectors[:, :40] == blank).all(dim=-1)
    assert ((vectors[:, :40] == word).all(dim=-1) == ~hidden).all()
    assert abs(hidden.double().mean().item() - 0.3) < 0.03
    assert (vectors[:, 40:] == embedding.words.weight[0]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_32_bits_as_prepared_give_the_same_logits(kind: str) -> None:
    model, (tokens, mask) = make(kind).eval(), some_texts()
    assert torch.equal(model(tokens.int(), mask), model(tokens, mask))
