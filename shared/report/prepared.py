"""The end of every prepare stage: the prepared data, its part of the page, and the same on the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.core.params import Section
from shared.core.paths import show
from shared.data.prepared import count_lines, write_prepared
from shared.data.table import Columns
from shared.report import blocks

Counts = Mapping[str, Mapping[str, int]]  # name -> split -> number


def leave_prepared(
    folder: Path,
    splits: Mapping[str, Columns],
    manifest: Mapping[str, Any],
    page: Sequence[str | Counts],
    params: Section,
    *,
    counts: Mapping[str, Mapping[str, Any]] | None = None,
    files: Mapping[str, Any] | None = None,
) -> None:
    """Replaces the prepared data, whole or not at all, and prints what the page says.

    Args:
        folder: `data/prepared/<project>/`.
        manifest: `source` and what the kind of data adds; see `write_prepared`, also for counts and files.
        page: sentences and tables of counts, in reading order.
        params: the section `prepare` as it was used.
    """
    drawn = [blocks.text(part) if isinstance(part, str) else blocks.counts(part) for part in page]
    whole = blocks.page(drawn, params=params.model_dump())
    write_prepared(folder, splits, manifest, counts=counts, files={**(files or {}), "page.json": whole})
    for part in page:
        print(part if isinstance(part, str) else "\n".join(count_lines(part)))
    print(f"prepare: {manifest['source']} -> {show(folder)}")
