"""The YAML of a copy: its stages, its params and presets, and its stage in the root. Comments stay."""

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

_STAGE = re.compile(r"^  ([\w/.-]+):")
_SECTION = re.compile(r"^    (\w+):")
_ITEM = re.compile(r"^      - ([^\s#]+)")


def stage_block(text: str, stage: str) -> str:
    """The lines of one stage of a dvc.yaml, without the blank lines around it; empty if there is no such stage."""
    lines = [line for line, name, _ in _stages(text) if name == stage]
    return "\n".join(lines).strip("\n")


def without_stage(text: str, stage: str) -> str:
    """A dvc.yaml without one of its stages."""
    return "\n".join(line for line, name, _ in _stages(text) if name != stage)


def without_deps(text: str, dropped: Mapping[str, Iterable[str]]) -> str:
    """A dvc.yaml without some deps.

    Args:
        dropped: stage -> the deps to drop, as they are written.
    """
    kept = []
    for line, stage, section in _stages(text):
        item = _ITEM.match(line)
        if not (section == "deps" and item and item[1] in dropped.get(stage, ())):
            kept.append(line)
    return "\n".join(kept)


def _stages(text: str) -> Iterator[tuple[str, str, str]]:
    """Each line with the stage and the section it is in; empty names outside."""
    stage = section = ""
    for line in text.split("\n"):
        if re.match(r"\S", line):
            stage = section = ""
        elif found := _STAGE.match(line):
            stage, section = found[1], ""
        elif found := _SECTION.match(line):
            section = found[1]
        yield line, stage, section


def without_section(text: str, name: str) -> str:
    """A params file without one of its sections."""
    return re.sub(rf"(?m)^{name}:.*\n(?:(?:[ \t].*)?\n)*", "", text)


def with_comment(text: str, comment: str) -> str:
    """A YAML file whose leading comment is replaced."""
    return comment + re.sub(r"\A(?:\s*#.*\n|\s*\n)*", "", text)


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """A params file or a preset with some of its dotted keys set; comments stay."""
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 1000, True
    tree = yaml.load(text)
    for key, value in values.items():
        *parents, last = key.split(".")
        section = tree
        for parent in parents:
            section = section.get(parent, {})
        assert last in section, f"{key}: suggested, but not in the file"
        section[last] = _flow(value)
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


def _flow(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    written = CommentedSeq(value)
    written.fa.set_flow_style()
    return written


def deps(text: str, project: str) -> dict[str, list[tuple[str, str]]]:
    """Stage -> its deps, each as it is written and with the project's name filled in."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line, stage, section in _stages(text):
        item = _ITEM.match(line)
        if section == "deps" and item:
            found.setdefault(stage, []).append((item[1], item[1].replace("${project}", project)))
    return found
