"""How far a stage has come: a bar on a terminal, a line from time to time in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_S = 15.0  # between two lines of a log
DELAY_S = 1.0  # what is done sooner needs no bar


@contextmanager
def progress(name: str, total: int, *, shown: bool = True) -> Iterator[Callable[..., None]]:
    """Yields `advance(count, note="")`: call it with how much is done since, and what is being done.

    Args:
        name: of the stage.
        total: sum of all counts.
        shown: False for all but one of several processes.
    """
    from tqdm import tqdm  # here, so that --help does not wait for it

    terminal = sys.stderr.isatty()
    began = said = time.monotonic()
    done = 0
    with tqdm(
        total=total, desc=name, disable=not (shown and terminal), delay=DELAY_S, leave=False, miniters=0,
        dynamic_ncols=True, bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
    ) as bar:  # fmt: skip

        def advance(count: int, note: str = "") -> None:
            nonlocal done, said
            done += count
            bar.set_postfix_str(note, refresh=False)
            bar.update(count)
            now = time.monotonic()
            if shown and not terminal and now - said >= LINE_S:
                said = now
                print(f"{name}: {done / total:.0%} after {now - began:.0f} s{', ' * bool(note)}{note}", flush=True)

        yield advance
