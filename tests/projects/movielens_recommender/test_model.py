"""Models and their loss: padding, order, removal, the full softmax and the drawn one."""

from functools import partial

import numpy as np
import pytest
import torch

from projects.movielens_recommender.data import hide, latest, reader
from projects.movielens_recommender.explain import remove
from projects.movielens_recommender.explain import value as explained
from projects.movielens_recommender.model import all_scores, build_model
from projects.movielens_recommender.train import loss
from shared.core.errors import UserError
from shared.data.table import Ragged

NAMES = "factors", "two_tower", "sequence"
CATALOGUE = {
    "ids": [f"i{n}" for n in range(12)],
    "vocabulary": ["comedy", "crime"],
    "features": [[n % 2] if n < 11 else [] for n in range(12)],
    "counts": range(1, 13),
}


def make(name: str, dropout: float = 0.0):
    params = {"name": name, "size": 8, "dropout": dropout, "num_blocks": 2, "num_heads": 2, "max_history": 10}
    torch.manual_seed(0)
    model = build_model({"model": params, "catalogue": CATALOGUE})
    for weights in model.parameters():  # far from 0, so that differences show
        torch.nn.init.normal_(weights, std=0.5)
    return model.eval()


def batch_of(rows: list[list[int]], share: float = 0.4) -> dict[str, torch.Tensor]:
    read = reader(Ragged.of(rows, np.int64), 10, "cpu")(torch.arange(len(rows)))
    return hide(3, share)(read | {"sample": torch.arange(len(rows))}, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_nothing(name):
    model, items = make(name), torch.tensor([[3, 1, 2, 0, 0, 0]])
    mask = torch.arange(6)[None] < 3
    with torch.no_grad():
        torch.testing.assert_close(all_scores(model, items, mask), all_scores(model, items[:, :3], mask[:, :3]))
        other = items.masked_fill(~mask, 7)
        torch.testing.assert_close(all_scores(model, items, mask), all_scores(model, other, mask))


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_history_has_scores(name):
    scores = all_scores(make(name), torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 1, dtype=torch.bool))
    assert scores.shape == (1, 12)
    assert scores.isfinite().all()


def test_the_latest_item_weighs_most_in_a_bag():
    shares = make("factors").reader.shares(torch.tensor([[True, True, True, False]]))
    assert (shares[0, :3].diff() > 0).all()
    assert shares[0, 3] == 0
    assert shares.square().sum().item() == pytest.approx(1)


def test_features_reach_items_without_a_vector_of_their_own():
    model = make("two_tower")
    with torch.no_grad():
        model.items.weight.zero_()
        model.bias.zero_()
        scores = all_scores(model, torch.tensor([[0]]), torch.tensor([[True]]))[0]
    assert scores[[0, 2, 4]].unique().numel() == 1
    assert scores[0] != scores[1]
    assert scores[11] == 0


@pytest.mark.parametrize("name", NAMES)
def test_removing_items_is_a_shorter_history(name):
    model = make(name)
    items, mask = torch.tensor([[3, 1, 2, 5]]), torch.ones(1, 4, dtype=torch.bool)
    fields = {"items": items, "items_mask": mask, "target": torch.tensor([7]), "held": items}
    kept = torch.tensor([[True, False, True, False]])
    with torch.no_grad():
        short = all_scores(model, torch.tensor([[3, 2]]), torch.ones(1, 2, dtype=torch.bool))
        presented = remove(fields, kept)
        torch.testing.assert_close(all_scores(model, presented["items"], presented["items_mask"]), short)
        padded = fields | {"items_mask": torch.tensor([[True, True, True, False]])}
        assert remove(padded, torch.ones(1, 4, dtype=torch.bool))["items_mask"].tolist() == [[True] * 3 + [False]]
        open_ = [item for item in range(12) if item not in (3, 1, 2, 5)]
        probability = short[0, open_].softmax(0)[open_.index(7)]
        torch.testing.assert_close(explained(model, presented).sigmoid()[0], probability)


def test_what_is_hidden_follows_a_place_drawn_by_user_and_epoch():
    rows = [[1, 2, 3, 4, 5], [6, 7], [8], [1, 2, 3, 4, 5]]
    whole = batch_of(rows)
    assert [int(row.sum()) for row in whole["hidden"][1:3]] == [1, 0]
    for row, mask in zip(whole["hidden"].int(), whole["items_mask"], strict=True):
        assert (row[mask].diff() >= 0).all()  # shown, then hidden
        assert not row[~mask].any()
        assert row[0] == 0
    read = reader(Ragged.of(rows, np.int64), 10, "cpu")
    alone = hide(3, 0.4)(read(torch.tensor([3])) | {"sample": torch.tensor([3])}, 0.9)
    torch.testing.assert_close(alone["hidden"], whole["hidden"][3:])
    first = read(torch.tensor([0])) | {"sample": torch.tensor([0])}
    seen = [hide(3, 0.4)(first, epoch)["hidden"][0] for epoch in map(float, range(40))]
    assert {tuple(one.nonzero()[:, 0].tolist()) for one in seen} == {(1, 2), (2, 3), (3, 4), (4,)}


def test_the_loss_of_a_bag_is_that_of_each_hidden_item():
    model, batch = make("factors"), batch_of([[1, 2, 3, 4, 5], [6, 7]])
    total, count, _ = loss(model, batch)
    expected = torch.zeros(())
    for items, hidden, mask in zip(batch["items"], batch["hidden"], batch["items_mask"], strict=True):
        shown = items[mask & ~hidden]
        scores = all_scores(model, shown[None], torch.ones(1, len(shown), dtype=torch.bool))[0]
        scores = scores.scatter(0, shown, -torch.inf).log_softmax(0)
        expected = expected - scores[items[hidden]].sum()
    assert int(count) == batch["hidden"].sum() > 1
    torch.testing.assert_close(total, expected)


def test_the_loss_of_a_sequence_is_that_of_each_next_item():
    model, rows = make("sequence"), [[1, 2, 3], [4]]
    total, count, _ = loss(model, reader(Ragged.of(rows, np.int64), 10, "cpu")(torch.arange(2)))
    expected = torch.zeros(())
    for row in rows:
        for place, item in enumerate(row):
            before = torch.tensor([row[:place] or [0]])
            scores = all_scores(model, before, torch.full(before.shape, place > 0))[0]
            expected = expected - scores.log_softmax(0)[item]
    assert int(count) == 4
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("name", ["factors", "sequence"])
def test_drawn_items_estimate_the_full_softmax(name):
    model, batch = make(name), batch_of([[1, 2, 3, 4, 5], [6, 7]] * 20)
    torch.manual_seed(0)
    full, count, _ = loss(model, batch)
    drawn, same, _ = partial(loss, num_negatives=4000)(model, batch)
    assert int(count) == int(same)
    # the right item is added to all, and a bag's shown items are among the drawn ones: the estimate is a little above
    assert 0 <= (drawn - full) / count < 0.6


def test_heads_that_do_not_divide_a_vector_are_refused():
    params = {"name": "sequence", "size": 8, "dropout": 0.0, "num_blocks": 1, "num_heads": 3, "max_history": 10}
    with pytest.raises(UserError, match="num_heads: 3 heads cannot share a vector of 8"):
        build_model({"model": params, "catalogue": CATALOGUE})


def test_the_latest_of_a_history_is_read():
    rows = latest(Ragged.of([[1, 2, 3], [], [4, 5]], np.int32), 2)
    assert [row.tolist() for row in (rows.row(0), rows.row(1), rows.row(2))] == [[2, 3], [], [4, 5]]
