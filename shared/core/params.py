"""Params: params.yaml read as DVC reads it, checked against one frozen model per stage.

A project's `params.py` declares the models (types, limits, meaning; no defaults), its `params.yaml` lists every
key. `section.key=value` words override single keys for one run.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from shared.core.errors import Problems, UserError
from shared.core.paths import show


class Section(BaseModel):
    """A section of params.yaml: frozen, strict about types, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())


P = TypeVar("P", bound=Section)


def read_yaml(path: Path) -> dict[str, Any]:
    """YAML 1.2, as DVC reads it: `1e-05` is a number and `no` a string."""
    try:
        tree = YAML(typ="safe").load(path)
    except FileNotFoundError:
        raise UserError(f"{show(path)}: no such file", expected="a params file") from None
    except (YAMLError, ValueError) as error:  # ValueError: bytes that are no UTF-8, a date such as 2026-13-01
        raise UserError(f"{show(path)}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise UserError(f"{show(path)}: not a mapping", expected="sections such as `train:`")
    return tree


def _parse_override(word: str) -> tuple[str, Any]:
    """`train.epochs=2` -> ("train.epochs", 2), the value by the rules of YAML 1.2."""
    key, separator, value = word.partition("=")
    if not separator or not key:
        raise UserError(f"{word!r}: not an override", expected="section.key=value, such as train.epochs=2")
    try:
        return key, YAML(typ="safe").load(value)
    except (YAMLError, ValueError):
        raise UserError(f"{value!r}: not a YAML value", fix="quote it for the shell: 'key=\"value\"'") from None


def override(tree: dict[str, Any], key: str, value: Any) -> None:
    """Sets a dotted key in place. Unknown keys are reported by the check."""
    *parents, last = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise UserError(f"{key}: {parent} is a value, not a section")
    tree[last] = value


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def load(model: type[P], path: Path, overrides: Iterable[str] = ()) -> P:
    """Reads params.yaml, applies overrides and checks every key. Raises one UserError with all problems."""
    tree = read_yaml(path)
    for word in overrides:
        override(tree, *_parse_override(word))
    return check_params(model, tree, show(path))


def check_params(model: type[P], tree: Mapping[str, Any], source: str) -> P:
    """A tree of plain values -> the frozen model. Raises one UserError with all problems."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        problems = Problems(source)
        for detail in error.errors():
            problems.add(".".join(map(str, detail["loc"])), _explain(model, detail))
        problems.raise_if_any(fix=f"fix {source} or the key=value on the command line")
        raise


def _explain(model: type[BaseModel], detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key{_nearest(model, detail['loc'])}"
    if detail["type"] == "missing":
        return "missing; params.yaml lists every key"
    return f"{detail['input']!r}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _nearest(model: type[BaseModel], location: tuple[Any, ...]) -> str:
    """A hint for an unknown key: the known keys whose last part is most similar, those of its section first."""
    *section, last = map(str, location)
    found = difflib.get_close_matches(last, {key.split(".")[-1]: 0 for key in _keys(model)}, n=1, cutoff=0.5)
    near = [key for key in _keys(model) if key.split(".")[-1] in found]
    inside = [key for key in near if key.split(".")[:-1] == section]
    return f"; did you mean {' or '.join(inside or near)}?" if near else ""


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted keys of all sections and values."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for child in (field.annotation, *get_args(field.annotation)):  # a section may be optional
            if isinstance(child, type) and issubclass(child, BaseModel):
                yield from _keys(child, f"{prefix}{name}.")
