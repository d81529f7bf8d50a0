"""Average precision is the reference's, errors are sorted as TIDE sorts them."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from projects.voc_detection.scores import (
    AREAS,
    Truth,
    ap50,
    ap50_interval,
    average_precision,
    gains,
    match,
    ranked,
    sort_errors,
)

CLASSES = 3


def case(seed: int, images: int = 12, ties: bool = True, crowds: bool = True) -> tuple[dict[str, Any], Truth]:
    """Random objects and detections, many of them near objects, with equal scores and areas on the limits."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {"boxes": [], "scores": [], "labels": []}
    parts: list[tuple[Any, ...]] = []
    for image in range(images):
        count = rng.integers(0, 7)
        sides = rng.choice([8, 32, 50, 96, 120], (count, 2)) if image % 2 else rng.uniform(4, 130, (count, 2))
        low = rng.integers(0, 60, (count, 2)).astype(float)
        boxes = np.concatenate([low, low + sides], 1)
        label = rng.integers(0, CLASSES, count)
        crowd = (rng.random(count) < 0.15) & crowds
        parts.append((np.full(count, image), label, boxes, crowd, sides.prod(1)))
        near = boxes[rng.integers(0, count, 10)] + rng.normal(0, 4, (10, 4)) if count else np.zeros((0, 4))
        exact = boxes[: count // 2]
        some = np.concatenate([near, exact, rng.uniform(0, 60, (3, 4)) + np.array([0, 0, 60, 60])])
        some[:, 2:] = np.maximum(some[:, 2:], some[:, :2] + 1)
        rows["boxes"].append(some)
        rows["scores"].append(rng.integers(0, 8, len(some)) / 8 if ties else rng.random(len(some)))
        rows["labels"].append(rng.integers(0, CLASSES, len(some)))
    image, label, boxes, crowd, area = (np.concatenate(one) for one in zip(*parts, strict=True))
    return rows, Truth(image, label, boxes, crowd, crowd, area, images)


def reference(
    records: dict[str, Any], truth: Truth, max_detections: int = 100, masks: tuple[list[Any], list[Any]] | None = None
) -> Any:
    """pycocotools' figures; of masks (H, W) bool where they are given: of the objects, and of each image's detections.
    These then have no box, for the reference would take its area for that of the mask."""
    coco, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    xywh = np.concatenate([truth.boxes[:, :2], truth.boxes[:, 2:] - truth.boxes[:, :2]], 1)
    annotations = [
        {"id": number + 1, "image_id": int(image) + 1, "category_id": int(label), "bbox": box.tolist(),
         "area": float(area), "iscrowd": int(crowd)}
        for number, (image, label, box, area, crowd) in enumerate(
            zip(truth.image, truth.label, xywh, truth.area, truth.crowd, strict=True))
    ]  # fmt: skip
    found = [
        {"image_id": number + 1, "category_id": int(label), "score": float(score),
         "bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]}
        for number in range(truth.num_images)
        for box, score, label in zip(*(records[key][number] for key in ("boxes", "scores", "labels")), strict=True)
    ]  # fmt: skip
    height = width = 0
    if masks is not None:
        encode = pytest.importorskip("pycocotools.mask").encode
        for row, mask in zip(annotations + found, masks[0] + [one for some in masks[1] for one in some], strict=True):
            row["segmentation"] = encode(np.asfortranarray(mask.astype(np.uint8)))
        height, width = masks[0][0].shape
        for row in found:
            del row["bbox"]
    with contextlib.redirect_stdout(io.StringIO()):
        actual = coco.COCO()
        actual.dataset = {
            "images": [{"id": number + 1, "height": height, "width": width} for number in range(truth.num_images)],
            "annotations": annotations,
            "categories": [{"id": label, "name": str(label)} for label in range(CLASSES)],
        }
        actual.createIndex()
        run = evaluation.COCOeval(actual, actual.loadRes(found), "bbox" if masks is None else "segm")
        run.params.maxDets = [1, 2, max_detections]
        run.evaluate()
        run.accumulate()
    return run.eval


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_average_precision_is_that_of_pycocotools(seed: int, ties: bool) -> None:
    records, truth = case(seed, ties=ties)
    most = 4 if seed == 3 else 100
    found, expected = average_precision(match(records, truth, CLASSES, most)), reference(records, truth, most)
    precision = np.where(expected["precision"] < 0, np.nan, expected["precision"])[..., -1].mean(1)  # T K R
    np.testing.assert_allclose(found.precision, precision.transpose(1, 2, 0), atol=1e-6)
    recall = np.where(expected["recall"] < 0, np.nan, expected["recall"])[..., -1]
    np.testing.assert_allclose(found.recall, recall.transpose(1, 2, 0), atol=1e-6)
    assert list(AREAS) == ["all", "small", "medium", "large"]
    assert ap50(ranked(match(records, truth, CLASSES, most))) == pytest.approx(found.at(0.5), abs=1e-12)


def truth(boxes: list[list[float]], labels: list[int], images: int = 1, ignored: bool = False) -> Truth:
    made = np.array(boxes, float).reshape(-1, 4)
    none = np.zeros(len(labels), bool)
    area = (made[:, 2] - made[:, 0]) * (made[:, 3] - made[:, 1])
    return Truth(np.zeros(len(labels), int), np.array(labels, int), made, none | ignored, none, area, images)


def detected(boxes: list[list[float]], labels: list[int], scores: list[float]) -> dict[str, Any]:
    return {
        "boxes": [np.array(boxes, float).reshape(-1, 4)],
        "labels": [np.array(labels)],
        "scores": [np.array(scores)],
    }


def test_an_image_may_have_more_than_a_hundred_objects() -> None:
    boxes = [[10.0 * number, 0, 10.0 * number + 8, 8] for number in range(250)]
    records = detected(boxes, [0] * 250, [1 - number / 1000 for number in range(250)])
    actual = truth(boxes, [0] * 250)
    assert average_precision(match(records, actual, 1, 300)).mean == pytest.approx(1.0)
    assert average_precision(match(records, actual, 1, 100)).mean == pytest.approx(0.4, abs=0.01)


def test_nothing_found_is_0_and_nothing_to_find_is_no_number() -> None:
    nothing = detected([], [], [])
    assert average_precision(match(nothing, truth([[0, 0, 9, 9]], [0]), 1)).mean == 0
    found = average_precision(match(detected([[0, 0, 9, 9]], [0], [0.9]), truth([], []), 1))
    assert np.isnan(found.mean)
    assert np.isnan(average_precision(match(nothing, truth([], []), 1)).mean)


def test_difficult_objects_are_neither_missed_nor_wrong_to_find() -> None:
    easy, hard = truth([[0, 0, 9, 9]], [0]), truth([[50, 50, 90, 90]], [0], ignored=True)
    both = Truth(*(np.concatenate([getattr(easy, name), getattr(hard, name)]) for name in
                   ("image", "label", "boxes", "ignored", "crowd", "area")), num_images=1)  # fmt: skip
    records = detected([[50, 50, 90, 90], [51, 50, 90, 90], [0, 0, 9, 9]], [0, 0, 0], [0.9, 0.8, 0.7])
    assert average_precision(match(records, both, 1)).mean == pytest.approx(1.0)


def test_errors_are_sorted_by_their_kind() -> None:
    actual = truth([[0, 0, 10, 10], [20, 20, 30, 30], [60, 60, 80, 80], [100, 0, 110, 10]], [0, 1, 0, 1])
    records = detected(
        [[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [60, 60, 68, 80], [62, 0, 66, 5], [100, 0, 104, 10]],
        [0, 0, 0, 0, 0, 0],
        [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
    )
    matched = match(records, actual, 2)
    errors = sort_errors(matched)
    assert errors.kind.tolist() == ["", "duplicate", "class", "place", "background", "both"]
    assert errors.missed.tolist() == [False, False, False, True]
    gained = gains(matched, errors)
    assert gained["class"] > 0.2, "one of the two objects of class 1 is found then"
    assert gained["place"] > 0
    assert all(gain >= 0 for gain in gained.values())


def test_intervals_hold_the_score_and_a_difference_to_itself_is_0() -> None:
    records, actual = case(5, images=60)
    matched = match(records, actual, CLASSES)
    (low, high), others = ap50_interval(matched, {"same": matched}, seed=0)
    assert low < ap50(ranked(matched)) < high
    assert others["same"] == (0, 0)
