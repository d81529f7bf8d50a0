"""Attribution methods: what a method is, and Captum's perturbation methods, which suit any scene.

Rooms add gradient methods of their kind of input. The attribution of a question is a function of (model, question,
seed), whatever else is asked.

N questions, P parts, G groups of parts.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from captum.attr import FeatureAblation, ShapleyValueSampling
from torch import Tensor
from torch.nn import functional as F

from shared.core.errors import UserError
from shared.core.seed import derive
from shared.data.draws import seed_default
from shared.explain.parts import Subject

AT_ONCE = 256  # presentations that Captum lists at once; a scene cuts them further
PERMUTATIONS = 25  # orders of the parts that Shapley values are averaged over


class Unsuitable(UserError):
    """A method that this model or scene does not allow: it is left out, and the page says why."""


@dataclass(frozen=True)
class Method:
    """One attribution method.

    Args:
        title: for people.
        reading: how to read its maps.
        run: (subject, seed) -> (N, P) float on the CPU, 0 outside a question's parts. Raises Unsuitable.
        complete: it promises that a map adds up to the value with all parts minus that with none.
    """

    title: str
    reading: str
    run: Callable[[Subject, int], Tensor]
    complete: bool = False


def find_method(name: str, methods: Mapping[str, Method]) -> Method:
    """The method of this name. Raises UserError on an unknown one, with the nearest known."""
    if name not in methods:
        near = difflib.get_close_matches(name, methods, n=1)
        hint = f"did you mean {near[0]}?" if near else ""
        raise UserError(f"explain.methods: unknown method {name!r}", expected=", ".join(methods), fix=hint)
    return methods[name]


def single_parts(subject: Subject, row: int) -> Tensor:
    """(sizes[row], P) bool: each part is a group of its own."""
    return torch.eye(subject.num_parts, dtype=torch.bool)[: int(subject.scene.sizes[row])]


def scene_groups(subject: Subject, row: int) -> Tensor:
    """(G, P) bool: the groups that the scene offers. Raises Unsuitable where it offers none."""
    if not hasattr(subject.scene, "groups"):
        raise Unsuitable(f"explain.methods: {type(subject.scene).__name__} has no groups of parts")
    groups: Tensor = subject.scene.groups(row)
    return F.pad(groups, (0, subject.num_parts - groups.shape[1]))


def occlude_parts(subject: Subject, seed: int) -> Tensor:
    """Zeiler & Fergus 2014 (arXiv:1311.2901): what the value loses when a part is removed."""
    return _perturb(FeatureAblation, subject, single_parts, seed)


def occlude_groups(subject: Subject, seed: int) -> Tensor:
    """The same of groups of parts: for a part, the mean over the groups that hold it."""
    return _perturb(FeatureAblation, subject, scene_groups, seed)


def shapley_value_sampling(subject: Subject, seed: int) -> Tensor:
    """Strumbelj & Kononenko 2010: what a part adds to those before it, mean over random orders of the parts."""
    return _perturb(ShapleyValueSampling, subject, single_parts, seed, n_samples=PERMUTATIONS)


def _perturb(
    captum: Any, subject: Subject, groups_of: Callable[[Subject, int], Tensor], seed: int, **options: Any
) -> Tensor:
    """(N, P): a Captum method over groups that are present (1) or removed (0), a question at a time."""
    maps = torch.zeros(len(subject), subject.num_parts)
    for row in range(len(subject)):
        groups = groups_of(subject, row).float()

        def value(present: Tensor, row: int = row, groups: Tensor = groups) -> Tensor:
            rows = torch.full((len(present),), row)
            return subject.values(rows, lambda at: (1 - present[at]) @ groups < 0.5)

        with global_seed(derive(seed, "perturb"), torch.device("cpu")):
            found = captum(value).attribute(
                torch.ones(1, len(groups)), baselines=0, perturbations_per_eval=min(len(groups), AT_ONCE), **options
            )
        maps[row] = (found.to(maps) @ groups)[0] / groups.sum(0).clamp_min(1)
    return maps


@contextmanager
def global_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Captum draws from the global generators of numpy and torch: seeds both, then puts them back."""
    numpy_state = np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        seed_default(seed, device)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)


METHODS = {
    "occlusion": Method(
        "Occlusion",
        "Removes one part after another and records how far the score falls. Sees no parts that only decide together; "
        "needs no gradient, so it is a good second opinion.",
        occlude_parts,
    ),
    "group_occlusion": Method(
        "Group occlusion",
        "Removes several parts at once and records how far the score falls. A part shows the mean of its groups: "
        "coarser, but it finds parts that decide together.",
        occlude_groups,
    ),
    "shapley_value_sampling": Method(
        "Shapley values",
        "What a part adds to the score when it joins a random group of others, on average. The values of all parts add "
        "up to the change of the score.",
        shapley_value_sampling,
        complete=True,
    ),
}
