"""The content of a copy of a project, made in memory. tools/starter.py writes it.

Imports say what a copy needs. A copy for own data leaves out the stage `fetch`: its script, the modules of the project
that only this script reaches, its section of params.yaml, presets that choose other data, and tests that import any of
them. Code is copied unchanged but for paths in commands and docstrings: `projects.<name>`, `projects/<name>`,
`raw/<name>`, `prepared/<name>`. A project's code therefore never contains its own name elsewhere: it finds its folder
by `Project.of(__file__)`.
"""

import re
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import getitem
from pathlib import Path
from typing import Any

from shared.core.params import read_yaml
from tools import readme
from tools.deps import PAGE, commented_yaml, module_file, page_stage, reached, written

MAX_LINE = 120  # characters, as in pyproject.toml; commands in docstrings stay within it by closer comments
LEFT_BEHIND = ("results/", "records/", "dvc.lock")
PREFIXES = r"projects\.|projects/|raw/|prepared/"  # where the project's name is replaced: after one of these
# Without the remotes, which are for other data.
DVC_CONFIG = "[core]\n    analytics = false\n    check_update = false\n    autostage = false\n"
GENERIC_TESTS = ("tests/conftest.py", "tests/test_pipelines.py")
AS_THEY_ARE = (
    ".gitattributes", ".gitignore", ".dvcignore", ".dvc/.gitignore", "LICENSE", "Makefile", "requirements.lock",
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
    def source_folder(self) -> Path:
        return self.root / "projects" / self.source

    @cached_property
    def source_files(self) -> list[str]:
        """What git knows or would add of the project and its tests, as paths from the root."""
        folders = f"projects/{self.source}", f"tests/projects/{self.source}"
        listing = readme.git(self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *folders)
        behind = tuple(f"{folders[0]}/{name}" for name in LEFT_BEHIND)
        known = {path for path in listing.split("\0") if not path.startswith(behind)}
        return sorted(path for path in known if (self.root / path).is_file())

    @cached_property
    def left_out(self) -> list[str]:
        """The files of the source that are not copied: those of other data, and tests that import another project."""
        modules = set(self.source_folder.glob("*.py"))
        fetch = reached([self.source_folder / "fetch.py"], self.root) & modules if self.data else set()
        gone = fetch - reached(modules - fetch, self.root)
        return [path for path in self.source_files if not self._stays(self.root / path, gone)]

    def _stays(self, path: Path, gone: set[Path]) -> bool:
        if path.suffix == ".py":
            used = reached([path], self.root)
            projects = {
                file.relative_to(self.root).parts[1] for file in used if file.is_relative_to(self.root / "projects")
            }
            return not used & gone and projects <= {self.source, "__init__.py"}
        own_presets = self.data and path.parent == self.source_folder / "presets"
        return not own_presets or "fetch" not in read_yaml(path)

    @cached_property
    def kept(self) -> list[str]:
        return [path for path in self.source_files if path not in self.left_out]

    @cached_property
    def folders(self) -> dict[str, dict[str, bytes]]:
        """The copy's two folders, its tests first: folder from the root -> path below it -> content."""
        changed = {"params.yaml": _params, "dvc.yaml": _dvc_yaml, "README.md": _readme}
        found: dict[str, dict[str, bytes]] = {f"tests/projects/{self.name}": {}, f"projects/{self.name}": {}}
        for path in self.kept:
            folder, _, name = path.partition(f"projects/{self.source}/")
            change = None if folder else changed.get(name)
            content = change(self).encode("utf-8", "backslashreplace") if change else copied(self, path)
            found[f"{folder}projects/{self.name}"][name] = content
        return found


def copied(copy: Copy, path: str) -> bytes:
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
    tree = commented_yaml().load(copy.source_folder / "params.yaml")
    if copy.data:
        tree.pop("fetch", None)
        what = f"What a plain `dvc repro projects/{copy.name}` runs."
        tree.yaml_set_start_comment(f"{what}\nThe meaning and limits of each key are in params.py beside this file.")
    for key, value in copy.suggested.items():
        *parents, last = key.split(".")
        section = reduce(getitem, parents, tree)
        if isinstance(section[last], list):
            section[last][:] = value  # keeps the style of the list
        else:
            section[last] = value
    return copy.renamed(written(tree))


def _dvc_yaml(copy: Copy) -> str:
    tree = commented_yaml().load(copy.source_folder / "dvc.yaml")
    next(one for one in tree["vars"] if "project" in one)["project"] = copy.name
    if copy.data:
        tree["stages"].pop("fetch", None)
    return written(tree)


def with_stage(copy: Copy, root: Path) -> str:
    """The text of the root's dvc.yaml with the copy's stage: of this repository, or of the copy's own.

    Args:
        root: where the files of the copy are in place.
    """
    tree = commented_yaml().load(copy.root / "dvc.yaml")
    if copy.to:
        tree["stages"].clear()
    tree["stages"][f"projects/{copy.name}"] = page_stage(copy.name, root)
    return written(tree)


# A repository of its own


def repository_files(copy: Copy) -> dict[str, bytes]:
    """Path -> content of a repository of its own, without data and dvc.yaml: the project, what it imports and runs."""
    root = copy.root
    run = re.findall(r"-m ([a-z_.]+)", (root / "Makefile").read_text())  # no file imports these modules
    starts = [root / path for path in (*copy.kept, *GENERIC_TESTS) if path.endswith(".py")]
    starts += [path for module in (*run, PAGE) if (path := module_file(module, root)).exists()]
    found = {path.relative_to(root) for path in reached(starts, root)}
    folders = {folder for path in found for folder in path.parents} | {Path("tests/projects")}
    beside = [path for folder in folders for path in (root / folder).glob("templates/*") if path.is_file()]
    beside += [path for folder in folders if (path := root / folder / "__init__.py").exists()]
    names = {path.as_posix() for path in found | {path.relative_to(root) for path in beside}} - set(copy.kept)
    files = {f"{folder}/{path}": content for folder, inside in copy.folders.items() for path, content in inside.items()}
    files |= {name: copied(copy, name) for name in names}
    files |= {path: (root / path).read_bytes() for path in AS_THEY_ARE if (root / path).exists()}
    pyproject = re.sub(r'(?m)^name = ".*"$', f'name = "{copy.name}"', (root / "pyproject.toml").read_text(), count=1)
    pyproject = re.sub(r"(?m)^bench = .*\n", "", pyproject)  # the benchmarks' packages
    own = {"README.md": _repository_readme(copy), "pyproject.toml": pyproject, ".dvc/config": DVC_CONFIG}
    return files | {path: text.encode() for path, text in own.items()}


# Words


def _readme(copy: Copy) -> str:
    """The README of the copied project: no figure of the old one."""
    name = copy.name
    presets = dict.fromkeys(Path(path).stem for path in copy.kept if "/presets/" in path)
    origin = (
        f"`data/raw/{name}` holds a copy of `{copy.data.name}`, tracked by DVC.\n"
        f"New or changed data: change the files there, then `dvc add data/raw/{name}` and `dvc repro projects/{name}`."
        if copy.data
        else f"As in `{copy.source}`: the stage `fetch` brings the embedded sample, or what `fetch.source` says."
    )
    table = f"\n## Presets\n{readme.RECORDS}\n{readme.presets_table(presets)}\n{readme.RECORDS_END}\n"
    return f"""# {name}: {readme.task(copy.root, copy.source)}

A copy of `{copy.source}`, made by `make new`.

```
dvc repro projects/{name}    # data to report; make repro PROJECT={name} is the same
python -m projects.{name}.predict --help
```

Then open `projects/{name}/results/report.html`, and commit: `git commit -m "{name}"`.

## The data
{origin}
`python -m projects.{name}.prepare --help` lists the forms of data that it accepts.

## Use and limits
- **Meant for**: to be written.
- **Limits**: to be written.
- **Data and licence**: to be written.

## What to change first
`params.yaml`: `train.epochs` and the learning rates, then the size of the model; `params.py` says what each key means.
Then what your data mean, in this order: `prepare.py`, `data.py`, `model.py`, `train.py`.
{table if presets else ""}"""


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
