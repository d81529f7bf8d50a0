"""Explain stage: trained weights and test texts -> results/explain/ (attributions and tests of them).

    python -m projects.imdb_sentiment.explain                                             # as params.yaml says
    python -m projects.imdb_sentiment.explain 'explain.methods=[word_occlusion]'          # this run only
    python -m projects.imdb_sentiment.explain explain.num_scored=500                      # closer figures, takes longer

What is explained are the log-odds of the class that the model predicts, right or wrong.
What the files hold, and which figure means what: shared/explain/stage.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import torch
from torch import Tensor, nn

from shared.data.batches import Batch, Padded, cost_shares
from shared.data.table import Table
from shared.explain.parts import log_odds
from shared.explain.stage import class_facts, draw, explain
from shared.text.parts import TEXT_METHODS, TextScene
from shared.text.show import show
from shared.training.distributed import local
from shared.training.stage import Trained, trained_stage

from .model import load_model
from .params import Params

BATCH_TOKENS = 16384  # of one forward, padding included


def value(model: nn.Module, batch: Batch) -> Tensor:
    """(M,): the log-odds of each text's target class."""
    return log_odds(model(batch["tokens"], batch["tokens_mask"]), batch["target"])


@torch.inference_mode()
def predict(trained: Trained[Params], test: Table, rows: Tensor) -> Tensor:
    """(N, K) probabilities of some test texts."""
    tokens = test.ragged("tokens")
    pad, found = Padded(tokens, trained.world.device), torch.empty(len(rows), len(trained.config["classes"]))
    for part in cost_shares(tokens.lengths[rows.numpy()], BATCH_TOKENS, local()):
        found[part] = trained.model(*pad(rows[part].to(trained.world.device))).float().softmax(1).cpu()
    return found


def make_scene(trained: Trained[Params], test: Table, rows: Tensor, targets: Tensor) -> TextScene:
    """The questions: why this class?"""
    tokens, mask = Padded(test.ragged("tokens"))(rows)
    device = trained.world.device
    baselines: Tensor = trained.model.baseline(tokens.to(device), mask.to(device))  # type: ignore[operator]
    spans, texts = test.ragged("spans"), test.strings("text")
    return TextScene.of(
        texts=[texts[row] for row in rows.tolist()],
        spans=[[(start, end) for start, end in spans.row(row).tolist()] for row in rows.tolist()],
        tokens=tokens,
        mask=mask,
        baselines=baselines.cpu(),
        fields={"target": targets},
        evidence=Padded(test.ragged("evidence"))(rows)[0] if "evidence" in test else None,
    )


def main(trained: Trained[Params]) -> None:
    test, chosen = trained.prepared.table("test"), trained.params.explain
    rows = torch.from_numpy(draw(len(test), chosen.seed))
    probabilities = predict(trained, test, rows)
    explain(
        trained,
        make_scene(trained, test, rows, probabilities.argmax(1)),
        value,
        class_facts(torch.from_numpy(test.fixed("label"))[rows], probabilities, trained.config["classes"]),
        methods=TEXT_METHODS,
        show=show,
        unit="texts",
        part="words",
    )


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__, alone=True)
