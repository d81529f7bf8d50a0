"""What was found, as blocks for the page and the terminal.

A block that does not show all of a list has the number of the others under "more".
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from shared.data.folder import SampleFile
from shared.data.labels import Labelled
from shared.data.split import SPLITS
from shared.image.files import REDUCING_GAP, image_size, load_upright
from shared.image.params import Reading
from shared.report.blocks import Block, cell, pictures, section, strips, table, text

from .findings import Findings, Group
from .texts import TextFindings, excerpt

SHOWN_PX = 112
MOST_GROUPS, MOST_OF_A_GROUP, MOST_HINTS, MOST_LINES = 40, 6, 20, 200
MANY = 0.1  # share of images with a near copy, above which they probably just look similar
LEAK = "scores on the later split are too good, if they are copies"
TORN = "a warning: a test set that prepare draws would hold copies of what is trained on"
COPIES = (
    "Exact copies are identical files. Near copies are re-encoded, resized or slightly cropped; likeness is the "
    "correlation of their details, 1 for the same image. Two frames of a film count as near copies too."
)
SAME_TEXTS = (
    "Copies are the same but for case and white space. Near copies share four in five of their phrases of three words: "
    "reposts, quotes, and texts made from one template."
)
CAUTION = (
    "of the images look like near copies. Either the data was augmented, or its images are similar by nature, as "
    "digits, drawings and round things are: look at them first."
)


def finding_blocks(found: Findings, album: Path) -> Iterator[Block]:
    """Everything that was found in images, the verdict first; small pictures go to the folder `album`."""
    yield from _verdict(found.what, found.faults, "" if found.has_test else TORN, len(found.hints))
    near = sum(len(group.members) for group in found.groups if group.kind != "exact") / len(found.images)
    if near > MANY:
        yield text(f"{near:.0%} {CAUTION}", "note")
    yield from _counts("class", [(file.class_name, file) for file in found.images])
    yield from _lines("Worth knowing before training", found.notes)
    yield from _lines("Files", [*found.damaged, *found.problems])
    yield section("Groups of copies")
    yield text(f"{len(found.groups):,} of them, the harmful ones first." if found.groups else "None found.")
    shown = [_strip(group, group in found.leaks, album, found.reading) for group in found.groups[:MOST_GROUPS]]
    yield strips(shown) | _more(found.groups, MOST_GROUPS)
    yield text(COPIES, "small")
    yield section("Labels worth a look")
    yield text("Too few images of some class for hints." if found.trust is None else _trust(found))
    doubtful = [
        _shown(one, album, found.reading, f"{one.class_name}, or {other}?") for one, other in found.hints[:MOST_HINTS]
    ]
    yield pictures(doubtful) | _more(found.hints, MOST_HINTS)


def text_blocks(found: TextFindings) -> Iterator[Block]:
    """Everything that was found in texts, the verdict first."""
    yield from _verdict(found.what, found.faults, "" if found.has_test else TORN)
    yield from _counts("class", [("texts" if found.annotated else one.class_name, one) for one in found.texts])
    yield from _lines("Worth knowing before training", found.notes)
    yield from _lines("Problems", found.problems)
    yield from _lines("Copies under two labels", list(map(excerpt, found.contradictions)))
    yield from _lines("Copies in two splits", list(map(excerpt, found.leaks)))
    yield from _lines("Near copies", list(map(excerpt, found.near)))
    yield from _lines("Copies of one label, which stay together", list(map(excerpt, found.copies)))
    if found.copies or found.contradictions or found.leaks or found.near:
        yield section("What counts as a copy")
        yield text(SAME_TEXTS, "small")


def with_rest(blocks: Sequence[Block]) -> Iterator[Block]:
    """The blocks for the page: below a list of which some is not shown stands how much."""
    for block in blocks:
        yield block
        if block.get("more"):
            yield text(f"... and {block['more']:,} more", "small")


def _verdict(what: str, faults: Mapping[str, int], torn: str, hints: int | None = None) -> Iterator[Block]:
    """What the data were taken for, and what is wrong with them."""
    yield section("Verdict")
    yield text(f"Taken for {what}.")
    rows: list[list[Any]] = []
    for name, number in faults.items():
        harm = (torn if "no test" in name else LEAK if "two splits" in name else "") if number else ""
        rows.append([name, cell(number, not number, harm)])
    yield table([], rows + ([] if hints is None else [["labels worth a look", cell(hints)]]))


def _counts(head: str, samples: Sequence[tuple[str, Labelled]]) -> Iterator[Block]:
    count = Counter((name, one.split or "all") for name, one in samples)
    splits = [split for split in (*SPLITS, "all") if any(key[1] == split for key in count)]
    names = sorted({name for name, _ in count})
    yield section("Counts")
    rows = [[name, *(count[name, split] for split in splits)] for name in names[:MOST_LINES]]
    yield table([head, *splits], rows) | _more(names, MOST_LINES)


def _lines(title: str, lines: Sequence[str]) -> Iterator[Block]:
    """A section of sentences, none where there are none."""
    if lines:
        yield section(title)
        yield table([], [[line] for line in lines[:MOST_LINES]]) | _more(lines, MOST_LINES)


def _more(rows: Sequence[Any], shown: int) -> dict[str, int]:
    return {"more": max(0, len(rows) - shown)}


def _trust(found: Findings) -> str:
    return (
        f"{len(found.hints):,} hints, no verdicts, from a simple classifier of coarse form and colour. It is right for "
        f"{found.trust:.0%} of the images here that it was not trained on; the lower that is, the less a hint means."
    )


def _strip(group: Group, leaks: bool, album: Path, reading: Reading) -> dict[str, Any]:
    likeness = "" if group.kind == "exact" else f", likeness {group.likeness:.2f}"
    splits = f"; in {' and '.join(group.splits)}" if len(group.splits) > 1 else ""
    classes = f"; under {len(group.classes)} classes: {', '.join(group.classes)}" if len(group.classes) > 1 else ""
    shown = [(one, image_size(one.path)) for one in group.members[:MOST_OF_A_GROUP]]
    more = f"; {len(shown)} of them:" if len(shown) < len(group.members) else ""
    return {
        "title": f"{len(group.members):,} {group.kind} copies{likeness}{splits}{classes}{more}",
        "good": False if leaks else None,
        "pictures": [_shown(one, album, reading, f"{width}x{height} px") for one, (width, height) in shown],
    }


def _shown(file: SampleFile, album: Path, reading: Reading, note: str) -> dict[str, Any]:
    """Read once more: thumbnails are too small to look at."""
    small, _ = load_upright(file.path, SHOWN_PX, reading)
    small.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    name = f"{len(list(album.iterdir()))}.webp"
    small.save(album / name, quality=80, method=4)
    return {"file": name, "caption": file.id, "note": note}
