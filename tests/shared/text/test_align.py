"""Places of normalised characters in the raw text, once a text."""

import time
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from shared.text.align import align, cut_words
from shared.text.tokens import normalise

ODD = "e\u0301\u0323\u1100\u1161\u09c7\u09be\r\n\x00\ufeff"  # letters that compose, and what is left out


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
    words, spans = cut_words(raw)
    assert all(word in normalise(raw[start:end]) for word, (start, end) in zip(words, spans, strict=True))


def test_the_map_is_made_once():
    """0.15 s an entity would be 45 minutes here."""
    raw = unicodedata.normalize("NFD", "Bönn ") * 20_000
    start = time.process_time()
    words, spans = cut_words(raw)
    assert (len(words), spans[-1]) == (20_000, (len(raw) - 6, len(raw) - 1))
    assert time.process_time() - start < 10
