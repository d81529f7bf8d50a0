"""Explain stage: trained weights and test images -> results/explain/ (attributions and tests of them).

    python -m projects.voc_detection.explain                                    # as params.yaml says
    python -m projects.voc_detection.explain 'explain.methods=[masking]'        # this run only
    python -m projects.voc_detection.explain explain.num_scored=100             # closer figures, as much longer

A question is a single object: why does the model see this class in this box? What is explained is the score of the
detection that fits class and box best: max over all predictions of score x IoU with the box, as log-odds. Up to half of
the questions shown are errors: wrong detections, and objects that the model missed. For those, the same value says what
speaks for and against the object.

An untrained net's gradient lies inside of the box as well, for convolutions are local: `inside the box` proves nothing.
So every map is tested against a centred Gaussian of the box's size, against maps of weight-randomised models, and on
the mask of the object's visible pixels. What the files hold, and which figure means
what: shared/explain/stage.py; and boxes.json, the tests that only detections have:

    deletion_gain, insertion_gain   by how much deletion and insertion are better than the Gaussian's, with intervals,
                        while as many pixels as the box has are removed or put in
    inside_share        share of the positive mass inside the box
    mask_share_score    share of a map's mass within its box that lies on the object's mask, above the mask's share of
                        the box (0: no more than the box itself says)
    class_difference    1 - rank correlation, inside the box, with the map of another class (the next) at the same box
    inside_ratio        masking's share inside the box, over that on weight-randomised models
    convergence         correlation of masking's maps from two halves of its masks
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared.core.errors import UserError
from shared.core.files import write_json
from shared.core.seed import derive
from shared.data.batches import Batch
from shared.data.draws import generator
from shared.evaluation.intervals import bootstrap
from shared.explain import parts
from shared.explain.methods import Method
from shared.explain.parts import Subject, ratio, similarity
from shared.explain.stage import Fact, draw, explain
from shared.image.augment import to_float
from shared.image.parts import IMAGE_METHODS, ImageScene, own_colour
from shared.image.show import show
from shared.report import blocks
from shared.report.blocks import Block, cell, section, table
from shared.training.stage import Trained, trained_stage

from .assign import ious
from .model import Detections, detect, load_model
from .params import Params
from .torchvision_models import TorchvisionDetector

POOL = 150  # test images, among which questions are looked for
SURE = 0.5  # score of a detection that is explained
FAINT = 0.3  # and of one from which on its object does not count as missed
HIT = 0.5  # IoU of a detection and its object
CELLS, KEPT = 6, 0.5  # of a random mask: its cells along the shorter side, and the share that is seen
LEAST = 1e-3  # that score x IoU is moved away from 0 and 1, so that its log-odds are finite


def box_value(model: nn.Module, batch: Batch) -> Tensor:
    """(M,): log-odds of max over predictions of score x IoU, for the class `target` (M,) at `box` (M, 4)."""
    box, target = batch["box"], batch["target"]
    if isinstance(model, TorchvisionDetector):
        score = torch.stack([_best(one, box[row], int(target[row])) for row, one in enumerate(model(batch["image"]))])
    else:
        points = model(batch["image"])
        scores = points.logits.sigmoid().gather(2, target.view(-1, 1, 1).expand(-1, points.logits.shape[1], -1))
        score = (scores[..., 0] * ious(points.boxes, box[:, None].to(points.boxes))).amax(1)
    return torch.logit(LEAST + (1 - 2 * LEAST) * score)  # not clamped: gradients would end there


def _best(found: tuple[Tensor, ...], box: Tensor, target: int) -> Tensor:
    boxes, scores, labels, *_ = found
    fits = ious(boxes, box.to(boxes)) * scores * (labels == target)
    return fits.amax() if len(fits) else box.new_zeros(())


def random_masks(count: int, sides: Sequence[int], seed: int) -> Tensor:
    """(count, P) bool: coarse random patterns of cells, moved by a random part of a cell (RISE, arXiv:1806.07421).

    Hard-edged here, for parts are kept or removed; the average over many is smooth all the same.
    """
    height, width = sides
    cell = max(1, min(sides) // CELLS)
    rows, columns = height // cell + 2, width // cell + 2
    draws = generator(seed, "masks")
    coarse = torch.rand(count, rows, columns, generator=draws) < KEPT
    down, right = (torch.randint(cell, (count,), generator=draws) for _ in range(2))
    row = (torch.arange(height)[None] + down[:, None]) // cell
    column = (torch.arange(width)[None] + right[:, None]) // cell
    return coarse[torch.arange(count)[:, None, None], row[:, :, None], column[:, None, :]].flatten(1)


def masking(subject: Subject, seed: int, num_masks: int) -> Tensor:
    """D-RISE (Petsiuk et al. 2021, arXiv:2006.03204): the mean score where a pixel is seen, less that where not."""
    return _halves(subject, seed, num_masks).mean(0)


def _halves(subject: Subject, seed: int, num_masks: int) -> Tensor:
    """(2, N, P): the maps of each half of the masks."""
    scene = subject.scene
    assert isinstance(scene, ImageScene)
    masks = random_masks(num_masks, scene.images.shape[2:], derive(seed, "masking"))
    rows = subject.rows.repeat_interleave(num_masks)
    values = subject.values(rows, lambda at: masks[at % num_masks]).sigmoid().view(len(subject), num_masks)
    found = []
    for half in (slice(0, None, 2), slice(1, None, 2)):
        seen, value = masks[half].to(values), values[:, half]
        shown, hidden = value @ seen / seen.sum(0).clamp_min(1), value @ (1 - seen) / (1 - seen).sum(0).clamp_min(1)
        found.append(shown - hidden)
    return torch.stack(found)


def centred_gaussian(subject: Subject) -> Tensor:
    """(N, P): a bell in the middle of the box, of a quarter of its sides: what is known without the model."""
    scene = subject.scene
    assert isinstance(scene, ImageScene)
    height, width = scene.images.shape[2:]
    x0, y0, x1, y1 = scene.fields["box"].float().cpu().unbind(1)
    rows, columns = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    down = ((rows[None] - ((y0 + y1) / 2)[:, None]) / ((y1 - y0) / 4).clamp_min(0.5)[:, None]).square()
    right = ((columns[None] - ((x0 + x1) / 2)[:, None]) / ((x1 - x0) / 4).clamp_min(0.5)[:, None]).square()
    return torch.exp(-(down[:, :, None] + right[:, None, :]) / 2).flatten(1)


def methods(num_masks: int) -> dict[str, Method]:
    """Those of images, without Grad-CAM: a detector has no one last layer."""
    return {
        **{name: one for name, one in IMAGE_METHODS.items() if name != "grad_cam"},
        "masking": Method(
            "Random masks (D-RISE)",
            "Hides random patches many times: how much higher the score is where a pixel is seen. Coarse, smooth, and "
            "needs no gradient.",
            partial(masking, num_masks=num_masks),
        ),
    }


# --- questions ------------------------------------------------------------------------------------------------------


def questions(trained: Trained[Params]) -> tuple[ImageScene, list[Fact]]:
    """Objects of test images: detections that are sure, right or wrong, and objects that were missed, in random order.

    Of an image one question, so that they are independent. Raises UserError where nothing is detected.
    """
    test, chosen, classes = trained.prepared.table("test"), trained.params.evaluate, trained.config["classes"]
    rows = draw(len(test), trained.params.explain.seed)[:POOL]
    images = to_float(torch.from_numpy(test.fixed("image")[rows]).to(trained.world.device))
    found = [
        one
        for some in images.split(chosen.batch_size)  # type: ignore[no-untyped-call]
        for one in detect(trained.model, some, chosen.max_detections, chosen.nms_iou)
    ]
    kept, boxes, targets, masks = list[int](), list[Tensor](), list[int](), list[Tensor]()
    facts = list[Fact]()
    for number, (row, one) in enumerate(zip(rows.tolist(), found, strict=True)):
        asked = _question(one, test, row, classes, missed=len(kept) % 3 == 2)
        if asked is None:
            continue
        box, target, index, fact = asked
        kept.append(number)
        boxes.append(box)
        targets.append(target)
        facts.append(fact)
        if "instances" in test:
            # a detection that meets no object has no evidence: 0 is the background
            masks.append(torch.from_numpy(np.array(test.fixed("instances")[row]) == (index + 1 or -1)))
    if not kept:
        raise UserError(f"explain: no detection with a score of {SURE:g} or more in {len(rows)} test images",
                        fix="train longer")  # fmt: skip
    device = images.device
    fields = {"box": torch.stack(boxes).to(device), "target": torch.tensor(targets, device=device)}
    evidence = torch.stack(masks) if masks else None
    some = images[torch.tensor(kept, device=device)]
    return ImageScene(some, own_colour(some), fields, evidence), facts


def _question(
    found: Detections, test: Any, row: int, classes: Sequence[str], missed: bool
) -> tuple[Tensor, int, int, Fact] | None:
    """Box (4,), class, the object's place in its image (-1: none) and what is said: of the surest detection, or of an
    object that was missed where one is wanted and there is one."""
    objects, label, ignored = (torch.from_numpy(np.array(test.ragged(name).row(row)))
                               for name in ("boxes", "label", "ignored"))  # fmt: skip
    objects = objects.view(-1, 4).float()
    overlaps = ious(found.boxes.cpu().float()[:, None], objects)
    sure = found.scores.cpu() >= SURE
    same = found.labels.cpu()[:, None] == label[None]
    if missed and len(objects):
        seen = ((overlaps >= HIT) & same & (found.scores.cpu()[:, None] >= FAINT)).any(0) | ignored.bool()
        lost = torch.nonzero(~seen)[:, 0].tolist()
        if lost:
            one = lost[0]
            name = classes[int(label[one])]
            return (
                objects[one],
                int(label[one]),
                one,
                {"title": f"missed: {name}", "correct": False, "question": f"Why is no {name} seen in this box?"},
            )
    if not bool(sure.any()):
        return None
    top = int(torch.nonzero(sure)[:, 0][row % int(sure.sum())])
    name, score = classes[int(found.labels[top])], float(found.scores[top])
    hits = torch.nonzero((overlaps[top] >= HIT) & same[top])[:, 0].tolist()
    right = bool(hits)
    index = max(hits, key=lambda one: float(overlaps[top, one])) if right else -1
    fact: Fact = {"title": f"{name} ({score:.0%})" + ", wrong" * (not right), "correct": right,
                  "question": f"Why is a {name} seen in this box?"}  # fmt: skip
    return found.boxes[top].cpu().float(), int(found.labels[top]), index, fact


# --- the tests that only detections have ----------------------------------------------------------------------------


def inside_boxes(scene: ImageScene) -> Tensor:
    """(N, P) bool: the pixels of each question's box."""
    height, width = scene.images.shape[2:]
    x0, y0, x1, y1 = scene.fields["box"].float().cpu().unbind(1)
    rows, columns = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    down = (rows[None] >= y0[:, None]) & (rows[None] <= y1[:, None])
    right = (columns[None] >= x0[:, None]) & (columns[None] <= x1[:, None])
    return (down[:, :, None] & right[:, None, :]).flatten(1)


