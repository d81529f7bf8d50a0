"""Simple models that a sound classifier is compared with.

N recordings, D statistics.
"""

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shared.audio.features import LogMel, mfcc
from shared.audio.params import Mel
from shared.data.batches import Padded
from shared.data.table import Table

NUM_MFCC = 20
PARAMS = Mel(num_mels=40, window_ms=32.0, hop_ms=16.0, low_hz=60.0)
_CHUNK = 200
_MAX_ITERATIONS = 300


def sound_baselines(train: Table, test: Table, rate_hz: int) -> dict[str, np.ndarray]:
    """Predicted classes of the test recordings, (N,) int64, by

    mfcc_linear: multinomial logistic regression on the mean and deviation over time of MFCC and of their differences,
        what a practitioner tries first;
    majority: the most frequent class of train, always.
    """
    labels, size = train.fixed("label"), len(test)
    majority = np.full(size, np.bincount(labels).argmax())
    if len(np.unique(labels)) == 1:
        return {"mfcc_linear": majority, "majority": majority}
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MAX_ITERATIONS))
    with warnings.catch_warnings():  # what it reaches in so many iterations is the baseline
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(statistics(train, rate_hz), labels)
    return {"mfcc_linear": model.predict(statistics(test, rate_hz)), "majority": majority}


@torch.no_grad()
def statistics(table: Table, rate_hz: int) -> np.ndarray:
    """(N, D): mean and standard deviation over time of MFCC and of the differences between neighbouring frames."""
    features, pad = LogMel(PARAMS, rate_hz), Padded(table.ragged("sound"))
    return np.concatenate([_of(features, *pad(index)) for index in torch.arange(len(table)).split(_CHUNK)])  # type: ignore[no-untyped-call]


def _of(features: LogMel, sound: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    logs, frames = features(sound, mask)
    cepstra, found = mfcc(logs, NUM_MFCC), []
    for values, inside in ((cepstra, frames), (cepstra.diff(dim=2), frames[:, 1:])):
        there, count = inside[:, None], inside.sum(1)[:, None].clamp(min=1)
        mean = (values * there).sum(2) / count
        spread = (((values - mean[:, :, None]) * there).square().sum(2) / count).sqrt()
        found += [mean, spread]
    made: np.ndarray = torch.cat(found, 1).double().numpy()
    return made
