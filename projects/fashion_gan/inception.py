"""FID and KID in the features of Inception, for who wants figures to compare with papers: `evaluate.inception`.

The network and its weights are those of torch-fidelity (Obukhov et al. 2020), which gives the figures of the original
TensorFlow code; it is an optional package, imported only here. Photographs of 299 px taught it, so of drawings and
small grey images its figures say little, and FID needs far more than its 2,048 features' worth of images.
"""

import pickle
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from shared.core.errors import UserError
from shared.core.files import checksum_of
from shared.core.paths import original_root, show
from shared.core.seed import derive
from shared.data.download import download

from .scores import frechet_distance

DOWNLOAD = "download"
URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
BATCH = 50  # images at once, each enlarged to 299 px
SUBSETS, SUBSET_SIZE = 100, 1000  # of KID, as usual


def load_inception(chosen: str) -> nn.Module:
    """uint8 (N, 3, H, W) -> (N, 2048). Raises UserError without the package, the file, or weights in it.

    Args:
        chosen: path of a weights file, or "download", which keeps it where torch.hub keeps such files.
    """
    if find_spec("torch_fidelity") is None:
        raise UserError("evaluate.inception: needs the package torch-fidelity", fix="pip install torch-fidelity==0.4.0")
    from torchmetrics.image.fid import NoTrainInceptionV3

    path = original_root() / chosen
    if chosen == DOWNLOAD:
        path = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL).name
        if not path.exists() or checksum_of(path, SHA256) != SHA256:
            download(URL, path, SHA256, fix=f"bring the file to {show(path)}, or leave evaluate.inception empty")
    try:  # the package unpickles whatever the file holds: what this reads holds nothing but tensors
        torch.load(path, map_location="cpu", weights_only=True)
        network: nn.Module = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path), antialias=False)
    except OSError as error:
        reason = f"evaluate.inception: {show(path)}: {error.strerror}"
        raise UserError(reason, expected=f"weights from {URL}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"evaluate.inception: {show(path)}: not these weights: {reason}", expected=URL) from None
    return network


@torch.inference_mode()
def inception_features(network: nn.Module, images: Tensor) -> Tensor:
    """(N, 2048) float64 of (N, C, S, S) uint8 images; grey ones as three equal channels."""
    device = next(network.parameters()).device
    parts = (part.expand(-1, 3, -1, -1).to(device) for part in torch.split(images, BATCH))
    return torch.cat([network(part).cpu().double() for part in parts])


def inception_scores(generated: Tensor, real: Tensor, seed: int) -> dict[str, float]:
    """inception_frechet_distance (FID, Heusel et al. 2017) and inception_kernel_distance (KID, Binkowski et al. 2018,
    arXiv:1801.01401: mean over subsets of 1,000, or all where there are fewer) of (N, 2048) features.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(SUBSET_SIZE, len(generated), len(real))
    with torch.random.fork_rng([]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance`", UserWarning)  # that it keeps features
        torch.manual_seed(derive(seed, "kernel distance"))
        kernel = KernelInceptionDistance(nn.Identity(), subsets=SUBSETS, subset_size=size)
        kernel.update(real, real=True)
        kernel.update(generated, real=False)
        kid = kernel.compute()[0].item()
    return {"inception_frechet_distance": frechet_distance(generated, real), "inception_kernel_distance": kid}
