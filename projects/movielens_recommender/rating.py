"""Ratings predicted: means, biased matrix factorisation, SVD++, and that averaged over samples of its posterior.

    python -m projects.movielens_recommender.rating       # RMSE over five random folds of the raw data

The evaluate stage predicts the ratings of the wanted items from all that is known before them. Random folds, as papers
have them, let a model know ratings that are younger than those it predicts; their RMSE is for comparison with papers.

A rating is mean + bias of the user + bias of the item + product of their vectors. In SVD++ (Koren 2008) what a user
rated, whatever the ratings, says what vector and bias to expect of it. N ratings, U users, I items, D size of a vector.
A side of U or I rows holds vectors and biases, (U, D + 1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp  # type: ignore[import-untyped]
from scipy.sparse.linalg import lsqr  # type: ignore[import-untyped]

from shared.core.cli import answer_help, run_stage
from shared.core.errors import UserError
from shared.core.paths import Project
from shared.data.prepared import Prepared
from shared.data.table import Ragged
from shared.evaluation.intervals import bootstrap

from .params import Params

FOLDS = 5
SIZE = 10  # of a vector
PENALTIES = 8.0, 12.0, 16.0, 24.0, 32.0  # of vectors, in ratings: chosen on a tenth of the known ones
BIAS_PENALTY = 5.0
HELD = 0.1
SWEEPS = 12  # of ALS
BURN_IN, SAMPLES = 30, 120  # of Gibbs sampling
ITERATIONS = 15  # of least squares for what items imply
SHRINK = 5.0  # ratings that a bias of the means is shrunk by


class Ratings(NamedTuple):
    """users, items: (N,) int64 codes; stars: (N,) float64."""

    users: np.ndarray
    items: np.ndarray
    stars: np.ndarray

    def select(self, rows: np.ndarray) -> "Ratings":
        """Some, by mask or index."""
        return Ratings(*(part[rows] for part in self))


Predictor = Callable[[Ratings, Ratings, int], np.ndarray]  # known ratings, asked ones (stars unread), seed -> (N,)


def by_means(known: Ratings, asked: Ratings, seed: int) -> np.ndarray:
    """Mean + biases, each shrunk towards 0 where there are few ratings, items first (Koren 2008, section 2.1)."""
    mean = known.stars.mean()
    of_items = _shrunk(known.items, known.stars - mean, asked.items)
    of_users = _shrunk(known.users, known.stars - mean - of_items[known.items], asked.users)
    return np.asarray(mean + of_items[asked.items] + of_users[asked.users])


def _shrunk(codes: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    size = int(max(codes.max(), asked.max())) + 1
    return np.bincount(codes, values, size) / (np.bincount(codes, minlength=size) + SHRINK)


@dataclass(frozen=True)
class Side:
    """The ratings as rows of one side: seen (U, I) is 1 where there is a rating; stars (U, I) holds it,
    less the mean."""

    seen: sp.csr_matrix
    stars: sp.csr_matrix

    @classmethod
    def of(cls, codes: np.ndarray, others: np.ndarray, stars: np.ndarray, shape: tuple[int, int]) -> "Side":
        """From codes of the side, (N,), codes of the other, and stars."""
        return cls(*(sp.csr_matrix((values, (codes, others)), shape) for values in (np.ones(len(stars)), stars)))

    def regress(
        self,
        other: np.ndarray,
        noise: float,
        means: np.ndarray,
        precisions: np.ndarray,
        rng: np.random.Generator | None,
    ) -> np.ndarray:
        """(U, D + 1): each row's vector and bias given the other side's (I, D + 1): the posterior mean, or a draw.

        Args:
            noise: precision of a rating.
            means, precisions: of the prior, (D + 1,); means of each row (U, D + 1).
        """
        size = other.shape[1]
        x = np.concatenate([other[:, :-1], np.ones((len(other), 1))], 1)
        squares = (x[:, :, None] * x[:, None]).reshape(len(x), -1)
        inner = noise * (self.seen @ squares).reshape(-1, size, size) + np.diag(precisions)
        right = noise * (self.stars @ x - self.seen @ (other[:, -1:] * x)) + precisions * means
        found = np.linalg.solve(inner, right[..., None])
        if rng is not None:
            lower = np.linalg.cholesky(inner)
            found = found + np.linalg.solve(lower.transpose(0, 2, 1), rng.normal(size=found.shape))
        return np.asarray(found[..., 0])


def factorise(known: Ratings, asked: Ratings, seed: int, *, implicit: bool, penalty: float | None = None) -> np.ndarray:
    """Both sides in turn by ridge regressions given the other (alternating least squares); without a penalty each drawn
    given the other and the mean taken (Gibbs sampling, Salakhutdinov & Mnih 2008), with priors drawn as well.

    Args:
        implicit: with what rated items imply (I, D + 1), whose sum over a user's items, divided by the root of their
            number, is what to expect of the user: the same minimum as Koren's, for his vector of a user is ours less
            what is expected.
    """
    rng, mean = np.random.default_rng(seed), known.stars.mean()
    num_users, num_items = (int(max(a.max(), b.max())) + 1 for a, b in zip(known[:2], asked[:2], strict=True))
    of_users = Side.of(known.users, known.items, known.stars - mean, (num_users, num_items))
    of_items = Side.of(known.items, known.users, known.stars - mean, (num_items, num_users))
    rated = sp.diags(1 / np.sqrt(np.maximum(of_users.seen.sum(1).A1, 1))) @ of_users.seen
    users, items = (rng.normal(0, 0.1, (size, SIZE + 1)) for size in (num_users, num_items))
    implied, total, noise = np.zeros((num_items, SIZE + 1)), np.zeros(len(asked.users)), 1.0

    def predict(some: Ratings) -> np.ndarray:
        left, right = users[some.users], items[some.items]
        return np.asarray(mean + left[:, -1] + right[:, -1] + (left[:, :-1] * right[:, :-1]).sum(1))

    def prior(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return draw_prior(rows, rng) if penalty is None else (np.zeros(SIZE + 1), fixed)

    averaged = penalty is None
    draws, fixed = rng if averaged else None, np.append(np.full(SIZE, penalty or 0.0), BIAS_PENALTY)
    for sweep in range(BURN_IN + SAMPLES if averaged else SWEEPS):
        if averaged:
            missed = known.stars - predict(known)
            noise = rng.gamma(0.5 * (1 + len(missed)), 2 / (1 + missed @ missed))
        expected = rated @ implied
        means, precisions = prior(users - expected)
        users = of_users.regress(items, noise, means + expected, precisions, draws)
        if implicit:
            implied = regress_implied(rated, users - means, precisions, prior(implied)[1], draws)
        items = of_items.regress(users, noise, *prior(items), draws)
        if averaged and sweep >= BURN_IN:
            total += np.clip(predict(asked), known.stars.min(), known.stars.max()) / SAMPLES
    return total if averaged else predict(asked)


def factorise_best(known: Ratings, asked: Ratings, seed: int, *, implicit: bool) -> np.ndarray:
    """With the penalty that predicts a tenth of the known ratings best from the others."""
    held = np.random.default_rng(seed).random(len(known.users)) < HELD
    held[0] |= not held.any()  # of a few ratings, none may have been drawn
    some, others = known.select(~held), known.select(held)
    missed = [factorise(some, others, seed, implicit=implicit, penalty=one) - others.stars for one in PENALTIES]
    best = PENALTIES[int(np.argmin([(of**2).mean() for of in missed]))]
    return factorise(known, asked, seed, implicit=implicit, penalty=best)


def regress_implied(
    rated: sp.csr_matrix, users: np.ndarray, noise: np.ndarray, precisions: np.ndarray, rng: np.random.Generator | None
) -> np.ndarray:
    """(I, D + 1): what items imply, by ridge regression of users (U, D + 1) on what they rated (U, I); or a draw of it:
    the solution for perturbed targets and centre (Papandreou & Yuille 2010).

    Args:
        noise, precisions: (D + 1,) of users and of what items imply.
    """
    centre = np.zeros((rated.shape[1], users.shape[1]))
    if rng is not None:
        users = users + rng.normal(size=users.shape) / np.sqrt(noise)
        centre = rng.normal(size=centre.shape) / np.sqrt(precisions)
    columns = zip(users.T, centre.T, np.sqrt(precisions / noise), strict=True)
    found = [lsqr(rated, wanted, damp, iter_lim=ITERATIONS, x0=near)[0] for wanted, near, damp in columns]
    return np.stack(found, 1)


def draw_prior(rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Means and precisions (D + 1,) drawn given the rows of a side, under normal-gamma(0, 1, 1/2, 1/2) priors."""
    count = len(rows)
    mean = rows.sum(0) / (count + 1)
    spread = ((rows - rows.mean(0)) ** 2).sum(0) + count / (count + 1) * rows.mean(0) ** 2
    precisions = rng.gamma(0.5 * (1 + count), 2 / (1 + spread))
    return rng.normal(mean, 1 / np.sqrt(precisions * (count + 1))), precisions


