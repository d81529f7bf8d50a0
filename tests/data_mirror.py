"""Real data for tests: $DATASET_MIRROR, or `shared/datasets` beside the checkout."""

import os
from pathlib import Path

import pytest

from shared.core.paths import ROOT

MIRROR = ROOT / (os.environ.get("DATASET_MIRROR") or "../shared/datasets")  # read before a test changes either


def mirror(name: str) -> Path:
    """The mirror that holds a data set. Skips the test where there is none."""
    if not (MIRROR / name).is_dir():
        pytest.skip(f"no {name} in {MIRROR}: set DATASET_MIRROR to test with real data")
    return MIRROR.resolve()
