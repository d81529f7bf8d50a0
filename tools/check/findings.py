"""What a folder of labelled images holds: damaged files, copies, labels worth a second look."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from tqdm import tqdm

from shared.core.errors import Problems, UserError
from shared.core.paths import show
from shared.image.files import REDUCING_GAP, flatten, opened, upright_size
from shared.image.folder import ImageFile, scan_folder

from .near_copies import SIDE, describe, find_pairs

SPLITS = "train", "valid", "test"
FOLDS, LEAST_IMAGES = 3, 20  # for hints: images of a class, and in all
# A label is worth a look when a classifier that has not seen the image finds it improbable and another one likely.
IMPROBABLE, LIKELY = 0.003, 0.5


class Picture(NamedTuple):
    """A readable image: its file, width and height in px as people see it, a digest of the file's bytes."""

    file: ImageFile
    size: tuple[int, int]
    digest: bytes


class Group(NamedTuple):
    """Images that are copies of each other.

    Args:
        kind: exact (one and the same file), near, or mirrored (near, some with left and right exchanged).
        members: the images, two or more, as numbers.
        likeness: of the least alike pair that connects them, up to 1.
        splits, classes: that the members lie in; no splits where the folder has none.
    """

    kind: str
    members: list[int]
    likeness: float
    splits: list[str]
    classes: list[str]


class Hint(NamedTuple):
    """An image that looks as if its label was `other`."""

    picture: int
    other: str


@dataclass(frozen=True)
class Findings:
    """All that is known of a folder; groups and hints number the `pictures`.

    Args:
        problems: of the folder's structure, which the prepare stage refuses as well.
        damaged: one sentence for each file that cannot be read.
        ignored: files that are no images by their suffix.
        hints: labels worth a look, the least probable first.
        trust: accuracy of the classifier behind the hints, on images it has not seen; None with too few images.
    """

    pictures: list[Picture]
    problems: list[str]
    damaged: list[str]
    ignored: list[Path]
    groups: list[Group]
    hints: list[Hint]
    trust: float | None

    @property
    def has_splits(self) -> bool:
        return self.pictures[0].file.split is not None

    @property
    def leaks(self) -> list[Group]:
        """Copies in two splits; without splits, those that a drawn split may tear apart: prepare keeps only exact ones
        together."""
        torn = [group for group in self.groups if group.kind != "exact"]
        return [group for group in self.groups if len(group.splits) > 1] if self.has_splits else torn

    @property
    def is_fine(self) -> bool:
        return not (self.leaks or self.damaged or self.problems)


def examine(root: Path) -> Findings:
    """Reads every image below `root` once and compares all with all.

    Raises:
        UserError: there is no image that can be read.
    """
    problems = Problems(show(root))
    folder = scan_folder(root, problems)
    if not folder.images:
        expected = "<class>/<image>, or {train,valid,test}/<class>/<image>; archives and tables cannot be checked"
        raise UserError(f"{show(root)}: no folder of labelled images", expected=expected)
    pictures, thumbnails, damaged = read_pictures(folder.images)
    if not pictures:
        raise UserError(f"{show(root)}: none of its {len(folder.images):,} images can be read: {damaged[0]}")
    groups = find_groups(pictures, thumbnails)
    hints, trust = find_hints([picture.file.class_name for picture in pictures], thumbnails, groups)
    return Findings(pictures, problems.found, damaged, folder.ignored, groups, hints, trust)


def read_pictures(files: Sequence[ImageFile]) -> tuple[list[Picture], np.ndarray, list[str]]:
    """Decodes images in threads, each once.

    Returns:
        The readable ones, their thumbnails (N, S, S, 3) uint8, which show the whole image whatever its shape, and one
        sentence for each of the others.
    """
    problems, read = Problems("images"), list[tuple[Picture, np.ndarray]]()
    with ThreadPoolExecutor() as pool:
        for result in tqdm(pool.map(_read, files), total=len(files), unit="image", disable=None):
            with problems.collect():
                if isinstance(result, UserError):
                    raise result
                read.append(result)
    return [one for one, _ in read], np.array([thumbnail for _, thumbnail in read]), problems.found


