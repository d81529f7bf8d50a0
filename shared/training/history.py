"""The history of a training: rows for plots, lines for a log, a progress bar for a terminal.

Values stay on the device until a row or a checkpoint is due, so that logging never makes the device wait. The rows
are part of the checkpoint: a resumed run has each of them once.
"""

import sys
from collections.abc import Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from shared.core.files import write_atomic
from shared.training.distributed import World, reduce_sum
from shared.training.step import Sums

Row = dict[str, float]


class Diverged(Exception):
    """A loss was not finite.

    Args:
        steps_ago: counted back from the last step added, which is 1.
        terms: the terms of that step that were not finite: the loss, or others.
    """

    def __init__(self, steps_ago: int, terms: Sequence[str]) -> None:
        super().__init__(steps_ago, terms)
        self.steps_ago, self.terms = steps_ago, terms


class History:
    """Rows of training (means over each log interval) and of validation.

    Args:
        world: sums are taken over its ranks; the first one prints.
        total_steps: of the whole training, for the bar.
    """

    def __init__(self, world: World, total_steps: int) -> None:
        self.world = world
        self.train: list[Row] = []
        self.validation: list[Row] = []
        self._unread: list[Sums] = []
        self._sums: dict[str, float] = {}
        terminal = sys.stderr.isatty() and world.is_first
        self._bar = tqdm(total=total_steps, unit="step", disable=not terminal, dynamic_ncols=True)
        self._plain = world.is_first and not terminal

    def add(self, sums: Sums) -> None:
        """Keeps the sums of one step, unread."""
        self._unread.append(sums)

    def read(self) -> None:
        """Copies what was kept from the device. Raises Diverged at a loss that is not finite."""
        if not self._unread:
            return
        names = ["loss", "count", *self._unread[0].extras]
        columns = zip(*[(sums.loss, sums.count, *sums.extras.values()) for sums in self._unread], strict=True)
        table = reduce_sum(torch.stack([self._column(values) for values in columns], 1), self.world).cpu()
        bad = (~table[:, 0].isfinite()).nonzero()
        if len(bad):
            finite = table[int(bad[0, 0])].isfinite().tolist()
            raise Diverged(
                len(table) - int(bad[0, 0]), [name for name, fine in zip(names, finite, strict=True) if not fine]
            )
        for name, values in zip(names, table.T.tolist(), strict=True):
            # One after the other: when they are read, which the clock decides, must not change the last bits
            self._sums[name] = reduce(add, values, self._sums.get(name, 0.0))
        self._unread.clear()

    def log(self, step: int, epoch: float, rate: float) -> None:
        """Ends a log interval: one row with the means of the loss and the extras since the last, if there was a step.

        An interval without items leaves no row."""
        self._bar.update(step - self._bar.n)
        self.read()
        count = self._sums.pop("count", 0.0)
        if not count:
            self._sums.clear()
            return
        means = {f"train_{name}": total / count for name, total in self._sums.items()}
        self._sums.clear()
        self._put(self.train, {"step": step, "epoch": epoch, **means, "learning_rate": rate})

    def validated(self, step: int, epoch: float, metrics: Row) -> None:
        """One row of validation metrics."""
        self._put(self.validation, {"step": step, "epoch": epoch, **metrics})

    def say(self, line: str) -> None:
        """A line for the log, above the bar on a terminal."""
        if self.world.is_first:
            self._bar.write(line, file=sys.stderr) if not self._bar.disable else print(line, flush=True)

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint. Call `read` first."""
        return {"train": self.train, "validation": self.validation, "sums": self._sums}

    def restore(self, state: dict[str, Any], step: int) -> None:
        """Continues from a checkpoint made at a step: rows after it are gone."""
        self.train, self.validation, self._sums = state["train"], state["validation"], state["sums"]
        self._bar.update(step)

    def write(self, folder: Path) -> None:
        """history.tsv and validation.tsv, which `dvc plots` draws; numbers in full."""
        for name, rows in (("history.tsv", self.train), ("validation.tsv", self.validation)):
            lines = ["\t".join(rows[0])] if rows else []
            lines += ["\t".join(repr(value) for value in row.values()) for row in rows]
            write_atomic(folder / name, ("\n".join(lines) + "\n").encode())

    def _column(self, values: Sequence[Any]) -> Tensor:
        """One term of all steps kept, converted as a whole: one by one that cost some 4 us a step more."""
        if isinstance(values[0], Tensor):
            return torch.stack(tuple(values)).to(self.world.widest)
        return torch.tensor(values, device=self.world.device, dtype=self.world.widest)

    def _put(self, rows: list[Row], row: Row) -> None:
        rows.append(row)
        words = [f"{name} {value:.4g}" for name, value in row.items() if name not in ("step", "epoch")]
        line = f"step {row['step']:>6}  epoch {row['epoch']:6.2f}  " + "  ".join(words)
        if self._plain or rows is self.validation:
            self.say(line)
        self._bar.set_postfix_str("  ".join(words), refresh=False)
