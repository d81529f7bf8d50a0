"""What holds for all tests."""

import os
from typing import Any

from hypothesis import settings

# Workers side by side: threads of two that share the cores wait for each other, which takes several times as long.
# Here, before a test imports torch
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

# Examples take as long as they take on a shared machine; the same ones each time, so that a failure is the change's.
settings.register_profile("shared machine", deadline=None, derandomize=True)
settings.load_profile("shared machine")


def pytest_make_parametrize_id(val: Any, argname: str) -> str | None:
    """Names bytes by their argument: those of an archive hold the time, and parallel workers must agree on names."""
    return argname if isinstance(val, bytes) else None
