"""A linear-chain conditional random field over tags (Lafferty et al. 2001, as in Lample et al. 2016).

A sequence of tags scores the sum of its words' emissions and of a transition between neighbours; its probability is the
softmax over all sequences. Everything works on a batch at once: time is the only Python loop, and on a GPU, where the
number of kernels is what costs, the sum over all sequences has one of log2(L) rounds instead.

B batch, L words, K tags. Masks are True on words, which come first; what is behind them changes nothing.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .tags import OUTSIDE

FORBIDDEN = -1e4  # the score of a transition that BIO does not allow: finite, so that no gradient is nan


class CRF(nn.Module):
    """Transitions are learned, except for those that BIO forbids: I-X follows B-X and I-X alone.

    Args:
        tags: K names, as `tag_names` gives them.
    """

    forbidden: Tensor
    forbidden_first: Tensor

    def __init__(self, tags: Sequence[str]) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(len(tags), len(tags)))  # from, to
        self.first = nn.Parameter(torch.zeros(len(tags)))
        self.last = nn.Parameter(torch.zeros(len(tags)))
        follows = [[now[0] != "I" or before[2:] == now[2:] for now in tags] for before in [*tags, OUTSIDE]]
        rows = [[0.0 if allowed else FORBIDDEN for allowed in row] for row in follows]
        self.register_buffer("forbidden", torch.tensor(rows[:-1]), persistent=False)
        self.register_buffer("forbidden_first", torch.tensor(rows[-1]), persistent=False)

    def loss(self, emissions: Tensor, mask: Tensor, tags: Tensor) -> Tensor:
        """(B,): negative log probability of each sequence; at least fp32, whatever autocast says.

        Args:
            emissions: (B, L, K).
            mask: (B, L) bool.
            tags: (B, L) int64.
        """
        return self.log_partition(emissions, mask) - self.score(emissions, mask, tags)

    def score(self, emissions: Tensor, mask: Tensor, tags: Tensor) -> Tensor:
        """(B,): emissions and transitions along the given tags."""
        emissions, first, transitions = self._terms(emissions)
        emitted = emissions.gather(2, tags[:, :, None])[:, :, 0].masked_fill(~mask, 0).sum(1)
        moved = transitions[tags[:, :-1], tags[:, 1:]].masked_fill(~mask[:, 1:], 0).sum(1)
        final = tags.gather(1, mask.sum(1, keepdim=True) - 1)[:, 0]
        return emitted + moved + first[tags[:, 0]] + self.last[final]

    def log_partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """(B,): log of the sum over all sequences of exp(score), by the forward algorithm."""
        emissions, first, transitions = self._terms(emissions)
        advance = in_rounds if emissions.is_cuda else word_by_word
        alpha = advance(first + emissions[:, 0], transitions, emissions[:, 1:], mask[:, 1:])
        return torch.logsumexp(alpha + self.last, dim=1)

    @torch.no_grad()
    def decode(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64: the best sequence of each, by Viterbi; 0 behind the mask."""
        emissions, best, transitions = self._terms(emissions)
        best, backward = best + emissions[:, 0], []
        stay = torch.arange(emissions.shape[2], device=emissions.device)
        for place in range(1, emissions.shape[1]):
            score, source = (best[:, :, None] + transitions).max(dim=1)
            is_word = mask[:, place, None]
            best = torch.where(is_word, score + emissions[:, place], best)
            backward.append(torch.where(is_word, source, stay))
        tags = [(best + self.last).argmax(dim=1)]
        for source in reversed(backward):
            tags.append(source.gather(1, tags[-1][:, None])[:, 0])
        return torch.stack(tags[::-1], dim=1).masked_fill(~mask, 0)

    def marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """(B, L, K): the probability of each tag at each word.

        It is the gradient of the log partition in the emissions, which is what forward-backward computes.
        """
        with torch.enable_grad():
            leaf = emissions.detach().requires_grad_()
            (probability,) = torch.autograd.grad(self.log_partition(leaf, mask).sum(), leaf)
        return probability

    def _terms(self, emissions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Emissions in at least fp32, scores of the first tag, of a transition."""
        emissions = emissions.to(torch.promote_types(emissions.dtype, torch.float32))
        return emissions, self.first + self.forbidden_first, self.transitions + self.forbidden


def word_by_word(alpha: Tensor, transitions: Tensor, emissions: Tensor, mask: Tensor) -> Tensor:
    """The forward algorithm: (B, K) log sums over all beginnings that end in each tag -> the same after all words.

    Args:
        emissions: (B, L, K) of the words that follow.
        mask: (B, L) bool.
    """
    for word, is_word in zip(emissions.unbind(1), mask[:, :, None].unbind(1), strict=True):
        following = torch.logsumexp(alpha[:, :, None] + transitions, dim=1) + word
        alpha = torch.where(is_word, following, alpha)
    return alpha


def in_rounds(alpha: Tensor, transitions: Tensor, emissions: Tensor, mask: Tensor) -> Tensor:
    """The same, with the (K, K) steps of neighbouring words joined in pairs until one is left: K times as much work."""
    size = len(transitions)
    stay = torch.full_like(transitions, FORBIDDEN).fill_diagonal_(0)
    steps = torch.where(mask[:, :, None, None], transitions + emissions[:, :, None], stay)
    while steps.shape[1] > 1:
        if steps.shape[1] % 2:
            steps = torch.cat([steps, stay.expand(len(steps), 1, size, size)], dim=1)
        steps = torch.logsumexp(steps[:, ::2, :, :, None] + steps[:, 1::2, None], dim=3)
    return torch.logsumexp(alpha[:, :, None] + steps[:, 0], dim=1) if steps.shape[1] else alpha
