"""What was found, as blocks for the page and the terminal.

A block that does not show all of a list has the number of the others under "more".
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.data.folder import SampleFile
from shared.data.labels import Labelled
from shared.data.split import SPLITS
from shared.image.annotated import AnnotatedImage, AnnotatedImages, Boxes
from shared.image.boxes import COLOURS, draw_boxes
from shared.image.files import REDUCING_GAP, image_size, load_upright
from shared.image.masks import IGNORED, Labels
from shared.image.params import Reading
from shared.report.blocks import Block, cell, pictures, section, strips, table, text

from .annotated import FAULTS, WORTH_A_LOOK, AnnotatedFindings, Odd
from .findings import Findings, Group
from .texts import TextFindings, excerpt

SHOWN_PX, DRAWN_PX = 112, 320  # of images, and with what is annotated in them
MOST_GROUPS, MOST_OF_A_GROUP, MOST_HINTS, MOST_LINES = 40, 6, 20, 200
MOST_DRAWN, MOST_READ = 12, 6  # pictures of a kind of findings, and of any
MOST_NAMED = 12  # boxes of a picture that have their names
WRONG, GREY, OPACITY = (210, 0, 0), (128, 128, 128), 0.5
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


def blocks_of(found: Findings | AnnotatedFindings | TextFindings, album: Path) -> Iterator[Block]:
    """Everything that was found, the verdict first; small pictures go to the folder `album`."""
    if isinstance(found, TextFindings):
        return text_blocks(found)
    return finding_blocks(found, album) if isinstance(found, Findings) else annotated_blocks(found, album)


def finding_blocks(found: Findings, album: Path) -> Iterator[Block]:
    """Everything that was found in images, the verdict first; small pictures go to the folder `album`."""
    yield from _verdict(found.what, found.faults, "" if found.has_test else TORN, len(found.hints))
    yield from _caution(found)
    yield from _counts("class", [(file.class_name, file) for file in found.images])
    yield from _lines("Worth knowing before training", found.notes)
    yield from _lines("Files", [*found.damaged, *found.problems])
    yield from _groups(found, album)
    yield section("Labels worth a look")
    yield text("Too few images of some class for hints." if found.trust is None else _trust(found))
    doubtful = [
        _shown(one, album, found.reading, f"{one.class_name}, or {other}?") for one, other in found.hints[:MOST_HINTS]
    ]
    yield pictures(doubtful) | _more(found.hints, MOST_HINTS)


def annotated_blocks(found: AnnotatedFindings, album: Path) -> Iterator[Block]:
    """Everything that was found in images with boxes or masks, as `finding_blocks` has it."""
    files, kinds = found.files, [*FAULTS, *WORTH_A_LOOK]
    hints = sum(one.kind in WORTH_A_LOOK for one in found.odd)
    yield from _verdict(files.what, found.faults, "" if files.has_test else TORN, hints)
    yield from _caution(files)
    yield from _counts("objects" if found.given.legend is None else "images", found.counted)
    yield from _lines("Worth knowing before training", files.notes)
    yield from _lines("Files", [*files.damaged, *files.problems])
    for kind in kinds:
        if some := [one for one in found.odd if one.kind == kind]:
            yield section(kind.capitalize())
            yield pictures([_annotated(found, one.image, album, one) for one in some[:MOST_DRAWN]], size="medium")
            rest = [[f"{one.image.file.id}: {one.note}"] for one in some[MOST_DRAWN:]]
            yield table([], rest[:MOST_LINES]) | _more(rest, MOST_LINES)
    yield from _groups(files, album)
    seen = [one for one in found.given.images if one.annotated]
    drawn = [_annotated(found, one, album) for one in seen[:: max(1, len(seen) // MOST_READ)][:MOST_READ]]
    yield section("As they are read")
    yield pictures(drawn, size="medium")


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


def _caution(found: Findings) -> Iterator[Block]:
    near = sum(len(group.members) for group in found.groups if group.kind != "exact") / len(found.images)
    if near > MANY:
        yield text(f"{near:.0%} {CAUTION}", "note")


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


def _groups(found: Findings, album: Path) -> Iterator[Block]:
    yield section("Groups of copies")
    yield text(f"{len(found.groups):,} of them, the harmful ones first." if found.groups else "None found.")
    shown = [_strip(group, group in found.leaks, album, found.reading) for group in found.groups[:MOST_GROUPS]]
    yield strips(shown) | _more(found.groups, MOST_GROUPS)
    yield text(COPIES, "small")


def _strip(group: Group, leaks: bool, album: Path, reading: Reading) -> dict[str, Any]:
    likeness = "" if group.kind == "exact" else f", likeness {group.likeness:.2f}"
    splits = f"; in {' and '.join(group.splits)}" if len(group.splits) > 1 else ""
    classes = f"; under {len(group.classes)} classes: {', '.join(group.classes)}" if len(group.classes) > 1 else ""
    firsts = [next(one for one in group.members if one.split == split) for split in group.splits]
    some = list(dict.fromkeys([*firsts, *group.members]))[:MOST_OF_A_GROUP]
    shown = [(one, image_size(one.path)) for one in some]
    more = f"; {len(shown)} of them:" if len(shown) < len(group.members) else ""
    return {
        "title": f"{len(group.members):,} {group.kind} copies{likeness}{splits}{classes}{more}",
        "good": False if leaks else None,
        "pictures": [_shown(one, album, reading, f"{width}x{height} px") for one, (width, height) in shown],
    }


def _annotated(found: AnnotatedFindings, one: AnnotatedImage, album: Path, odd: Odd | None = None) -> dict[str, Any]:
    """An image with its boxes or its mask; of a finding with its box in red, and its note."""
    small, content = _small(one.file, DRAWN_PX, found.files.reading), one.read()
    if isinstance(content, Boxes):
        note = ", ".join(f"{name} {number}" for name, number in Counter(content.names).most_common()) or "no objects"
        small = _boxes_on(small, content, found.given.classes, odd.box if odd else None)
    else:
        note = ", ".join(
            found.given.classes[number] for number in np.unique(content.indices).tolist() if number < IGNORED
        )
        small = _mask_on(small, content, found.given)
    return _saved(small, album, one.file.id, odd.note if odd else note)


def _boxes_on(small: Image.Image, found: Boxes, classes: Sequence[str], marked: int | None) -> Image.Image:
    """The picture with all boxes in the colours of their classes; or with one in red, and the others in grey."""
    scale = [side / of for side, of in zip(small.size * 2, found.size * 2, strict=True)]
    # PIL takes no huge numbers
    places = np.nan_to_num(found.boxes * scale, nan=-2).clip(-2, [side + 2 for side in small.size * 2])
    if marked is not None:
        drawn = draw_boxes(small, places, [""] * len(places), [GREY] * len(places))
        return draw_boxes(drawn, places[[marked]], [found.names[marked]], [WRONG])
    colours = [COLOURS[classes.index(name) % len(COLOURS)] for name in found.names]
    return draw_boxes(small, places, [name * (len(places) <= MOST_NAMED) for name in found.names], colours, 1)


def _mask_on(small: Image.Image, found: Labels, given: AnnotatedImages) -> Image.Image:
    table = np.full((256, 3), GREY, np.uint8)
    table[: len(given.classes)] = given.legend.palette if given.legend else ()
    mask = Image.fromarray(found.indices).resize(small.size, Image.Resampling.NEAREST)
    return Image.blend(small, Image.fromarray(table[np.asarray(mask)]), OPACITY)


def _shown(file: SampleFile, album: Path, reading: Reading, note: str) -> dict[str, Any]:
    """Read once more: thumbnails are too small to look at."""
    return _saved(_small(file, SHOWN_PX, reading), album, file.id, note)


def _small(file: SampleFile, px: int, reading: Reading) -> Image.Image:
    small, _ = load_upright(file.path, px, reading)
    small.thumbnail((px, px), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    return small


def _saved(small: Image.Image, album: Path, caption: str, note: str) -> dict[str, Any]:
    name = f"{len(list(album.iterdir()))}.webp"
    small.save(album / name, quality=80, method=4)
    return {"file": name, "caption": caption, "note": note}
