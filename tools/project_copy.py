"""What a copy of a project holds, made in memory: path from the root -> content. tools/starter.py puts it into place.

A project says by its imports what a copy needs. A copy for data of its own does without the stage `fetch`: its script,
the modules of the project that only this script reaches, its section of params.yaml, presets that choose other data,
and tests that import any of them. Code is copied as it is, but for paths in commands and docstrings: `projects.<name>`,
`projects/<name>`, `raw/<name>`, `prepared/<name>`. A project's code therefore never contains its own name elsewhere:
it finds its place by `Project.of(__file__)`.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from shared.core.errors import UserError
from shared.core.params import read_yaml
from tools import readme
from tools.deps import module_file, reached, read_commented, stage_script, written

MAX_LINE = 120  # letters, as in pyproject.toml; commands in docstrings stay within it by closer comments
LEFT_BEHIND = ("results/", "records/", "dvc.lock")
PREFIXES = r"projects\.|projects/|raw/|prepared/"  # what the project's name follows where it changes
# Without the remotes, which hold other data.
DVC_CONFIG = "[core]\n    analytics = false\n    check_update = false\n    autostage = false\n"
GENERIC_TESTS = ("tests/conftest.py", "tests/test_pipelines.py")
AS_THEY_ARE = (
    ".gitignore", ".dvcignore", ".dvc/.gitignore", "LICENSE", "Makefile", "requirements.lock",
    "requirements-pretrained.lock",
)  # fmt: skip


@dataclass(frozen=True)
class Copy:
    """A copy to be made.

    Args:
        root: of this repository.
        source: the project to copy.
        name: of the copy.
        data: the folder or file of the user's data; None to keep fetch and the sample.
        to: the folder of a new repository; None to copy within this one.
        suggested: dotted params that suit the data.
    """

    root: Path
    source: str
    name: str
    data: Path | None = None
    to: Path | None = None
    suggested: dict[str, Any] = field(default_factory=dict)

    def renamed(self, text: str) -> str:
        """A text with the copy's name in paths and dotted names.

        >>> Copy(Path(), "cnn", "roses").renamed("projects.cnn.train, data/raw/cnn, projects/cnn_2, a cnn")
        'projects.roses.train, data/raw/roses, projects/cnn_2, a cnn'
        """
        return re.sub(rf"({PREFIXES}){self.source}\b", rf"\g<1>{self.name}", text)

    @property
    def folder(self) -> Path:
        return self.root / "projects" / self.source

    @cached_property
    def left_out(self) -> list[str]:
        """The files of the source that it does without: other data's, and tests that import another project."""
        modules = set(self.folder.glob("*.py"))
        fetch = reached([self.folder / "fetch.py"], self.root) & modules if self.data else set()
        gone = fetch - reached(modules - fetch, self.root)
        return [path for path in _source_files(self) if not _stays(self, self.root / path, gone)]

    @cached_property
    def kept(self) -> list[str]:
        return [path for path in _source_files(self) if path not in self.left_out]

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The files of projects/<name>/ and tests/projects/<name>/: path from the root -> content."""
        changes = {"params.yaml": _params, "dvc.yaml": _dvc_yaml, "README.md": _readme}
        files = {}
        for path in self.kept:
            change = changes.get(path.removeprefix(f"projects/{self.source}/"))
            text = change(self).encode("utf-8", "backslashreplace") if change else _content(self, path)
            files[self.renamed(path)] = text
        return files


def git(root: Path, *words: str) -> str:
    """The output of a git command. Raises UserError with what git said."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, errors="surrogateescape")
    if done.returncode:
        raise UserError(f"git {words[0]} failed in {root}:\n{done.stderr.strip()}")
    return done.stdout


def _stays(copy: Copy, path: Path, gone: set[Path]) -> bool:
    if path.suffix == ".py":
        used = reached([path], copy.root)
        folders = {file.relative_to(copy.root).parts[:2] for file in used} - {("projects", "__init__.py")}
        other_projects = {folder for folder in folders if folder[0] == "projects"} - {("projects", copy.source)}
        return not used & gone and not other_projects
    if copy.data and path.parent == copy.folder / "presets":
        return "fetch" not in read_yaml(path)
    return True