def box_tests(
    subject: Subject, maps: Mapping[str, Tensor], known: Mapping[str, Method], params: Any, num_classes: int
) -> dict[str, Any]:
    """boxes.json: the figures that this module's docstring explains, means over the questions.

    Args:
        maps: of each method (N, P); known: all methods.
    """
    scene, seed = subject.scene, params.seed
    assert isinstance(scene, ImageScene)
    inside, found = inside_boxes(scene), dict[str, Any]()
    other = dict(scene.fields) | {"target": (scene.fields["target"] + 1) % num_classes}
    elsewhere = Subject(subject.model, ImageScene(scene.images, scene.baselines, other, None), subject.value,
                        subject.num_parts)  # fmt: skip
    bell = _curve_areas(subject, centred_gaussian(subject), seed)
    for name, own_maps in maps.items():
        method = known[name]
        figures = {"inside_share": _share(own_maps, inside)}
        areas = _curve_areas(subject, own_maps, seed)
        for curve, own, of_bell in zip(("deletion", "insertion"), areas, bell, strict=True):
            gain = (own - of_bell).numpy()
            low, high = bootstrap(gain, derive(seed, name, curve))
            figures |= {f"{curve}_gain": float(gain.mean()), f"{curve}_gain_low": low, f"{curve}_gain_high": high}
        if scene.evidence is not None and scene.evidence.any():
            marked = scene.evidence.any(1)
            within = own_maps[marked].abs() * inside[marked]
            area = (scene.evidence & inside)[marked].sum(1) / inside[marked].sum(1).clamp_min(1)
            figures["mask_share_score"] = float(
                (ratio((within * scene.evidence[marked]).sum(1), within.sum(1)) - area).mean()
            )
        if num_classes > 1:
            of_other = method.run(elsewhere, seed)
            figures["class_difference"] = 1 - float(_inside_similarity(own_maps, of_other, inside).mean())
        if name == "masking":
            halves = _halves(subject, seed, params.num_masks)
            first, second = halves - halves.mean(2, keepdim=True)
            figures["convergence"] = float(F.cosine_similarity(first, second, dim=1).mean())
            randomised = parts.randomise(subject, derive(seed, "randomised", 0))
            figures["inside_share_randomised"] = _share(method.run(randomised, seed), inside)
            figures["inside_ratio"] = figures["inside_share"] / max(1e-9, figures["inside_share_randomised"])
        found[name] = {key: round(value, 4) for key, value in figures.items()}
    return found


