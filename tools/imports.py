"""Which files of the repository a file imports, read from the code without running it."""

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path

from shared.core.paths import ROOT


def imported(path: Path, roots: Sequence[Path] = (ROOT,)) -> set[Path]:
    """All files of the repository that a file imports, directly or not.

    Args:
        path: a Python file below one of `roots`.
        roots: folders that modules are looked for in, in this order: a copy in the making lies over the repository.
    """
    return reached([path], roots) - {path}


def reached(paths: Iterable[Path], roots: Sequence[Path] = (ROOT,)) -> set[Path]:
    """The files themselves and everything they import."""
    seen: set[Path] = set()
    left = list(paths)
    while left:
        path = left.pop()
        if path not in seen:
            seen.add(path)
            left += [file for name in modules(path, roots) if (file := _file(name, roots))]
    return seen


def modules(path: Path, roots: Sequence[Path] = (ROOT,)) -> set[str]:
    """The dotted names a file imports; of `from a import b` both `a` and `a.b`, for b may be a module."""
    root = next(root for root in roots if path.is_relative_to(root))
    package = path.relative_to(root).parent.parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def _base(node: ast.ImportFrom, package: tuple[str, ...]) -> str:
    above = package[: len(package) - node.level + 1] if node.level else ()
    return ".".join([*above, *([node.module] if node.module else [])])


def _file(name: str, roots: Sequence[Path]) -> Path | None:
    candidates = ((root / Path(*name.split("."))).with_suffix(".py") for root in roots)
    return next((path for path in candidates if path.exists()), None)
