"""What holds for all tests."""

from typing import Any

from hypothesis import settings

# Examples take as long as they take on a shared machine; the same ones each time, so that a failure is the change's.
settings.register_profile("shared machine", deadline=None, derandomize=True)
settings.load_profile("shared machine")


def pytest_make_parametrize_id(val: Any, argname: str) -> str | None:
    """Names bytes by their argument: those of an archive hold the time, and parallel workers must agree on names."""
    return argname if isinstance(val, bytes) else None
