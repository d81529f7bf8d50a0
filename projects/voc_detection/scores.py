"""Average precision as COCO computes it, the kinds of errors as TIDE sorts them, and intervals over images.

Written here and compared with pycocotools in the tests (equal to 1e-6), which keeps no record of an image that
intervals and the kinds of errors could be computed from, has no place for difficult objects, and raises where nothing
was detected.

D detections, G objects, K classes, R ranges of area, T thresholds of IoU.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shared.evaluation.intervals import percentile_interval
from shared.image.boxes import box_areas, box_ious

from .masks import mask_areas, mask_ious, split_runs

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
NEAR = 0.1  # IoU below which a detection has nothing to do with an object (TIDE, arXiv:2008.08115)
HIT = 0.5  # and from which on it is that object
KINDS = {
    "class": "the right place, another class",
    "place": "the right class, but too little overlap",
    "both": "another class and too little overlap",
    "duplicate": "an object that a surer detection has found already",
    "background": "no object there",
    "missed": "an object that nothing found",
}
RESAMPLES = 500
TINY = float(np.spacing(1))

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Truth:
    """All objects of some images, image by image: image, label (G,) int64, boxes (G, 4), ignored, crowd (G,) bool, area
    (G,), and G masks as run lengths where there are any. Ignored objects (crowds, difficult ones) are neither to be
    found nor wrong to be found."""

    image: Array
    label: Array
    boxes: Array
    ignored: Array
    crowd: Array
    area: Array
    num_images: int
    masks: Sequence[Array] | None = None


@dataclass(frozen=True)
class Matched:
    """Detections, image by image, and what they match.

    Args:
        image, label, score: (D,).
        boxes: (D, 4).
        hit, skipped: (R, T, D) bool: matches an object; counts neither as right nor as wrong.
        object: (D,) int64, the object that is matched at an IoU of 0.5, of any area; -1: none.
        outside: (R, G) bool: objects that do not count, because they are ignored or of another area.
        truth: the objects.
    """

    image: Array
    label: Array
    score: Array
    boxes: Array
    hit: Array
    skipped: Array
    object: Array
    outside: Array
    truth: Truth
    num_classes: int


@dataclass(frozen=True)
class Scores:
    """Average precision and recall of each class, range of area and threshold, (K, R, T); NaN without objects."""

    precision: Array
    recall: Array

    def at(self, threshold: float, area: str = "all") -> float:
        """The mean over the classes that have objects; NaN where none has."""
        return known_mean(self.precision[:, list(AREAS).index(area), int(np.argmin(abs(THRESHOLDS - threshold)))])

    @property
    def mean(self) -> float:
        """COCO's AP: over classes and thresholds."""
        return self.of_area("all")

    def of_area(self, area: str) -> float:
        """The same of objects of one range of area."""
        return known_mean(self.precision[:, list(AREAS).index(area)])


def known_mean(values: Array) -> float:
    """The mean of what is not NaN; NaN where all is."""
    return float("nan") if np.isnan(values).all() else float(np.nanmean(values))


