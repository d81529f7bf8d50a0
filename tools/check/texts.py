"""What labelled or annotated texts hold: copies, contradictory labels, near copies of what is trained on."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from shared.core.errors import MAX_LISTED, Problems, UserError
from shared.core.paths import ROOT, show
from shared.data.split import SPLITS
from shared.text.classes import read_texts
from shared.text.copies import equal_texts, find_contradictions, find_near_copies
from shared.text.files import Text, guess_columns
from tools.readme import project_names

from .findings import prepare_params

Reader = Callable[[Path, Problems, Problems], list[Text]]
ANNOTATED = "annotated_texts"  # in a project's prepare: reads forms of its own


@dataclass(frozen=True)
class TextFindings:
    """Everything found in a file or a folder of texts.

    Args:
        what: what they were taken for.
        texts: those that can be read; the class of an annotated one is what is marked in it.
        annotated: whether they are.
        problems: which the prepare stage refuses as well.
        notes: sentences: what was taken for what, what was left out.
        copies: texts that are the same but for case and white space, with one label, in one split.
        contradictions: such texts with several labels.
        leaks: such texts in two splits.
        near: texts that are nearly the same, in two splits; without a test split, of all that one would be drawn from.
    """

    what: str
    texts: list[Text]
    annotated: bool
    problems: list[str]
    notes: list[str]
    copies: list[list[Text]]
    contradictions: list[list[Text]]
    leaks: list[list[Text]]
    near: list[list[Text]]

    @property
    def has_test(self) -> bool:
        return any(text.split == "test" for text in self.texts)

    @property
    def faults(self) -> dict[str, int]:
        """What must be looked at before training, and how often."""
        where = "pairs of near copies in two splits" if self.has_test else "pairs of near copies, and no test split"
        return {
            "problems, which prepare refuses": len(self.problems),
            "groups of copies in two splits": len(self.leaks),
            where: len(self.near),
            "groups of copies under two labels": len(self.contradictions),
        }


def examine_texts(root: Path, project: str | None) -> TextFindings:
    """Reads all texts once and compares all with all.

    Args:
        project: whose data they are, if known: it says which columns are meant.

    Raises:
        UserError: there are no texts that can be read.
    """
    annotated, what, texts, problems, notes = _read(root, project)
    texts = sorted(texts, key=lambda text: SPLITS.index(text.split or "train"))
    words, labels = [text.text for text in texts], [text.class_name for text in texts]
    contradictions = find_contradictions(words, labels)
    groups: dict[int, list[int]] = {}
    first = equal_texts(words)
    for place, other in enumerate(first):
        groups.setdefault(other, []).append(place)
    several = [places for places in groups.values() if len(places) > 1]
    leaks = [places for places in several if len({texts[place].split for place in places}) > 1]
    has_test = any(text.split == "test" for text in texts)
    splits = [text.split or "train" if has_test else str(place) for place, text in enumerate(texts)]
    near = [[one, other] for one, other in find_near_copies(words, splits) if first[one] != first[other]]
    copies = [places for places in several if places not in leaks and places not in contradictions]
    lists = [[[texts[place] for place in places] for places in some] for some in (copies, contradictions, leaks, near)]
    return TextFindings(what, texts, annotated, problems, notes, *lists)


def _read(root: Path, project: str | None) -> tuple[bool, str, list[Text], list[str], list[str]]:
    """Whether they are annotated, what they were taken for, the texts, problems, notes: of the first reader that finds
    texts, those of annotated texts first, since a table of words can also be read as texts with classes."""
    tried = []
    for annotated, what, reader in _readers(project):
        problems, notes = Problems(show(root)), Problems(show(root))
        texts: list[Text] = []
        with problems.collect():
            texts = reader(root, problems, notes)
        if texts and not (annotated and all(text.class_name == "nothing" for text in texts)):
            counted = f"{what}: {len(texts):,}"
            return annotated, counted, texts, problems.found, notes.found
        tried.append(problems.found)
    # who knows the file's form names what is wrong in it; who does not only says which forms there are
    found = max(reversed(tried), key=lambda lines: not any(_is_general(line) for line in lines))
    lines = [f"  - {line}" for line in found[:MAX_LISTED]]
    lines += [f"  ... and {len(found) - MAX_LISTED:,} more"] if len(found) > MAX_LISTED else []
    raise UserError("\n".join([f"{show(root)}: no labelled images, no texts that can be read", *lines]))


def _is_general(problem: str) -> bool:
    return "no files: " in problem or "no texts; " in problem


def _readers(project: str | None) -> Iterator[tuple[bool, str, Reader]]:
    """Readers of texts, with what they take data for; of the project alone if it is given."""
    for name in [project] if project else project_names(ROOT):
        module = importlib.import_module(f"projects.{name}.prepare")
        if hasattr(module, ANNOTATED):
            yield True, f"annotated texts, as {name} takes them", getattr(module, ANNOTATED)
            if project:
                return
    yield False, "texts with classes", partial(_read_classes, project)


def _read_classes(project: str | None, root: Path, problems: Problems, notes: Problems) -> list[Text]:
    prepare = prepare_params(project)
    if "text_column" in prepare:
        columns = prepare["text_column"], prepare["label_column"]
    else:
        columns = guess_columns(root, problems, notes)
    return read_texts(root, *columns, problems, notes)


def excerpt(texts: Sequence[Text], most: int = 6) -> str:
    """A group of copies in one line: where each is, its label if they differ, how it begins if that differs."""
    labelled = len({text.class_name for text in texts}) > 1
    places = [f"{one.id} ({_begin(one.class_name, 40)})" if labelled else one.id for one in texts[:most]]
    begins = list(dict.fromkeys(_begin(one.text, 80) for one in texts[:most]))
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return f"{' = '.join(places)}{more}: {' / '.join(begins[:2])}"


def _begin(text: str, most: int) -> str:
    return " ".join(text[: 4 * most].split())[:most]
