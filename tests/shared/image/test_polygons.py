"""COCO annotations become class indices, and everything wrong with them is listed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Outline

from shared.core.errors import Problems
from shared.image.polygons import decode_runs, draw_outlines, fill, read_coco

SQUARE = [1.0, 1.0, 4.0, 1.0, 4.0, 3.0, 1.0, 3.0]


def coco(**changes: Any) -> dict[str, Any]:
    image = {"id": 0, "file_name": "a.jpg", "width": 6, "height": 4}
    one = {"id": 0, "image_id": 0, "category_id": 90, "segmentation": [SQUARE], "iscrowd": 0}
    tree = {
        "images": [image, image | {"id": 5, "file_name": "empty.jpg"}],
        "categories": [{"id": 90, "name": "late"}, {"id": 3, "name": "early"}],
        "annotations": [one],
    }
    return tree | changes


def load(folder: Path, tree: Any) -> tuple[list[str], Any, str]:
    path = folder / "instances.json"
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    problems = Problems("data")
    classes, images = read_coco(path, problems)
    return classes, images, "\n".join(problems.found)


def test_categories_with_gaps_are_in_the_order_of_their_ids_and_empty_images_are_background(tmp_path: Path) -> None:
    classes, images, problems = load(tmp_path, coco())
    assert (classes, problems) == (["background", "early", "late"], "")
    drawn = {image.name: draw_outlines(image) for image in images}
    assert (drawn["a.jpg"][1:3, 1:4] == 2).all()
    assert (drawn["a.jpg"] > 0).sum() == 6
    assert not drawn["empty.jpg"].any()


def test_a_small_annotation_lies_on_a_large_one_whatever_their_order(tmp_path: Path) -> None:
    inner = {"image_id": 0, "category_id": 3, "segmentation": [[2, 1, 3, 1, 3, 2, 2, 2]]}
    outer = {"image_id": 0, "category_id": 90, "segmentation": [SQUARE]}
    for order in ([inner, outer], [outer, inner]):
        _, images, _ = load(tmp_path, coco(annotations=order))
        assert draw_outlines(images[0])[1].tolist() == [0, 2, 1, 2, 0, 0]


def test_run_lengths_go_down_the_columns(tmp_path: Path) -> None:
    runs = {"size": [4, 6], "counts": [4, 2, 18]}  # the second column, its first two pixels
    _, images, _ = load(tmp_path, coco(annotations=[{"image_id": 0, "category_id": 3, "segmentation": runs}]))
    drawn = draw_outlines(images[0])
    assert (drawn[:2, 1] == 1).all()
    assert drawn.sum() == 2


def encode(runs: list[int]) -> str:
    """As COCO's reference implementation compresses run lengths."""
    text = ""
    for place, run in enumerate(runs):
        number, more = run - (runs[place - 2] if place > 2 else 0), True
        while more:
            bits = number & 31
            number >>= 5
            more = number != (-1 if bits & 16 else 0)
            text += chr((bits | 32 * more) + 48)
    return text


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30))
def test_compressed_run_lengths_are_what_was_compressed(runs: list[int]) -> None:
    assert decode_runs(encode(runs)) == runs


@given(st.lists(st.tuples(st.floats(-3, 15), st.floats(-3, 12)), min_size=3, max_size=7))
def test_a_convex_or_any_polygon_covers_the_pixels_whose_centre_it_holds(points: list[tuple[float, float]]) -> None:
    polygon = np.array(points)
    rows, columns = np.mgrid[:9, :12]
    centres = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], 1)
    order = np.argsort(np.arctan2(*(polygon - polygon.mean(0)).T))  # star-shaped: even-odd is inside
    inside = Outline(np.vstack([polygon[order], polygon[order][:1]]), closed=True).contains_points(centres)
    edge = np.roll(polygon[order], -1, 0) - polygon[order]
    along = ((centres[:, None] - polygon[order]) * edge).sum(2) / np.maximum((edge**2).sum(1), 1e-12)
    apart = centres[:, None] - polygon[order] - along.clip(0, 1)[..., None] * edge
    clear = (apart**2).sum(2).min(1).reshape(9, 12) > 1e-12  # an edge through a centre leaves it to rounding
    assert (fill(polygon[order], 9, 12) == inside.reshape(9, 12))[clear].all()


def test_more_classes_than_indices_are_refused(tmp_path: Path) -> None:
    many = [{"id": number, "name": f"c{number}"} for number in range(250)]
    assert len(load(tmp_path, coco(categories=many[:249], annotations=[]))[0]) == 250
    classes, images, problems = load(tmp_path, coco(categories=many, annotations=[]))
    assert (classes, images) == ([], [])
    assert "251 classes with the background, expected at most 250" in problems


def test_everything_wrong_is_listed(tmp_path: Path) -> None:
    one = {"id": 7, "image_id": 0, "category_id": 3}
    bad = [
        one | {"segmentation": [[0, 0, 1, 1]]},
        one | {"segmentation": [[0, 0, float("nan"), 1, 2, 2]]},
        one | {"segmentation": [[50, 50, 60, 50, 60, 60]]},
        one | {"segmentation": {"counts": [3, 3], "size": [4, 6]}},
        one | {"segmentation": [SQUARE], "category_id": 4},
        one | {"segmentation": [SQUARE], "image_id": 9},
        one,
    ]
    tree = coco(annotations=bad)
    tree["images"].append(dict(tree["images"][0]))
    _, _, said = load(tmp_path, tree)
    for words in (
        "1 of 3 images have the id of another",
        "no polygon of three points or more",
        "outside of its image of 6x4 px",
        "run lengths of 6 pixels, but its image has 24",
        "of the category 4, which is not in the file",
        "of the image 9, which is not in the file",
        "without 'segmentation'",
    ):
        assert words in said
    assert "not a COCO file" in load(tmp_path, '{"images": [')[2]
