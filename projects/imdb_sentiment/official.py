"""IMDB (Maas et al., ACL 2011): 25,000 + 25,000 film reviews, half of each positive, no film in both halves."""

import hashlib
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from shared.core.errors import UserError
from shared.core.paths import show
from shared.data.archive import is_archive
from shared.data.source import Official, downloaded, mirror_folder

from .params import Fetch

ARCHIVE = Official(
    name="imdb",
    url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    checksum="7c2ac02c03563afcf9b574c7e56c153a",
    files={},  # 50,000 of them: see CONTENT
)
# Of all labelled reviews: sha256 over name ("train/neg/0_3.txt"), a zero byte, content, a zero byte, in the order of
# the names. A mirror's archive need not be the owner's; what it holds must be.
CONTENT = "0c95fccaa815bd8c77f9c0afda21079d1b512a4522c2f0ae639c8406a59b148f"
NUM_EACH = 12_500  # reviews of a class and split
SPLITS = "train", "test"
CLASSES = {"neg": "negative", "pos": "positive"}
BREAK = "<br />"  # how the owner wrote down the end of a line


class Review(NamedTuple):
    """split/class/name as the owner has it, and the text's bytes."""

    name: str
    content: bytes


def write_official(folder: Path, params: Fetch) -> None:
    """Writes train.jsonl and test.jsonl from the mirror's archive or the owner's, without unpacking 50,000 files.

    Raises:
        UserError: no mirror and no network, or the archive does not hold exactly the official reviews.
    """
    path = _archive()
    reviews = sorted(_read(path))
    _verify(path, reviews)
    for split in SPLITS:
        lines = (_line(review) for review in reviews if review.name.startswith(f"{split}/"))
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    if mirror_folder(ARCHIVE.name) is None:
        path.unlink()  # the reviews are the stage's out, so DVC keeps them; the archive would be a second copy


def _archive() -> Path:
    mirror = mirror_folder(ARCHIVE.name)
    if mirror is None:
        assert ARCHIVE.checksum
        return downloaded(ARCHIVE, ARCHIVE.url, ARCHIVE.checksum)
    archives = [path for path in sorted(mirror.iterdir()) if is_archive(path)]
    if len(archives) == 1:
        print(f"{ARCHIVE.name}: from {show(archives[0])}")
        return archives[0]
    found = ", ".join(path.name for path in archives) or "no archive"
    raise UserError(f"{show(mirror)}: {found}", expected="one archive of aclImdb/", fix=f"put {ARCHIVE.url} there")


def _read(path: Path) -> Iterator[Review]:
    """The labelled reviews of a tar archive, in one pass; the unlabelled ones and everything else are passed over."""
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                parts = Path(member.name).parts[-3:]
                if member.isfile() and len(parts) == 3 and parts[0] in SPLITS and parts[1] in CLASSES:
                    file = archive.extractfile(member)
                    assert file
                    yield Review("/".join(parts), file.read())
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{show(path)}: cannot be read: {error}", expected="a tar archive of aclImdb/") from None


def _verify(path: Path, reviews: list[Review]) -> None:
    counts = Counter(review.name.rsplit("/", 1)[0] for review in reviews)
    expected = {f"{split}/{name}": NUM_EACH for split in SPLITS for name in CLASSES}
    if counts != expected:
        found = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
        raise UserError(
            f"{show(path)}: labelled reviews found: {found}", expected=f"{NUM_EACH:,} in each of {list(expected)}"
        )
    if (found := checksum(reviews)) != CONTENT:
        raise UserError(
            f"{show(path)}: the reviews are not the official ones: sha256 {found}",
            expected=CONTENT,
            fix=f"get {ARCHIVE.url} again",
        )


def checksum(reviews: list[Review]) -> str:
    """What CONTENT is of all of them, sorted."""
    content = hashlib.sha256()
    for review in reviews:
        content.update(review.name.encode() + b"\0" + review.content + b"\0")
    return content.hexdigest()


def _line(review: Review) -> str:
    split, label, name = review.name.split("/")
    text = review.content.decode().replace(BREAK, "\n")
    row = {"id": f"{split}/{label}/{Path(name).stem}", "text": text, "label": CLASSES[label]}
    return json.dumps(row, ensure_ascii=False) + "\n"
