"""Search: the best translation, the same with and without what is kept between steps, alone and in any batch."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from projects.multi30k_translation.decoding import Search, Uncached, translate
from projects.multi30k_translation.model import RecurrentTranslator, TransformerTranslator
from projects.multi30k_translation.params import Model
from projects.multi30k_translation.pieces import BEGIN, END

PIECES = 24
SIZES = {"num_heads": 2, "num_encoder_layers": 2, "num_decoder_layers": 2, "feedforward": 32, "dropout": 0.3}


@pytest.fixture(params=["transformer", "gru"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    params = Model(name=request.param, width=16, **SIZES)  # type: ignore[arg-type]
    found = (TransformerTranslator if params.name == "transformer" else RecurrentTranslator)(params, PIECES)
    with torch.no_grad():
        found.embedding.weight.mul_(3)  # so that scores differ
    return found.double().eval()


def sources(count: int) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 12, (count,), generator=draws)
    mask = torch.arange(12) < lengths[:, None]
    return torch.randint(4, PIECES, (count, 12), generator=draws) * mask, mask


@pytest.mark.parametrize("search", [Search(1, 0.0), Search(3, 1.0)], ids=["greedy", "beam"])
def test_the_cache_changes_nothing(model: nn.Module, search: Search) -> None:
    pair = sources(7)
    cached, plain = translate(model, *pair, search), translate(Uncached(model), *pair, search)
    assert [[one.ids for one in some] for some in cached] == [[one.ids for one in some] for some in plain]
    for one, other in zip(itertools.chain(*cached), itertools.chain(*plain), strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-9)


@pytest.mark.parametrize("search", [Search(1, 0.0), Search(4, 1.0)], ids=["greedy", "beam"])
def test_a_sentence_is_translated_alike_in_any_batch(model: nn.Module, search: Search) -> None:
    source, mask = sources(64)
    whole = translate(model, source, mask, search)
    for size in (1, 7):
        parts = [translate(model, *part, search) for part in zip(source.split(size), mask.split(size), strict=True)]  # type: ignore
        assert [[one.ids for one in some] for some in itertools.chain(*parts)] == [
            [one.ids for one in some] for some in whole
        ]
    assert len({len(some[0].ids) for some in whole}) > 3  # they end at different steps


def test_padding_changes_nothing(model: nn.Module) -> None:
    source, mask = sources(5)
    inputs = torch.randint(4, PIECES, (5, 6))
    inputs[:, 0] = BEGIN
    there = torch.arange(6) < torch.tensor([6, 3, 1, 5, 2])[:, None]
    together = model.score(model(source, mask, inputs, there)).split(there.sum(1).tolist())
    for row, scores in enumerate(together):
        alone = [part[row : row + 1, : int(there_.sum())] for part, there_ in ((source, mask[row]), (mask, mask[row]))]
        length = int(there[row].sum())
        own = model.score(model(*alone, inputs[row : row + 1, :length], there[row : row + 1, :length]))
        torch.testing.assert_close(own, scores)


class Table:
    """Scores that depend on the last token alone; the greedy way is not the best one."""

    longest = None
    scores = torch.full((8, 8), -9.0)
    scores[BEGIN, [4, 5]] = torch.tensor([1.0, 0.8])
    scores[4, [END, 6, 7]] = torch.tensor([0.0, 0.0, 0.0])
    scores[5, END] = 3.0
    scores[[6, 7], END] = 3.0

    def begin(self, source: Tensor, mask: Tensor) -> dict[str, Any]:
        return {}

    def advance(self, state: dict[str, Any], tokens: Tensor) -> Tensor:
        return self.scores[tokens]

    def choose(self, state: dict[str, Any], beams: Tensor, sentences: Tensor) -> None:
        pass


def test_beams_find_what_greedy_misses() -> None:
    source = torch.tensor([[5, END]])
    greedy, best = (translate(Table(), source, source > 0, Search(beam, 0.0))[0] for beam in (1, 3))
    assert greedy[0].ids[0] == 4
    assert best[0].ids == [5, END]
    assert [one.score for one in best] == sorted((one.score for one in best), reverse=True)
    step = Table.scores.clone()
    step[:, :3] = -torch.inf  # no translation holds PAD, the unknown piece or BEGIN
    shares = step.log_softmax(1)
    assert best[0].score == pytest.approx(float(shares[BEGIN, 5] + shares[5, END]), abs=1e-5)


def test_more_beams_than_pieces_are_as_many_as_there_can_be() -> None:
    source = torch.tensor([[5, END]])
    few, many = (translate(Table(), source, source > 0, Search(beam, 0.0))[0] for beam in (3, 20))
    assert many[0].ids == few[0].ids
    assert len(many) > len(few)


class Endless(Table):
    scores = torch.eye(8) * 30

    def advance(self, state: dict[str, Any], tokens: Tensor) -> Tensor:
        return self.scores[torch.full_like(tokens, 5)]


def test_a_translation_without_end_stops_by_the_length_of_its_own_source() -> None:
    source = torch.tensor([[5, END, 0, 0], [5, 5, 5, END]])
    found = translate(Endless(), source, source > 0, Search(1, 0.0))
    assert [len(some[0].ids) for some in found] == [24, 28]
    model = Endless()
    model.longest = 10  # type: ignore[assignment]
    assert [len(some[0].ids) for some in translate(model, source, source > 0, Search(2, 0.0))] == [10, 10]
