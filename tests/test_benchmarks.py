"""Benchmarks are run rarely: that they fit the code of today must show earlier."""

from importlib import import_module

import pytest

from shared.core.paths import ROOT

NAMES = sorted(path.stem for path in ROOT.glob("benchmarks/*.py") if not path.stem.startswith("__"))


@pytest.mark.parametrize("name", NAMES)
def test_the_names_that_a_benchmark_uses_exist(name):
    """Their peers are imported when they run, and need not be installed."""
    assert import_module(f"benchmarks.{name}").__doc__