PREDICTORS: dict[str, Predictor] = {
    "means": by_means,
    "factors": partial(factorise_best, implicit=False),
    "svd_plus_plus": partial(factorise_best, implicit=True),
    "svd_plus_plus_averaged": partial(factorise, implicit=True),
}


def rating_errors(prepared: Prepared, seed: int) -> dict[str, Any]:
    """RMSE and mean absolute error of each model on the wanted items of test, and by how much the last one is better
    than the others in squared error, with a paired bootstrap's interval over users."""
    train, test = prepared.table("train"), prepared.table("test")
    both = [(train.ragged("items"), train.ragged("ratings")), (test.ragged("items"), test.ragged("ratings"))]
    if prepared.manifest["division"] != "new_users":  # the history of a test user holds what train has of it
        old = set(test.strings("id"))
        kept = np.array([one not in old for one in train.strings("id")], bool)
        both[0] = both[0][0].select(kept), both[0][1].select(kept)
    first = len(both[0][0].lengths)
    parts = [_flat(items, stars, start) for (items, stars), start in zip(both, (0, first), strict=True)]
    known = Ratings(*(np.concatenate(pair) for pair in zip(*(part for part in parts if len(part.users)), strict=True)))
    asked = _flat(test.ragged("wanted"), test.ragged("wanted_ratings"), first)
    found = {name: predict(known, asked, seed) for name, predict in PREDICTORS.items()}
    low, high = known.stars.min(), known.stars.max()
    missed = {name: np.clip(of, low, high) - asked.stars for name, of in found.items()}
    best, user = list(missed)[-1], asked.users - first
    count = np.bincount(user)
    difference = {}
    for name in list(missed)[:-1]:
        gain = np.bincount(user, missed[name] ** 2 - missed[best] ** 2) / count
        difference[name] = dict(zip(("low", "high"), bootstrap(gain, seed), strict=True))
    return {"num_ratings": len(asked.users), "models": {name: errors(of) for name, of in missed.items()},
            "averaged_better_by": difference}  # fmt: skip