def match(
    records: Mapping[str, Any], truth: Truth, num_classes: int, max_detections: int = 100, by_masks: bool = False
) -> Matched:
    """Detections against objects, as COCO matches them: by falling score, each with the object of its class that it
    overlaps most among those that are free.

    Args:
        records: boxes, scores and labels, a list of (n, ...) tensors or arrays each, one an image.
        max_detections: of a class in an image.
        by_masks: they overlap as far as their masks do, not their boxes: records hold `masks`, (r,) run lengths of all
            detections of an image, and the truth has masks.
    """
    lengths = [len(one) for one in records["scores"]]
    image = np.repeat(np.arange(len(lengths)), lengths)
    boxes, score, label = (
        np.concatenate([np.asarray(one, dtype).reshape(-1, *tail) for one in records[name]] or [np.zeros((0, *tail))])
        for name, dtype, tail in (("boxes", float, (4,)), ("scores", float, ()), ("labels", np.int64, ()))
    )
    label = label.astype(np.int64)
    # By image, then class, then falling score; equal scores keep their order
    order = np.lexsort((np.arange(len(score)), -score, label, image))
    image, label, score, boxes = image[order], label[order], score[order], boxes[order]
    keys = image * num_classes + label
    kept = np.arange(len(keys)) - np.searchsorted(keys, keys) < max_detections
    image, label, score, boxes = image[kept], label[kept], score[kept], boxes[kept]
    masks, found_masks = truth.masks or [], list[Array]()
    if by_masks:
        every = [
            one for runs, count in zip(records["masks"], lengths, strict=True)
            for one in split_runs(np.asarray(runs), count)
        ]  # fmt: skip
        found_masks = [every[row] for row in order[kept].tolist()]
    limits = np.array(list(AREAS.values()))
    outside = truth.ignored | (truth.area < limits[:, :1]) | (truth.area > limits[:, 1:])
    shape = (len(AREAS), len(THRESHOLDS), len(score))
    hit, skipped, found = np.zeros(shape, bool), np.zeros(shape, bool), np.full(len(score), -1)
    objects = np.lexsort((np.arange(len(truth.label)), truth.label, truth.image))
    of_key = {key: objects[first:last] for key, first, last in _groups(truth.image, truth.label, num_classes)}
    for key, first, last in _groups(image, label, num_classes):
        if (mine := of_key.get(key)) is not None:
            if by_masks:
                ious = mask_ious(found_masks[first:last], [masks[one] for one in mine], truth.crowd[mine])
            else:
                ious = box_ious(boxes[first:last], truth.boxes[mine], truth.crowd[mine])
            _match_group(ious, truth, mine, outside, hit[..., first:last], skipped[..., first:last], found[first:last])
    areas = mask_areas(found_masks) if by_masks else box_areas(boxes)
    elsewhere = (areas < limits[:, :1]) | (areas > limits[:, 1:])
    skipped |= ~hit & elsewhere[:, None]
    return Matched(image, label, score, boxes, hit, skipped, found, outside, truth, num_classes)


def _groups(image: Array, label: Array, num_classes: int) -> Iterator[tuple[int, int, int]]:
    """Each key of (image, class) in ascending order, and where it begins and ends among the sorted rows."""
    keys, counts = np.unique(image * num_classes + label, return_counts=True)
    ends = np.cumsum(counts)
    yield from zip(keys.tolist(), (ends - counts).tolist(), ends.tolist(), strict=True)


def _match_group(
    ious: Array, truth: Truth, mine: Array, outside: Array, hit: Array, skipped: Array, found: Array
) -> None:
    """One class of one image, in place. All ranges and thresholds at once, a detection after the other."""
    again = truth.crowd[mine] | truth.ignored[mine]  # can be found any number of times
    away = outside[:, mine]
    free = np.ones((len(AREAS), len(THRESHOLDS), len(mine)), bool)
    limits = np.minimum(THRESHOLDS, 1 - 1e-10)
    ranges, thresholds = np.ogrid[: len(AREAS), : len(THRESHOLDS)]
    for row in np.flatnonzero(ious.max(1) >= THRESHOLDS[0]).tolist():
        fits = free & (ious[row] >= limits[:, None])
        wanted = np.where(fits, ious[row] + 2 * ~away[:, None], -1)  # those that count come first
        best = wanted.shape[2] - 1 - wanted[..., ::-1].argmax(2)  # of equal ones the last, as the reference does
        taken = wanted.max(2) >= 0
        hit[..., row] = taken
        skipped[..., row] = taken & away[ranges, best]
        free[ranges, thresholds, best] &= ~taken | again[best]
        if taken[0, 0]:
            found[row] = mine[best[0, 0]]


