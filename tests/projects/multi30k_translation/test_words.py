"""Questions about target words, and alignments read from attributions."""

import pytest
import torch

from projects.multi30k_translation import words
from projects.multi30k_translation.model import RecurrentTranslator, TransformerTranslator
from projects.multi30k_translation.params import Model
from projects.multi30k_translation.pieces import BEGIN, learn_pieces
from shared.explain.parts import Subject

TEXTS = ["Anna paid 4.50 for the lamp.", "Anna hat 4,50 für die Lampe bezahlt.", "the lamp", "die Lampe"] * 5
FORCED = words.Forced(
    TEXTS[0], TEXTS[1], [[0, 4, 0, 4], [5, 9, 5, 8], [5, 9, 28, 35], [10, 14, 9, 13], [23, 27, 22, 27]]
)
SIZES = {"num_heads": 2, "num_encoder_layers": 1, "num_decoder_layers": 2, "feedforward": 32, "dropout": 0.0}
PIECES = learn_pieces(TEXTS, "bpe", 90)


@pytest.fixture(params=["transformer", "gru"])
def subject(request: pytest.FixtureRequest) -> tuple[Subject, words.Questions]:
    torch.manual_seed(0)
    params = Model(name=request.param, width=16, **SIZES)  # type: ignore[arg-type]
    kind = TransformerTranslator if params.name == "transformer" else RecurrentTranslator
    asked = words.ask([FORCED, words.Forced("the lamp", "die Lampe", None)], PIECES, 64)
    model = kind(params, len(PIECES)).eval()
    return Subject(model, asked.scene, words.value, int(asked.scene.sizes.max())), asked


def test_each_target_word_is_asked_about(subject: tuple[Subject, words.Questions]) -> None:
    _, asked = subject
    assert asked.names[0][1] == ["Anna", "hat", "4", ",", "50", "für", "die", "Lampe", "bezahlt", "."]
    assert len(asked.word) == 12
    assert asked.scene.sizes[:3].tolist() == [9, 10, 11]  # source words and those written before
    assert (1, 1) in asked.sure[0]
    assert (1, 8) in asked.sure[0]
    assert {(2, 2), (4, 4)} <= asked.possible[0] - asked.sure[0]


def test_the_score_is_the_log_odds_of_all_pieces_of_a_word(subject: tuple[Subject, words.Questions]) -> None:
    found, _ = subject
    source, target = (PIECES.encode([text], 64)[0].ids for text in (FORCED.source, FORCED.target))
    row = torch.tensor([source]), torch.ones(1, len(source), dtype=torch.bool), torch.tensor([[BEGIN, *target[:-1]]])
    shares = found.model.score(found.model(*row, torch.ones(1, len(target), dtype=torch.bool))).log_softmax(1)
    each = shares[torch.arange(len(target)), torch.tensor(target)]
    own = words.words_of_pieces(FORCED.target, PIECES.encode([FORCED.target], 64)[0].spans)
    for word in range(10):
        probability = each[[number == word for number in own]].sum().exp()
        torch.testing.assert_close(found.full[word].sigmoid(), probability, rtol=1e-4, atol=1e-6)


def test_gradients_of_a_linear_score_are_what_removing_a_word_does(subject: tuple[Subject, words.Questions]) -> None:
    found, _ = subject
    maps = words.gradient_times_activation(found, 0)
    assert maps.shape == (12, found.num_parts)
    assert torch.equal(maps * ~found.inside, torch.zeros_like(maps))


def test_attention_is_shared_out_over_words_and_the_end(subject: tuple[Subject, words.Questions]) -> None:
    found, asked = subject
    maps, rest = words.attention_maps(found)
    assert maps.shape[1:] == (2, 12, found.num_parts)
    torch.testing.assert_close(maps.sum(3) + rest, torch.ones(maps.shape[:3]))
    prefix = torch.arange(found.num_parts) >= asked.num_source[:, None]
    assert float((maps * prefix).abs().sum()) == 0
    assert (rest > 0).all()


def test_alignment_error_rate_of_known_links(subject: tuple[Subject, words.Questions]) -> None:
    _, asked = subject
    maps = torch.zeros(12, int(asked.scene.sizes.max()))
    for row, (sentence, word) in enumerate(zip(asked.sentence, asked.word, strict=True)):
        maps[row, [source for source, target in asked.possible[sentence] if target == word]] = 1.0
    assert words.alignment_error_rate(words.aligned(maps, asked), asked.sure, asked.possible) == 0
    assert words.alignment_error_rate([set(), set()], asked.sure, asked.possible) == 1
    share = words.source_share(maps, asked)
    assert set(share.tolist()) <= {0.0, 1.0}
