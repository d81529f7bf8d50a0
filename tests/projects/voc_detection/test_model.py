"""The compact net, its assignment and loss, and torchvision's detectors behind the same interface."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from projects.voc_detection.assign import TOP, assign, detection_loss, ious
from projects.voc_detection.model import CompactDetector, Points, build_model, detect
from projects.voc_detection.torchvision_models import TorchvisionDetector, load_pretrained
from projects.voc_detection.train import loss
from shared.core.errors import UserError
from shared.data.batches import Batch


def grid(side: int, step: int, num_classes: int = 2) -> Points:
    """Points of one grid, each with a box of its own cell, unsure of all classes."""
    middles = (torch.arange(side) + 0.5) * step
    places = torch.stack([middles.repeat(side), middles.repeat_interleave(side)], 1)
    boxes = torch.cat([places - step / 2, places + step / 2], 1)[None]
    return Points(torch.zeros(1, side * side, num_classes), boxes, places, torch.full((side * side,), float(step)))


def batch(boxes: list[list[float]], label: list[int], ignored: list[bool] | None = None) -> Batch:
    count = len(label)
    return {
        "image": torch.rand(1, 3, 64, 64),
        "boxes": torch.tensor(boxes).view(1, count, 4),
        "label": torch.tensor(label).view(1, count),
        "real": torch.ones(1, count, dtype=torch.bool),
        "ignored": torch.tensor(ignored or [False] * count).view(1, count),
    }


def test_points_lie_in_the_middle_of_their_cells() -> None:
    for finest, count in ((8, 64 + 16 + 4), (4, 256 + 64 + 16 + 4)):
        points = CompactDetector(3, 8, finest).eval()(torch.rand(2, 3, 64, 64))
        assert points.logits.shape == (2, count, 3)
        assert points.places[0].tolist() == [finest / 2, finest / 2]
        assert points.places[-1].tolist() == [48, 48]
        assert (points.boxes[..., 2:] > points.boxes[..., :2]).all()
        inside = (points.places >= points.boxes[..., :2]) & (points.places <= points.boxes[..., 2:])
        assert inside.all()


def test_sides_that_no_stride_divides_are_taken() -> None:
    points = CompactDetector(1, 8, 8).eval()(torch.rand(1, 3, 96, 160))
    assert points.logits.shape[1] == 12 * 20 + 6 * 10 + 3 * 5


def test_an_object_is_learned_by_at_most_ten_points_inside_of_it() -> None:
    points = grid(16, 8)
    found = assign(points, torch.tensor([[[20.0, 20, 84, 84]]]), torch.zeros(1, 1).long(), torch.ones(1, 1).bool())
    assert found.positive.sum() == TOP
    where = points.places[found.positive[0]]
    assert ((where > 20) & (where < 84)).all()
    overlaps = ious(points.boxes, torch.tensor([20.0, 20, 84, 84]))
    assert found.target.max() == pytest.approx(overlaps[found.positive].max().item(), abs=1e-6)


def test_the_smallest_object_has_a_point_and_padding_has_none() -> None:
    boxes = torch.tensor([[[30.0, 30, 31, 31], [0, 0, 0, 0]]])
    found = assign(grid(8, 8), boxes, torch.zeros(1, 2).long(), torch.tensor([[True, False]]))
    assert found.positive.sum() >= 1
    assert (found.which[found.positive] == 0).all()


def test_a_point_of_two_objects_learns_the_one_that_it_fits_best() -> None:
    points = grid(8, 8)
    boxes = torch.tensor([[[0.0, 0, 64, 64], [16, 16, 24, 24]]])
    found = assign(points, boxes, torch.tensor([[0, 1]]), torch.ones(1, 2).bool())
    own = int((points.places == 20).all(1).nonzero())
    assert found.which[0, own] == 1


def test_the_loss_is_0_for_a_perfect_net_and_counts_images_without_objects() -> None:
    box = [8.0, 8, 16, 16]
    points = grid(8, 8)
    own = int((points.places == 12).all(1).nonzero())
    logits = torch.full_like(points.logits, -40)
    logits[0, own, 1] = 40
    total, items, _ = detection_loss(points._replace(logits=logits), batch([box], [1]))
    assert total.item() == pytest.approx(0, abs=1e-4)
    assert items.item() == pytest.approx(2, abs=1e-4)
    total, items, parts = detection_loss(points, batch([[0, 0, 0, 0]], [0]) | {"real": torch.zeros(1, 1).bool()})
    assert items == 1
    assert parts["box_loss"] == 0
    assert total > 0, "what it sees where nothing is"


def test_points_in_an_ignored_object_learn_nothing() -> None:
    logits = torch.zeros(1, 64, 2, requires_grad=True)
    total, _, _ = detection_loss(grid(8, 8)._replace(logits=logits), batch([[0, 0, 32, 64]], [1], [True]))
    total.backward()
    assert logits.grad is not None
    learned = logits.grad.abs().sum(2).view(8, 8)
    assert (learned[:, :4] == 0).all()
    assert (learned[:, 4:] > 0).all()


def test_the_loss_of_two_micro_batches_is_the_sum() -> None:
    torch.manual_seed(0)
    model = CompactDetector(2, 8, 8).eval()
    parts = [batch([[5, 5, 30, 40]], [0]), batch([[20, 10, 50, 60]], [1])]
    both = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    single = [detection_loss(model(part["image"]), part) for part in parts]
    total, items, _ = detection_loss(model(both["image"]), both)
    assert total.item() == pytest.approx(sum(one[0].item() for one in single), rel=1e-4)
    assert items.item() == pytest.approx(sum(one[1].item() for one in single), rel=1e-4)


def test_one_object_is_detected_once() -> None:
    class Sure(CompactDetector):
        def forward(self, images: Tensor) -> Points:
            points = grid(8, 8)
            logits = torch.full_like(points.logits, -20)
            logits[0, :3, 0] = torch.tensor([1.0, 3.0, 2.0])
            boxes = points.boxes.clone()
            boxes[0, :3] = torch.tensor([[0.0, 0, 20, 20], [1, 0, 20, 20], [40, 40, 90, 60]])
            return points._replace(logits=logits, boxes=boxes)

    (found,) = detect(Sure(2, 8, 8), torch.rand(1, 3, 64, 64), 100, 0.6)
    assert found.boxes.tolist() == [[1, 0, 20, 20], [40, 40, 64, 60]], "cut to the image"
    assert found.labels.tolist() == [0, 0]
    (found,) = detect(Sure(2, 8, 8), torch.rand(1, 3, 64, 64), 1, 0.6)
    assert len(found.scores) == 1


def config(name: str) -> dict[str, object]:
    model = {"name": name, "width": 8, "finest_px": 8, "weights": ""}
    return {"model": model, "classes": ["a", "b"], "width_px": 64, "height_px": 64}


@pytest.mark.parametrize("name", ["ssdlite", "fcos"])
def test_torchvision_detectors_learn_and_detect_by_name(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(config(name))
    data = batch([[5, 5, 30, 40], [0, 0, 0, 0]], [1, 0])
    data = {key: torch.cat([value, value]) for key, value in data.items()}
    total, count, parts = loss(model.train(), data)
    total.backward()
    assert count == 2
    assert total.isfinite()
    assert sum(parts.values()).item() == pytest.approx(total.item(), rel=1e-5)
    found = detect(model.eval(), data["image"], 10, 0.6)
    assert len(found) == 2
    assert all((one.labels >= 0).all() and (one.labels < 2).all() for one in found)


def test_weights_of_a_local_file_start_a_torchvision_detector(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretrained = TorchvisionDetector("ssdlite", 90, (320, 320))
    torch.save(pretrained.net.state_dict(), tmp_path / "coco.pth")
    model = TorchvisionDetector("ssdlite", 2, (320, 320))
    assert load_pretrained(model, "ssdlite", str(tmp_path / "coco.pth")) == [tmp_path / "coco.pth"]
    own, other = model.net.state_dict(), pretrained.net.state_dict()
    assert torch.equal(own["backbone.features.0.0.0.weight"], other["backbone.features.0.0.0.weight"])
    with pytest.raises(UserError, match="no such file"):
        load_pretrained(model, "ssdlite", str(tmp_path / "other.pth"))
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(UserError, match="not a state dict"):
        load_pretrained(model, "ssdlite", str(tmp_path / "empty.pth"))
    for others in ({"a": torch.zeros(1)}, {"epoch": 1}, [1.0]):
        torch.save(others, tmp_path / "wrong.pth")
        with pytest.raises(UserError, match="fits 0 of"):
            load_pretrained(model, "ssdlite", str(tmp_path / "wrong.pth"))


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(UserError, match="unknown detector 'yolo'"):
        build_model(config("yolo"))
