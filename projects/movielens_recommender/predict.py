"""Recommendations for anyone with a history, from the shell and from Python.

    python -m projects.movielens_recommender.predict "1024, 1100, 1333"   # item ids of a new user, earliest first
    python -m projects.movielens_recommender.predict user=42              # a user of the prepared data
    python -m projects.movielens_recommender.predict --file users.txt --json   # one history a line, for programs

    from projects.movielens_recommender.predict import load_predictor
    load_predictor()(["1024, 1100"])[0]["items"]

Separate item ids by commas, or by spaces where no id holds one. Those that train does not have are named and left out;
of an item given twice the latest counts. Lines that cannot be used are named at the end; the others are answered, and
the exit code is 2.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from shared.core.paths import Project
from shared.core.predict import Predict, line_adapter, predict_main, printable

NUM_ITEMS = 10
USER = "user="


def split_ids(text: str) -> list[str]:
    """
    >>> split_ids("The Matrix, Alien"), split_ids("7 42")
    (['The Matrix', 'Alien'], ['7', '42'])
    """
    return [one.strip() for one in text.split(",") if one.strip()] if "," in text else text.split()


def history_of(project: Project) -> Callable[[str], list[str] | None]:
    """A function from a user's id to the ids of all its items in the prepared data, earliest first; None if unknown."""
    from shared.data.prepared import Prepared
    from shared.data.table import Ragged

    prepared = Prepared(project.prepared)
    ids = prepared.read("items.json")["ids"]
    places: dict[str, tuple[list[Ragged], int]] = {}
    for split in (name for name in ("train", "valid", "test") if name in prepared.splits):
        table = prepared.table(split)
        columns = [table.ragged(name) for name in ("items", "wanted") if name in table]
        # test last: where users are in several splits, it knows most of them
        places |= {user: (columns, row) for row, user in enumerate(table.strings("id"))}

    def find(user: str) -> list[str] | None:
        columns, row = places.get(user, ([], 0))
        return [ids[item] for column in columns for item in column.row(row).tolist()] or None

    return find


def load_predictor(folder: Path | None = None) -> Predict:
    """A function from histories, as text, to dicts: items (item, title, score; the best first), unknown (ids that train
    does not have); or error. Items of the history are not recommended.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them; or for `user=`, no prepared data.
    """
    import numpy as np
    import torch  # takes seconds: --help must not wait for it

    from shared.data.table import Ragged

    from .data import score_of
    from .keys import id_keys
    from .model import load_model
    from .ranking import Keys, recommend

    project = Project.of(__file__)
    model, config = load_model(folder or project.folder / "results" / "train")
    ids, titles = (config["catalogue"][name] for name in ("ids", "titles"))
    place, item_keys = {one: number for number, one in enumerate(ids)}, id_keys(ids)
    score = score_of(model, config["model"]["max_history"], torch.device("cpu"))
    of_user = cache(lambda: history_of(project))

    def answer(text: str) -> dict[str, Any]:
        names: list[str] | None = split_ids(text)
        if text.strip().startswith(USER):
            names = of_user()(text.strip().removeprefix(USER))
        if names is None:
            return {"error": "no such user in the prepared data, expected an id, or items of the history"}
        # of an item that is given twice the latest counts, as in prepare
        known = list(dict.fromkeys(place[one] for one in reversed(names) if one in place))[::-1]
        if not known:
            return {"error": f"none of its items is known, expected ids such as {ids[0]}"}
        given = Ragged.of([known], np.int64)
        listed = recommend(score, given, Keys(id_keys([text]), item_keys), NUM_ITEMS)[0]
        scores = score(given)[0].tolist()
        items = [
            {"item": ids[item], "title": titles[item], "score": round(scores[item], 6)}
            for item in listed.tolist()
            if item >= 0
        ]
        unknown = [one for one in names if one not in place]
        return {"items": items} | ({"unknown": unknown} if unknown else {})

    return lambda texts: [answer(text) for text in texts]


def line(found: dict[str, Any]) -> str:
    """The recommendations of a history, for a terminal."""
    items = "; ".join(printable(one["title"] or one["item"]) for one in found["items"])
    return items + (f"  (unknown: {', '.join(map(printable, found['unknown']))})" if "unknown" in found else "")


if __name__ == "__main__":
    predict_main(load_predictor, line_adapter("history"), __file__, __doc__, line=line)
