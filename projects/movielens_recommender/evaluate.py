"""Evaluate stage: trained weights and the test users -> results/evaluate/ (metrics, recommendations, users shown).

    python -m projects.movielens_recommender.evaluate                         # as params.yaml says
    python -m projects.movielens_recommender.evaluate evaluate.num_worst=20   # this run only
    torchrun --nproc-per-node 2 -m projects.movielens_recommender.evaluate

Every model ranks the whole catalogue but the items that a user has already; no item is drawn. Equal scores are ordered
by a hash of user and item. Baselines are learned from the same training users; their settings are chosen on validation.

metrics.json          NDCG@10 with its 95 % interval (bootstrap over users), further figures, baselines with paired
                      intervals, and in the sample those of the oracle, which knows the tastes
predictions.csv       one row per user: id, NDCG@10, number of wanted items, the ten items recommended
run.json              seconds that the recommendations took
page.json             the blocks of the page
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from shared.core.files import write_tsv
from shared.data.prepared import Prepared
from shared.evaluation.comparison import against_baselines, baseline_blocks, leave_evaluation, mean_metric
from shared.report import blocks
from shared.report.blocks import Block, articles, as_words, section, table, text
from shared.training.stage import Trained, trained_stage

from .baselines import ImplicitALS, best_of, ease, gram, knn, popularity
from .data import Asked, score_of
from .model import load_model
from .params import Evaluate, Params
from .ranking import BLOCK, CUT, LONG, Score, beyond_accuracy, by_activity
from .rating import rating_errors
from .tastes import TASTES, oracle_scores

HEADLINE = f"ndcg_score_at_{CUT}"
FIGURES = HEADLINE, f"recall_at_{CUT}", f"recall_at_{LONG}", "reciprocal_rank_score", f"hit_rate_score_at_{CUT}"
OWN, ORACLE = "this model", "oracle"
EXACT = 1e-6  # largest distance of the sum of contributions from the score
BESIDES = (
    "Coverage: share of the catalogue that anyone is recommended. Novelty: how rare recommended items are among "
    "training users. Popularity: the mean share of training users who have a recommended item."
)

Lists = dict[str, np.ndarray]  # model -> recommended items (U, K)
Figures = dict[str, dict[str, np.ndarray]]  # model -> figure -> (U,)


def fit_baselines(prepared: Prepared, params: Evaluate) -> tuple[dict[str, Score], dict[str, Any]]:
    """Each baseline, learned from train, and its setting, chosen by NDCG@10 on the validation users."""
    items, train = prepared.read("items.json"), prepared.table("train").ragged("items")
    num_items = len(items["ids"])
    quality: Callable[[Score], float] | None = None
    if "valid" in prepared.splits:
        asked = Asked.of(prepared, "valid")
        quality = lambda score: float(asked.measure(score)[1][HEADLINE].mean())  # noqa: E731
    found: dict[str, Score] = {"popularity": popularity(np.array(items["counts"]))}
    settings: dict[str, Any] = {}
    if num_items <= params.max_items:
        both = gram(train, num_items)
        found["item_knn"], settings["item_knn"] = best_of(params.knn_shrinkages, lambda one: knn(both, one), quality)
        found["ease"], settings["ease"] = best_of(params.ease_penalties, lambda one: ease(train, both, one), quality)
    pairs = [(alpha, penalty) for alpha in params.als_alphas for penalty in params.als_penalties]
    found["als"], settings["als"] = best_of(
        pairs,
        lambda pair: ImplicitALS.fit(
            train, num_items, size=params.als_size, alpha=pair[0], penalty=pair[1], seed=params.seed
        ),
        quality,
    )
    return found, settings


def oracle(prepared: Prepared, asked: Asked) -> Score:
    """The probabilities by which the sample's users choose what they want."""
    scores = oracle_scores(
        prepared.read(TASTES), asked.ids, asked.items["ids"], asked.given.lengths, asked.wanted.lengths
    )
    parts = iter(torch.split(torch.from_numpy(scores), BLOCK))  # as users are ranked: in order, each once
    return lambda given: next(parts)


def user_blocks(asked: Asked, listed: np.ndarray, values: np.ndarray, number: int) -> list[Block]:
    """Some users from the worst list to the best: what they had, what they wanted, what was recommended."""
    ranked = np.argsort(values, kind="stable")
    places = np.unique(np.linspace(0, len(ranked) - 1, number).round().astype(int))
    rows = []
    for user in ranked[places].tolist():
        had, wanted = asked.given.row(user), set(asked.wanted.row(user).tolist())
        names = [f"[{asked.titles[one]}]" if one in wanted else asked.titles[one] for one in top(listed[user])]
        last = "; ".join(asked.titles[one] for one in had[-CUT:].tolist())
        said = f"Recommended: {'; '.join(names)}.\n\nThe last items of the history: {last}."
        note = f"{len(had):,} items before, {len(wanted):,} wanted; those found are in [brackets]"
        rows.append({"title": f"user {asked.ids[user]}: NDCG@10 {values[user]:.3f}", "text": said, "note": note})
    return [section("Users, from the worst list to the best"), articles(rows)]


def top(listed: np.ndarray) -> list[int]:
    """The first items of a list (K,)."""
    return [item for item in listed[:CUT].tolist() if item >= 0]


