"""Recordings on the page: pictures of spectrograms, heat maps over them, and players.

The same data gives the same bytes. F mel bands, T frames, L samples.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile  # type: ignore[import-untyped]
import torch
from PIL import Image
from torch import Tensor

from shared.audio.features import LogMel
from shared.audio.files import resample
from shared.audio.parts import SoundScene, resynthesise
from shared.explain.parts import robust_scale
from shared.report.blocks import Block, sounds, strips, table, text
from shared.report.blocks import pictures as pictures_block

BAND_PX, FRAME_PX = 4, 3
GREY_RANGE = 0.35, 0.95  # of the spectrogram under a heat map
FOR, AGAINST, EVIDENCE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.63, 0.0)
OPACITY_POWER = 0.7
LEGEND = (
    "Time runs to the right, frequency upwards (mel scale), loud is dark. Red raises what is explained, blue lowers "
    "it, the stronger the fuller; each map has its own scale."
)
LEVEL = 0.1  # RMS of what is played
MP3_HZ = 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000  # the rates that there are

Classify = Callable[[Sequence[np.ndarray]], Tensor]  # N times (L,) float32 -> (N, K) probabilities


def draw_spectrogram(mel: Tensor, values: Tensor | None = None, evidence: Tensor | None = None) -> Image.Image:
    """(F, T) log-mel as a grey picture; over it, if wanted, a map (F, T) and the outline of evidence (F, T) bool."""
    mel = mel.cpu().double()  # in this order: Apple's GPUs have no float64
    low, high = mel.quantile(0.05), mel.quantile(0.995)
    loud = ((mel - low) / (high - low).clamp(min=1e-9)).clamp(0, 1).numpy()[..., None]
    colours = np.repeat(1 - loud, 3, axis=2)
    if values is not None:
        grey = GREY_RANGE[0] + (GREY_RANGE[1] - GREY_RANGE[0]) * (1 - loud)
        scaled = robust_scale(values.cpu()).numpy()[..., None]
        strength = np.abs(scaled) ** OPACITY_POWER * 0.8
        colours = (1 - strength) * grey + strength * np.where(scaled > 0, FOR, AGAINST)
    pixels = np.repeat(np.repeat(np.round(colours * 255).astype(np.uint8), BAND_PX, 0), FRAME_PX, 1)
    if evidence is not None and evidence.any():
        inside = np.repeat(np.repeat(evidence.cpu().numpy(), BAND_PX, 0), FRAME_PX, 1)
        around = np.pad(inside, 1)
        core = inside & around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
        pixels[inside & ~core] = np.round(np.array(EVIDENCE) * 255)
    return Image.fromarray(np.ascontiguousarray(pixels[::-1]))


def play(samples: np.ndarray, path: Path, rate_hz: int) -> None:
    """Writes an MP3 file at an even level: every browser plays it, and a page of them stays below a megabyte."""
    loud = max(float(np.sqrt(np.square(samples, dtype=np.float64).mean())), 1e-6)
    peak = max(float(np.abs(samples).max()), 1e-6)
    played_hz = min((hz for hz in MP3_HZ if hz >= rate_hz), default=MP3_HZ[-1])
    even = samples * min(LEVEL / loud, 0.99 / peak)
    soundfile.write(path, resample(even, rate_hz, played_hz), played_hz, format="MP3")


def show_sounds(
    folder: Path, waves: Sequence[np.ndarray], cases: Sequence[Mapping[str, str]], features: LogMel
) -> tuple[Block, Block]:
    """Spectrograms of recordings, such as the errors of a classifier, and players of the same.

    Args:
        folder: becomes `pictures/` of the stage.
        waves: (L,) float32 each.
        cases: what is said of each: "title" and, if wanted, "note", "group" and "id".
        features: of the model.
    """
    rows, players = [], []
    for number, (wave, case) in enumerate(zip(waves, cases, strict=True)):
        name = f"{number:03}"
        draw_spectrogram(features.alone(wave)[0][0]).save(folder / f"{name}.png", "PNG", optimize=True)
        play(wave, folder / f"{name}.mp3", features.power.sample_rate)
        rest = {key: words for key, words in case.items() if key != "title"}
        rows.append({"file": f"pictures/{name}.png", "caption": f"{number + 1}: {case['title']}", **rest})
        players.append({"file": f"pictures/{name}.mp3", "caption": f"{number + 1}: {case['title']}"})
    return pictures_block(rows, by="Class" if all("group" in case for case in cases) else ""), sounds(players)


def show(
    scene: SoundScene,
    maps: Mapping[str, Tensor],
    facts: Sequence[Mapping[str, Any]],
    folder: Path,
    *,
    features: LogMel,
    classify: Classify,
    keep_fraction: float,
) -> list[Block]:
    """Attributions of recordings: pictures, and players of the recording, of what the first method keeps and of the
    rest; and whether the model hears the same in these.

    Args:
        scene: N shown questions, whose field "target" is the class that is explained.
        maps: title -> (N, P).
        features: of the model.
        classify: recordings -> probabilities of their classes.
        keep_fraction: of the parts, those that raise the score most are kept.
    """
    title, first = next(iter(maps.items()))
    pieces, made = [], list[Block]()
    for row, fact in enumerate(facts):
        kept = strongest(first[row], int(scene.sizes[row]), keep_fraction)
        places = scene.spread(kept[None])[0, :, : int(scene.frames[row].sum())]
        wave = np.asarray(scene.sounds[row])
        versions = {"recording": wave, "what the attribution keeps": resynthesise(wave, places, features),
                    "what it leaves": resynthesise(wave, ~places, features)}  # fmt: skip
        pieces.append(versions)
        made += _blocks(row, fact, _drawn(scene, row, maps), versions, folder, features.power.sample_rate)
    return [text(_legend(scene), "small"), _judged(pieces, scene, classify, title, keep_fraction), *made]


def show_words(
    scene: SoundScene, maps: Mapping[str, Tensor], facts: Sequence[Mapping[str, Any]], folder: Path, *, rate_hz: int
) -> list[Block]:
    """Attributions of words in recordings: pictures one below the other, and a player of each recording.

    Args:
        scene: N shown questions.
        maps: title -> (N, P).
    """
    made = list[Block]()
    for row, fact in enumerate(facts):
        versions = {"recording": np.asarray(scene.sounds[row])}
        made += _blocks(row, fact, _drawn(scene, row, maps), versions, folder, rate_hz)
    return [text(_legend(scene), "small"), *made]


def strongest(values: Tensor, size: int, fraction: float) -> Tensor:
    """(P,) -> (P,) bool: the fraction of the first `size` parts that raise the score most."""
    count = max(1, round(fraction * size))
    kept = torch.zeros(len(values), dtype=torch.bool)
    kept[values[:size].argsort(descending=True, stable=True)[:count]] = True
    return kept


def _drawn(scene: SoundScene, row: int, maps: Mapping[str, Tensor]) -> dict[str, Image.Image]:
    """The spectrogram of one recording, plain and below each map (N, P)."""
    width = int(scene.frames[row].sum())

    def places(parts: Tensor) -> Tensor:
        """(N, P) -> (F, T): what each place of the recording has."""
        return scene.spread(parts[row : row + 1])[0, :, :width]

    mel, outline = scene.mel[row, :, :width], None if scene.evidence is None else places(scene.evidence)
    below = {name: draw_spectrogram(mel, places(of), outline) for name, of in maps.items()}
    return {"recording": draw_spectrogram(mel, None, outline)} | below


def _legend(scene: SoundScene) -> str:
    outline = scene.evidence is not None and bool(scene.evidence.any())
    return LEGEND + " A green line surrounds what truly decides." * outline


def _blocks(
    row: int, fact: Mapping[str, Any], drawn: Mapping[str, Image.Image], versions: Mapping[str, np.ndarray],
    folder: Path, rate_hz: int,
) -> list[Block]:  # fmt: skip
    files, players = [], []
    for number, (caption, picture) in enumerate(drawn.items()):
        picture.save(folder / f"{row:02}-{number}.png", "PNG", optimize=True)
        files.append(
            {"file": f"pictures/{row:02}-{number}.png", "caption": caption, "alt": f"{caption}: {fact['title']}"}
        )
    for number, (caption, wave) in enumerate(versions.items()):
        play(wave, folder / f"{row:02}-{number}.mp3", rate_hz)
        players.append({"file": f"pictures/{row:02}-{number}.mp3", "caption": caption})
    note = " ".join(fact[key] for key in ("question", "note") if key in fact)
    strip = {"title": fact["title"], "good": fact["correct"], "note": note, "pictures": files}
    return [strips([strip]), sounds(players)]


def _judged(
    pieces: Sequence[Mapping[str, np.ndarray]], scene: SoundScene, classify: Classify, title: str, fraction: float
) -> Block:
    """How often the model hears the same class in each version, which is made into sound and read again."""
    target, rows = scene.fields["target"].cpu(), list[list[Any]]()
    for name in pieces[0]:
        found = classify([versions[name] for versions in pieces])
        same = (found.argmax(1) == target).double().mean().item()
        rows.append([name, same, found.gather(1, target[:, None]).double().mean().item()])
    intro = f"Made into sound again and classified: the {fraction:.0%} of the parts that {title.rstrip(' ✓✗?')} ranks "
    intro += f"highest, and the others, of the {len(pieces)} recordings below."
    return table(["Version", "Classified alike", "Probability of the class"], rows, intro=intro)