def average_precision(matched: Matched) -> Scores:
    """COCO's average precision (the mean precision at 101 recalls) and the recall that is reached."""
    shape = (matched.num_classes, len(AREAS), len(THRESHOLDS))
    precision, recall = np.full(shape, np.nan), np.full(shape, np.nan)
    for label in range(matched.num_classes):
        rows = np.flatnonzero(matched.label == label)
        rows = rows[np.argsort(-matched.score[rows], kind="stable")]
        objects = matched.truth.label == label
        for area in range(len(AREAS)):
            total = int((objects & ~matched.outside[area]).sum())
            if not total:
                continue
            counted = ~matched.skipped[area][:, rows]
            hit = matched.hit[area][:, rows]
            right, wrong = (hit & counted).cumsum(1), (~hit & counted).cumsum(1)
            for threshold in range(len(THRESHOLDS)):
                value, reached = curve_area(right[threshold], wrong[threshold], total)
                precision[label, area, threshold], recall[label, area, threshold] = value, reached
    return Scores(precision, recall)


def curve_area(right: Array, wrong: Array, total: float) -> tuple[float, float]:
    """Mean precision at the 101 recalls, and the last recall, from cumulated counts (D,) by falling score."""
    if not len(right):
        return 0.0, 0.0
    recall, precision = right / total, envelope(right, wrong)
    places = np.searchsorted(recall, RECALLS, side="left")
    reached = places < len(precision)
    return float(precision[places[reached]].sum() / len(RECALLS)), float(recall[-1])


def envelope(right: Array, wrong: Array) -> Array:
    """(D,): the best precision at this recall or a higher one."""
    precision = right / (right + wrong + TINY)
    highest: Array = np.maximum.accumulate(precision[::-1])[::-1]
    return highest


@dataclass(frozen=True)
class Ranked:
    """One class at an IoU of 0.5: the images of its detections that count, by falling score (d,), whether they are
    right (d,), and the images of its objects that count (g,)."""

    image: Array
    hit: Array
    objects: Array


def ranked(matched: Matched, objects: Array | None = None) -> dict[int, Ranked]:
    """Each class that has objects, by its index.

    Args:
        objects: (G,) bool, which count as objects; None: all that are not ignored.
    """
    counted = ~matched.outside[0] if objects is None else objects
    order = np.argsort(-matched.score, kind="stable")
    order = order[~matched.skipped[0, 0, order]]
    order = order[np.argsort(matched.label[order], kind="stable")]
    bounds = np.searchsorted(matched.label[order], np.arange(matched.num_classes + 1))
    found = {}
    for label in range(matched.num_classes):
        rows = order[bounds[label] : bounds[label + 1]]
        mine = matched.truth.image[counted & (matched.truth.label == label)]
        if len(mine):
            found[label] = Ranked(matched.image[rows], matched.hit[0, 0, rows], mine)
    return found


def ap50(classes: Mapping[int, Ranked], weights: Array | None = None) -> float:
    """AP at an IoU of 0.5, the mean over classes; NaN without objects.

    Args:
        weights: (N,) how often each image counts, as a bootstrap draws them; None: once.
    """
    values = []
    for one in classes.values():
        times = np.ones(len(one.image)) if weights is None else weights[one.image]
        total = len(one.objects) if weights is None else weights[one.objects].sum()
        if total:
            right = one.hit * times
            values.append(curve_area(right.cumsum(), (times - right).cumsum(), float(total))[0])
    return float(np.mean(values)) if values else float("nan")


def ap50_interval(
    matched: Matched, others: Mapping[str, Matched], seed: int
) -> tuple[tuple[float, float], dict[str, tuple[float, float]]]:
    """95 % intervals over resampled images: of AP50, and of its difference to that of others on the same images."""
    rng, count = np.random.default_rng(seed), matched.truth.num_images
    mine, theirs = ranked(matched), {name: ranked(other) for name, other in others.items()}
    own, gains = list[float](), dict[str, list[float]]({name: [] for name in others})
    for _ in range(RESAMPLES):
        weights = np.bincount(rng.integers(0, count, count), minlength=count).astype(float)
        own.append(ap50(mine, weights))
        for name, other in theirs.items():
            gains[name].append(own[-1] - ap50(other, weights))
    return _interval(own), {name: _interval(values) for name, values in gains.items()}


