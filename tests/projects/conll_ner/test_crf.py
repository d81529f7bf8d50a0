"""The CRF against sums and searches over every sequence of tags."""

import itertools

import pytest
import torch

from projects.conll_ner.crf import CRF, in_rounds, word_by_word
from projects.conll_ner.tags import faults, tag_names

NAMES = tag_names(["LOC", "PER"])
LENGTHS = [1, 3, 4]


@pytest.fixture(params=range(5))
def case(request):
    """A CRF with random transitions in float64, emissions (3, 4, 5), mask and legal tags."""
    torch.manual_seed(request.param)
    crf = CRF(NAMES).double()
    for weight in crf.parameters():
        torch.nn.init.normal_(weight)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    tags = torch.tensor([[1, 0, 0, 0], [3, 4, 4, 0], [0, 1, 2, 3]])
    return crf, torch.randn(3, 4, 5, dtype=torch.float64) * 2, mask, tags


def score_by_hand(crf, emissions, sequence):
    total = crf.first[sequence[0]] + crf.last[sequence[-1]] + sum(emissions[t, k] for t, k in enumerate(sequence))
    return total + sum(crf.transitions[a, b] for a, b in itertools.pairwise(sequence))


def all_legal(length):
    every = itertools.product(range(len(NAMES)), repeat=length)
    return [sequence for sequence in every if not faults([NAMES[tag] for tag in sequence], "BIO")]


def test_partition_score_best_sequence_and_marginals_equal_brute_force(case):
    crf, emissions, mask, tags = case
    partition, score = crf.log_partition(emissions, mask), crf.score(emissions, mask, tags)
    best, marginals = crf.decode(emissions, mask), crf.marginals(emissions, mask)
    for row, length in enumerate(LENGTHS):
        legal = all_legal(length)
        scores = torch.stack([score_by_hand(crf, emissions[row], sequence) for sequence in legal])
        torch.testing.assert_close(partition[row], scores.logsumexp(0), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(score[row], score_by_hand(crf, emissions[row], tags[row, :length].tolist()))
        assert best[row].tolist() == [*legal[int(scores.argmax())], *[0] * (max(LENGTHS) - length)]
        share = torch.zeros(length, len(NAMES), dtype=torch.float64)
        for sequence, chance in zip(legal, scores.softmax(0), strict=True):
            share[torch.arange(length), torch.tensor(sequence)] += chance
        torch.testing.assert_close(marginals[row, :length], share.detach(), rtol=1e-8, atol=1e-10)


def test_gradients(case):
    crf, emissions, mask, tags = case
    weights = [crf.transitions, crf.first, crf.last]

    def loss(emissions, *_):
        return crf.loss(emissions, mask, tags)

    assert torch.autograd.gradcheck(loss, (emissions.requires_grad_(), *weights))


def test_what_is_masked_never_matters(case):
    crf, emissions, mask, tags = case
    other = torch.where(mask[:, :, None], emissions, 1e6)
    other_tags = torch.where(mask, tags, 3)
    assert torch.equal(crf.loss(emissions, mask, tags), crf.loss(other, mask, other_tags))
    assert torch.equal(crf.decode(emissions, mask), crf.decode(other, mask))
    longer = [torch.nn.functional.pad(emissions, (0, 0, 0, 2)), torch.nn.functional.pad(mask, (0, 2))]
    torch.testing.assert_close(crf.log_partition(*longer), crf.log_partition(emissions, mask), rtol=0, atol=0)
    assert torch.equal(crf.decode(*longer)[:, : mask.shape[1]], crf.decode(emissions, mask))
    assert crf.marginals(*longer)[~longer[1]].eq(0).all()


def test_no_illegal_sequence_is_ever_decoded():
    torch.manual_seed(0)
    crf = CRF(NAMES)
    emissions = torch.randn(50, 12, len(NAMES)) * 20
    for row in crf.decode(emissions, torch.ones(50, 12, dtype=torch.bool)).tolist():
        assert faults([NAMES[tag] for tag in row], "BIO") == []


def test_fp32_under_autocast():
    crf = CRF(NAMES)
    emissions, mask = torch.randn(2, 30, len(NAMES)), torch.ones(2, 30, dtype=torch.bool)
    tags = torch.zeros(2, 30, dtype=torch.int64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = crf.loss(emissions, mask, tags)
        assert crf.log_partition(emissions.bfloat16(), mask).dtype == torch.float32
    assert torch.equal(inside, crf.loss(emissions, mask, tags))


@pytest.mark.parametrize("words", [1, 2, 3, 8, 21])
def test_rounds_and_the_loop_give_the_same_sums_and_gradients(words):
    torch.manual_seed(words)
    crf = CRF(NAMES).double()
    torch.nn.init.normal_(crf.transitions)
    emissions = torch.randn(4, words, len(NAMES), dtype=torch.float64, requires_grad=True)
    mask = torch.arange(words) < torch.tensor([words, 1, words // 2 + 1, words])[:, None]
    _, first, transitions = crf._terms(emissions)
    ways = []
    for advance in (word_by_word, in_rounds):
        found = advance(first + emissions[:, 0], transitions, emissions[:, 1:], mask[:, 1:]).logsumexp(1)
        ways.append(
            (
                found,
                *torch.autograd.grad(
                    found.sum(), (emissions, crf.transitions), retain_graph=True, materialize_grads=True
                ),
            )
        )
    for one, other in zip(*ways, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
