"""A checkout of its own for a test, without a mirror. Import the fixture `checkout` to use it."""

from pathlib import Path

import pytest


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty root, in which the code believes to lie."""
    root = tmp_path / "checkout"
    root.mkdir()
    monkeypatch.setattr("shared.core.paths.ROOT", root)
    monkeypatch.delenv("DATASET_MIRROR", raising=False)
    return root


def everything_below(root: Path) -> list[str]:
    """All files and folders, hidden ones too: to see that nothing half-written stays."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))
