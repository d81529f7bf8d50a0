"""Average precision of 5,000 images with 100 detections each, by voc_detection and by pycocotools, which must agree.

voc_detection's also sorts the errors into kinds and resamples the images for an interval, which the reference does not.
"""

import contextlib
import io
import resource
import time

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks.table import report
from projects.voc_detection.scores import Truth, ap50_interval, average_precision, gains, match, sort_errors

IMAGES, OBJECTS, DETECTIONS, CLASSES = 5000, 7, 100, 80
MOST_S, CLOSE = 60.0, 1e-6


def scenes() -> tuple[dict[str, list[np.ndarray]], Truth]:
    """Random objects, and detections of which two fifths lie near one."""
    rng, near_count = np.random.default_rng(0), DETECTIONS * 2 // 5
    found: dict[str, list[np.ndarray]] = {"boxes": [], "scores": [], "labels": []}
    every, labels = [], []
    for _ in range(IMAGES):
        low = rng.uniform(0, 400, (OBJECTS, 2))
        boxes = np.concatenate([low, low + np.exp(rng.uniform(2, 5.3, (OBJECTS, 2)))], 1)
        label, which = rng.integers(0, CLASSES, OBJECTS), rng.integers(0, OBJECTS, near_count)
        near, low = boxes[which] + rng.normal(0, 6, (near_count, 4)), rng.uniform(0, 400, (DETECTIONS - near_count, 2))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        found["boxes"].append(np.concatenate([near, np.concatenate([low, low + rng.uniform(5, 100, low.shape)], 1)]))
        found["labels"].append(np.concatenate([label[which], rng.integers(0, CLASSES, len(low))]))
        found["scores"].append(rng.random(DETECTIONS))
        every.append(boxes)
        labels.append(label)
    boxes, none = np.concatenate(every), np.zeros(IMAGES * OBJECTS, bool)
    image = np.repeat(np.arange(IMAGES), OBJECTS)
    return found, Truth(image, np.concatenate(labels), boxes, none, none, (boxes[:, 2:] - boxes[:, :2]).prod(1), IMAGES)


def reference(found: dict[str, list[np.ndarray]], truth: Truth) -> float:
    """pycocotools' AP."""
    sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number + 1} for number in range(IMAGES)],
        "categories": [{"id": label, "name": str(label)} for label in range(CLASSES)],
        "annotations": [
            {"id": number + 1, "image_id": int(image) + 1, "category_id": int(label), "iscrowd": 0, "area": float(area),
             "bbox": [*box[:2].tolist(), *side.tolist()]}
            for number, (image, label, box, side, area) in enumerate(
                zip(truth.image, truth.label, truth.boxes, sides, truth.area, strict=True))
        ],
    }  # fmt: skip
    coco.createIndex()
    rows = [
        np.concatenate([np.full((len(boxes), 1), number + 1), boxes[:, :2], boxes[:, 2:] - boxes[:, :2],
                        found["scores"][number][:, None], found["labels"][number][:, None]], 1)
        for number, boxes in enumerate(found["boxes"])
    ]  # fmt: skip
    run = COCOeval(coco, coco.loadRes(np.concatenate(rows)), "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    return float(run.stats[0])


def main() -> bool:
    found, truth = scenes()
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    matched = match(found, truth, CLASSES)
    own = average_precision(matched).mean
    ap_s = time.process_time() - start
    gains(matched, sort_errors(matched))
    ap50_interval(matched, {}, 0)
    whole_s = time.process_time() - start
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        other = reference(found, truth)
    other_s = time.process_time() - start
    rows = [
        {"what": "voc_detection, AP", "AP": round(own, 6), "processor time, s": round(ap_s, 1)},
        {"what": "with kinds of errors and interval", "AP": round(own, 6), "processor time, s": round(whole_s, 1)},
        {"what": "pycocotools, AP", "AP": round(other, 6), "processor time, s": round(other_s, 1)},
    ]
    report(
        "detection_scores",
        rows,
        ("numpy", "pycocotools"),
        images=IMAGES,
        detections=DETECTIONS,
        memory_mib=round(memory),
    )
    return abs(own - other) < CLOSE and whole_s < MOST_S
