"""Raw text is cut into the words that the training data have, and no entity loses or gains a character."""

import unicodedata
from collections import defaultdict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from projects.conll_ner.cutting import Cutting, Mark, Text, cut_text, learn, sentence_of, written
from projects.conll_ner.spans import Record, Span, marks_of
from projects.conll_ner.tags import entities
from shared.core.errors import Problems
from shared.text.tokens import normalise, words


def given_words(*sentences):
    texts = []
    for number, sentence in enumerate(sentences):
        text, places = written(sentence.split(" "))
        texts.append(Text(f"a:{number}", text, [], f"a:{number}", places))
    return texts


def marked(text, *names):
    marks = [Mark(text.index(name), text.index(name) + len(name), "X") for name in names]
    return Text("a:1", text, marks, "a:1")


@pytest.mark.parametrize(
    ("train", "raw", "expected"),
    [
        (["Order AB-12/7 came .", "Pay AB-9/31 , please ."], "Send XY-77/2.", "Send XY-77/2 ."),
        (["AT&T sold B&Q .", "It is R&D , Mr. Hill"] * 2, "C&A, says Mr. Falk.", "C&A , says Mr. Falk ."),
        (["It cost 3,50 or 1,200.75 , no more .", "From 9,99 on ."], "All 5,25, all.", "All 5,25 , all ."),
        (["#yes to @ada", "#no , @tim !"], "(#maybe, @rosa)", "( #maybe , @rosa )"),
        (["Ada 's lamp", "the boy 's , I think"], "Brook's lamp", "Brook 's lamp"),
        (["王 明 去 北 京 。"], "北京明", "北 京 明"),
        (["a 10-year plan", "the AL-AIN cup - won"], "a 5-month plan - on", "a 5-month plan - on"),
        (["the well - known man", "of 10 % only"], "10% in-house", "10 % in - house"),
    ],
)
def test_columns_say_what_a_word_is(train, raw, expected):
    cutting = learn(given_words(*train))
    for kept in (cutting, Cutting.of(cutting.config)):
        assert [word.text for word in kept.words(raw)] == expected.split(" ")


@pytest.mark.parametrize(
    ("train", "raw", "expected"),
    [
        ([marked("Ada Brook's lamp", "Ada Brook")], "Tim's son", "Tim 's son"),
        (
            [marked("La lettre d\u2019Ada", "Ada")],
            "l\u2019eau d\u2019Orl\u00e9ans",
            "l\u2019 eau d\u2019 Orl\u00e9ans",
        ),
        ([marked("d'Ada et Tim's", "Ada", "Tim")], "l'eau d'Ada's", "l ' eau d ' Ada ' s"),
        ([marked("they paid 10EUR", "10", "EUR")], "5USD", "5 USD"),
        ([marked("\u738b\u660e\u53bb\u5317\u4eac", "\u5317\u4eac")], "\u738b\u53bb", "\u738b \u53bb"),
        ([marked("It isn't Ada", "Ada")], "It isn't 10km", "It isn't 10km"),
    ],
)
def test_spans_say_where_a_word_ends(train, raw, expected):
    assert [word.text for word in learn(train).words(raw)] == expected.split(" ")


def test_a_border_that_nothing_explains_cuts_this_word_alone():
    one = marked("Berlinreise nach Bonn", "Berlin", "Bonn")
    assert learn([one]).config == {}
    sentence = sentence_of(one, Cutting())
    assert sentence.words == ["Berlin", "reise", "nach", "Bonn"]
    assert sentence.tags == ["B-X", "O", "O", "B-X"]


ODD = st.text(
    st.sampled_from("ab\u00e9e\u0301\u0323'\u2019-&_5\u0661 \t\r\n.\x00\u200d\U0001f600\u738b\u0e01\u0e34\u4eac\ufeff"),
    min_size=1,
    max_size=30,
)


@given(ODD)
@example(".\u0301a")
def test_nothing_learned_is_the_words_of_the_room(text):
    text = normalise(text)
    assert Cutting().words(text) == words(text)
    assert [word.text for word in Cutting({"never\there": True}).words(text)] == [word.text for word in words(text)]


@given(ODD, st.data())
def test_an_entity_is_its_characters_and_no_letter_is_cut(text, data):
    """The words of an entity are what was marked, as long as it was marked by whole characters."""
    clusters = [0, *(place for place in range(1, len(text)) if unicodedata.combining(text[place]) == 0), len(text)]
    start, end = sorted(data.draw(st.tuples(st.sampled_from(clusters), st.sampled_from(clusters))))
    problems, notes = Problems("text"), defaultdict(list)
    record = Record(text=text, spans=[Span(start=start, end=end, label="X")])
    marks = marks_of("a:1", record, "characters", problems, notes) if start < end else []
    cutting = learn([Text("a:1", text, marks, "a:1")])
    sentence = sentence_of(Text("a:1", text, marks, "a:1"), cutting)
    for word, (left, right) in zip(sentence.words, sentence.spans, strict=True):
        assert word in normalise(text[left:right])  # not equal for "." with an accent, which are two words
    assert "".join(sentence.words) == "".join(word.text for word in words(normalise(text)))
    assert [one.label for one in entities(sentence.tags)] == ["X"] * len(marks)
    assert cut_text(text, Cutting())[0] == [word.text for word in words(normalise(text))]


WORD = st.text(st.sampled_from("ab1-&./#'$"), min_size=1, max_size=6)


@given(st.lists(st.lists(WORD, min_size=1, max_size=6), min_size=1, max_size=5))
def test_words_of_train_alone_are_cut_as_train_has_them_more_often_than_not(sentences):
    cutting = learn(given_words(*(" ".join(words) for words in sentences)))
    for word in cutting.known:
        assert [found.text for found in cutting.words(word)] == [word]


def test_words_are_written_as_people_do():
    text = "\u00ab Ada 's ( old ) lamp , \u00bb he said : $ 5 !"
    assert written(text.split(" "))[0] == "\u00abAda's (old) lamp,\u00bb he said: $5!"
    assert written(list("\u738b\u53bb\u3002"))[0] == "\u738b\u53bb\u3002"
