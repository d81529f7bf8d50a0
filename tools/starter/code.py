"""Python files of a copy: what belongs to fetch goes, the project's name changes, the style stays.

A statement belongs to fetch when its first line ends with the comment `# fetch`.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

_MARK = re.compile(r"#\s*fetch\s*$")


def renamed(text: str, old: str, new: str) -> str:
    """Every whole word `old` becomes `new`.

    >>> renamed("projects.cnn.fetch, cnn_2 of `cnn`", "cnn", "roses")
    'projects.roses.fetch, cnn_2 of `roses`'
    """
    return re.sub(rf"\b{re.escape(old)}\b", new, text)


def without_fetch(text: str) -> str:
    """Drops the statements that belong to fetch, whole, with their decorators and the comments right above them.

    Blank lines around them stay: `tidy` brings these in order.

    >>> print(without_fetch("import a\\nfrom .official import (  # fetch\\n    b,\\n)\\nimport c"))
    import a
    import c
    """
    lines = text.split("\n")
    dropped: set[int] = set()
    for block in _blocks(ast.parse(text)):
        spans = [_span(statement, lines) for statement in block if _belongs(statement, lines)]
        for first, last in spans:
            dropped |= set(range(first, last + 1))
        if spans and len(spans) == len(block):
            _leave_pass(lines, block[0].lineno, dropped)
    return "\n".join(line for number, line in enumerate(lines, start=1) if number not in dropped)


def _blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and block:
                yield block


def _belongs(statement: ast.stmt, lines: Sequence[str]) -> bool:
    return any(_MARK.search(lines[number - 1]) for number in (statement.lineno, _first_line(statement)))


def _first_line(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    first: int = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return first


def _span(statement: ast.stmt, lines: Sequence[str]) -> tuple[int, int]:
    first = _first_line(statement)
    comment = " " * statement.col_offset + "#"
    while first > 1 and lines[first - 2].startswith(comment):
        first -= 1
    return first, statement.end_lineno or statement.lineno


def _leave_pass(lines: list[str], number: int, dropped: set[int]) -> None:
    """A block may not become empty; an `elif` may go as it is."""
    line = lines[number - 1]
    indent = line[: len(line) - len(line.lstrip())]
    if indent and not line.lstrip().startswith("elif"):
        lines[number - 1] = f"{indent}pass"
        dropped.discard(number)


def fitted(text: str, width: int = 120) -> str:
    """Brings lines of docstrings, which no formatter touches, to the width: a longer name made some too long."""
    lines = text.split("\n")
    for number in _docstring_lines(text):
        line = re.sub(r"(?<=\S) {3,}#", "  #", lines[number - 1]) if len(lines[number - 1]) > width else ""
        if len(line) > width:
            cut = line.rfind(" ", 0, width)
            line = f"{line[:cut]}\n{line[: len(line) - len(line.lstrip())]}{line[cut + 1 :]}"
        lines[number - 1] = line or lines[number - 1]
    return "\n".join(lines)


def _docstring_lines(text: str) -> Iterator[int]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            words = node.body[0]
            yield from range(words.lineno, (words.end_lineno or words.lineno) + 1)


def tidy(files: Iterable[Path], config: Path) -> None:
    """Formats as the repository's style says, without imports that nothing uses any more: the lengths of names changed.

    Called with the files themselves, for ruff would leave out the folder, which git ignores; and told what is ours, for
    the copy does not lie in its place yet.

    Args:
        files: those that are Python are formatted.
        config: the pyproject.toml with the style.
    """
    ours = 'lint.isort.known-first-party = ["projects", "shared", "tests"]'
    options = ["--quiet", "--no-cache", "--config", str(config), "--config", ours]
    paths = [str(path) for path in files if path.suffix == ".py"]
    for command in (["check", "--fix", "--exit-zero"], ["format"]):
        words = [sys.executable, "-m", "ruff", *command, *options, *paths]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def identifiers(text: str) -> set[str]:
    """The names in Python code, outside of strings and comments."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}