def _flat(items: Ragged, stars: Ragged, first: int) -> Ratings:
    users = np.repeat(np.arange(len(items.lengths)), items.lengths) + first
    return Ratings(users, np.asarray(items.values, np.int64), np.asarray(stars.values, np.float64))


def errors(missed: np.ndarray) -> dict[str, float]:
    """
    >>> errors(np.array([3.0, -4.0]))
    {'rmse': 3.535534, 'mean_absolute_error': 3.5}
    """
    return {
        "rmse": round(float(np.sqrt((missed**2).mean())), 6),
        "mean_absolute_error": round(float(np.abs(missed).mean()), 6),
    }


def main(params: Params) -> None:
    """Prints the RMSE of each model, mean over random folds and of each."""
    from .prepare import read

    data, _, _ = read(Project.of(__file__).raw, params.prepare)
    if "rating" not in data.columns:
        raise UserError("rating: the data have no ratings", expected="a column such as rating")
    users, items = (data[one].to_physical().to_numpy().astype(np.int64) for one in ("user", "item"))
    ratings = Ratings(users, items, data["rating"].to_numpy().astype(np.float64))
    fold = np.random.default_rng(params.evaluate.seed).permutation(len(data)) % FOLDS
    for name, predict in PREDICTORS.items():
        found = []
        for number in range(FOLDS):
            known, asked = ratings.select(fold != number), ratings.select(fold == number)
            stars = np.clip(predict(known, asked, params.evaluate.seed), known.stars.min(), known.stars.max())
            found.append(errors(stars - asked.stars)["rmse"])
        print(f"{name:24} RMSE {np.mean(found):.4f}  ({', '.join(f'{one:.4f}' for one in found)})", flush=True)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    run_stage(main, Params, __file__)
