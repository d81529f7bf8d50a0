"""The copy itself: the project's folder and its tests, built below a staging folder."""

import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from shared.core.params import flatten, read_yaml
from tools.imports import modules, reached

from . import pipeline, readme, tools
from .code import fitted, renamed, tidy, without_fetch
from .plan import Plan

FETCH_FILES = ("fetch.py", "sample.py", "official.py")
CHECKPOINT = "package:"  # as in shared/text/pretrained.py, which is not imported: it takes torch along
OWN_WORDS = {"reviews": "texts"}  # what a project calls its data: what a copy for data of your own calls them
_LEFT_BEHIND = ("results/", "records/", "dvc.lock")


def build(plan: Plan, staging: Path) -> None:
    """Writes projects/<name>/ and tests/projects/<name>/ below `staging`."""
    _copy_code(plan, staging)
    _copy_tests(plan, staging)
    _adapt_params(plan, staging)
    tidy(staging.rglob("*.py"), plan.root / "pyproject.toml")
    if plan.data:
        _drop_deps(plan, staging)
    (staging / "projects" / plan.name / "README.md").write_text(readme.project(plan), encoding="utf-8")


def root_stage(plan: Plan) -> str:
    """The stage of the copy for the root's dvc.yaml."""
    text = (plan.root / "dvc.yaml").read_text(encoding="utf-8")
    return renamed(pipeline.stage_block(text, f"projects/{plan.source}"), plan.source, plan.name) + "\n"


def _copy_code(plan: Plan, staging: Path) -> None:
    folder = f"projects/{plan.source}"
    for path in tools.listed(plan.root, folder):
        below = path.removeprefix(f"{folder}/")
        if not (below.startswith(_LEFT_BEHIND) or (plan.data and below in FETCH_FILES)):
            _copy(plan, path, staging / "projects" / plan.name / below)


def _copy_tests(plan: Plan, staging: Path) -> None:
    """The tests that can run without fetch and without other projects."""
    folder = f"tests/projects/{plan.source}"
    target = staging / "tests" / "projects" / plan.name
    for path in tools.listed(plan.root, folder):
        _copy(plan, path, target / path.removeprefix(f"{folder}/"))
    for copied in sorted(target.rglob("*.py")):
        if not _runs_in_a_copy(plan, copied, staging):
            copied.unlink()


def _copy(plan: Plan, path: str, target: Path) -> None:
    content = (plan.root / path).read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:  # a picture
        target.write_bytes(content)
        return
    if plan.data and target.suffix == ".py":
        text = without_fetch(text)
        for old, new in OWN_WORDS.items():
            text = renamed(text, old, new)
    text = renamed(text, plan.source, plan.name)
    target.write_text(fitted(text) if target.suffix == ".py" else text, encoding="utf-8", newline="")


def _runs_in_a_copy(plan: Plan, path: Path, staging: Path) -> bool:
    names = modules(path, (staging, plan.root))
    fetch = {f"projects.{plan.name}.{file.removesuffix('.py')}" for file in FETCH_FILES} if plan.data else set()
    own = ("projects", f"projects.{plan.name}")
    others = {name for name in names if name.startswith("projects.") and not f"{name}.".startswith(f"{own[1]}.")}
    return not (names & fetch or "tests.checkout" in names or others)


def _adapt_params(plan: Plan, staging: Path) -> None:
    """Without fetch, and with the values that suit the data."""
    if plan.data is None:
        return
    folder = staging / "projects" / plan.name
    _edit(folder / "params.yaml", partial(_params, plan))
    for path in sorted(folder.glob("presets/*.yaml")):
        if set(read_yaml(path)) <= {"fetch"}:  # it chose data and nothing else
            path.unlink()
        else:
            _edit(path, partial(_preset, plan, path.stem, flatten(read_yaml(path))))


def _params(plan: Plan, text: str) -> str:
    comment = (
        f"# What a plain `dvc repro projects/{plan.name}` runs.\n"
        "# The meaning and limits of each key are in params.py beside this file.\n"
    )
    text = pipeline.with_comment(pipeline.without_section(text, "fetch"), comment)
    return pipeline.with_values(text, plan.suggested)


def _preset(plan: Plan, preset: str, changes: dict[str, Any], text: str) -> str:
    values = {} if _fine_tunes(changes) else {key: plan.suggested[key] for key in changes if key in plan.suggested}
    comment = _preset_comment(plan, preset, changes, values)
    return pipeline.with_values(pipeline.with_comment(pipeline.without_section(text, "fetch"), comment), values)


def _fine_tunes(changes: dict[str, Any]) -> bool:
    """Whether a preset starts from a checkpoint: its batches and few passes suit that, however many the data are."""
    return any(str(value).startswith(CHECKPOINT) for value in changes.values())


def _preset_comment(plan: Plan, preset: str, changes: dict[str, Any], values: dict[str, Any]) -> str:
    """What of a preset was set for the data and what was not."""
    said = [f"Was the preset {preset} of {plan.source}, for other data."]
    if values:
        said.append(f"Set for these: {', '.join(f'{key} (was {changes[key]})' for key in values)}.")
    said.append("All else is the original's, and not tried on these.")
    if "train.batch_size" in values:
        said.append(f"Its learning rates were tuned for batches of {changes['train.batch_size']:,}: tune them anew.")
    words = " ".join(said)
    return textwrap.fill(words, 120, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False) + "\n"


def _drop_deps(plan: Plan, staging: Path) -> None:
    """The stage fetch goes, and with it what the other stages no longer import."""
    path = staging / "projects" / plan.name / "dvc.yaml"
    text = pipeline.without_stage(path.read_text(encoding="utf-8"), "fetch")
    dropped = {stage: _unused(plan, staging, stage, deps) for stage, deps in pipeline.deps(text, plan.name).items()}
    path.write_text(pipeline.without_deps(text, dropped), encoding="utf-8")


def _unused(plan: Plan, staging: Path, stage: str, deps: list[tuple[str, str]]) -> list[str]:
    """The deps of a stage that are code and that it does not import."""
    roots = (staging, plan.root)
    used = reached([staging / "projects" / plan.name / f"{stage}.py"], roots)
    covered = {parent for path in used for parent in (path, *path.parents)}
    return [
        written
        for written, filled in deps
        if _is_code(filled, roots) and not any(root / filled in covered for root in roots)
    ]


def _is_code(dep: str, roots: tuple[Path, ...]) -> bool:
    return dep.endswith(".py") or any((root / dep / "__init__.py").exists() for root in roots)


def _edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
