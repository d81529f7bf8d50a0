"""Places of normalised characters in the raw text, once a text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text.align import align
from shared.text.tokens import normalise, words

# Letters that compose, change places or decompose; joiners; what is left out; symbols with marks
ODD = (
    "e\u0301\u0323\u1100\u1161\u11a8\u09c7\u09be\r\n\x00\ufeff=\u0338\u0958\u2adc\u200d\ufe0f\u2764A'\u212b\ud800"
    "\u0344\u0f73\u2000"
)


def cut(raw):
    """The normalised words of a text, and the (start, end) of each in the raw one."""
    aligned = align(raw)
    found = words(aligned.text)
    return [token.text for token in found], [aligned.raw(token.start, token.end) for token in found]


@given(st.text(st.one_of(st.characters(), st.sampled_from(ODD)), max_size=20))
def test_the_map_between_raw_and_normalised_text(raw):
    aligned = align(raw)
    assert aligned.text == normalise(raw)
    assert len(aligned.start) == len(aligned.end) == len(aligned.text)
    for place in range(len(aligned.text)):
        start, end = aligned.raw(place, place + 1)
        assert aligned.text[place] in normalise(raw[start:end])
        left, right = aligned.inside(start, end)
        assert left <= place < right
    found, spans = cut(raw)
    assert found == [normalise(raw[start:end]) for start, end in spans]


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("Jose\u0301 came", ["Jose\u0301", "came"]),
        ("A\u030arhus\r\nO\u0308", ["A\u030arhus", "O\u0308"]),
        ("e\u0301\u200dAda", ["e\u0301", "\u200d", "Ada"]),
        ("\u2764\ufe0fAda", ["\u2764\ufe0f", "Ada"]),
        ("=\u0338=Ada", ["=\u0338", "=", "Ada"]),
        ("\ufeffAda e\x00\u0301te", ["Ada", "e\x00\u0301te"]),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8.", ["\u1112\u1161\u11ab\u1100\u116e\u11a8", "."]),
    ],
)
def test_no_letter_is_cut(raw, found):
    normal, spans = cut(raw)
    assert [raw[start:end] for start, end in spans] == found
    assert normal == list(map(normalise, found))


@pytest.mark.parametrize("word", ["Bo\u0308nn ", "Bonn\r\n", "\u09c7\u09be\u09be ", "e\u0323\u0301 "])
def test_the_map_is_made_once(word):
    """0.15 s an entity would be 45 minutes here."""
    raw = word * 20_000
    start = time.process_time()
    found, spans = cut(raw)
    last = len(raw) - len(word)
    assert (len(found), spans[-1]) == (20_000, (last, last + len(word.strip())))
    assert time.process_time() - start < 10


def test_a_letter_of_many_marks_takes_no_quadratic_time():
    start = time.process_time()
    assert cut("e" + "\u0301\u0323" * 20_000)[1] == [(0, 40_001)]
    assert time.process_time() - start < 10
