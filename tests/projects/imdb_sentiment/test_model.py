"""The networks: what is padded changes nothing, directions are right, explanations find their layer."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from projects.imdb_sentiment.model import (
    CheckpointClassifier,
    NGramClassifier,
    RecurrentClassifier,
    learn_ratios,
)
from projects.imdb_sentiment.params import Model
from shared.data.table import Ragged
from shared.text.pretrained import from_config

NUM_TOKENS, BLANK, MAX_TOKENS = 40, 1, 16
MODEL: dict[str, Any] = {
    "width": 8, "hidden": 8, "dropout": 0.3, "word_dropout": 0.3, "ngrams": 3, "min_texts": 1,
}  # fmt: skip
TINY_BERT = {
    "model_type": "bert", "vocab_size": NUM_TOKENS, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 8, "max_position_embeddings": MAX_TOKENS, "num_labels": 3,
}  # fmt: skip
KINDS = ["bilstm", "ngrams", "checkpoint"]


def make(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "ngrams":
        return ngrams_of(3).double()
    if kind == "checkpoint":
        model: nn.Module = CheckpointClassifier(from_config("classifier", TINY_BERT), blank=4, special=[2, 3])
    else:
        model = RecurrentClassifier(Model(**MODEL | {"name": kind}), NUM_TOKENS, BLANK, num_classes=3)
    return model.double().eval()


def some_texts() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    mask = torch.arange(9) < torch.tensor([[9], [4], [1], [7]])
    return torch.randint(5, NUM_TOKENS, mask.shape).masked_fill(~mask, 0), mask


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_padded_changes_nothing(kind: str) -> None:
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


@pytest.mark.parametrize("kind", KINDS)
def test_padding_has_no_share_in_the_gradient(kind: str) -> None:
    model, (tokens, mask) = make(kind), some_texts()
    kept: list[Tensor] = []
    layer = model.get_submodule(str(model.embedding_layer))
    layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model(tokens, mask).square().sum().backward(inputs=trained, retain_graph=True)
    assert len(kept) == 1  # once a pass, or attributions to it would be those of one call
    assert kept[0].shape[:2] == tokens.shape
    (gradient,) = torch.autograd.grad(model(tokens, mask).square().sum(), kept[1])
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask].abs().sum(dim=-1) > 0).any()


def test_both_directions_are_those_of_a_packed_net() -> None:
    """Ours against torch's bidirectional net over a packed sequence, with the same weights."""
    torch.manual_seed(0)
    ours = make("bilstm")
    assert isinstance(ours, RecurrentClassifier)
    theirs = nn.LSTM(8, 8, batch_first=True, bidirectional=True).double()
    for name, weight in ours.ahead.named_parameters():
        theirs.get_parameter(name).data.copy_(weight)
        theirs.get_parameter(f"{name}_reverse").data.copy_(ours.back.get_parameter(name))
    mask = some_texts()[1]
    states = torch.randn(*mask.shape, 8, dtype=torch.float64)
    packed = pack_padded_sequence(states, mask.sum(dim=1), batch_first=True, enforce_sorted=False)
    expected = pad_packed_sequence(theirs(packed)[0], batch_first=True)[0]
    torch.testing.assert_close(ours.states(states, mask)[mask], expected[mask], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_words_matters_and_other_texts_do_not(kind: str) -> None:
    model, (tokens, mask) = make(kind), some_texts()
    logits = model(tokens, mask)
    assert not torch.allclose(model(tokens.flip(1)[:1], mask[:1]), logits[:1], atol=1e-6)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(tokens[order], mask[order]), logits[order], rtol=0, atol=1e-12)


def test_the_baseline_says_nothing_and_keeps_marks_and_padding() -> None:
    tokens, mask = torch.tensor([[2, 9, 8, 3, 0]]), torch.tensor([[True] * 4 + [False]])
    assert make("bilstm").baseline(tokens, mask).tolist() == [[1, 1, 1, 1, 0]]  # type: ignore[operator]
    assert make("checkpoint").baseline(tokens, mask).tolist() == [[2, 4, 4, 3, 0]]  # type: ignore[operator]


