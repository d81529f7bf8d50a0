"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, predictions, worst errors).

    python -m projects.mnist_cnn.evaluate                         # as params.yaml says
    python -m projects.mnist_cnn.evaluate evaluate.num_worst=50   # this run only
    torchrun --nproc-per-node 2 -m projects.mnist_cnn.evaluate

What the files hold: shared/evaluation/classification.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from shared.data.batches import Batch, even_shares, gather
from shared.data.table import Table
from shared.evaluation.classification import Baselines, evaluate_classes
from shared.image.augment import to_float
from shared.image.baselines import image_baselines
from shared.image.show import show_images
from shared.report.blocks import Block
from shared.training.stage import Trained, trained_stage

from .model import load_model
from .params import Params


def main(trained: Trained[Params]) -> None:
    chosen, test = trained.params.evaluate, trained.prepared.table("test")

    def logits(batch: Batch) -> Tensor:
        found: Tensor = trained.model(to_float(batch["image"]))
        return found

    def baselines(train: Table, test: Table) -> Baselines:
        return image_baselines(train, test, chosen.baseline_images, chosen.seed)

    def show_errors(rows: Sequence[int], captions: Sequence[str], folder: Path) -> Block:
        return show_images(folder, [test.fixed("image")[row] for row in rows], captions)

    evaluate_classes(
        trained,
        logits,
        gather(test, "image", "label", device=trained.world.device),
        even_shares(len(test), chosen.batch_size, trained.world),
        unit="images",
        baselines=baselines,
        show_errors=show_errors,
    )


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
