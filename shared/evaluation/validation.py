"""What is measured between epochs."""

import torch.nn.functional as F
from torch import Tensor, nn

from shared.data.arrays import Split
from shared.data.batches import evaluation_shares
from shared.evaluation.records import Records, collect
from shared.image.batches import reader, to_float
from shared.training.distributed import World
from shared.training.fit import Validate

BATCH = 500


def classification(split: Split, world: World) -> Validate:
    """Loss and accuracy on validation images, one view of each."""
    read = reader(split, world.device)

    def validate(model: nn.Module) -> dict[str, float]:
        def predict(index: Tensor) -> Records:
            images, labels = read(index)
            logits = model(to_float(images))
            return {"loss": F.cross_entropy(logits, labels, reduction="none"), "accuracy": logits.argmax(1) == labels}

        records = collect(predict, evaluation_shares(len(split), BATCH, world), world)
        return {f"valid_{name}": records[name].double().mean().item() for name in ("loss", "accuracy")}

    return validate