def ngrams_of(longest: int) -> NGramClassifier:
    """A linear model of all n-grams of some texts, with random weights and ratios, as if trained."""
    params = Model(**MODEL | {"name": "ngrams", "ngrams": longest})
    texts = [*some_texts()[0].tolist(), [5, 6, 7], [7, 5, 6], [*range(5, NUM_TOKENS)] * 2]
    keys, _ = learn_ratios(Ragged.of(texts, np.int32), torch.arange(len(texts)) % 3, 3, params, BLANK)
    model = NGramClassifier(params, len(keys), BLANK, num_classes=3).eval()
    torch.manual_seed(0)
    ratios = torch.randn(len(keys), 3)
    ratios[0] = 0
    model.votes.fill(keys, ratios)
    nn.init.normal_(model.votes.weight.weight)
    return model


def test_ratios_are_the_logs_of_smoothed_shares() -> None:
    """Two texts of one class, one of the other; the unknown word is in no n-gram, one text's n-gram in no table."""
    texts, labels = Ragged.of([[5, 6, 5], [5, BLANK, 6], [6, 5]], np.int32), torch.tensor([0, 0, 1])
    keys, ratios = learn_ratios(texts, labels, 2, Model(**MODEL | {"name": "ngrams", "min_texts": 2}), BLANK)
    counts = torch.tensor([[2, 1], [2, 1], [1, 1]]).sort(dim=0).values + 1.0  # of 5, 6, and 6 before 5
    shares = counts / (counts.sum(dim=0) + 1)  # the unknown n-gram has a count of 1 too
    expected = torch.log(shares[:, 0] / shares[:, 1]).sort().values
    torch.testing.assert_close(ratios[1:, 0].sort().values, expected)
    torch.testing.assert_close(ratios[:, 0], -ratios[:, 1])
    assert (ratios[0] == 0).all()
    assert (keys[1:] > keys[:-1]).all()


def test_pairs_tell_texts_apart_that_have_the_same_words() -> None:
    texts = torch.tensor([[5, 6, 7], [7, 5, 6]])
    mask = torch.ones_like(texts, dtype=torch.bool)
    torch.testing.assert_close(*ngrams_of(1)(texts, mask))
    assert not torch.allclose(*ngrams_of(2)(texts, mask))


def test_an_n_gram_votes_once_a_text_and_its_places_share_the_vote() -> None:
    votes = ngrams_of(1).get_submodule("votes")(torch.tensor([[5, 5, 7, 5], [7, 5, 7, 7]]))
    torch.testing.assert_close(*votes.sum(dim=1))
    torch.testing.assert_close(votes[0, 0], votes[0, 3])
    torch.testing.assert_close(votes[0, 0], votes[1, 1] / 3)


def test_an_n_gram_is_left_out_of_a_text_everywhere_and_as_often_as_asked() -> None:
    votes = ngrams_of(1).train().votes
    texts = torch.arange(5, 40).repeat(300, 2)
    kept = votes(texts)[..., 0] != 0
    assert (kept[:, :35] == kept[:, 35:]).all()
    assert abs(kept.double().mean().item() - 0.7) < 0.02
    torch.testing.assert_close(votes(texts).mean(dim=0), votes.eval()(texts)[0], rtol=0.2, atol=0.1)


def test_what_training_never_saw_and_the_baseline_say_nothing() -> None:
    model, (texts, mask) = ngrams_of(3), some_texts()
    texts = texts + NUM_TOKENS * mask
    assert (model(texts, mask) == 0).all()
    assert (model(model.baseline(texts, mask), mask) == 0).all()


def test_words_are_hidden_in_training_alone_and_as_often_as_asked() -> None:
    embedding = make("bilstm").get_submodule("embedding")
    tokens = torch.full((100, 50), 5).masked_fill(torch.arange(50) >= 40, 0)
    blank, word = (embedding(torch.tensor([[id_]]))[0, 0, :8] for id_ in (BLANK, 5))
    assert (embedding(tokens)[:, :40, :8] == word).all()
    vectors = embedding.train()(tokens)[..., :8]
    hidden = (vectors[:, :40] == blank).all(dim=-1)
    assert ((vectors[:, :40] == word).all(dim=-1) == ~hidden).all()
    assert abs(hidden.double().mean().item() - 0.3) < 0.03
    assert (vectors[:, 40:] == embedding.get_parameter("words.weight")[0]).all()
