"""A trained model on new images, from the shell and from Python.

    python -m projects.voc_detection.predict photo.jpg folder/            # files, and all images inside folders
    python -m projects.voc_detection.predict frames/ --out found          # pictures with boxes and masks, COCO's JSON
    python -m projects.voc_detection.predict folder/ --score 0.5 --json   # one JSON object a line, for programs

    from projects.voc_detection.predict import load_predictor
    for found in load_predictor()(["photo.jpg"]):
        print(found["objects"])

With --out the folder gets pictures/ with boxes drawn and annotations.json, which `prepare` reads as own data where it
lies beside the images. Frames of a video are a folder of images. Images that cannot be read are named at the end; the
others are predicted, and the exit code is 2.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.core.cli import errors_for_people
from shared.core.errors import Problems, UserError
from shared.core.files import write_json
from shared.core.paths import Project, reason_of
from shared.core.predict import Predict, printable, set_encoding
from shared.image.read import find_images, name_images

BATCH = 16  # images at once
SCORE = 0.3


def load_predictor(folder: Path | None = None, score: float = SCORE) -> Predict:
    """A function from paths of images to dicts: width, height and objects: label, score and box (x0, y0, x1, y1 in
    pixels of the upright image, half-open), the surest first, and of a model that gives masks segmentation, COCO's run
    lengths; or error.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.
        score: of the objects, at least.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    import numpy as np  # seconds to import: --help must not wait for them
    import torch

    from shared.image.augment import to_float
    from shared.image.boxes import letterbox, unplace_boxes
    from shared.image.files import image_size, load_whole

    from .detections import runs_of
    from .model import MAX_DETECTIONS, NMS_IOU, detect, load_model

    model, config = load_model(folder or Project.of(__file__).folder / "results" / "train")
    sides, ground, white = (config["width_px"], config["height_px"]), config["ground"], config["white"]

    def predict(paths: list[str | Path]) -> list[dict[str, Any]]:
        found, pixels, places = list[dict[str, Any]](), [], []
        for path in map(Path, paths):
            try:
                size = image_size(path)
                image, place = letterbox(load_whole(path, ground, white, max(sides)), sides, size, ground)
            except UserError as error:
                found.append({"error": reason_of(error, path)})
                continue
            pixels.append(np.asarray(image).transpose(2, 0, 1))
            places.append((place, size))
            found.append({"width": size[0], "height": size[1], "objects": []})
        rows = [one for one in found if "error" not in one]
        if not rows:
            return found
        detections = detect(model, to_float(torch.from_numpy(np.stack(pixels))), MAX_DETECTIONS, NMS_IOU)
        for row, one, (place, size) in zip(rows, detections, places, strict=True):
            boxes = unplace_boxes(one.boxes.double().numpy(), np.array(place), size)
            row["objects"] = [
                {"label": config["classes"][label], "score": round(sure, 4), "box": [round(edge, 2) for edge in box]}
                for label, sure, box in zip(one.labels.tolist(), one.scores.tolist(), boxes.tolist(), strict=True)
                if sure >= score
            ]
            for thing, runs in zip(row["objects"], runs_of(one, np.array(place), size), strict=False):
                thing["segmentation"] = {"size": [size[1], size[0]], "counts": runs.tolist()}
        return found

    return predict


def coco_tree(found: Mapping[str, Mapping[str, Any]], classes: Sequence[str]) -> dict[str, Any]:
    """COCO's form of predictions: file name -> what `load_predictor` gives for it."""
    images, annotations = [], list[dict[str, Any]]()
    for number, (name, one) in enumerate(found.items(), 1):
        images.append({"id": number, "file_name": name, "width": one["width"], "height": one["height"]})
        for thing in one["objects"]:
            x0, y0, x1, y1 = thing["box"]
            sides = [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)]
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": classes.index(thing["label"]) + 1,
                "bbox": sides, "area": round(sides[2] * sides[3], 2), "iscrowd": 0, "score": thing["score"],
            })  # fmt: skip
            if mask := thing.get("segmentation"):
                annotations[-1] |= {"segmentation": mask, "area": sum(mask["counts"][1::2])}
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def save_drawing(path: Path, found: Mapping[str, Any], config: Mapping[str, Any], target: Path) -> None:
    """The image upright, with boxes and masks, as a PNG."""
    import numpy as np
    from PIL import Image

    from shared.image.boxes import COLOURS, draw_boxes
    from shared.image.files import load_whole
    from shared.image.polygons import runs_mask

    things = found["objects"]
    names = [f"{one['label']} {one['score']:.0%}" for one in things]
    colours = [COLOURS[config["classes"].index(one["label"]) % len(COLOURS)] for one in things]
    boxes = np.array([one["box"] for one in things], float).reshape(-1, 4)
    pixels = np.array(load_whole(path, config["ground"], config["white"]))
    for one, colour in zip(things, colours, strict=True):
        if mask := one.get("segmentation"):
            inside = runs_mask(mask["counts"], *mask["size"])
            pixels[inside] = pixels[inside] // 2 + np.array(colour, np.uint8) // 2
    target.parent.mkdir(parents=True, exist_ok=True)
    draw_boxes(Image.fromarray(pixels), boxes, names, colours).save(target, "PNG")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m projects.voc_detection.predict", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="image files, and folders searched for images")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for pictures with boxes and annotations.json")
    parser.add_argument("--score", type=float, default=SCORE, help=f"of the objects, at least (default {SCORE})")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for programs")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of weights (default: results/train)")
    given = parser.parse_args(words)
    set_encoding(given.json)
    with errors_for_people():
        predict, problems, every = load_predictor(given.model, given.score), Problems("predict"), dict[str, Any]()
        folder = given.model or Project.of(__file__).folder / "results" / "train"
        config = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        names = name_images(given.inputs, problems, suffix=True) if given.out else {}
        paths = list(names) if given.out else list(find_images(given.inputs, problems))
        for start in range(0, len(paths), BATCH):
            some = paths[start : start + BATCH]
            for path, found in zip(some, predict(some), strict=True):
                if "error" in found:
                    problems.add(printable(str(path)), found["error"])
                    continue
                print(json.dumps({"file": str(path)} | found, ensure_ascii=False) if given.json else _line(path, found),
                      flush=True)  # fmt: skip
                if given.out:
                    name = names[path].as_posix()
                    every[name] = found
                    save_drawing(path, found, config, given.out / "pictures" / f"{name}.png")
        if given.out:
            given.out.mkdir(parents=True, exist_ok=True)
            write_json(given.out / "annotations.json", coco_tree(every, config["classes"]))
        problems.raise_if_any()


def _line(path: Path, found: Mapping[str, Any]) -> str:
    things = ", ".join(f"{printable(one['label'])} {one['score']:.0%}" for one in found["objects"])
    return f"{printable(str(path))}: {things or 'nothing'}"


if __name__ == "__main__":
    main()
