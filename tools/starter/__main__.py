"""Copies a project for data of your own, within this repository or as a repository of its own.

    python -m tools.starter                                                       what there is to copy
    python -m tools.starter cifar_cnn flowers --data path/to/my/folder            = make new FROM=... NAME=... DATA=...
    python -m tools.starter cifar_cnn flowers --data ... --to path/to/new/folder  a repository of its own: TO=...

Without --data the copy keeps the stage fetch and the sample. Your data are copied, never changed. Everything is checked
first; after an error, Ctrl-C or a kill nothing stays half-made, and the same command can be given again.
"""

import argparse
import signal
from pathlib import Path

from shared.core.cli import errors_for_people
from shared.core.errors import UserError
from shared.core.paths import ROOT

from . import publish, readme, repository
from .plan import Plan, check


def start(root: Path, source: str, name: str, data: Path | None = None, to: Path | None = None) -> Plan:
    """Checks and copies. Raises UserError; nothing is half-made then."""
    with publish.locked(root) as lock:
        plan = check(root, source, name, data, to)
        if plan.to:
            repository.create(plan, lock)
        else:
            publish.copy(plan, lock)
    return plan


def next_steps(plan: Plan) -> str:
    """What to type now."""
    place = f"{plan.to}" if plan.to else f"projects/{plan.name}"
    if plan.to:
        return f"{place}: made, with one commit\nnext: cd {place} && make repro PROJECT={plan.name}"
    return f"{place}: made, and known to git (not committed yet)\nnext: make repro PROJECT={plan.name}"


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.starter", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", nargs="?", help="to copy")
    parser.add_argument("name", nargs="?", help="of the copy")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="of your data")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="new or empty, for a repository of its own")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    """Lists the projects, or makes a copy and prints the next command."""
    arguments = parse(words)
    if not (arguments.project or arguments.name or arguments.data or arguments.to):
        print(readme.listing(ROOT))
        return
    if not (arguments.project and arguments.name):
        raise UserError(
            "the project to copy and a name are both needed",
            expected="make new NAME=flowers FROM=cifar_cnn DATA=path/to/my/folder",
            fix="make new lists the projects",
        )
    print(next_steps(start(ROOT, arguments.project, arguments.name, arguments.data, arguments.to)))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # takes back what was made, as Ctrl-C does
    with errors_for_people():
        main()
