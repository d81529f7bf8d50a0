"""What was found, as blocks for the page and the terminal, the verdict first."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from shared.core.paths import show
from shared.image.files import REDUCING_GAP
from shared.report.blocks import Block, cell, pictures, section, strips, table, text

from .findings import SPLITS, Findings, Group, Picture, load

SHOWN_PX = 112
MOST_GROUPS, MOST_OF_A_GROUP, MOST_HINTS, MOST_FILES = 40, 6, 20, 200
MANY = 0.1  # share of the images with a near copy, above which it is likely that such images simply look alike
COPIES = (
    "Exact copies are one file twice. Near copies are re-encoded, resized or slightly cropped; likeness is the "
    "correlation of their details, 1 for the same image. Two frames of a film count as near copies too."
)
CAUTION = (
    "of the images look like near copies. Either the data was multiplied, or its images are alike by nature, as digits, "
    "drawings and round things are: look at them before you believe it."
)


def verdict(found: Findings) -> Iterator[Block]:
    """Numbers, with a mark for what is good or bad."""
    leaks, contradictions = len(found.leaks), sum(len(group.classes) > 1 for group in found.groups)
    where = "groups of copies in two splits" if found.has_splits else "groups of near copies, and no split folders"
    harm = "scores on the later split are too good, if they are copies"
    torn = "a warning: a test set that prepare draws would hold copies of what is trained on"
    yield section("Verdict")
    rows = [
        ["damaged or unreadable files", cell(len(found.damaged), not found.damaged)],
        ["problems of the folder", cell(len(found.problems), not found.problems)],
        [where, cell(leaks, not leaks, (harm if found.has_splits else torn) if leaks else "")],
        ["groups of copies under two classes", cell(contradictions, not contradictions)],
        ["labels worth a look", cell(len(found.hints))],
    ]
    yield table([], rows)
    near = sum(len(group.members) for group in found.groups if group.kind != "exact") / len(found.pictures)
    if near > MANY:
        yield text(f"{near:.0%} {CAUTION}", "note")


def counts(found: Findings) -> Iterator[Block]:
    """Images by class and split, and their sizes."""
    count = Counter((picture.file.class_name, picture.file.split or "images") for picture in found.pictures)
    splits = [split for split in (*SPLITS, "images") if any(key[1] == split for key in count)]
    yield section("Counts")
    names = sorted({name for name, _ in count})
    yield table(["class", *splits], [[name, *(count[name, split] for split in splits)] for name in names])
    width, height = (sorted(sides) for sides in zip(*(picture.size for picture in found.pictures), strict=True))
    yield text(f"Width {width[0]:,} to {width[-1]:,} px, height {height[0]:,} to {height[-1]:,} px.")


def files(found: Findings) -> Iterator[Block]:
    """What is damaged, misplaced or ignored."""
    ignored = [f"{show(path)}: ignored, no image by its suffix" for path in found.ignored]
    if told := [*found.damaged, *found.problems, *ignored]:
        yield section("Files")
        more = [f"... and {len(told) - MOST_FILES:,} more"] if len(told) > MOST_FILES else []
        yield table([], [[line] for line in [*told[:MOST_FILES], *more]])


def copies(found: Findings, album: Path) -> Iterator[Block]:
    """The groups of copies, the harmful ones first; `album` is a folder for small pictures."""
    yield section("Copies")
    yield text(f"{len(found.groups):,} groups, the harmful ones first." if found.groups else "None found.")
    if found.groups:
        yield strips([_strip(found, group, album) for group in found.groups[:MOST_GROUPS]])
        yield text(COPIES, "small")


def _strip(found: Findings, group: Group, album: Path) -> dict[str, Any]:
    likeness = "" if group.kind == "exact" else f", likeness {group.likeness:.2f}"
    splits = f"; in {' and '.join(group.splits)}" if len(group.splits) > 1 else ""
    classes = f"; under {len(group.classes)} classes: {', '.join(group.classes)}" if len(group.classes) > 1 else ""
    members = [found.pictures[number] for number in group.members[:MOST_OF_A_GROUP]]
    return {
        "title": f"{group.kind} copies{likeness}{splits}{classes}",
        "good": False if group in found.leaks else None,
        "note": f"{len(group.members):,} images",
        "pictures": [_shown(one, album, f"{one.size[0]}x{one.size[1]} px") for one in members],
    }


def hints(found: Findings, album: Path) -> Iterator[Block]:
    """Labels worth a look, and how far to trust them."""
    yield section("Labels worth a look")
    if found.trust is None:
        yield text("Too few images of some class to tell.")
        return
    yield text(
        f"{len(found.hints):,} hints, no verdicts, from a simple classifier of coarse form and colour. It is right for "
        f"{found.trust:.0%} of the images here that it was not trained on; the lower that is, the less a hint means."
    )
    shown = [(found.pictures[hint.picture], hint.other) for hint in found.hints[:MOST_HINTS]]
    yield pictures([_shown(one, album, f"{one.file.class_name}, or {other}?") for one, other in shown])


def _shown(picture: Picture, album: Path, note: str) -> dict[str, Any]:
    """Read once more: thumbnails are too small to look at."""
    small, _ = load(picture.file.path, SHOWN_PX)
    small.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    name = f"{len(list(album.iterdir()))}.webp"
    small.save(album / name, quality=80, method=4)
    return {"file": name, "caption": picture.file.id, "note": note}
