"""What a folder of labelled images holds: damaged files, copies, labels worth a second look."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from tqdm import tqdm

from shared.core.errors import Problems, UserError
from shared.core.params import read_yaml
from shared.core.paths import ROOT, show
from shared.data.folder import SampleFile, find_copies
from shared.data.split import SPLITS
from shared.image.classes import SUGGESTED_SPLITS, suggested_white
from shared.image.files import REDUCING_GAP, load_upright
from shared.image.folder import scan_folder
from shared.image.losses import Seen, loss_lines
from shared.image.params import Reading

from .near_copies import SIDE, describe, find_pairs

FOLDS, LEAST_IMAGES = 3, 20  # for hints: images of each class, and of all
# A label is worth a look when a classifier that has not seen the image finds it improbable and another one likely.
IMPROBABLE, LIKELY = 0.003, 0.5


class Group(NamedTuple):
    """Copies of one image.

    Args:
        kind: exact (identical files), near, or mirrored (near, some with left and right exchanged).
        members: the images, two or more.
        likeness: of the least alike pair that connects them, up to 1.
    """

    kind: str
    members: list[SampleFile]
    likeness: float

    @property
    def splits(self) -> list[str]:
        """That the members lie in; none where the folder has none."""
        return [split for split in SPLITS if split in {file.split for file in self.members}]

    @property
    def classes(self) -> list[str]:
        return sorted({file.class_name for file in self.members})


@dataclass(frozen=True)
class Findings:
    """Everything found in a folder.

    Args:
        what: what the folder was taken for.
        images: those that can be read.
        problems: of the folder, which the prepare stage refuses as well.
        damaged: one sentence for each file that cannot be read.
        groups: of copies.
        hints: images whose label is worth a look, with the label that is likely, the most doubtful first.
        trust: accuracy of the classifier behind the hints, on images it has not seen; None with too few images.
        notes: sentences: what was taken for what, and what prepare loses unless its params say otherwise.
        reading: how prepare reads the images, but in colour.
    """

    what: str
    images: list[SampleFile]
    problems: list[str]
    damaged: list[str]
    groups: list[Group]
    hints: list[tuple[SampleFile, str]]
    trust: float | None
    notes: list[str]
    reading: Reading = SUGGESTED_SPLITS

    @property
    def has_test(self) -> bool:
        return any(file.split == "test" for file in self.images)

    @property
    def leaks(self) -> list[Group]:
        """Copies in two splits. Without test, those a drawn one may separate: prepare only sees exact copies."""
        return [group for group in self.groups if len(group.splits) > 1 or not (self.has_test or group.kind == "exact")]

    @property
    def faults(self) -> dict[str, int]:
        """What must be looked at before training, and how often."""
        return {
            "damaged or unreadable files": len(self.damaged),
            "problems, which prepare refuses": len(self.problems),
            "groups of copies in two splits" if self.has_test else "groups of near copies, and no test folder": len(
                self.leaks
            ),
            "groups of copies under two classes": sum(len(group.classes) > 1 for group in self.groups),
        }


def examine(root: Path, project: str | None = None) -> Findings:
    """Reads every image below `root` once and compares all with all.

    Args:
        project: whose data they are, if known: its params say how prepare reads them, else those that suit the data.

    Raises:
        UserError: there is no image that can be read.
    """
    problems = Problems(show(root))
    folder = scan_folder(root, problems)
    what = f"images in folders of classes: {len(folder.images):,}"
    if not folder.images:
        problems = Problems(show(root))
        folder = scan_folder(root, problems, labelled=False)
        what = f"images without classes: {len(folder.images):,} (a classifier needs <class>/<image>)"
    if not folder.images:
        problems.raise_if_any()
    find_copies(folder.images, problems)
    reading = reading_of(folder.images, project)
    images, thumbnails, digests, seen, damaged = read_files(root, folder.images, reading)
    parts, groups = find_groups(images, thumbnails, digests)
    hints, trust = find_hints(images, thumbnails, np.unique(parts, return_index=True)[1])
    notes = [*folder.notes, *loss_lines(seen, reading)]
    return Findings(what, images, problems.found, damaged, groups, hints, trust, notes, reading)


def prepare_params(project: str | None) -> dict[str, Any]:
    """The section prepare of a project; empty without."""
    found: dict[str, Any] = read_yaml(ROOT / "projects" / project / "params.yaml").get("prepare", {}) if project else {}
    return found


def reading_of(images: Sequence[SampleFile], project: str | None) -> Reading:
    """How prepare reads the images, but in colour."""
    given = prepare_params(project)
    if "white" not in given:
        given = {"white": suggested_white([image.path for image in images])}
    known: dict[str, Any] = {key: given[key] for key in ("fit", "ground", "white") if key in given}
    return SUGGESTED_SPLITS.model_copy(update=known)


def read_files(
    root: Path, files: Sequence[SampleFile], reading: Reading
) -> tuple[list[SampleFile], np.ndarray, list[bytes], list[Seen], list[str]]:
    """The images that can be read, their thumbnails (N, S, S, 3) uint8, the digests of their files, what was seen in
    them, and a sentence for each of the others. Raises UserError where none can be read."""
    damaged, read = Problems(show(root)), list[tuple[SampleFile, np.ndarray, bytes, Seen]]()
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(_read, file, reading) for file in files]
        for result in tqdm(waiting, unit="image", disable=None):
            with damaged.collect():
                read.append(result.result())
    if not read:
        raise UserError(f"{show(root)}: none of its {len(files):,} images can be read: {damaged.found[0]}")
    images, small, digests, seen = zip(*read, strict=True)
    return list(images), np.stack(small), list(digests), list(seen), damaged.found


def _read(file: SampleFile, reading: Reading) -> tuple[SampleFile, np.ndarray, bytes, Seen]:
    """The whole image as a thumbnail (S, S, 3) uint8, whatever its shape, the digest of its file, and what was seen."""
    small, seen = load_upright(file.path, SIDE, reading)
    if small.size != (SIDE, SIDE):
        small = small.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    return file, np.asarray(small), hashlib.sha256(file.path.read_bytes()).digest(), seen


def find_groups(
    images: Sequence[SampleFile], thumbnails: np.ndarray, digests: Sequence[bytes]
) -> tuple[np.ndarray, list[Group]]:
    """(N,) numbers that copies share, and the groups: in two splits first, then those under two classes."""
    count = len(images)
    _, first, same = np.unique(thumbnails.reshape(count, -1), axis=0, return_index=True, return_inverse=True)
    pairs = find_pairs(thumbnails[first])  # one of several equal thumbnails represents them
    ends = first[pairs.ends]
    rows, columns = np.concatenate([np.stack([first[same], np.arange(count)], axis=1), ends]).T
    parts = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count)), False)[1]
    likeness, mirrored = np.ones(count, np.float32), np.zeros(count, bool)
    np.minimum.at(likeness, parts[ends[:, 0]], pairs.likeness)
    mirrored[parts[ends[pairs.mirrored, 0]]] = True
    groups = []
    for part in np.flatnonzero(np.bincount(parts) > 1):
        some = np.flatnonzero(parts == part).tolist()
        exact = len({digests[number] for number in some}) == 1
        kind = "exact" if exact else "mirrored" if mirrored[part] else "near"
        groups.append(Group(kind, [images[number] for number in some], float(likeness[part])))
    return parts, sorted(groups, key=lambda group: (len(group.splits) < 2, len(group.classes) < 2))


def find_hints(
    images: Sequence[SampleFile], thumbnails: np.ndarray, kept: np.ndarray
) -> tuple[list[tuple[SampleFile, str]], float | None]:
    """Labels worth a look, by logistic regression on coarse form and colour, cross-validated.

    Args:
        kept: numbers of the images to look at, one of each group of copies, so that none is in training and validation.

    Returns:
        `hints` and `trust` of `Findings`.
    """
    classes = [images[number].class_name for number in kept]
    names, labels, counts = np.unique(classes, return_inverse=True, return_counts=True)
    if len(kept) < LEAST_IMAGES or len(names) < 2 or counts.min() < FOLDS:
        return [], None
    model = LogisticRegression(C=30, max_iter=1000)
    probability = cross_val_predict(model, describe(thumbnails[kept]), labels, cv=FOLDS, method="predict_proba")
    own, best = probability[np.arange(len(kept)), labels], probability.argmax(axis=1)
    doubtful = np.flatnonzero((own <= IMPROBABLE) & (probability.max(axis=1) >= LIKELY))
    ranked = doubtful[own[doubtful].argsort(kind="stable")]
    return [(images[kept[row]], str(names[best[row]])) for row in ranked], float((best == labels).mean())
