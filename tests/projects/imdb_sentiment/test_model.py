"""The networks: what is padded changes nothing, directions are right, explanations find their layer."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from projects.imdb_sentiment.model import CheckpointClassifier, NGramClassifier, Recurrent, TextClassifier
from projects.imdb_sentiment.params import Model

NUM_TOKENS, BLANK, MAX_TOKENS = 40, 1, 16
MODEL: dict[str, Any] = {
    "width": 8, "hidden": 8, "layers": 2, "heads": 2, "dropout": 0.3, "word_dropout": 0.3,
    "ngrams": 3, "buckets": 64,
}  # fmt: skip
TINY_BERT = {
    "model_type": "bert", "vocab_size": NUM_TOKENS, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 8, "max_position_embeddings": MAX_TOKENS, "num_labels": 3,
}  # fmt: skip
KINDS = ["bilstm", "bigru", "cnn", "transformer", "ngrams", "checkpoint"]


def make(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "ngrams":
        return ngrams_of(3).double()
    if kind == "checkpoint":
        model: nn.Module = CheckpointClassifier(TINY_BERT, blank=4, special=[2, 3])
    else:
        model = TextClassifier(Model(**MODEL | {"name": kind}), NUM_TOKENS, BLANK, MAX_TOKENS, num_classes=3)
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
    model(tokens, mask).square().sum().backward(inputs=list(model.parameters()), retain_graph=True)
    assert len(kept) == 1  # once a pass, or attributions to it would be those of one call
    assert kept[0].shape[:2] == tokens.shape
    (gradient,) = torch.autograd.grad(model(tokens, mask).square().sum(), kept[1])
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask].abs().sum(dim=-1) > 0).any()


@pytest.mark.parametrize("kind", ["bilstm", "bigru"])
def test_both_directions_are_those_of_a_packed_net(kind: str) -> None:
    """One layer of ours against torch's bidirectional net over a packed sequence, with the same weights."""
    torch.manual_seed(0)
    net = {"bilstm": nn.LSTM, "bigru": nn.GRU}[kind]
    ours = Recurrent(net, 8, Model(**MODEL | {"name": kind, "layers": 1})).double().eval()
    theirs = net(8, 8, batch_first=True, bidirectional=True).double()
    for name, weight in ours.forwards[0].named_parameters():
        theirs.get_parameter(name).data.copy_(weight)
        theirs.get_parameter(f"{name}_reverse").data.copy_(ours.backwards[0].get_parameter(name))
    mask = some_texts()[1]
    states = torch.randn(*mask.shape, 8, dtype=torch.float64)
    packed = pack_padded_sequence(states, mask.sum(dim=1), batch_first=True, enforce_sorted=False)
    expected = pad_packed_sequence(theirs(packed)[0], batch_first=True)[0]
    seen: list[Tensor] = []
    ours.pool.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    ours(states, mask)
    torch.testing.assert_close(seen[0][mask], expected[mask], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_words_matters_and_other_texts_do_not(kind: str) -> None:
    model, (tokens, mask) = make(kind), some_texts()
    logits = model(tokens, mask)
    assert not torch.allclose(model(tokens.flip(1)[:1], mask[:1]), logits[:1], atol=1e-6)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(tokens[order], mask[order]), logits[order], rtol=0, atol=1e-12)


def test_the_baseline_says_nothing_and_keeps_marks_and_padding() -> None:
    tokens, mask = torch.tensor([[2, 9, 8, 3, 0]]), torch.tensor([[True] * 4 + [False]])
    assert make("cnn").baseline(tokens, mask).tolist() == [[1, 1, 1, 1, 0]]  # type: ignore[operator]
    assert make("checkpoint").baseline(tokens, mask).tolist() == [[2, 4, 4, 3, 0]]  # type: ignore[operator]


def ngrams_of(longest: int) -> nn.Module:
    """A linear model with random votes, as if trained."""
    model = NGramClassifier(Model(**MODEL | {"name": "ngrams", "ngrams": longest}), BLANK, num_classes=3).eval()
    torch.manual_seed(0)
    nn.init.normal_(model.votes.table.weight)
    return model


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
    votes = ngrams_of(1).train().get_submodule("votes")
    texts = torch.arange(5, 40).repeat(300, 2)
    kept = votes(texts)[..., 0] != 0
    assert (kept[:, :35] == kept[:, 35:]).all()
    assert abs(kept.double().mean().item() - 0.7) < 0.02
    torch.testing.assert_close(votes(texts).mean(dim=0), votes.eval()(texts)[0], rtol=0.2, atol=0.1)


def test_an_n_gram_that_training_never_saw_says_nothing() -> None:
    model = NGramClassifier(Model(**MODEL | {"name": "ngrams"}), BLANK, num_classes=3)
    texts, mask = some_texts()
    assert (model(texts, mask) == 0).all()


def test_words_are_hidden_in_training_alone_and_as_often_as_asked() -> None:
    embedding = make("cnn").get_submodule("embedding")
    tokens = torch.full((100, 50), 5).masked_fill(torch.arange(50) >= 40, 0)
    blank, word = (embedding(torch.tensor([[id_]]))[0, 0, :8] for id_ in (BLANK, 5))
    assert (embedding(tokens)[:, :40, :8] == word).all()
    vectors = embedding.train()(tokens)[..., :8]
    hidden = (vectors[:, :40] == blank).all(dim=-1)
    assert ((vectors[:, :40] == word).all(dim=-1) == ~hidden).all()
    assert abs(hidden.double().mean().item() - 0.3) < 0.03
    assert (vectors[:, 40:] == embedding.get_submodule("words").weight[0]).all()
