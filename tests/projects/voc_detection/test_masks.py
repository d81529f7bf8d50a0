"""Masks: read from every form, moved with their boxes, learned by Mask R-CNN, scored as COCO does, written and read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from projects.voc_detection import model as model_module
from projects.voc_detection import predict
from projects.voc_detection.data import augment, prepared, unpacked
from projects.voc_detection.detections import record, truth_of
from projects.voc_detection.masks import encode_runs, paste_mask, split_runs
from projects.voc_detection.model import Detections, build_model, detect
from projects.voc_detection.params import Params
from projects.voc_detection.prepare import columns_of, read_data
from projects.voc_detection.scores import Truth, average_precision, match
from projects.voc_detection.train import describe, loss
from shared.core.errors import UserError
from shared.core.params import load
from shared.core.paths import ROOT
from shared.data.batches import gather
from shared.data.prepared import Prepared, write_prepared
from shared.data.table import Ragged, Table, write_table
from shared.image.boxes import Place
from shared.image.files import TURNS
from shared.image.polygons import Outline, outline_mask
from shared.image.scenes import ShapeScene, box_of, make_scene, shape_names
from shared.training.distributed import local

from .forms import PARAMS, image, write_voc
from .test_data import GROUND, images, train_params
from .test_scores import CLASSES, case, reference

SIDES = (96, 64)  # width, height
MASKS = PARAMS.model_copy(update={"masks": True, "width_px": SIDES[0], "height_px": SIDES[1]})


def scenes(count: int, seed: int = 0) -> list[ShapeScene]:
    return [make_scene(SIDES[1], SIDES[0], np.random.default_rng([seed, number])) for number in range(count)]


def numbered(scene: ShapeScene) -> np.ndarray:
    """(H, W) uint8: with a gap, for values need not be consecutive."""
    values = 3 * np.arange(1, len(scene.masks) + 1)[:, None, None]
    return (scene.masks * values).sum(0).astype(np.uint8)  # type: ignore[no-any-return]


def write_pngs(root: Path, every: list[ShapeScene]) -> None:
    """As Penn-Fudan has them."""
    for folder in ("PNGImages", "PedMasks"):
        (root / folder).mkdir(parents=True)
    for number, scene in enumerate(every):
        Image.fromarray(scene.image).save(root / f"PNGImages/{number}.png")
        Image.fromarray(numbered(scene)).save(root / f"PedMasks/{number}_mask.png")


def write_coco(root: Path, every: list[ShapeScene], compressed: bool) -> dict[str, Any]:
    (root / "images").mkdir(parents=True)
    coder = pytest.importorskip("pycocotools.mask")
    listed: list[dict[str, Any]] = []
    for number, scene in enumerate(every):
        Image.fromarray(scene.image).save(root / f"images/{number}.png")
        for mask, label, (x0, y0, x1, y1) in zip(scene.masks, scene.classes, scene.boxes.tolist(), strict=True):
            runs = coder.encode(np.asfortranarray(mask.astype(np.uint8)))
            counts = runs["counts"].decode() if compressed else encode_runs(mask).tolist()
            drawn = {"size": [SIDES[1], SIDES[0]], "counts": counts}
            listed.append({"id": len(listed), "image_id": number, "category_id": int(label), "segmentation": drawn,
                           "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": 0, "area": int(mask.sum())})  # fmt: skip
    tree = {
        "images": [{"id": number, "file_name": f"{number}.png"} for number in range(len(every))],
        "categories": [{"id": label, "name": name} for label, name in enumerate(shape_names())],
        "annotations": listed,
    }
    (root / "annotations.json").write_text(json.dumps(tree))
    return tree


def ragged(root: Path, name: str, **changes: Any) -> Ragged:
    found, read, _ = read_data(root, MASKS.model_copy(update=changes))
    column = columns_of(found, read)[name]
    assert isinstance(column, Ragged)
    return column


def bits(column: Ragged) -> np.ndarray:
    return np.unpackbits(column.values, axis=1).reshape(-1, SIDES[1], SIDES[0]).astype(bool)


def faults(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_data(root, MASKS)
    return "\n".join(caught.value.problems)


# --- run lengths ----------------------------------------------------------------------------------------------------


@given(st.lists(arrays.arrays(bool, (4, 5)), min_size=1, max_size=4), st.integers(0, 2), st.integers(0, 2))
def test_run_lengths_are_those_of_the_reference_wherever_the_mask_lies(
    masks: list[np.ndarray], left: int, top: int
) -> None:
    coder = pytest.importorskip("pycocotools.mask")
    every = []
    for mask in masks:
        whole = np.zeros((6, 7), bool)
        whole[top : top + 4, left : left + 5] = mask
        runs = encode_runs(mask, (left, top), (7, 6))
        packed = coder.frPyObjects({"size": [6, 7], "counts": runs.tolist()}, 6, 7)
        assert packed == coder.encode(np.asfortranarray(whole.astype(np.uint8)))
        assert (outline_mask(Outline(0, [], runs.tolist(), 0), 6, 7) == whole).all()
        every.append(runs)
    again = split_runs(np.concatenate(every), len(every))
    assert [runs.tolist() for runs in again] == [runs.tolist() for runs in every]


# --- reading --------------------------------------------------------------------------------------------------------


def test_every_form_gives_the_masks_that_were_drawn(tmp_path: Path) -> None:
    every = scenes(3)
    write_pngs(tmp_path / "png", every)
    write_coco(tmp_path / "text", every, compressed=True)
    write_coco(tmp_path / "list", every, compressed=False)
    drawn = np.concatenate([scene.masks for scene in every])
    for form in ("png", "text", "list"):
        assert (bits(ragged(tmp_path / form, "masks")) == drawn).all()
        runs = [one for row, scene in enumerate(every) for one in
                split_runs(ragged(tmp_path / form, "runs").row(row), len(scene.masks))]  # fmt: skip
        assert [one.tolist() for one in runs] == [encode_runs(mask).tolist() for mask in drawn]
        boxes = ragged(tmp_path / form, "truth").values
        assert boxes.tolist() == np.concatenate([scene.boxes for scene in every]).tolist()
        assert ragged(tmp_path / form, "area").values.tolist() == drawn.sum((1, 2)).tolist()
    found, read, _ = read_data(tmp_path / "png", PARAMS)
    assert found.classes == ["Ped"]
    assert "masks" not in columns_of(found, read), "boxes alone, where nobody asks for masks"


def test_an_instance_may_have_several_polygons(tmp_path: Path) -> None:
    tree = write_coco(tmp_path, scenes(1), compressed=True)
    tree["annotations"] = [tree["annotations"][0] | {
        "segmentation": [[10, 10, 20, 10, 20, 20, 10, 20], [30, 30, 36, 30, 36, 40, 30, 40]], "iscrowd": 1,
    }]  # fmt: skip
    (tmp_path / "annotations.json").write_text(json.dumps(tree))
    (mask,) = bits(ragged(tmp_path, "masks"))
    expected = np.zeros_like(mask)
    expected[10:20, 10:20] = expected[30:40, 30:36] = True
    assert (mask == expected).all()
    assert ragged(tmp_path, "crowd").values.tolist() == [1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_masks_with_the_image(orientation: int, tmp_path: Path) -> None:
    (scene,) = scenes(1)
    write_pngs(tmp_path, [scene])
    back = TURNS.get({6: 8, 8: 6}.get(orientation, orientation))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for pixels, name in ((scene.image, "PNGImages/0.png"), (numbered(scene), "PedMasks/0_mask.png")):
        picture = Image.fromarray(pixels) if back is None else Image.fromarray(pixels).transpose(back)
        picture.save(tmp_path / name, **({"exif": exif} if "Images" in name else {}))
    order = np.argsort([mask.argmax() for mask in bits(ragged(tmp_path, "masks"))])
    expected = np.argsort([mask.argmax() for mask in scene.masks])
    assert (bits(ragged(tmp_path, "masks"))[order] == scene.masks[expected]).all()
    assert (ragged(tmp_path, "truth").values[order] == scene.boxes[expected]).all()


def test_masks_are_fitted_as_their_image_and_boxes_are(tmp_path: Path) -> None:
    write_pngs(tmp_path, scenes(4))
    size = {"width_px": 64, "height_px": 64}
    masks, boxes = ragged(tmp_path, "masks", **size), ragged(tmp_path, "boxes", **size)
    for mask, box in zip(np.unpackbits(masks.values, axis=1).reshape(-1, 64, 64), boxes.values, strict=True):
        assert box_of(mask) == pytest.approx(box.tolist(), abs=1.01)


def test_all_faults_of_instance_masks_are_named_at_once(tmp_path: Path) -> None:
    write_pngs(tmp_path, scenes(4))
    Image.fromarray(numbered(scenes(1)[0])).convert("RGB").save(tmp_path / "PedMasks/0_mask.png")
    (tmp_path / "PedMasks/1_mask.png").unlink()
    Image.fromarray(numbered(scenes(2)[1])).save(tmp_path / "PedMasks/1_mask.jpg")
    Image.new("L", (50, 40), 1).save(tmp_path / "PedMasks/2_mask.png")
    (tmp_path / "PNGImages/3.png").rename(tmp_path / "PNGImages/4.png")
    text = faults(tmp_path)
    for word in ("0_mask.png: colours (RGB)", "1_mask.jpg: JPEG", "96x64 px, but its annotation says 50x40",
                 "4.png: an image without its mask", "3_mask.png: a mask without its image"):  # fmt: skip
        assert word in text, word


def test_all_faults_of_coco_masks_are_named_at_once_or_left_out(tmp_path: Path) -> None:
    tree = write_coco(tmp_path, scenes(2), compressed=True)
    size = [SIDES[1], SIDES[0]]
    bad: list[Any] = [[[1, 1, 5, 5]], {"size": size[::-1], "counts": [10, SIDES[0] * SIDES[1] - 10]},
                      {"size": size, "counts": [5, 5]}, {"size": size, "counts": [-1]}, None]  # fmt: skip
    rows = [tree["annotations"][0] | {"id": number, "segmentation": one} for number, one in enumerate(bad)]
    tree["annotations"] += rows
    (tmp_path / "annotations.json").write_text(json.dumps(tree))
    text = faults(tmp_path)
    for word in ("no polygon of three points", "a mask of the size [96, 64]", "run lengths of 10 pixels",
                 "counts that are no run lengths"):  # fmt: skip
        assert word in text, word
    assert text.count("no polygon of three points") == 2
    sound = sum(len(scene.masks) for scene in scenes(2))
    assert len(ragged(tmp_path, "masks", faulty_boxes="drop").values) == sound
    read_data(tmp_path, PARAMS)  # where nobody asks for masks, they are not looked at


def test_forms_without_masks_are_refused_where_masks_are_asked_for(tmp_path: Path) -> None:
    write_voc(tmp_path)
    assert "prepare.masks: Pascal VOC without masks" in faults(tmp_path)


# --- augmentation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [
    {}, {"flip": True, "flip_vertical": True, "quarter_turns": True, "zoom": 0.3, "shift": 0.1}, {"mosaic": 1.0},
    {"zoom": 0.3, "mosaic": 0.5},
])  # fmt: skip
def test_masks_follow_what_is_painted(changes: dict[str, Any]) -> None:
    def masked(count: int, first: int = 0) -> dict[str, torch.Tensor]:
        batch = images(count, first)
        white = (batch["image"][:, 0] > 0).numpy()
        packed = np.stack([np.packbits(white.reshape(count, -1), axis=1), np.zeros((count, 512), np.uint8)], 1)
        return batch | {"masks": torch.from_numpy(packed)}

    def read(index: torch.Tensor) -> dict[str, torch.Tensor]:
        parts = [masked(1, int(one)) for one in index]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    found = augment(masked(12), 0.3, train_params(**changes), GROUND, read, 40)
    assert found["masks"].dtype == torch.bool
    assert found["masks"].shape == (*found["real"].shape, *found["image"].shape[-2:])
    seen = (found["masks"] & found["real"][..., None, None]).any(1)
    gone = (found["masks"] & ~found["real"][..., None, None]).any(1)
    white = found["image"].mean(1)
    assert (white[seen] > 0.3).all()
    assert (white[~seen & ~gone] < 0.7).all()


# --- scores ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_of_masks_is_that_of_pycocotools(seed: int) -> None:
    records, truth = case(seed, ties=seed % 2 == 0)
    rng = np.random.default_rng(seed)

    def drawn(boxes: np.ndarray) -> list[np.ndarray]:
        """Every second one is its whole box, so that areas lie on the limits; of the others a part is missing."""
        masks = np.zeros((len(boxes), 200, 210), bool)
        for number, (mask, box) in enumerate(zip(masks, boxes.round().astype(int).clip(0), strict=True)):
            mask[box[1] : box[3], box[0] : box[2]] = True
            if number % 2:
                mask[rng.random(mask.shape) < rng.uniform(0, 0.6)] = False
                mask[:, int(box[:3:2].mean()) :] &= bool(rng.integers(2))
        return list(masks)

    shown = [drawn(boxes) for boxes in records["boxes"]]
    actual = drawn(truth.boxes)
    records["masks"] = [np.concatenate([np.zeros(0, int), *map(encode_runs, some)]) for some in shown]
    area = np.array([mask.sum() for mask in actual], float)
    parts = (truth.image, truth.label, truth.boxes, truth.ignored, truth.crowd, area, truth.num_images)
    masked = Truth(*parts, [encode_runs(mask) for mask in actual])
    most = 4 if seed == 3 else 100
    found = average_precision(match(records, masked, CLASSES, most, by_masks=True))
    expected = reference(records, masked, most, masks=(actual, shown))
    precision = np.where(expected["precision"] < 0, np.nan, expected["precision"])[..., -1].mean(1)  # T K R
    np.testing.assert_allclose(found.precision, precision.transpose(1, 2, 0), atol=1e-6)
    recall = np.where(expected["recall"] < 0, np.nan, expected["recall"])[..., -1]
    np.testing.assert_allclose(found.recall, recall.transpose(1, 2, 0), atol=1e-6)


def test_a_mask_is_pasted_where_its_box_lies_in_the_file() -> None:
    """A file of 200 x 100 px in the middle of a prepared image of 100 x 60 px."""
    place, size = np.array(Place(0.5, 0.5, 0, 5)), (200, 100)
    half = np.zeros((28, 28), np.float32)
    half[:, :14] = 1
    runs = paste_mask(half, np.array([10.0, 10, 38, 38]), place, size)
    mask = outline_mask(Outline(0, [], runs.tolist(), 0), 100, 200)
    assert box_of(mask) == (20, 10, 48, 66)
    assert mask.sum() == 28 * 56
    beyond = paste_mask(np.ones((28, 28), np.float32), np.array([-4.0, 0, 24, 28]), place, size)
    assert box_of(outline_mask(Outline(0, [], beyond.tolist(), 0), 100, 200)) == (0, 0, 48, 46), "cut to the file"
    nothing = paste_mask(half, np.array([10.0, 0, 20, 4]), place, size)
    assert nothing.tolist() == [200 * 100], "in the border of the prepared image alone"


# --- Mask R-CNN -----------------------------------------------------------------------------------------------------


def config() -> dict[str, Any]:
    return {"model": {"name": "maskrcnn_resnet50_fpn", "width": 8, "finest_px": 8, "weights": ""}, "classes": ["Ped"],
            "width_px": SIDES[0], "height_px": SIDES[1], "ground": 114, "white": 65535.0}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Two drawn scenes and an image without objects."""
    folder = tmp_path_factory.mktemp("masks")
    write_pngs(folder / "raw", scenes(2))
    image(folder / "raw/PNGImages/2.png", 0, SIDES)
    Image.new("L", SIDES).save(folder / "raw/PedMasks/2.png")
    found, read, _ = read_data(folder / "raw", MASKS)
    write_table(folder / "table", columns_of(found, read))
    return Table(folder / "table")


