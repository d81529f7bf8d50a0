"""Pieces: texts come back as they were, and the same pieces from what model.json holds."""

import json

import pytest

from projects.multi30k_translation.pieces import END, UNKNOWN, Pieces, learn_pieces

TEXTS = ["Anna paid 4.50 for the lamp.", "Anna hat 4,50 für die Lampe bezahlt.", "a\u200db \u200cc", "12 345 67 89"] * 5


@pytest.fixture(params=["bpe", "unigram"])
def pieces(request: pytest.FixtureRequest) -> Pieces:
    return learn_pieces(TEXTS, request.param, 80)


def test_pieces_give_a_text_back_and_keep_joiners(pieces: Pieces) -> None:
    again = Pieces.of(json.loads(json.dumps(pieces.config)))
    for text, one, other in zip(TEXTS, pieces.encode(TEXTS, 64), again.encode(TEXTS, 64, target=True), strict=True):
        assert one == other
        assert one.ids[-1] == END
        assert again.decode(one.ids) == pieces.decode(one.ids[:-1]) == text


def test_spans_say_where_pieces_stand_without_the_space_before(pieces: Pieces) -> None:
    for text, one in zip(TEXTS, pieces.encode(TEXTS, 64), strict=True):
        for number, (start, end) in zip(one.ids[:-1], one.spans, strict=False):
            piece = pieces.source.tokenizer.id_to_token(number).strip("\u2581")
            assert piece in ("", text[start:end])


def test_digits_are_pieces_of_their_own_and_what_is_unknown_is_left_out(pieces: Pieces) -> None:
    (one,) = pieces.encode(["345 98"], 64)
    assert sum(text.strip("\u2581").isdigit() for text in map(pieces.source.tokenizer.id_to_token, one.ids)) == 5
    (unknown,) = pieces.encode(["日本語"], 64)
    assert UNKNOWN in unknown.ids
    assert pieces.decode(unknown.ids) == ""


def test_what_is_too_long_is_cut_and_counted(pieces: Pieces) -> None:
    (whole,), (cut,) = pieces.encode(TEXTS[:1], 64), pieces.encode(TEXTS[:1], 8)
    assert cut.ids == [*whole.ids[:7], END]
    assert cut.num_cut == len(whole.ids) - 8
