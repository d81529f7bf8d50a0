"""The baseline: blobs by a colour threshold, sorted into classes by their colour, size and outline.

What a practitioner would do without a network: pixels that differ from the usual colour of their image by more than
Otsu's threshold, their connected parts, and a random forest that tells of each what it is.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import ndimage  # type: ignore[import-untyped]
from sklearn.ensemble import RandomForestClassifier

from shared.data.table import Table
from shared.image.boxes import box_ious, unplace_boxes

LEAST_PX, MOST_BLOBS = 12, 60  # pixels of a blob, and blobs of an image, the largest
RINGS = 8  # around the middle of a blob, whose filling describes its outline
TREES = 100
LEAST_PROBABILITY, HIT = 0.02, 0.5
LEVELS = 64

Array = np.ndarray[Any, Any]


def blob_detections(train: Table, test: Table, num_images: int, num_classes: int, seed: int) -> dict[str, list[Array]]:
    """What the baseline finds in the test images, as `scores.match` takes it.

    Args:
        train, test: as prepare leaves them.
        num_images: most training images, drawn with the seed.
    """
    chosen = np.random.default_rng(seed).permutation(len(train))[:num_images]
    features, labels = [], []
    for row in chosen.tolist():
        for box, feature in blobs(train.fixed("image")[row], train.fixed("place")[row], train.fixed("size")[row]):
            truth, label = train.ragged("boxes").row(row), train.ragged("label").row(row)
            ious = box_ious(box[None], truth.reshape(-1, 4).astype(float))[0]
            features.append(feature)
            labels.append(int(label[ious.argmax()]) if len(ious) and ious.max() >= HIT else num_classes)
    forest = None
    if features:
        forest = RandomForestClassifier(TREES, min_samples_leaf=2, random_state=seed).fit(np.stack(features), labels)
    found: dict[str, list[Array]] = {"boxes": [], "scores": [], "labels": []}
    for row in range(len(test)):
        place, size = test.fixed("place")[row], test.fixed("size")[row]
        here = list(blobs(test.fixed("image")[row], place, size))
        shares = forest.predict_proba(np.stack([one for _, one in here])) if forest and here else np.zeros((0, 0))
        which, column = np.nonzero(shares >= LEAST_PROBABILITY)
        label = forest.classes_[column] if forest and here else np.zeros(0, int)
        kept = label < num_classes
        boxes = np.array([box for box, _ in here]).reshape(-1, 4)[which[kept]]
        found["boxes"].append(unplace_boxes(boxes, place, (float(size[0]), float(size[1]))))
        found["scores"].append(shares[which[kept], column[kept]])
        found["labels"].append(label[kept])
    return found


def blobs(image: Array, place: Array, size: Array) -> Iterator[tuple[Array, Array]]:
    """The blobs of a prepared image (3, H, W) uint8: box (4,) in its pixels, and features."""
    left, top = int(place[2]), int(place[3])
    width, height = max(1, round(size[0] * place[0])), max(1, round(size[1] * place[1]))
    pixels = image[:, top : top + height, left : left + width].astype(float)
    smooth = ndimage.gaussian_filter(pixels, (0, 1, 1))
    ground = np.median(smooth.reshape(3, -1), axis=1)
    away = np.sqrt(np.square(smooth - ground[:, None, None]).sum(0))
    parts, count = ndimage.label(away > otsu(away))
    counts = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    windows = ndimage.find_objects(parts)
    for index in np.argsort(-counts, kind="stable")[:MOST_BLOBS].tolist():
        if counts[index] < LEAST_PX:
            continue
        rows, columns = windows[index]
        inside = parts[rows, columns] == index + 1
        box = np.array([columns.start + left, rows.start + top, columns.stop + left, rows.stop + top], float)
        yield box, np.concatenate([_outline(inside), _colours(pixels[:, rows, columns][:, inside], ground)])


def otsu(values: Array) -> float:
    """The threshold that separates two kinds of values best (Otsu 1979)."""
    counts, edges = np.histogram(values, LEVELS)
    middles = (edges[1:] + edges[:-1]) / 2
    low, total = counts.cumsum(), counts.sum()
    sums = (counts * middles).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = low * (total - low) * np.square(sums / low - (sums[-1] - sums) / (total - low))
    return float(edges[1:][np.nan_to_num(between).argmax()])


def _outline(inside: Array) -> Array:
    """Sides, filling of the box, and of rings around the middle as far as the farthest pixel."""
    rows, columns = np.nonzero(inside)
    far = np.hypot(rows - rows.mean(), columns - columns.mean())
    radius = far.max() + 0.5
    steps = np.minimum((far / radius * RINGS).astype(int), RINGS - 1)
    ring_areas = np.pi * radius**2 * np.diff(np.linspace(0, 1, RINGS + 1) ** 2)
    return np.array([*inside.shape, inside.shape[1] / inside.shape[0], inside.mean(),
                     *(np.bincount(steps, minlength=RINGS) / ring_areas)])  # fmt: skip


def _colours(pixels: Array, ground: Array) -> Array:
    return np.concatenate([pixels.mean(1), pixels.std(1), pixels.mean(1) - ground])
