"""Class names of labelled samples, and classes that cannot be learned."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from shared.core.errors import Problems
from shared.core.paths import show
from shared.data.split import SPLIT_NAMES


class Labelled(Protocol):
    """A sample of any kind; split is train, valid or test, or None where the data do not say."""

    @property
    def id(self) -> str: ...
    @property
    def class_name(self) -> str: ...
    @property
    def split(self) -> str | None: ...


def class_names(samples: Iterable[Labelled]) -> list[str]:
    """Every class once, in alphabetical order; whole numbers in theirs."""
    names = {sample.class_name for sample in samples}
    if all(re.fullmatch("-?[0-9]+", name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def lookalikes(names: Iterable[str]) -> list[list[str]]:
    """Different names that look the same but for their case: spaces of other widths, characters that cannot be seen or
    are drawn alike (Unicode's compatibility forms).

    >>> lookalikes(["Billing", "billing\u200b", "delivery"])
    [['Billing', 'billing\u200b']]
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        seen = (char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) != "Cf")
        groups[" ".join("".join(seen).casefold().split())].append(name)
    return [group for group in groups.values() if len(group) > 1]


def check_classes(
    root: Path, samples: Sequence[Labelled], problems: Problems, *, what: str, forms: str, least: int = 2
) -> None:
    """Notes what cannot be learned: no samples for no known reason, none to train on, too few classes, classes that are
    splits, classes whose names look the same, a class that train lacks.

    Args:
        what: the samples in messages: "images".
        forms: how they should lie, for an empty folder.
        least: number of classes that is accepted.
    """
    trained = {sample.class_name for sample in samples if sample.split in ("train", None)}
    classes = class_names(samples)
    if not samples:
        if not problems.found:
            problems.add(show(root), f"no {what}; expected {forms}")
    elif not trained:
        problems.add(show(root), f"no {what} to train on")
    elif len(classes) < least:
        problems.add(show(root), f"one class only ({classes[0]!r}), expected two or more")
    named = [name for name in classes if name.casefold() in SPLIT_NAMES]
    if len({SPLIT_NAMES[name.casefold()] for name in named}) > 1:
        listed = ", ".join(map(repr, named))
        problems.add(show(root), f"the classes {listed} are named like splits, expected classes")
    for names in lookalikes(classes):
        listed = ", ".join(map(ascii, names))
        problems.add(show(root), f"the classes {listed} differ in case, spaces or invisible characters alone")
    for split in ("valid", "test") if trained else ():
        counts = Counter(sample.class_name for sample in samples if sample.split == split)
        for name in sorted(set(counts) - trained):
            first = next(sample.id for sample in samples if sample.split == split and sample.class_name == name)
            problems.add(f"class {name!r}", f"{counts[name]} in {split} (first: {first}), but missing in train")