def _source_files(copy: Copy) -> list[str]:
    """What git knows or would add of the project and its tests, as paths from the root."""
    folders = f"projects/{copy.source}", f"tests/projects/{copy.source}"
    known = git(copy.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *folders).split("\0")
    behind = tuple(f"{folders[0]}/{name}" for name in LEFT_BEHIND)
    return sorted({path for path in known if (copy.root / path).is_file() and not path.startswith(behind)})


def _content(copy: Copy, path: str) -> bytes:
    """A file with its paths renamed; of Python files in the repository's style, for the lengths of names changed."""
    content = (copy.root / path).read_bytes()
    try:
        text = copy.renamed(content.decode("utf-8"))
    except UnicodeDecodeError:  # a picture
        return content
    if text.encode() == content or not path.endswith(".py"):
        return text.encode()
    text = "\n".join(re.sub(r" {3,}#", "  #", line) if len(line) > MAX_LINE else line for line in text.split("\n"))
    words = [sys.executable, "-m", "ruff", "format", "--quiet", "--stdin-filename", path, "-"]
    return subprocess.run(words, cwd=copy.root, input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


def _params(copy: Copy) -> str:
    """params.yaml; for own data without fetch, with the values that suit the data."""
    tree = read_commented(copy.folder / "params.yaml")
    if copy.data:
        tree.pop("fetch", None)
        what = f"What a plain `dvc repro projects/{copy.name}` runs."
        tree.yaml_set_start_comment(f"{what}\nThe meaning and limits of each key are in params.py beside this file.")
    for key, value in copy.suggested.items():
        *parents, last = key.split(".")
        section = tree
        for parent in parents:
            section = section.get(parent, {})
        assert last in section, f"prepare.suggest: {key} is not in params.yaml"
        if isinstance(value, list):
            section[last][:] = value  # keeps the style of the list
        else:
            section[last] = value
    return copy.renamed(written(tree))


def _dvc_yaml(copy: Copy) -> str:
    tree = read_commented(copy.folder / "dvc.yaml")
    next(one for one in tree["vars"] if "project" in one)["project"] = copy.name
    if copy.data:
        tree["stages"].pop("fetch", None)
    return written(tree)


def root_stage(copy: Copy) -> Any:
    """The copy's stage for the root's dvc.yaml."""

    def rename(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {rename(key): rename(value) for key, value in tree.items()}
        if isinstance(tree, list):
            return [rename(value) for value in tree]
        if isinstance(tree, str):
            return " ".join(copy.name if word == copy.source else copy.renamed(word) for word in tree.split(" "))
        return tree

    return rename(read_yaml(copy.root / "dvc.yaml")["stages"][f"projects/{copy.source}"])


def with_stage(copy: Copy, tree: Any) -> str:
    """The text of a root dvc.yaml, given as its tree, with the copy's stage."""
    tree["stages"][f"projects/{copy.name}"] = root_stage(copy)
    return written(tree)


# A repository of its own


def repository_files(copy: Copy) -> dict[str, bytes]:
    """The files of a repository of its own but the data: the project, and what it imports and runs of this one."""
    starts = [copy.root / path for path in (*copy.kept, *GENERIC_TESTS) if path.endswith(".py")]
    found = _with_their_folders(reached([*starts, *_commands(copy)], copy.root), copy.root)
    names = {path.relative_to(copy.root).as_posix() for path in found} - set(copy.kept)
    files = copy.files | {name: _content(copy, name) for name in names}
    files |= {path: (copy.root / path).read_bytes() for path in AS_THEY_ARE if (copy.root / path).exists()}
    tree = read_commented(copy.root / "dvc.yaml")
    tree["stages"].clear()
    own = {
        "README.md": _repository_readme(copy),
        "dvc.yaml": with_stage(copy, tree),
        "pyproject.toml": _pyproject(copy),
        ".dvc/config": DVC_CONFIG,
    }
    return files | {path: text.encode() for path, text in own.items()}


def _commands(copy: Copy) -> set[Path]:
    """The modules that the Makefile and the root's stage run; no file imports them."""
    found = re.findall(r"-m ([a-z_.]+)", (copy.root / "Makefile").read_text())
    modules = {path for name in found if (path := module_file(name, copy.root)).exists()}
    page = stage_script(root_stage(copy), copy.name, copy.root)
    return modules | ({page} if page else set())


def _with_their_folders(files: Iterable[Path], root: Path) -> list[Path]:
    """Files with the packages they are in and the templates beside them."""
    found = set(files)
    parents = {parent for path in found for parent in path.parents if parent.is_relative_to(root) and parent != root}
    packages = {parent / "__init__.py" for parent in parents} | {root / "tests/projects/__init__.py"}
    templates = {path for parent in parents for path in (parent / "templates").glob("*") if path.is_file()}
    return sorted(path for path in found | packages | templates if path.exists())


def _pyproject(copy: Copy) -> str:
    """This repository's pyproject.toml with another name, without the benchmarks' packages."""
    text = (copy.root / "pyproject.toml").read_text(encoding="utf-8")
    return re.sub(r"(?m)^bench = .*\n", "", re.sub(r'(?m)^name = ".*"$', f'name = "{copy.name}"', text, count=1))


# Words


def _readme(copy: Copy) -> str:
    """The README of the copied project: no figure of the old one."""
    name = copy.name
    presets = dict.fromkeys(Path(path).stem for path in copy.kept if "/presets/" in path)
    table = f"\n## Presets\n{readme.RECORDS}\n{readme.presets_table(presets)}\n{readme.RECORDS_END}\n"
    return f"""# {name}: {readme.task(copy.root, copy.source)}

A copy of `{copy.source}`, made by `make new`.

```
dvc repro projects/{name}    # data to report; make repro PROJECT={name} is the same
python -m projects.{name}.predict --help
```

Then open `projects/{name}/results/report.html`, and commit: `git commit -m "{name}"`.

## The data
{_data_words(copy)}
`python -m projects.{name}.prepare --help` lists the forms of data that it accepts.

## What to change first
`params.yaml`: `train.epochs` and the learning rates, then the size of the model; `params.py` says what each key means.
Then what your data mean, in this order: `prepare.py`, `data.py`, `model.py`, `train.py`.
{table if presets else ""}"""


def _data_words(copy: Copy) -> str:
    if not copy.data:
        return f"As in `{copy.source}`: the stage `fetch` brings the embedded sample, or what `fetch.source` says."
    rows = "".join(f"| `{key}` | {value} |\n" for key, value in copy.suggested.items())
    params = f"These params were set to suit them:\n\n| key | value |\n| --- | --- |\n{rows}\n" if rows else ""
    return f"""`data/raw/{copy.name}` holds a copy of `{copy.data.name}`, tracked by DVC. {params}
New or changed data: change the files there, then `dvc add data/raw/{copy.name}` and `dvc repro projects/{copy.name}`.
"""


def _repository_readme(copy: Copy) -> str:
    name = copy.name
    return f"""# {name}: {readme.task(copy.root, copy.source)}

```
make repro PROJECT={name}    # data to report; no network needed after the installation
make test
```

Both create `.venv` and install `requirements.lock` on first use: Linux or macOS (Windows: WSL), Python 3.11 to 3.13,
git. On Linux torch brings its CUDA libraries, about 6 GB. `make help` lists the other commands.

[`projects/{name}/`](projects/{name}/README.md) is the task, `shared/` how a model is trained, evaluated, explained and
shown, `tests/` whether it holds. `data/raw/{name}/` is kept by DVC, not by git, and so far in the cache of the machine
where it was made: `dvc remote add -d storage <url> && dvc push` shares it.

Made by `make new TO=...` from `{copy.source}` of a repository of PyTorch pipelines. `pyproject.toml` and
`requirements.lock` are that repository's: take out what you do not need, then `make lock`.
"""
