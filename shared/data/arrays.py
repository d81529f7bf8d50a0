"""The prepared form of images: arrays that training reads without decoding anything twice.

data/prepared/<project>/manifest.json            classes, channels, image_size, mean, std, counts, checksums, source
data/prepared/<project>/<split>/images.npy       (N, C, H, W) uint8
data/prepared/<project>/<split>/labels.npy       (N,) int64
data/prepared/<project>/<split>/ids.json         N strings, as the owner of the data names the samples
data/prepared/<project>/<split>/evidence.npy     (N, H, W) bool, only where the data says what decides
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.data.prepared import checksums, split_folder


@dataclass(frozen=True)
class Split:
    """One split of labelled images: images (N, C, H, W) uint8, labels (N,) int64, ids, evidence (N, H, W) bool."""

    images: np.ndarray
    labels: np.ndarray
    ids: list[str]
    evidence: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)


def write_split(folder: Path, split: Split) -> dict[str, Any]:
    """Writes a split into a new folder and returns what the manifest says of it: count and checksums."""
    folder.mkdir(parents=True)
    arrays = {"images": split.images, "labels": split.labels, "evidence": split.evidence}
    for name, array in arrays.items():
        if array is not None:
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (folder / "ids.json").write_text(json.dumps(split.ids, ensure_ascii=False, indent=0), encoding="utf-8")
    return {"count": len(split), "sha256": checksums(folder)}


def read_split(prepared: Path, name: str, *, mapped: bool = False) -> Split:
    """Reads one split.

    Args:
        prepared: the project's prepared folder.
        name: train, valid or test.
        mapped: leave the images on the disk and read what is asked for, for data that does not fit into memory.

    Raises:
        UserError: the split is not there.
    """
    folder = split_folder(prepared, name)
    evidence = folder / "evidence.npy"
    return Split(
        images=np.load(folder / "images.npy", mmap_mode="r" if mapped else None, allow_pickle=False),
        labels=np.load(folder / "labels.npy", allow_pickle=False),
        ids=json.loads((folder / "ids.json").read_text(encoding="utf-8")),
        evidence=np.load(evidence, allow_pickle=False) if evidence.exists() else None,
    )
