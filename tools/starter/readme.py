"""The words of a copy: what it is, where it came from, what to change first; no figure of the old project."""

import re
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.core.errors import UserError
from shared.core.params import read_yaml

from . import data, tools
from .plan import Plan, projects

MAX_CLASSES = 12  # listed in a README; the others are counted


def project(plan: Plan) -> str:
    """The README of the copied project."""
    return _render("project.md", plan)


def repository(plan: Plan) -> str:
    """The README of a repository of its own."""
    return _render("repository.md", plan)


def data_forms(plan: Plan) -> str:
    """data/README.md of a repository of its own."""
    return _render("data.md", plan)


def _render(template: str, plan: Plan) -> str:
    folder = Path(__file__).with_name("templates")
    # not HTML: nothing to escape
    environment = Environment(
        loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    counts = (
        [(name.replace("|", "\\|"), number) for name, number in data.counts(plan.data).items()] if plan.data else []
    )
    text = environment.get_template(template).render(
        plan=plan,
        task=title(plan.root, plan.source),
        origin=origin(plan),
        kind=kind(plan),
        counts=counts[:MAX_CLASSES],
        num_more=max(len(counts) - MAX_CLASSES, 0),
        num_files=sum(number for _, number in counts),
        accepted=accepted(plan.root, plan.source),
        presets=sorted(path.stem for path in (plan.root / "projects" / plan.source).glob("presets/*.yaml")),
    )
    return text.encode("utf-8", "backslashreplace").decode()  # names of files need not be text


def kind(plan: Plan) -> str:
    """What the data of a project are: "images", "texts" (each of a class) or "tags" (one a word)."""
    keys = read_yaml(plan.root / "projects" / plan.source / "params.yaml")["prepare"]
    return "images" if "image_size" in keys else "texts" if "text_column" in keys else "tags"


def origin(plan: Plan) -> str:
    """The commit copied from."""
    if not tools.succeeds(plan.root, "rev-parse", "--quiet", "--verify", "HEAD"):
        return "without a commit"
    commit = tools.git(plan.root, "rev-parse", "--short=12", "HEAD").strip()
    paths = (f"projects/{plan.source}", "shared")
    changed = tools.git(plan.root, "status", "--porcelain", "--", *paths).strip()
    return f"commit {commit}{', with changes not committed there' if changed else ''}"


def title(root: Path, name: str) -> str:
    """What a project does: the first heading of its README, without its name."""
    path = root / "projects" / name / "README.md"
    heading = next((line for line in _lines(path) if line.startswith("# ")), f"# {name}")
    return heading.removeprefix("# ").removeprefix(f"{name}:").strip()


def accepted(root: Path, name: str) -> str:
    """The forms of data a project accepts: the list in the docstring of its prepare.py, without its indent."""
    text = "\n".join(_lines(root / "projects" / name / "prepare.py"))
    found = re.search(r"(?m)^Accepts, and recognises by itself:\n((?: {4}.*\n)+)", text)
    return re.sub(r"(?m)^ {4}", "", found[1]).rstrip() if found else ""


def listing(root: Path) -> str:
    """All projects with a line each and the forms of data they accept, and how to copy one."""
    blocks = [_listed(root, name) for name in projects(root)]
    if not blocks:
        raise UserError(f"{root}: no projects in it", expected="projects/<name>/params.yaml")
    return "\n\n".join(
        [*blocks, "make new NAME=flowers FROM=<project> DATA=path/to/my/folder [TO=path/to/new/repository]"]
    )


def _listed(root: Path, name: str) -> str:
    forms = (f"    {line}" for line in accepted(root, name).split("\n"))
    return "\n".join([f"{name}: {title(root, name)}", "  accepts", *forms])


def _lines(path: Path) -> Iterable[str]:
    return path.read_text(encoding="utf-8").split("\n") if path.exists() else []
