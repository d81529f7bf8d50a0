"""Recordings as parts: patches in time and frequency, which are removed by what is left of the band when it is quiet.

N recordings, F mel bands, T frames, P parts, M presentations, G groups. Parts are ordered by time, then by frequency.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from shared.audio.features import LogMel, full_scale
from shared.data.batches import Batch
from shared.explain.methods import METHODS, Method
from shared.explain.parts import Subject, select_fields

BANDS = 8  # of parts, unless a scene says otherwise
PART_S = 0.08  # length of a part
QUIET = 0.1  # quantile over time that stands for the band without what sounds in it
AT_ONCE = 256  # presentations that go through the network at once
_STEPS = 16  # of the integral


@dataclass(frozen=True)
class SoundScene:
    """Questions about recordings: a batch has "mel" (M, F, T), "mel_mask" (M, T) and the questions' own fields.

    Args:
        mel: (N, F, T), as the model takes it.
        frames: (N, T) bool, what is not padding.
        part_frames: frames of a part.
        fields: name -> (N, ...), further inputs of the value, such as the target.
        evidence: (N, P) bool, the parts that decide; None if the data has no evidence.
        sounds: N times (L,) float32, for the page.
        bands: of parts, from low to high; 1: a part is a stretch of time.
    """

    mel: Tensor
    frames: Tensor
    part_frames: int
    fields: Mapping[str, Tensor] = field(default_factory=dict)
    evidence: Tensor | None = None
    sounds: Sequence[np.ndarray] = ()
    bands: int = BANDS

    def __len__(self) -> int:
        return len(self.mel)

    def __getitem__(self, rows: Tensor) -> "SoundScene":
        there = rows.to(self.mel.device)
        evidence = None if self.evidence is None else self.evidence[rows]
        sounds = [self.sounds[row] for row in rows.tolist()] if self.sounds else ()
        fields = select_fields(self.fields, rows)
        return replace(
            self, mel=self.mel[there], frames=self.frames[there], fields=fields, evidence=evidence, sounds=sounds
        )

    @property
    def sizes(self) -> Tensor:
        return (-(-self.frames.sum(1) // self.part_frames) * self.bands).cpu()

    @property
    def part_of(self) -> Tensor:
        """(F, T) int64: the part that each place belongs to."""
        num_bands, num_frames = self.mel.shape[1:]
        band = torch.arange(num_bands) * self.bands // num_bands
        return (torch.arange(num_frames) // self.part_frames * self.bands + band[:, None]).to(self.mel.device)

    @cached_property
    def quiet(self) -> Tensor:
        """(N, F, T): each band at its quiet level, 0 where padded."""
        values = self.mel.masked_fill(~self.frames[:, None], torch.nan)
        return (torch.nanquantile(values, QUIET, dim=2, keepdim=True) * self.frames[:, None]).to(self.mel)

    def chunks(self, rows: Tensor) -> Iterator[Tensor]:
        yield from torch.arange(len(rows)).split(AT_ONCE)  # type: ignore[no-untyped-call]

    def spread(self, kept: Tensor) -> Tensor:
        """(M, P) of any type -> (M, F, T): each place has the value of its part."""
        places = self.part_of.to(kept.device)
        return kept[:, places.clamp(max=kept.shape[1] - 1)]

    def present(self, rows: Tensor, kept: Tensor) -> Batch:
        there = rows.to(self.mel.device)
        shown = self.spread(kept.to(self.mel.device))
        mel = torch.where(shown, self.mel[there], self.quiet[there])
        return select_fields(self.fields, rows) | {"mel": mel, "mel_mask": self.frames[there]}

    def groups(self, row: int) -> Tensor:
        """(G, P) bool: windows of two by two parts, or of two where there is one band, which overlap."""
        size = int(self.sizes[row])
        part = torch.arange(size)
        time, band = part // self.bands, part % self.bands
        corner_time, corner_band = time[:, None], band[:, None]
        inside = ((time - corner_time) // 2 == 0) & ((band - corner_band) // 2 == 0)
        return inside[(time == 0) | (time < time.max())]


def evidence_parts(boxes: Tensor, scene: SoundScene, edges_hz: Tensor, hop_s: float) -> Tensor:
    """(N, 4) start and end in s, lowest and highest Hz -> (N, P) bool: at least half of the part lies inside, in time
    and in frequency. Rows with NaN have no evidence.

    Args:
        edges_hz: (F + 2,) edges of the mel bands.
    """
    (num_bands, most), bands = (scene.mel.shape[1], int(scene.sizes.max())), scene.bands
    part = torch.arange(most)
    length = scene.part_frames * hop_s
    start, band = part // bands * length, part % bands
    first = -(-band * num_bands // bands)
    last = -(-(band + 1) * num_bands // bands)  # mel bands of a part: first to last - 1
    low, high = ((edges_hz[place] + edges_hz[place + 1]) / 2 for place in (first, last))
    time = _overlap(start, start + length, boxes[:, :1], boxes[:, 1:2])
    frequency = _overlap(low, high, boxes[:, 2:3], boxes[:, 3:4])
    return (time >= 0.5) & (frequency >= 0.5) & (part < scene.sizes[:, None])


def _overlap(low: Tensor, high: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """(P,) intervals, (N, 1) others -> (N, P) share of the former inside the latter; NaN is never at least a half."""
    return (torch.minimum(high, end) - torch.maximum(low, start)) / (high - low).clamp(min=1e-9)


def integrated_mel_gradients(subject: Subject, seed: int) -> Tensor:
    """Sundararajan et al. 2017 (arXiv:1703.01365): the gradient by the log-mel values, integrated from the quiet
    recording to this one, summed over each part."""
    scene = subject.scene
    assert isinstance(scene, SoundScene)
    found = torch.zeros(len(subject), subject.num_parts)
    for rows in subject.rows.split(AT_ONCE // _STEPS):  # type: ignore[no-untyped-call]
        some = scene[rows]

        def value(mel: Tensor, of: Tensor, some: SoundScene = some) -> Tensor:
            fields = select_fields(some.fields, of) | {"mel_mask": some.frames[of.to(some.frames.device)]}
            return subject.score(fields | {"mel": mel})

        each = IntegratedGradients(value).attribute(
            some.mel.detach().clone().requires_grad_(), some.quiet, additional_forward_args=torch.arange(len(some)),
            n_steps=_STEPS, internal_batch_size=AT_ONCE,
        )  # fmt: skip
        flat = each.detach().flatten(1).cpu().to(found)
        places = some.part_of.flatten().cpu().clamp(max=subject.num_parts - 1).expand(len(some), -1)
        found[rows] = torch.zeros(len(some), subject.num_parts).scatter_add(1, places, flat)
    return found


SOUND_METHODS = {
    "group_occlusion": METHODS["group_occlusion"],
    "occlusion": METHODS["occlusion"],
    "integrated_gradients": Method(
        "Integrated Gradients",
        "Integrates the gradient on the path from the recording with every band at its quiet level to this one, summed "
        "over each part. Its values add up to the change of the score.",
        integrated_mel_gradients,
        complete=True,
    ),
}


@torch.no_grad()
def resynthesise(sound: np.ndarray, kept: Tensor, features: LogMel) -> np.ndarray:
    """(L,) float32 -> (L,): where kept (F, T) bool is False, every frequency is lowered to its own quiet level; phases
    stay. Made by a short-time Fourier transform and back."""
    power, window = features.power, features.power.spectrogram.window.cpu()
    form = {"n_fft": power.n_fft, "hop_length": power.hop_length, "win_length": power.win_length, "window": window}
    wave = full_scale(torch.from_numpy(sound)).to(window)
    spectrum = torch.stft(wave, **form, center=True, pad_mode="constant", return_complex=True)  # (bins, T')
    band = power.mel_scale.fb.cpu().argmax(1).cummax(0).values  # (bins,); those beyond the outer bands belong to these
    frame = torch.arange(spectrum.shape[1]).clamp(max=kept.shape[1] - 1)
    stays = kept.cpu()[band][:, frame]
    level = spectrum.abs()
    quiet = level.quantile(QUIET, dim=1, keepdim=True)
    gain = torch.where(stays, 1.0, (quiet / level.clamp(min=1e-12)).clamp(max=1))
    made: np.ndarray = torch.istft(spectrum * gain, **form, center=True, length=len(wave)).numpy()
    return made
