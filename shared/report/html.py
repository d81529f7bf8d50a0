"""Sections, templates and pictures of a page. Everything that came from data passes through autoescape."""

import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from shared.core.headline import better
from shared.core.paths import show

PICTURE_BYTES = 48_000  # larger pictures are made smaller, so that a page stays below 3 MB
PICTURE_PX = 900
_SPELLED = {
    "auc": "AUC", "cam": "CAM", "crf": "CRF", "f1": "F1", "lr": "LR", "nbsvm": "NB-SVM", "pca": "PCA", "pr": "PR",
    "roc": "ROC", "shap": "SHAP", "tfidf": "TF-IDF", "grad_cam": "Grad-CAM",
}  # fmt: skip


class Section(NamedTuple):
    """A part of a page: its heading, and its body from a template."""

    title: str
    html: Markup


def words(name: str) -> str:
    """A key as words.

    >>> words("integrated_gradients"), words("grad_cam"), words("macro_f1")
    ('Integrated gradients', 'Grad-CAM', 'Macro F1')
    """
    if name in _SPELLED:
        return _SPELLED[name]
    text = " ".join(_SPELLED.get(word, word) for word in name.split("_"))
    return text[:1].upper() + text[1:]


def inside(name: str) -> str:
    """A key as words inside a sentence.

    >>> inside("tfidf_bigrams"), inside("Majority")
    ('TF-IDF bigrams', 'majority')
    """
    text = words(name)
    return text if name.split("_")[0] in _SPELLED else text[:1].lower() + text[1:]


def figure(number: Any) -> str:
    """Three digits after the point, whole numbers with separators, a dash for nothing.

    >>> figure(0.98765), figure(10000), figure("cat")
    ('0.988', '10,000', 'cat')
    """
    if number is None:
        return "\u2013"
    if isinstance(number, bool):
        return "yes" if number else "no"
    if isinstance(number, int):
        return f"{number:,}"
    return f"{number:.3f}" if isinstance(number, float) else str(number)


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"better": better, "figure": figure, "inside": inside, "words": words}


def render(template: str, **values: Any) -> Markup:
    """A file of templates/ with values."""
    return Markup(_templates.get_template(template).render(**values))  # escaped by the template


def picture(path: Path) -> str:
    """A PNG file as a data: URI; large ones as WebP, at most 900 px a side. A WebP, which may move, as it is."""
    data = path.read_bytes()
    if path.suffix == ".webp" or len(data) <= PICTURE_BYTES:
        return f"data:image/{path.suffix[1:]};base64,{base64.b64encode(data).decode()}"
    from PIL import Image

    with Image.open(path) as image:
        image.thumbnail((PICTURE_PX, PICTURE_PX))
        small = io.BytesIO()
        image.convert("RGB").save(small, "WEBP", quality=80, method=4)
    return f"data:image/webp;base64,{base64.b64encode(small.getvalue()).decode()}"


def pictures(folder: Path, index: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The first rows of an index.json, each with `uri`: its picture, and `still_uri`: what stands for it where nothing
    may move, if the row names one. A file outside the folder is a bug of a stage.
    """
    rows = []
    for row in index[:most]:
        still = {"still_uri": picture(_inside(folder, row["still"]))} if "still" in row else {}
        rows.append({**row, "uri": picture(_inside(folder, row["file"])), **still})
    return rows


def _inside(folder: Path, file: str) -> Path:
    path = (folder / file).resolve()
    assert path.is_relative_to(folder.resolve()), f"{show(path)} is not in {show(folder)}"
    return path
