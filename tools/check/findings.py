"""What a folder of labelled images holds: counts, sizes, damaged files, copies, labels worth a second look."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.core.errors import Problems, UserError
from shared.core.paths import show
from shared.image.folder import scan_folder

from .copies import Group, find_groups
from .labels import Hint, find_hints
from .pictures import Picture, read_pictures

SPLITS = ("images", "train", "valid", "test")
MANY = 0.1  # share of the images with a near copy, above which it is likely that such pictures simply look alike
FEW = 20  # images of a class to train on, below which it is named


@dataclass(frozen=True)
class Findings:
    """All that is known of a folder. Numbers in groups and hints count `pictures`, which are in the order of ids.

    Args:
        problems: of the folder's structure, which the prepare stage refuses as well.
        unreadable: one sentence for each file that is no image or damaged.
        ignored: files that are no images by their suffix.
        hints: most suspicious first.
        neighbour_accuracy: share of pictures whose nearest neighbours vote for their label, without themselves; None
            with too few pictures. It says how far the hints can be trusted.
    """

    root: Path
    pictures: list[Picture]
    problems: list[str]
    unreadable: list[str]
    ignored: list[Path]
    groups: list[Group]
    hints: list[Hint]
    neighbour_accuracy: float | None

    def splits(self, group: Group) -> list[str]:
        """The splits that a group lies in, train first; none where the folder has none."""
        used = {self.pictures[member].file.split for member in group.members}
        return [split for split in SPLITS if split in used]

    def classes(self, group: Group) -> list[str]:
        """The classes that a group lies in."""
        return sorted({self.pictures[member].file.class_name for member in group.members})

    @property
    def has_splits(self) -> bool:
        return self.pictures[0].file.split is not None

    @property
    def leaks(self) -> list[Group]:
        """Groups that lie in two splits: the test asks for what was learned."""
        return [group for group in self.groups if len(self.splits(group)) > 1]

    @property
    def contradictions(self) -> list[Group]:
        """Groups under two classes: one of the labels is wrong, or the classes overlap."""
        return [group for group in self.groups if len(self.classes(group)) > 1]

    @property
    def near_share(self) -> float:
        """Share of the pictures that lie in a group of near copies."""
        return sum(len(group.members) for group in self.groups if group.kind != "exact") / len(self.pictures)

    @property
    def harmful_first(self) -> list[Group]:
        """All groups: leaks, then those under two classes, then the others."""
        return sorted(self.groups, key=lambda group: (len(self.splits(group)) < 2, len(self.classes(group)) < 2))

    @property
    def is_fine(self) -> bool:
        """Whether nothing was found that spoils a training or its score for certain. Hints do not count."""
        return not (self.leaks or self.unreadable or self.problems)


def examine(root: Path) -> Findings:
    """Reads every image below `root` once and compares all with all.

    Raises:
        UserError: there is no such folder, or no image in it that can be read.
    """
    problems = Problems(show(root))
    folder = scan_folder(root, problems)
    if not folder.images:
        raise _no_images(root)
    pictures, thumbnails, unreadable = read_pictures(folder.images)
    if not pictures:
        raise UserError(f"{show(root)}: none of its {len(folder.images):,} images can be read: {unreadable[0]}")
    groups = find_groups(pictures, thumbnails)
    hints, accuracy = find_hints([picture.file.class_name for picture in pictures], thumbnails, groups)
    return Findings(root, pictures, problems.found, unreadable, folder.ignored, groups, hints, accuracy)


def _no_images(root: Path) -> UserError:
    return UserError(
        f"{show(root)}: no folder of labelled images",
        expected="<class>/<image>, or {train,valid,test}/<class>/<image>; archives and tables cannot be checked",
        fix="name a folder of image files",
    )


def class_counts(found: Findings) -> dict[str, dict[str, int]]:
    """Class -> split -> number of readable images; the only split is "images" where the folder has none."""
    counts = Counter((picture.file.class_name, picture.file.split or "images") for picture in found.pictures)
    used = [split for split in SPLITS if any(split == key[1] for key in counts)]
    names = sorted({name for name, _ in counts})
    return {name: {split: counts[name, split] for split in used} for name in names}


def balance(found: Findings) -> tuple[float, list[str]]:
    """Smallest class / largest class among what is trained on, and the classes with fewer than 20 images there."""
    counts = class_counts(found)
    trained = {name: splits.get("train", splits.get("images", 0)) for name, splits in counts.items()}
    few = [name for name, count in trained.items() if count < FEW]
    return min(trained.values()) / max(1, *trained.values()), few


def sizes(found: Findings) -> dict[str, list[int]]:
    """Smallest, median and largest width and height, px."""
    sides = {"width": [picture.width for picture in found.pictures]}
    sides["height"] = [picture.height for picture in found.pictures]
    return {name: [min(values), round(float(np.median(values))), max(values)] for name, values in sides.items()}


def modes(found: Findings) -> dict[str, int]:
    """PIL's mode -> number of images, the most frequent first."""
    return dict(Counter(picture.mode for picture in found.pictures).most_common())


def caution(found: Findings) -> str:
    """What to think of near copies where there are many of them; empty where there are few."""
    if found.near_share <= MANY:
        return ""
    return (
        f"{found.near_share:.0%} of the images look like near copies. Either the data was multiplied, or its pictures "
        "are alike by nature, as digits, drawings and round things are: look at the page before you believe it"
    )


def describe_group(found: Findings, group: Group) -> str:
    """What a group is and why it matters, in a few words."""
    certain = group.kind == "exact"
    words = "exact copies" if certain else f"{group.kind} copies (likeness {group.likeness:.2f})"
    if group in found.leaks:
        words += f"; {'leakage' if certain else 'leakage if they are'}: in {' and '.join(found.splits(group))}"
    if group in found.contradictions:
        words += f"; under {len(found.classes(group))} classes: {', '.join(found.classes(group))}"
    return words
