"""A domain without images or texts: questions about a few numbers, which are removed by putting 0 in their place."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shared.explain.parts import Batch, Subject


@dataclass(frozen=True)
class Numbers:
    """(N, P) numbers, of which question n has sizes[n]; what lies behind is padding and must make no difference."""

    numbers: Tensor
    sizes: Tensor
    evidence: Tensor | None = None
    most: int = 1000

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Tensor) -> "Numbers":
        evidence = None if self.evidence is None else self.evidence[rows]
        return Numbers(self.numbers[rows], self.sizes[rows], evidence, self.most)

    def present(self, rows: Tensor, kept: Tensor) -> Batch:
        there = torch.arange(self.numbers.shape[1]) < self.sizes[rows, None]
        return {"numbers": self.numbers[rows] * (kept & there), "row": rows}

    def chunks(self, rows: Tensor) -> Iterator[Tensor]:
        yield from torch.arange(len(rows)).flip(0).split(self.most)


@dataclass(frozen=True)
class Paired(Numbers):
    """The same with groups: each two neighbours."""

    def __getitem__(self, rows: Tensor) -> "Paired":
        return Paired(**vars(super().__getitem__(rows)))

    def groups(self, row: int) -> Tensor:
        size = int(self.sizes[row])
        return torch.eye(size, dtype=torch.bool)[1:] | torch.eye(size, dtype=torch.bool)[:-1]


class Weighted(nn.Module):
    """(M, P) -> (M,): the weighted sum."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, numbers: Tensor) -> Tensor:
        return numbers @ self.weights


def value(model: nn.Module, batch: Batch) -> Tensor:
    return model(batch["numbers"])


def scene_of(rows: list[list[float]], evidence: list[list[bool]] | None = None) -> Numbers:
    longest = max(map(len, rows))
    numbers = torch.tensor([row + [9.0] * (longest - len(row)) for row in rows])
    marked = None if evidence is None else torch.tensor([row + [False] * (longest - len(row)) for row in evidence])
    return Numbers(numbers, torch.tensor([len(row) for row in rows]), marked)


def subject_of(scene: Numbers, weights: list[float]) -> Subject:
    return Subject(Weighted(torch.tensor(weights)), scene, value, scene.numbers.shape[1])