def _read(file: ImageFile) -> tuple[Picture, np.ndarray] | UserError:
    try:
        small, size = load(file.path, SIDE)
        if small.size != (SIDE, SIDE):
            small = small.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
        return Picture(file, size, hashlib.sha256(file.path.read_bytes()).digest()), np.asarray(small)
    except UserError as error:
        return error


def load(path: Path, px: int) -> tuple[Image.Image, tuple[int, int]]:
    """The whole image upright in RGB, which decoding may have reduced, though not to less than `px`; and its own size.

    Raises:
        UserError: the file cannot be read.
    """
    with opened(path) as image:
        size = upright_size(image)
        image.draft(None, (round(REDUCING_GAP * px),) * 2)
        return flatten(ImageOps.exif_transpose(image)).convert("RGB"), size


def find_groups(pictures: Sequence[Picture], thumbnails: np.ndarray) -> list[Group]:
    """Groups that pairs of copies connect: those in two splits first, then those under two classes."""
    count = len(pictures)
    _, first, same = np.unique(thumbnails.reshape(count, -1), axis=0, return_index=True, return_inverse=True)
    pairs = find_pairs(thumbnails[first])  # of many equal ones, one is compared
    ends = first[pairs.ends]
    rows, columns = np.concatenate([np.stack([first[same], np.arange(count)], axis=1), ends]).T
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    parts = connected_components(graph, directed=False)[1]
    likeness, mirrored = np.ones(count, np.float32), np.zeros(count, bool)
    np.minimum.at(likeness, parts[ends[:, 0]], pairs.likeness)
    mirrored[parts[ends[pairs.mirrored, 0]]] = True
    members: dict[int, list[int]] = defaultdict(list)
    for number, part in enumerate(parts.tolist()):
        members[part].append(number)
    groups = []
    for part, some in members.items():
        if len(some) > 1:
            files, digests = ({pictures[number][place] for number in some} for place in (0, 2))
            kind = "exact" if len(digests) == 1 else "mirrored" if mirrored[part] else "near"
            splits = [split for split in SPLITS if split in {file.split for file in files}]
            groups.append(Group(kind, some, float(likeness[part]), splits, sorted({file.class_name for file in files})))
    return sorted(groups, key=lambda group: (len(group.splits) < 2, len(group.classes) < 2, -len(group.members)))


def find_hints(
    classes: Sequence[str], thumbnails: np.ndarray, groups: Sequence[Group]
) -> tuple[list[Hint], float | None]:
    """Labels worth a look, by logistic regression on coarse form and colour, cross-validated.

    Of each group of copies only the first counts, so that copies do not vouch for each other.

    Returns:
        Hints, the least probable label first, and the classifier's accuracy, which says how far to trust them.
    """
    copies = [member for group in groups for member in group.members[1:]]
    kept = np.delete(np.arange(len(classes)), copies)
    names, labels, counts = np.unique(np.asarray(classes)[kept], return_inverse=True, return_counts=True)
    if len(kept) < LEAST_IMAGES or len(names) < 2 or counts.min() < FOLDS:
        return [], None
    model = LogisticRegression(C=30, max_iter=1000)
    probability = cross_val_predict(model, describe(thumbnails[kept]), labels, cv=FOLDS, method="predict_proba")
    own, best = probability[np.arange(len(kept)), labels], probability.argmax(axis=1)
    doubtful = np.flatnonzero((own <= IMPROBABLE) & (probability.max(axis=1) >= LIKELY))
    ranked = doubtful[own[doubtful].argsort(kind="stable")]
    return [Hint(int(kept[row]), str(names[best[row]])) for row in ranked], float((best == labels).mean())