def _curve_areas(subject: Subject, maps: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Deletion and insertion scores (N,) each, while as many pixels as the box has are removed, or put in.

    Not of all pixels of the image, as the stage has them: after a tenth of those every object is gone, by any map.
    """
    scene = subject.scene
    assert isinstance(scene, ImageScene)
    ranks = parts.removal_ranks(maps, subject.inside, seed)
    counts = (parts.fractions() * inside_boxes(scene).sum(1, keepdim=True)).round().long()
    rows = subject.rows.repeat_interleave(counts.shape[1])
    flat = counts.flatten()
    found = []
    for deleting in (True, False):
        values = subject.values(rows, lambda at, gone=deleting: (ranks[rows[at]] < flat[at, None]) ^ gone)  # type: ignore[misc]
        found.append(parts.area(values.sigmoid().view_as(counts)))
    return 1 - found[0], found[1]


def _share(maps: Tensor, inside: Tensor) -> float:
    """Mean share of the maps' positive mass inside."""
    mass = maps.clamp_min(0)
    return float(ratio((mass * inside).sum(1), mass.sum(1)).mean())


def _inside_similarity(maps: Tensor, others: Tensor, inside: Tensor) -> Tensor:
    """(N,): rank correlation over some pixels."""
    rows = range(len(maps))
    return torch.stack([similarity(maps[row : row + 1, inside[row]], others[row : row + 1, inside[row]],
                                   inside[row : row + 1, inside[row]])[0] for row in rows])  # fmt: skip


def box_blocks(found: Mapping[str, Mapping[str, float]], chosen: Mapping[str, Method]) -> list[Block]:
    """The same for the page."""
    plain = {
        "inside_share": "Share inside the box", "mask_share_score": "On the object, beyond its share of the box",
        "class_difference": "Differs for another class", "convergence": "Halves of the masks agree",
        "inside_ratio": "Share inside, against randomised",
    }  # fmt: skip
    rows = []
    for name, of in found.items():
        compared = []
        for curve in ("deletion", "insertion"):
            gain, low, high = (of[f"{curve}_gain{end}"] for end in ("", "_low", "_high"))
            good = True if low > 0 else False if high < 0 else None
            compared.append(cell(gain, good, f"{low:+.3f} to {high:+.3f}"))
        rows.append([chosen[name].title, *compared, *(of.get(key) for key in plain)])
    intro = (
        "That a map lies inside of its box proves little: convolutions are local. So what is asked is whether its "
        "deletion and insertion are better than those of a bell in the middle of the box, which knows nothing of the "
        "model, with 95 % intervals; whether it lies on the object rather than on the rest of the box; whether it "
        "changes with the class that is asked for; and for random masks, whether there were enough of them."
    )
    columns = ["Method", "Deletion, beyond the bell", "Insertion, beyond the bell", *plain.values()]
    return [section("Tests of single detections"), table(columns, rows, intro=intro)]


def main(trained: Trained[Params]) -> None:
    params = trained.params.explain
    trained.model.to(memory_format=torch.channels_last)  # what convolutions are fastest in
    scene, facts = questions(trained)
    known = methods(params.num_masks)

    def shown(some: ImageScene, maps: Mapping[str, Tensor], of: Sequence[Any], folder: Path) -> list[Block]:
        return show(outlined(some), maps, of, folder)

    scored = explain(
        trained, scene, box_value, facts, methods=known, show=shown, unit="objects", part="pixels",
        note="A green line surrounds the box that is asked about.",
    )  # fmt: skip
    results = trained.project.results("explain")
    tests = box_tests(scored.subject, scored.maps, known, params, len(trained.config["classes"]))
    write_json(results / "boxes.json", tests)
    blocks.append(results, box_blocks(tests, known))


def outlined(scene: ImageScene) -> ImageScene:
    """The same with the boxes as what is outlined in green."""
    inside = inside_boxes(scene).view(len(scene), *scene.images.shape[2:])
    return ImageScene(scene.images, scene.baselines, scene.fields, inside)


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__, alone=True)