def test_mask_rcnn_learns_drawn_scenes_and_its_masks_are_scored(table: Table) -> None:
    torch.manual_seed(0)
    model, rows = build_model(config()).train(), torch.tensor([0, 2])
    model.net.roi_heads.fg_bg_sampler.batch_size_per_image = 16  # type: ignore[union-attr, assignment]
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4)
    fields = gather(table, "image", "boxes", "label", "ignored", "masks")(rows)
    batch, totals, of_masks = prepared(fields | {"sample": rows}), [], []
    for _ in range(7):
        total, count, parts = loss(model, batch)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item() / count)
        of_masks.append(parts["loss_mask"].item() / count)
    assert max(totals[-2:]) < 0.6 * totals[0]
    assert max(of_masks[-2:]) < 0.6 * of_masks[0]
    found = detect(model.eval(), batch["image"], 10, 0.6)
    assert all(one.masks is not None and one.masks.shape == (len(one.boxes), 28, 28) for one in found)


def test_masks_that_are_true_score_1(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fine grids of the true masks as detections: what is lost is less than COCO's strictest overlap."""
    masks, boxes = table.ragged("masks"), table.ragged("boxes")

    def true(*_: Any) -> list[Detections]:
        found = []
        for row in range(len(table)):
            here = torch.from_numpy(np.array(boxes.row(row))).view(-1, 4)
            seen = unpacked(torch.from_numpy(np.array(masks.row(row)))[None], torch.Size(SIDES[::-1]))[0]
            grids = [
                torch.nn.functional.interpolate(one[None, None, y0:y1, x0:x1].float(), (256, 256))[0, 0]
                for one, (x0, y0, x1, y1) in zip(seen, here.int().tolist(), strict=True)
            ]
            grid = torch.stack(grids) if grids else torch.zeros(0, 256, 256)
            found.append(Detections(here, torch.ones(len(here)), torch.zeros(len(here)).long(), grid))
        return found

    monkeypatch.setattr("projects.voc_detection.detections.detect", true)
    records = record(torch.nn.Identity(), table, local(), 100, 0.6)(torch.arange(3))
    assert average_precision(match(records, truth_of(table), 1, by_masks=True)).mean == pytest.approx(1.0)


def test_masks_that_were_not_prepared_are_asked_for(table: Table, tmp_path: Path) -> None:
    columns = {name: table[name] for name in table.names if name not in ("masks", "runs")}
    write_prepared(tmp_path / "prepared", {"train": columns}, config())
    params = load(Params, ROOT / "projects/voc_detection/params.yaml", ["train.model.name=maskrcnn_resnet50_fpn"])
    with pytest.raises(UserError, match="learns masks") as caught:
        describe(params, Prepared(tmp_path / "prepared"), local())
    assert "prepare.masks=true" in caught.value.fix


def test_weights_for_the_net_that_starts_from_scratch_are_refused(table: Table, tmp_path: Path) -> None:
    write_prepared(tmp_path / "prepared", {"train": {name: table[name] for name in table.names}}, config())
    params = load(Params, ROOT / "projects/voc_detection/params.yaml", ["train.model.weights=hub"])
    with pytest.raises(UserError, match=r"hub, but train\.model\.name is compact, which starts from scratch"):
        describe(params, Prepared(tmp_path / "prepared"), local())


def test_predicted_masks_are_drawn_and_read_back_as_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image is turned by EXIF: masks, boxes and the size in the JSON are those of the upright one."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image(tmp_path / "in/a.png", 0, SIDES[::-1], exif=exif)
    grid = torch.zeros(2, 28, 28)
    grid[0] = grid[1, :, :14] = 1
    found = Detections(torch.tensor([[10.0, 10, 50, 40], [40, 30, 80, 50]]), torch.tensor([0.9, 0.1]),
                       torch.zeros(2).long(), grid)  # fmt: skip
    monkeypatch.setattr(model_module, "load_model", lambda _: (torch.nn.Identity(), config()))
    monkeypatch.setattr(model_module, "detect", lambda *_: [found])
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.json").write_text(json.dumps(config()))
    predict.main([str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--model", str(tmp_path / "model")])
    drawn = np.asarray(Image.open(tmp_path / "out/pictures/a.png.png")).astype(int)
    before = np.asarray(Image.open(tmp_path / "in/a.png").transpose(Image.Transpose.ROTATE_270)).astype(int)
    changed = (drawn != before).any(2)
    assert changed[12:38, 12:48].mean() > 0.95
    assert not changed[44:, :].any(), "what is unsure is not drawn"
    tree = json.loads((tmp_path / "out/annotations.json").read_text())
    assert tree["annotations"][0]["area"] == 30 * 40
    (tmp_path / "out/annotations.json").rename(tmp_path / "in/annotations.json")
    (mask,) = bits(ragged(tmp_path / "in", "masks", width_px=96, height_px=64))
    assert box_of(mask) == (10, 10, 50, 40)
