"""Pictures of images as small PNG files: plain images, and heat maps over them. No text is drawn.

The same data gives the same bytes. C channels, H height, W width.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from shared.explain.parts import robust_scale
from shared.image.parts import ImageScene
from shared.report.blocks import Block, strips, text
from shared.report.blocks import pictures as pictures_block

SIDE_PX, MOST_PX = 128, 320  # small images are enlarged to about SIDE_PX with sharp pixels, large ones reduced
GREY_RANGE = (0.35, 0.65)  # the image under a heat map: enough for orientation, too little to hide the colours
FOR, AGAINST, EVIDENCE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.63, 0.0)
PLACES = "upper left", "top", "upper right", "left", "in the middle", "right", "lower left", "bottom", "lower right"
OPACITY_POWER = 0.7  # below 1: weak values can still be seen
LEGEND = "Red raises what is explained, blue lowers it, the stronger the fuller; each map has its own scale."


def picture(image: np.ndarray | Tensor) -> Image.Image:
    """An image (C, H, W), uint8 or float in [0, 1], C 1 or 3, as an RGB picture of a size that suits a page."""
    pixels = np.asarray(image.cpu() if isinstance(image, Tensor) else image)
    if pixels.dtype != np.uint8:
        pixels = (pixels.astype(np.float64).clip(0, 1) * 255).round().astype(np.uint8)
    drawn = Image.fromarray(np.ascontiguousarray(np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0)))
    factor = max(1, round(SIDE_PX / max(drawn.size)))
    drawn = drawn.resize((drawn.width * factor, drawn.height * factor), Image.Resampling.NEAREST)
    drawn.thumbnail((MOST_PX, MOST_PX), Image.Resampling.BOX)
    return drawn


def heat_map(image: Tensor, values: Tensor, evidence: Tensor | None = None) -> Image.Image:
    """A map over the grey image: red raises the score, blue lowers it, the opacity is the strength.

    Each map is scaled to its own 99th percentile, symmetrically: methods have different units.

    Args:
        image: (C, H, W) float in [0, 1].
        values: (H, W).
        evidence: (H, W) bool, outlined in green.
    """
    low, high = GREY_RANGE
    grey = (low + (high - low) * image.double().mean(0).clamp(0, 1)).cpu().numpy()[None]
    scaled = robust_scale(values.cpu()).numpy()[None]
    strength = np.abs(scaled)
    colours = np.where(scaled > 0, np.array(FOR)[:, None, None], np.array(AGAINST)[:, None, None])
    colours = 1 + strength * (colours - 1)  # white at zero
    opacity = strength**OPACITY_POWER
    return outlined(picture((1 - opacity) * grey + opacity * colours), evidence)


def where(values: Tensor) -> str:
    """In which part of an image (H, W) a map is strongest, for readers who do not see it.

    >>> import torch
    >>> where(torch.eye(9) * torch.arange(9) - torch.eye(9)[:1])
    'red mostly lower right, blue mostly upper left'
    """
    found = []
    for colour, signed in (("red", values), ("blue", -values)):
        thirds = F.adaptive_avg_pool2d(signed.double().cpu().clamp(min=0)[None], 3).flatten()
        if thirds.max() > 0:
            found.append(f"{colour} mostly {PLACES[int(thirds.argmax())]}")
    return ", ".join(found) or "no colour"


def outlined(drawn: Image.Image, evidence: Tensor | None) -> Image.Image:
    """The picture with the border of the evidence (H, W) bool in green, a pixel or two wide."""
    if evidence is None or not evidence.any() or evidence.all():
        return drawn
    inside = np.asarray(Image.fromarray(evidence.cpu().numpy()).resize(drawn.size, Image.Resampling.NEAREST), bool)
    around = np.pad(inside, 1, mode="edge")
    core = inside & around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    pixels = np.asarray(drawn).copy()
    pixels[inside & ~core] = np.round(np.array(EVIDENCE) * 255)
    return Image.fromarray(pixels)


def save_picture(drawn: Image.Image, path: Path) -> None:
    drawn.save(path, "PNG", optimize=True)


def show_images(folder: Path, images: Sequence[np.ndarray | Tensor], cases: Sequence[Mapping[str, str]]) -> Block:
    """A grid of images (C, H, W), such as the errors of a classifier. PNG files go to `folder`, which becomes
    `pictures/` of the stage.

    Args:
        cases: what is said of each: "title" and, if wanted, "note", "group" (its class) and "id".
    """
    rows = []
    for number, (image, case) in enumerate(zip(images, cases, strict=True)):
        name = f"{number:03}.png"
        save_picture(picture(image), folder / name)
        alt = f"Image: {case['title']}" + (f"; probabilities: {case['note']}" if "note" in case else "")
        rest = {key: words for key, words in case.items() if key != "title"}
        rows.append({"file": f"pictures/{name}", "caption": case["title"], "alt": alt, **rest})
    return pictures_block(rows, by="Class" if all("group" in case for case in cases) else "")


def show(
    scene: ImageScene, maps: Mapping[str, Tensor], facts: Sequence[Mapping[str, Any]], folder: Path
) -> list[Block]:
    """Attributions of images: a strip for each, of the image and a heat map for each method.

    Args:
        scene: N questions about images in [0, 1].
        maps: title -> (N, P).
        facts: of each question title, correct, and if wanted question and note.
        folder: of the pictures, in the stage's results.
    """
    rows = []
    for row, fact in enumerate(facts):
        image = scene.images[row]
        sides = image.shape[1:]
        evidence = None if scene.evidence is None else scene.evidence[row].view(sides)
        drawn = {"input": outlined(picture(image), evidence)}
        drawn |= {title: heat_map(image, of[row].view(sides), evidence) for title, of in maps.items()}
        said = {"input": f"Image: {fact['title']}"}
        said |= {title: f"{title}: {where(of[row].view(sides))}" for title, of in maps.items()}
        files = []
        for number, (caption, one) in enumerate(drawn.items()):
            name = f"{row:02}-{number}.png"
            save_picture(one, folder / name)
            files.append({"file": f"pictures/{name}", "caption": caption, "alt": said[caption]})
        note = " ".join(fact[key] for key in ("question", "note") if key in fact)
        rows.append({"title": fact["title"], "good": fact["correct"], "note": note, "pictures": files})
    outline = (
        "" if scene.evidence is None or not scene.evidence.any() else " A green line surrounds what truly decides."
    )
    return [text(LEGEND + outline, "small"), strips(rows)]
