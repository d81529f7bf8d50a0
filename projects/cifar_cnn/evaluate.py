"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, predictions, worst errors).

    python -m projects.cifar_cnn.evaluate                   # as params.yaml says
    python -m projects.cifar_cnn.evaluate evaluate.views=6  # this run only
    torchrun --nproc-per-node 2 -m projects.cifar_cnn.evaluate

metrics.json      accuracy with its 95% interval, calibration, figures of each class, two baselines
predictions.csv   one row a test image: id, actual, predicted, confidence
reliability.tsv   confidence against accuracy
run.json          how long the predictions took, all views of each image
worst/            the most confident errors, as pictures, with index.json
"""

import time

from shared.data.arrays import Split, read_split
from shared.image.batches import reader, to_float
from torch import Tensor, nn

from shared.core.files import write_json
from shared.core.paths import Project
from shared.data.batches import evaluation_shares
from shared.data.prepared import check_same, read_manifest
from shared.evaluation import image_classes
from shared.evaluation.records import Records, collect
from shared.training.distributed import World, join, run

from .model import load_model, predict_logits
from .params import Evaluate, Params

PROJECT = Project.of(__file__)


def predict(model: nn.Module, split: Split, params: Evaluate, world: World) -> Records:
    """One record a test image: `sample` (N,) int64, `actual` (N,) int64, `logits` (N, K), whole on every rank."""
    read = reader(split, None)

    def record(index: Tensor) -> Records:
        images, labels = read(index)
        return {"actual": labels, "logits": predict_logits(model, to_float(images.to(world.device)), params.views)}

    return collect(record, evaluation_shares(len(split), params.batch_size, world), world)


def main(params: Params) -> None:
    chosen = params.evaluate
    model, config = load_model(PROJECT.results("train"), f"dvc repro projects/{PROJECT.name}")
    manifest = read_manifest(PROJECT.prepared)
    check_same(PROJECT, config, manifest, "classes", "channels", "image_size")
    test = read_split(PROJECT.prepared, "test", mapped=True)
    with join(params.runtime) as world:
        start = time.perf_counter()
        records = predict(model.to(world.device), test, chosen, world)
        seconds = time.perf_counter() - start
        if world.is_first:
            wanted = chosen.model_dump(include={"seed", "num_worst", "baseline_images"})
            image_classes.write(PROJECT, records, manifest, **wanted)
            write_json(PROJECT.results("evaluate") / "run.json", {"predict_seconds": round(seconds, 1)})


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
