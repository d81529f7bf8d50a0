"""Explain stage: trained weights and test reviews -> results/explain/ (attributions and tests of them).

    python -m projects.imdb_sentiment.explain                                             # as params.yaml says
    python -m projects.imdb_sentiment.explain 'explain.methods=[word_occlusion]'          # this run only
    python -m projects.imdb_sentiment.explain explain.num_scored=500                      # closer figures, takes longer

What is explained is the logit of the class that the model predicts, right or wrong.
What the files hold, and which figure means what: shared/explain/text.py.
"""

from typing import Any

import torch
from shared.data.columns import Columns, Ragged, read_columns, select
from torch import Tensor, nn

from shared.core.cli import run
from shared.core.paths import Project
from shared.explain.text import TextScene, draw, explain_texts
from shared.text.batches import Padded
from shared.training.device import pick_device
from shared.training.distributed import local

from .data import tokens_and_labels
from .model import load_model, predict_logits
from .params import Params

PROJECT = Project.of(__file__)


def logit(model: nn.Module, tokens: Tensor, mask: Tensor, places: Tensor) -> Tensor:
    """The score that is explained, (N, K); it is about the whole text, so places say nothing."""
    scores: Tensor = model(tokens, mask)
    return scores


def make_scene(model: nn.Module, asked: Columns, predicted: Tensor) -> TextScene:
    """The questions: why this class?"""
    tokens, _ = tokens_and_labels(asked)
    spans, texts, evidence = asked["spans"], asked["text"], asked.get("evidence")
    assert isinstance(spans, Ragged)
    assert isinstance(texts, list)
    everything, cpu = torch.arange(len(texts)), torch.device("cpu")
    ids, mask = Padded(tokens, cpu)(everything)
    device = next(model.parameters()).device
    baselines: Tensor = model.baseline(ids.to(device), mask.to(device))  # type: ignore[operator]
    return TextScene(
        texts=texts,
        spans=[[(start, end) for start, end in spans.row(row).tolist()] for row in everything.tolist()],
        tokens=ids,
        mask=mask,
        baselines=baselines.cpu(),
        targets=predicted,
        evidence=Padded(evidence, cpu)(everything)[0].bool() if isinstance(evidence, Ragged) else None,
    )


def facts(asked: Columns, probability: Tensor, classes: list[str]) -> list[dict[str, Any]]:
    """What the page says beside each text."""
    predicted, labels = probability.argmax(dim=1).tolist(), tokens_and_labels(asked)[1].tolist()
    return [
        {
            "id": asked["id"][row],
            "true": classes[label],
            "predicted": classes[said],
            "probability": round(float(probability[row, said]), 6),
            "correct": label == said,
        }
        for row, (label, said) in enumerate(zip(labels, predicted, strict=True))
    ]


def main(params: Params) -> None:
    model, config = load_model(PROJECT.results("train"), f"dvc repro projects/{PROJECT.name}")
    model = model.to(pick_device(params.runtime.device))
    test = read_columns(PROJECT.prepared, "test")
    asked = select(test, draw(len(test["id"]), params.explain.seed))
    logits = predict_logits(model, tokens_and_labels(asked)[0], params.evaluate.batch_size, local())
    probability = logits.double().softmax(dim=1)
    explain_texts(
        model,
        make_scene(model, asked, probability.argmax(dim=1)),
        facts(asked, probability, config["classes"]),
        score=logit,
        unit="reviews",
        params=params.explain,
        results=PROJECT.results("explain"),
    )


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
