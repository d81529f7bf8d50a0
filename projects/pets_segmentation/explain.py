"""Explain stage: trained weights and test images -> results/explain/ (attributions and tests of them, context).

    python -m projects.pets_segmentation.explain                                       # as params.yaml says
    python -m projects.pets_segmentation.explain 'explain.methods=[occlusion]'         # this run only
    python -m projects.pets_segmentation.explain explain.num_scored=500                # closer figures, longer

What is explained is the class of a region: the mean log-odds, over the pixels of the region, of the class that most of
them are predicted as, right or wrong. A region is the largest connected one of a class that is drawn for each image;
where the data have evidence, it is the region that this is about. One tile of an image is a question.
What the files hold, and which figure means what: shared/explain/stage.py. Beside these:

context.tsv   the probability of the class while the image is shown only up to a distance from the region, or while a
              ring at that distance is removed: what context outside of itself a region needs
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, label  # type: ignore[import-untyped]
from torch import Tensor, nn

from shared.core.errors import UserError
from shared.core.files import write_tsv
from shared.core.seed import derive
from shared.data.batches import Batch
from shared.data.table import Table
from shared.explain.parts import Subject
from shared.explain.stage import Fact, draw, explain
from shared.image.augment import to_float
from shared.image.masks import IGNORED
from shared.image.parts import IMAGE_METHODS, ImageScene, own_colour
from shared.image.show import show
from shared.report import blocks
from shared.report.blocks import Block
from shared.training.stage import Trained, trained_stage

from .model import load_model
from .params import Params
from .tiles import count_images, rows_of

SMALLEST = 0.001  # of a tile: regions below are not asked about
SIGN, REGION = 1, 2  # in evidence: the pixels that decide, and the region that they decide about
DISTANCES_PX = 0, 2, 4, 8, 16, 32, 64, 128, 256, 512
ENOUGH = 0.9  # of the probability that the whole image gives


def region_log_odds(model: nn.Module, batch: Batch) -> Tensor:
    """(M,): the mean log-odds of the class "target" (M,) over "region" (M, H, W) bool of "image" (M, 3, H, W)."""
    logits: Tensor = model(batch["image"])
    target = batch["target"][:, None, None, None].expand(-1, 1, *logits.shape[2:])
    others = logits.scatter(1, target, -torch.inf).logsumexp(1)
    odds = logits.gather(1, target)[:, 0] - others
    region = batch["region"].to(odds.dtype)
    return (odds * region).sum((1, 2)) / region.sum((1, 2))


def choose_region(predicted: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """(H, W) bool: the largest connected region of one of the predicted classes, each alike; None where all
    are tiny."""
    for chosen in rng.permutation(np.unique(predicted)).tolist():
        numbered, _ = label(predicted == chosen)
        sizes = np.bincount(numbered.ravel())[1:]
        if sizes.max() >= SMALLEST * predicted.size:
            region: np.ndarray = numbered == 1 + sizes.argmax()
            return region
    return None


def ask(test: Table, number: int, rng: np.random.Generator) -> int:
    """The tile of an image that is asked about: one with evidence, or any."""
    rows = rows_of(test, number)
    if "evidence" in test:
        marked = [row for row in rows.tolist() if np.isin([SIGN, REGION], test.fixed("evidence")[row]).all()]
        rows = np.array(marked or rows)
    return int(rng.choice(rows))


def questions(trained: Trained[Params], test: Table) -> tuple[ImageScene, list[Fact]]:
    """A question for each drawn image. Raises UserError where no region is large enough."""
    model, device, classes = trained.model, trained.world.device, trained.config["classes"]
    seed = trained.params.explain.seed
    rng = np.random.default_rng(derive(seed, "regions"))
    rows, regions, targets, evidence, facts = [], [], [], [], list[Fact]()
    for number in draw(count_images(test), seed).tolist():
        row = ask(test, number, rng)
        with torch.inference_mode():
            image = to_float(torch.from_numpy(test.fixed("image")[[row]]).to(device))
            predicted = model(image)[0].argmax(0).cpu().numpy()
        marks = test.fixed("evidence")[row] if "evidence" in test else np.zeros_like(predicted)
        decided = np.isin([SIGN, REGION], marks).all()
        region = marks == REGION if decided else choose_region(predicted, rng)
        if region is None:
            continue
        target = int(np.bincount(predicted[region]).argmax())
        known = test.fixed("mask")[row][region]
        known = known[known != IGNORED]
        actual = int(np.bincount(known).argmax()) if len(known) else target
        rows.append(row)
        regions.append(region)
        targets.append(target)
        evidence.append((marks == SIGN) & decided)
        title = f"true: {classes[actual]}, predicted: {classes[target]}"
        facts.append({"title": title, "correct": actual == target, "question": f"A region of {region.sum():,} pixels."})
    if not rows:
        raise UserError("explain: no predicted region is large enough to be asked about", fix="train longer")
    images = to_float(torch.from_numpy(test.fixed("image")[rows]).to(device))
    fields = {"target": torch.tensor(targets, device=device), "region": torch.from_numpy(np.stack(regions)).to(device)}
    marked = torch.from_numpy(np.stack(evidence)) if "evidence" in test else None
    return ImageScene(images, own_colour(images), fields, marked), facts


def context(subject: Subject, regions: np.ndarray) -> tuple[list[int], np.ndarray, np.ndarray]:
    """How the score depends on what is around a region.

    Args:
        regions: (N, H, W) bool.

    Returns:
        D distances in px; (N, D) probabilities where all farther away is removed; (N, D - 1) where only the ring
        between two neighbouring distances is.
    """
    far = np.stack([distance_transform_edt(~region) for region in regions]).reshape(len(regions), -1)
    edges = [edge for edge in DISTANCES_PX if edge < far.max()] + [int(np.ceil(far.max()))]
    distance = torch.from_numpy(far)

    def probabilities(kept: Sequence[Tensor]) -> np.ndarray:
        """(N, len(kept)), for the pixels (N, P) bool that are kept."""
        found = [subject.values(subject.rows, pixels.__getitem__) for pixels in kept]
        return torch.stack(found, 1).sigmoid().numpy()

    within = probabilities([distance <= edge for edge in edges])
    rings = itertools.pairwise(edges)
    return edges, within, probabilities([(distance <= low) | (distance > high) for low, high in rings])


def context_blocks(edges: Sequence[int], within: np.ndarray, without: np.ndarray, facts: Sequence[Fact]) -> list[Block]:
    """What the page says of context: the curves of `context`, and the median distance that gives enough of the whole
    image's probability, by predicted class."""
    enough = np.array(edges)[(within >= ENOUGH * within[:, -1:]).argmax(axis=1)]
    names = [fact["title"].rsplit("predicted: ", 1)[1] for fact in facts]
    by_class = {name: float(np.median(enough[[one == name for one in names]])) for name in sorted(set(names))}
    counts = {name: names.count(name) for name in by_class}
    series = {
        "all farther away removed": (list(edges), within.mean(0).round(4).tolist()),
        "only the ring up to here removed": (list(edges[1:]), without.mean(0).round(4).tolist()),
    }
    words = (
        f"The mean probability of the class of {len(within)} regions, while the image around them is replaced by its "
        "mean colour: all beyond a distance from the region, or only the ring from the distance before up to this one. "
        f"Where removing a ring lowers the probability, the model uses what is there. Enough: {ENOUGH:.0%} of the "
        "probability that the whole image gives."
    )
    return [
        blocks.section("What context a region needs"),
        blocks.text(words),
        blocks.lines("context", "Probability over the distance from the region", series, x="distance in px",
                     y="probability", unit_range=True),
        blocks.table(["Predicted class", "Regions", "Distance that is enough, median, in px"],
                     [[name, counts[name], value] for name, value in by_class.items()]),
    ]  # fmt: skip


def main(trained: Trained[Params]) -> None:
    trained.model.to(memory_format=torch.channels_last)
    scene, facts = questions(trained, trained.prepared.table("test"))
    scored = explain(
        trained, scene, region_log_odds, facts, methods=IMAGE_METHODS, show=show, unit="regions", part="pixels",
        note="The network is explained as it sees one tile itself; the result averages mirrored views and tiles.",
    )  # fmt: skip
    regions = scene.fields["region"].cpu().numpy()[scored.rows.numpy()]
    edges, within, without = context(scored.subject, regions)
    results = trained.project.results("explain")
    rows = [("within", edge, float(value)) for edge, value in zip(edges, within.mean(0), strict=True)]
    rows += [("ring removed", edge, float(value)) for edge, value in zip(edges[1:], without.mean(0), strict=True)]
    write_tsv(results / "context.tsv", ("kept", "distance_px", "probability"), rows)
    blocks.append(results, context_blocks(edges, within, without, [facts[row] for row in scored.rows.tolist()]))


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__, alone=True)