def exact_reasons(
    asked: Asked, ways: Mapping[str, Any], lists: Lists, number: int
) -> tuple[dict[str, float], list[Block]]:
    """What each item of the history adds to the first recommendation of EASE and ALS: the share of users for whom that
    sums up to the score, and for the page the greatest of some users."""
    shares, rows = {}, []
    for name in (name for name in ("ease", "als") if name in ways):
        exact = []
        for user, item in enumerate(lists[name][:, 0].tolist()):
            history = np.asarray(asked.given.row(user), np.int64)
            adds = ways[name].contributions(history, item)
            score = float(ways[name](asked.given.select(np.array([user])))[0, item])
            exact.append(abs(adds.sum() - score) < EXACT)
            if user < number:
                reasons = [f"{asked.titles[history[n]]} {adds[n]:+.3f}" for n in np.argsort(-adds, kind="stable")[:3]]
                rows.append([f"{name}, user {asked.ids[user]}", asked.titles[item], score, "; ".join(reasons)])
        shares[name] = round(float(np.mean(exact)), 6)
    heads = "Model and user", "First recommendation", "Score", "What adds most"
    intro = "EASE and ALS are sums over the history, so their reasons are exact."
    return shares, [section("Exact reasons of the baselines"), table(heads, rows, intro=intro)]


def figure_blocks(metrics: dict[str, Any], asked: Asked, figures: Figures) -> list[Block]:
    """Tables of all models, of what lists are besides right, of users by activity, and of ratings."""
    heads = [as_words(name) for name in figures]
    models = [
        [head, *(float(of[key].mean()) for key in FIGURES)] for head, of in zip(heads, figures.values(), strict=True)
    ]
    chosen = ", ".join(f"{as_words(name)} {value}" for name, value in metrics["settings"].items())
    intro = f"Means over test users, of the whole catalogue. Settings by NDCG@10 on validation users: {chosen}."
    beyond = [[as_words(name), *of.values()] for name, of in metrics["beyond_accuracy"].items()]
    parts = [by_activity(of[HEADLINE], asked.given.lengths) for of in figures.values()]
    activity = [[*of[0][:2], *(mean for _, _, mean in of)] for of in zip(*parts, strict=True)]
    found = [
        section("All models"),
        table(["Model", *map(as_words, FIGURES)], models, intro=intro),
        section("Besides being right"),
        table(["Model", "Coverage", "Novelty (bits)", "Popularity"], beyond, intro=BESIDES),
        section("By activity"),
        table(["Items before", "Users", *heads], activity, intro="NDCG@10."),
    ]
    if "rating" in metrics:
        ratings = metrics["rating"]
        intro = f"Of {ratings['num_ratings']:,} wanted items, from the ratings of the history; lower is better."
        rows = [[as_words(name), *of.values()] for name, of in ratings["models"].items()]
        found += [section("Ratings"), table(["Model", "RMSE", "MAE"], rows, intro=intro)]
    return found


def main(trained: Trained[Params]) -> None:
    chosen, prepared, world = trained.params.evaluate, trained.prepared, trained.world
    if not world.is_first:
        return
    asked = Asked.of(prepared, "test")
    start = time.perf_counter()
    listed, own = asked.measure(score_of(trained.model, trained.config["model"]["max_history"], world.device))
    seconds = time.perf_counter() - start
    ways, settings = fit_baselines(prepared, chosen)
    lists, figures = {OWN: listed}, {OWN: own}
    for name, score in ways.items():
        lists[name], figures[name] = asked.measure(score)
    others = {name: figures[name][HEADLINE] for name in ways}
    metrics: dict[str, Any] = mean_metric(HEADLINE, own[HEADLINE], chosen.seed)
    metrics |= {name: round(float(own[name].mean()), 6) for name in FIGURES[1:]}
    metrics |= {"num_samples": len(asked.ids), "unit": "users", "source": prepared.manifest["source"]}
    metrics |= {"num_items": len(asked.titles), "settings": settings}
    metrics |= against_baselines(HEADLINE, own[HEADLINE], others, chosen.seed)
    counts, num_users = np.array(asked.items["counts"]), prepared.manifest["splits"]["train"]["users"]
    metrics["beyond_accuracy"] = {name: beyond_accuracy(of, counts, num_users) for name, of in lists.items()}
    if prepared.manifest["has_tastes"]:
        figures[ORACLE] = asked.measure(oracle(prepared, asked))[1]
        metrics[ORACLE] = {name: round(float(figures[ORACLE][name].mean()), 6) for name in FIGURES}
    if prepared.manifest["has_ratings"]:
        metrics["rating"] = rating_errors(prepared, chosen.seed)
    metrics["exact_contributions"], reasons = exact_reasons(asked, ways, lists, chosen.num_worst)
    ids = asked.items["ids"]
    rows = [
        (one, float(value), int(size), " ".join(ids[item] for item in top(of)))
        for one, value, size, of in zip(asked.ids, own[HEADLINE], asked.wanted.lengths, listed, strict=True)
    ]
    columns = "id", HEADLINE, "num_wanted", "recommended"
    write_tsv(trained.project.results("evaluate") / "predictions.csv", columns, rows)
    page = [*baseline_blocks(metrics), *figure_blocks(metrics, asked, figures), *reasons]
    page += user_blocks(asked, listed, own[HEADLINE], chosen.num_worst)
    leave_evaluation(trained, metrics, page, summary(metrics), seconds)


def summary(metrics: dict[str, Any]) -> list[Block]:
    """How good, against what, and how near to the best there can be."""
    made = blocks.headline(metrics)
    if ORACLE in metrics:
        best, share = metrics[ORACLE][HEADLINE], metrics[HEADLINE] / metrics[ORACLE][HEADLINE]
        words = f"An oracle that knows the tastes by which the sample was drawn reaches {best:.3f}: the model has "
        made.append(text(f"{words}{share:.0%} of that."))
    return made


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
