"""What was found, as blocks for the page and the terminal."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from shared.data.folder import SampleFile
from shared.image.classes import SUGGESTED_SPLITS
from shared.image.files import REDUCING_GAP, image_size, load_upright
from shared.report.blocks import Block, cell, pictures, section, strips, table, text

from .findings import SPLITS, Findings, Group

SHOWN_PX = 112
MOST_GROUPS, MOST_OF_A_GROUP, MOST_HINTS, MOST_FILES = 40, 6, 20, 200
MANY = 0.1  # share of images with a near copy, above which they probably just look similar
LEAK = "scores on the later split are too good, if they are copies"
TORN = "a warning: a test set that prepare draws would hold copies of what is trained on"
COPIES = (
    "Exact copies are identical files. Near copies are re-encoded, resized or slightly cropped; likeness is the "
    "correlation of their details, 1 for the same image. Two frames of a film count as near copies too."
)
CAUTION = (
    "of the images look like near copies. Either the data was augmented, or its images are similar by nature, as "
    "digits, drawings and round things are: look at them first."
)


def finding_blocks(found: Findings, album: Path) -> Iterator[Block]:
    """Everything that was found, the verdict first; small pictures go to the folder `album`."""
    yield section("Verdict")
    yield table([], _verdict(found))
    near = sum(len(group.members) for group in found.groups if group.kind != "exact") / len(found.images)
    if near > MANY:
        yield text(f"{near:.0%} {CAUTION}", "note")
    yield section("Counts")
    yield _counts(found)
    if found.notes:
        yield section("Worth knowing before training")
        yield table([], [[line] for line in found.notes])
    if listed := [*found.damaged, *found.problems]:
        yield section("Files")
        more = [f"... and {len(listed) - MOST_FILES:,} more"] if len(listed) > MOST_FILES else []
        yield table([], [[line] for line in [*listed[:MOST_FILES], *more]])
    yield section("Copies")
    yield text(f"{len(found.groups):,} groups, the harmful ones first." if found.groups else "None found.")
    yield strips([_strip(group, group in found.leaks, album) for group in found.groups[:MOST_GROUPS]])
    yield text(COPIES, "small")
    yield section("Labels worth a look")
    yield text("Too few images of some class for hints." if found.trust is None else _trust(found))
    yield pictures([_shown(one, album, f"{one.class_name}, or {other}?") for one, other in found.hints[:MOST_HINTS]])


def _verdict(found: Findings) -> list[list[Any]]:
    leaks, contradictions = len(found.leaks), sum(len(group.classes) > 1 for group in found.groups)
    where = "groups of copies in two splits" if found.has_splits else "groups of near copies, and no split folders"
    harm = LEAK if found.has_splits else TORN
    return [
        ["damaged or unreadable files", cell(len(found.damaged), not found.damaged)],
        ["problems of the folder", cell(len(found.problems), not found.problems)],
        [where, cell(leaks, not leaks, harm if leaks else "")],
        ["groups of copies under two classes", cell(contradictions, not contradictions)],
        ["labels worth a look", cell(len(found.hints))],
    ]


def _counts(found: Findings) -> Block:
    count = Counter((file.class_name, file.split or "images") for file in found.images)
    splits = [split for split in (*SPLITS, "images") if any(key[1] == split for key in count)]
    names = sorted({name for name, _ in count})
    return table(["class", *splits], [[name, *(count[name, split] for split in splits)] for name in names])


def _trust(found: Findings) -> str:
    return (
        f"{len(found.hints):,} hints, no verdicts, from a simple classifier of coarse form and colour. It is right for "
        f"{found.trust:.0%} of the images here that it was not trained on; the lower that is, the less a hint means."
    )


def _strip(group: Group, leaks: bool, album: Path) -> dict[str, Any]:
    likeness = "" if group.kind == "exact" else f", likeness {group.likeness:.2f}"
    splits = f"; in {' and '.join(group.splits)}" if len(group.splits) > 1 else ""
    classes = f"; under {len(group.classes)} classes: {', '.join(group.classes)}" if len(group.classes) > 1 else ""
    shown = [(one, image_size(one.path)) for one in group.members[:MOST_OF_A_GROUP]]
    return {
        "title": f"{len(group.members)} {group.kind} copies{likeness}{splits}{classes}",
        "good": False if leaks else None,
        "pictures": [_shown(one, album, f"{width}x{height} px") for one, (width, height) in shown],
    }


def _shown(file: SampleFile, album: Path, note: str) -> dict[str, Any]:
    """Read once more: thumbnails are too small to look at."""
    small, _ = load_upright(file.path, SHOWN_PX, SUGGESTED_SPLITS)
    small.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    name = f"{len(list(album.iterdir()))}.webp"
    small.save(album / name, quality=80, method=4)
    return {"file": name, "caption": file.id, "note": note}
