"""Blocks as HTML. All data is autoescaped."""

import base64
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from shared.core.files import write_atomic, writing
from shared.core.headline import in_words
from shared.core.paths import show

from .blocks import Block, as_words, cell, figure
from .charts import DRAW

KEEP_BYTES = 16_000  # pictures with more bytes are made smaller
MOST_PX = {"small": 320, "medium": 480, "large": 900}
LEVELS = 8  # of colour, for and against
MEDIA = {".png": "image/png", ".webp": "image/webp", ".mp3": "audio/mpeg"}
PLAIN = "text", "number", "facts"  # kinds of blocks whose values go into a template as they are
ROWS = "pictures", "strips", "highlights", "sounds", "articles"
MAX_GROUPS = 40  # of cases, among which a reader can choose
MAX_ROWS = 15  # of a table; longer ones are folded

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

_templates.filters |= {"figure": figure, "as_words": as_words, "in_words": in_words}
_templates.globals |= {"MAX_GROUPS": MAX_GROUPS, "MAX_ROWS": MAX_ROWS}


def render(template: str, **values: Any) -> Markup:
    """A file of templates/ with values."""
    return Markup(_templates.get_template(template).render(**values))  # escaped by the template


def write_page(path: Path, page: str) -> Path:
    """Writes the whole page or none of it, and returns its path."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, page.encode(errors="replace"))  # a file's name, or text of the user, need not be UTF-8
    return path


class Renderer:
    """Renders the blocks of one stage.

    Args:
        folder: what the names of files in the blocks are relative to.
        stage: begins the ids of its charts and cases, so that those of two stages differ: `<stage>-<name>`.
    """

    def __init__(self, folder: Path, stage: str) -> None:
        self.folder, self._stage, self._names = folder, stage, set[str]()
        self._macros: Any = _templates.get_template("blocks.html").module

    def blocks(self, blocks: Iterable[Block]) -> Markup:
        """Blocks one below the other; charts that follow each other stand side by side where there is room."""
        runs = groupby(blocks, key=lambda block: block["block"] in DRAW and block["block"] != "matrix")
        parts = []
        for are_charts, run in runs:
            made = Markup("\n").join(self._block(block) for block in run)
            parts.append(Markup('<div class="charts">\n{}\n</div>').format(made) if are_charts else made)
        return Markup("\n").join(parts)

    def _block(self, block: Block) -> Markup:
        """Of an unknown kind: a bug of a stage."""
        kind = block["block"]
        if kind in DRAW:
            return self._chart(block)
        if kind == "fold":
            return Markup(self._macros.fold(block["title"], self.blocks(block["blocks"])))
        if kind == "table":
            cells = [[one if isinstance(one, dict) else cell(one) for one in row] for row in block["rows"]]
            block = block | {"rows": cells, "numeric": [_numeric(column) for column in zip(*cells, strict=True)]}
        elif kind in ROWS:
            rows = [self._row(kind, row, block.get("size", "small")) for row in block["rows"]]
            block = block | {"rows": rows, "groups": {}}
            if block.get("by"):
                block = self._grouped(block)
        else:
            assert kind in PLAIN, f"unknown kind of block: {kind}"
        return Markup(getattr(self._macros, kind)(block))

    def _chart(self, block: Block) -> Markup:
        name = self._id(block["name"])
        links = {place: self._place(case) for place, case in block.get("links", {}).items()}
        return Markup(self._macros.chart(block, name, DRAW[block["block"]](block | {"links": links}, name)))

    def _place(self, name: str) -> str:
        return re.sub(r"[^\w-]", "-", f"{self._stage}-{name}")

    def _id(self, name: str) -> str:
        """An id on the page, given once."""
        place = self._place(name)
        assert place not in self._names, f"two charts or cases are called {place}"
        self._names.add(place)
        return place

    def _grouped(self, block: Block) -> Block:
        """Cases of several groups, of which a reader can choose one: each row gets the number of its group."""
        counts = Counter(row["group"] for row in block["rows"])
        if not 1 < len(counts) <= MAX_GROUPS:
            return block
        numbers = {group: number for number, (group, _) in enumerate(counts.most_common())}
        rows = [{**row, "number": numbers[row["group"]]} for row in block["rows"]]
        return block | {"rows": rows, "groups": dict(counts.most_common()), "name": self._id(f"by-{block['by']}")}

    def _row(self, kind: str, row: Mapping[str, Any], size: str) -> dict[str, Any]:
        """A row with what the templates need of it: files as `uri` (and `still_uri`), highlighted texts, ids."""
        if "id" in row:
            row = {**row, "id": self._id(row["id"])}
        if kind == "articles":
            return dict(row)
        if kind == "highlights":
            return {**row, "marks": {label: highlighted(row, label) for label in row["marks"]}}
        if kind == "strips":
            return {**row, "pictures": [self._row("pictures", one, size) for one in row["pictures"]]}
        files = {"uri": row["file"], "still_uri": row.get("still")}
        return {**row, **{key: data_uri(self.folder, file, size) for key, file in files.items() if file}}


def _numeric(column: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a column of cells holds nothing but numbers, and so is aligned to the right."""
    return all(isinstance(one["value"], int | float | None) and not one["note"] for one in column)


def data_uri(folder: Path, file: str, size: str = "small") -> str:
    """A file inside a folder as a data: URI. Large pictures are made smaller; those that move stay as they are.

    A file outside the folder, or of another kind than those in `MEDIA`, is a bug of a stage.
    """
    path = (folder / file).resolve()
    assert path.is_relative_to(folder.resolve()), f"{show(path)} is not in {show(folder)}"
    data, media = path.read_bytes(), MEDIA[path.suffix]
    if media.startswith("image/") and len(data) > KEEP_BYTES:
        data, media = _smaller(data, media, MOST_PX[size])
    return f"data:{media};base64,{base64.b64encode(data).decode()}"


def _smaller(data: bytes, media: str, px: int) -> tuple[bytes, str]:
    """The picture as a WebP of at most `px` a side, or as it is where it moves."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        if getattr(image, "is_animated", False):
            return data, media
        whole = image.convert("RGBA" if image.has_transparency_data else "RGB")
    whole.thumbnail((px, px))
    small = io.BytesIO()
    whole.save(small, "WEBP", quality=80, method=4)
    return small.getvalue(), "image/webp"


def highlighted(row: Mapping[str, Any], label: str) -> Markup:
    """The pieces of a row of highlights, with the marks of one label as colours behind them.

    >>> row = {"pieces": ["so ", "<b>"], "marks": {"m": [0.0, -1]}, "underlined": [False, True]}
    >>> highlighted(row, "m")
    Markup('so <mark class="against l8 underlined">&lt;b&gt;</mark>')
    """
    none = [False] * len(row["pieces"])
    flags = row.get("underlined") or none, row.get("boxed") or none
    classes = map(_classes, row["marks"][label], *flags)
    marked = groupby(zip(classes, row["pieces"], strict=True), key=lambda pair: pair[0])
    return Markup("").join(_mark(name, "".join(piece for _, piece in pairs)) for name, pairs in marked)


def _classes(value: float | None, underlined: bool, boxed: bool) -> str:
    level = min(LEVELS, round(abs(value or 0) * LEVELS))
    shade = f"{'for' if (value or 0) > 0 else 'against'} l{level}" if level else ""
    return " ".join(filter(None, (shade, "underlined" if underlined else "", "boxed" if boxed else "")))


def _mark(classes: str, text: str) -> Markup:
    return Markup('<mark class="{}">{}</mark>').format(classes, text) if classes else escape(text)
