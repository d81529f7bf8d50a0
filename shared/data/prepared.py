"""What every prepared folder has: data/prepared/<project>/manifest.json beside a folder for each split."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as shorten
from typing import Any

from shared.core.errors import UserError
from shared.core.paths import Project, show

SPLITS = ("train", "valid", "test")
AGAIN = "run the prepare stage, or `dvc repro` of the project"


def read_manifest(prepared: Path) -> dict[str, Any]:
    """manifest.json of a prepared folder. Raises UserError where there is none."""
    path = prepared / "manifest.json"
    if not path.exists():
        raise UserError(f"{show(path)}: no prepared data", fix=AGAIN)
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes manifest.json; the same content is the same bytes."""
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")


def check_same(project: Project, config: Mapping[str, Any], prepared: Mapping[str, Any], *keys: str) -> None:
    """Weights must have been trained on data of this form, or every figure would be nonsense: else UserError.

    Args:
        config: of the weights (model.json).
        prepared: of the data: the manifest, and what else describes them.
        keys: that must be equal in both.
    """
    trained = show(project.results("train") / "model.json")
    for key in keys:
        if config[key] != prepared[key]:
            raise UserError(
                f"{trained}: {key} {shorten(config[key])} is not that of the data",
                expected=f"{shorten(prepared[key])}, as in {show(project.prepared)}",
                fix=f"dvc repro projects/{project.name}",
            )


def split_folder(prepared: Path, name: str) -> Path:
    """The folder of a split. Raises UserError where there is none."""
    folder = prepared / name
    if not folder.is_dir():
        raise UserError(f"{show(folder)}: no prepared data", fix=AGAIN)
    return folder


def checksums(folder: Path) -> dict[str, str]:
    """File name -> sha256 of the files of a split, for the manifest."""
    return {path.name: _sha256(path) for path in sorted(folder.iterdir())}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
