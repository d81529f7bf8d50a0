"""The page of a check: one self-contained HTML file with the look of a project's report."""

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, ImageOps

from shared.core.paths import show
from shared.image.files import REDUCING_GAP, opaque, opened
from shared.report import html

from .findings import Findings, balance, caution, class_counts, describe_group, modes, sizes
from .pictures import Picture

SHOWN_PX = 112
CLASSES, A_CLASS = 12, 8  # samples shown
GROUPS, A_GROUP = 40, 6
HINTS = 20
LISTED = 200

# The style and the head of the project reports, and this page's own body.
_templates = Environment(
    loader=FileSystemLoader([Path(__file__).with_name("templates"), Path(html.__file__).with_name("templates")]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"figure": html.figure}


class Shown(NamedTuple):
    """A picture on the page: a data: URI, and its caption in two parts."""

    uri: str
    caption: str
    id: str


def page(found: Findings) -> str:
    """The whole page. Everything that came from data is escaped."""
    ratio, few = balance(found)
    return _templates.get_template("check.html").render(
        found=found, root=show(found.root), counts=class_counts(found), ratio=ratio, few=few, listed=LISTED,
        sizes=sizes(found), modes=modes(found), ignored=[show(path) for path in found.ignored],
        groups=list(_groups(found)), caution=caution(found), hints=_hints(found), samples=_samples(found),
        classes_shown=CLASSES,
    )  # fmt: skip


def _groups(found: Findings) -> Iterator[dict[str, Any]]:
    for group in found.harmful_first[:GROUPS]:
        members = [found.pictures[member] for member in group.members]
        yield {
            "title": describe_group(found, group),
            "leaks": group in found.leaks,
            "pictures": [_shown(picture, _place(picture)) for picture in members[:A_GROUP]],
            "more": len(members) - A_GROUP,
        }


def _place(picture: Picture) -> str:
    split = f"{picture.file.split}: " if picture.file.split else ""
    return f"{split}{picture.file.class_name}, {picture.width}x{picture.height}"


def _hints(found: Findings) -> list[Shown]:
    return [
        _shown(picture, f"{picture.file.class_name}; {hint.agreeing} of {hint.neighbours} neighbours: {hint.other}")
        for hint in found.hints[:HINTS]
        for picture in [found.pictures[hint.picture]]
    ]


def _samples(found: Findings) -> dict[str, tuple[list[Shown], int]]:
    """Class -> some of its pictures, evenly spread over the folder, and how many more there are."""
    by_class: dict[str, list[Picture]] = {}
    for picture in found.pictures:
        by_class.setdefault(picture.file.class_name, []).append(picture)
    some = sorted(by_class.items())[:CLASSES]
    return {name: ([_shown(one, name) for one in spread(all_)], max(0, len(all_) - A_CLASS)) for name, all_ in some}


def spread(pictures: Sequence[Picture]) -> list[Picture]:
    """At most A_CLASS of them, evenly spaced, the first included."""
    count = min(A_CLASS, len(pictures))
    return [pictures[number * len(pictures) // count] for number in range(count)]


def _shown(picture: Picture, caption: str) -> Shown:
    """Read once more: thumbnails are too small to look at."""
    with opened(picture.file.path) as image:
        image.draft(None, (round(REDUCING_GAP * SHOWN_PX),) * 2)
        flat = opaque(ImageOps.exif_transpose(image)).convert("RGB")
    flat.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    small = io.BytesIO()
    flat.save(small, "WEBP", quality=80, method=4)
    return Shown(f"data:image/webp;base64,{base64.b64encode(small.getvalue()).decode()}", caption, picture.file.id)
