"""The embedded sample: users who choose films by their taste, and whose taste changes.

A film belongs to one of ten tastes, and within it the n-th is chosen 1/n as often as the first (Zipf's law). One film
in twenty belongs to none: everyone may choose it, and these get a twentieth of all choices. A user has one taste in the
beginning and another in the end; four of five choices follow the taste of the moment. Nobody chooses a film twice.

So what decides a recommendation can be told, the films of the history that share its taste, and no ranking is better
than that by the probabilities themselves. Nothing here was set by what a model reaches: how hard the sample is follows
from these shares, and the evaluate stage says what the oracle reaches.

Ratings rise with the share of the film's taste in the user's, with the film's quality and the user's mildness. Written
in a form that a user's own data may have: ratings.csv, items.csv; and beside them what is known (tastes.py).
"""

import csv
import json
from pathlib import Path

import numpy as np

from .params import Fetch
from .tastes import NUM_TASTES, TASTES, mixtures, shares

WORDS = {  # of film texts, three to a taste
    "adventure": "island voyage jungle", "comedy": "wedding prank mistake", "crime": "detective heist alibi",
    "documentary": "glacier archive interview", "fantasy": "dragon kingdom spell", "history": "treaty empire siege",
    "horror": "cellar scream curse", "music": "orchestra tour guitar", "romance": "letter summer farewell",
    "western": "saddle sheriff desert",
}  # fmt: skip
GENRES = [*WORDS]
COMMON = ["a", "story", "of", "the", "city", "and", "its", "people", "who", "meet", "again", "after", "years"]
WRONG_GENRE = 0.1  # of the films are filed under any genre
KNOWN = 0.05  # share of the films without a taste, and of the choices that fall on them
SHORTEST, LONGEST = 12, 40  # histories
START_S, SPAN_S, LIFE_S = 1_500_000_000, 1000 * 86_400, 10 * 86_400  # since 1970; of the data; of one user


def draw_items(rng: np.random.Generator, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    """The taste of each film (I,) and its share (I,) of the choices, see tastes.py."""
    taste = rng.permutation(np.arange(num_items) % NUM_TASTES)
    taste[rng.choice(num_items, max(1, round(KNOWN * num_items)), replace=False)] = -1
    share = np.full(num_items, KNOWN / (taste < 0).sum())
    for one in range(NUM_TASTES):
        of = rng.permutation(np.flatnonzero(taste == one))
        zipf = 1 / np.arange(1, len(of) + 1)
        share[of] = (1 - KNOWN) * zipf / zipf.sum()
    return taste, share


def write_sample(folder: Path, params: Fetch) -> None:
    """Writes ratings.csv, items.csv and tastes.json."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([params.seed, params.num_users, params.num_items])
    num_users, num_items = params.num_users, params.num_items
    taste, share = draw_items(rng, num_items)
    start, end = rng.integers(NUM_TASTES, size=(2, num_users))
    length = rng.integers(SHORTEST, min(LONGEST, num_items // 2) + 1, num_users)
    when = rng.integers(0, SPAN_S - LIFE_S, num_users)[:, None] + np.sort(
        rng.integers(0, LIFE_S, (num_users, length.max())), axis=1
    )
    mildness, quality = rng.normal(0, 0.4, num_users), rng.normal(0, 0.4, num_items)
    free = np.ones((num_users, num_items), bool)
    rows: list[tuple[int, int, int, float]] = []
    for place in range(int(length.max())):
        users = np.flatnonzero(length > place)
        mixed = mixtures(start[users], end[users], place / length[users])
        sums = (mixed @ shares(taste, share) * free[users]).cumsum(1)
        items = (sums < (rng.random(len(users)) * sums[:, -1])[:, None]).sum(1)
        free[users, items] = False
        liking = np.where(taste[items] < 0, 0.5, mixed[np.arange(len(users)), taste[items]])
        stars = 2.6 + 1.2 * liking + mildness[users] + quality[items] + rng.normal(0, 0.6, len(users))
        stars = np.clip(np.round(2 * stars) / 2, 0.5, 5)
        rows += zip(when[users, place].tolist(), users.tolist(), items.tolist(), stars.tolist(), strict=True)
    ids = [str(number) for number in 1000 + rng.permutation(num_items)]
    ratings = [(user + 1, ids[item], stars, START_S + at) for at, user, item, stars in sorted(rows)]
    write_rows(folder / "ratings.csv", [("user_id", "item_id", "rating", "timestamp"), *ratings])
    films = [(ids[item], f"Film {ids[item]}", *describe(rng, int(taste[item]))) for item in range(num_items)]
    write_rows(folder / "items.csv", [("item_id", "title", "genre", "text"), *sorted(films)])
    of_items = {ids[i]: {"taste": int(taste[i]), "share": round(float(share[i]), 9)} for i in range(num_items)}
    of_users = {
        str(u + 1): {"start": int(start[u]), "end": int(end[u]), "length": int(length[u])} for u in range(num_users)
    }
    (folder / TASTES).write_text(json.dumps({"items": of_items, "users": of_users}) + "\n")


def describe(rng: np.random.Generator, taste: int) -> tuple[str, str]:
    """Genre and text of a film; those of a film without a taste say nothing."""
    told = taste if taste >= 0 and rng.random() > WRONG_GENRE else int(rng.integers(NUM_TASTES))
    words = [*rng.choice(COMMON, 5), *rng.choice(WORDS[GENRES[told]].split(), 2, replace=False)]
    return GENRES[told], " ".join(words[place] for place in rng.permutation(len(words)))


def write_rows(path: Path, rows: list[tuple[object, ...]]) -> None:
    """A CSV file."""
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