def _interval(values: list[float]) -> tuple[float, float]:
    """Without resamples that hold no object."""
    known = np.array(values)
    return percentile_interval(known[~np.isnan(known)])


# --- kinds of errors ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Errors:
    """What is wrong with each detection, (D,): a kind, "" where it is right, "ignored" where it does not count; the
    object that it is nearest to, (D,), -1 where none is; and which objects are missed, (G,) bool."""

    kind: Array
    nearest: Array
    missed: Array


def sort_errors(matched: Matched) -> Errors:
    """Every detection that is wrong at an IoU of 0.5 by its kind, every object that nothing explains as missed."""
    truth, count = matched.truth, len(matched.score)
    kind, nearest = np.full(count, "", dtype="<U10"), matched.object.copy()
    explained = np.zeros(len(truth.label), bool)
    explained[matched.object[matched.object >= 0]] = True
    kind[matched.skipped[0, 0]] = "ignored"
    wrong = np.flatnonzero(~matched.hit[0, 0] & ~matched.skipped[0, 0])
    bounds = np.searchsorted(truth.image, np.arange(truth.num_images + 1))
    for image in np.unique(matched.image[wrong]).tolist():
        rows = wrong[slice(*np.searchsorted(matched.image[wrong], [image, image + 1]))]
        objects = np.arange(bounds[image], bounds[image + 1])
        objects = objects[~truth.ignored[objects]]
        if not len(objects):
            kind[rows] = "background"
            continue
        ious = box_ious(matched.boxes[rows], truth.boxes[objects])
        same = matched.label[rows][:, None] == truth.label[objects][None]
        own, other = np.where(same, ious, 0), np.where(same, 0, ious)
        best_own, best_other = own.max(1), other.max(1)
        near = np.maximum(best_own, best_other) >= NEAR
        kind[rows] = np.select(
            [(best_own >= NEAR) & (best_own < HIT), best_own >= HIT, best_other >= HIT, best_other >= NEAR],
            ["place", "duplicate", "class", "both"], "background",
        )  # fmt: skip
        at = np.where(best_own >= NEAR, own.argmax(1), other.argmax(1))
        nearest[rows] = np.where(near, objects[at], -1)
        explains = np.isin(kind[rows], ["class", "place"])
        explained[nearest[rows][explains]] = True
    return Errors(kind, nearest, ~explained & ~truth.ignored)


def gains(matched: Matched, errors: Errors) -> dict[str, float]:
    """By how much AP50 would rise if the errors of one kind were corrected, or left out where they cannot be."""
    before, found = ap50(ranked(matched)), {}
    for kind in KINDS:
        if kind == "missed":
            objects = ~matched.outside[0] & ~errors.missed
            found[kind] = ap50(ranked(matched, objects)) - before
        else:
            found[kind] = ap50(ranked(_corrected(matched, errors, kind))) - before
    return {kind: round(gain, 6) for kind, gain in found.items()}


def _corrected(matched: Matched, errors: Errors, kind: str) -> Matched:
    rows = np.flatnonzero(errors.kind == kind)
    hit, skipped, label = matched.hit.copy(), matched.skipped.copy(), matched.label.copy()
    skipped[:, :, rows] = True
    if kind in ("class", "place"):
        taken = np.zeros(len(matched.truth.label), bool)
        taken[matched.object[matched.object >= 0]] = True
        for row in rows[np.argsort(-matched.score[rows], kind="stable")].tolist():
            one = errors.nearest[row]
            if not taken[one]:  # a detection of an object that is found already has nothing to become
                taken[one] = True
                label[row] = matched.truth.label[one]
                hit[:, :, row], skipped[:, :, row] = True, False
    return replace(matched, hit=hit, skipped=skipped, label=label)
