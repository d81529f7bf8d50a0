"""Tokens lie where they say, encoders come back from their config, vectors are those of the file."""

import gzip
import ssl
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core import paths
from shared.core.errors import UserError
from shared.text.tokens import (
    PAD,
    TOKENIZERS,
    UNK,
    Vocabulary,
    WordEncoder,
    load_encoder,
    load_vectors,
    normalise,
    train_pieces,
)

TEXTS = ["The film is good.", "The film isn't good, it is great!", "A dull film"]


@pytest.fixture
def encoders():
    vocabulary = Vocabulary.build(([token.text for token in TOKENIZERS["words"](text)] for text in TEXTS), 50, 1)
    return [WordEncoder("words", vocabulary), train_pieces(TEXTS, max_size=60, min_count=1)]


@given(st.text(max_size=60))
def test_tokens_lie_where_they_say(text):
    text = normalise(text)
    for name, tokenize in TOKENIZERS.items():
        tokens = tokenize(text)
        assert all(0 <= token.start < token.end <= len(text) for token in tokens)
        assert all(one.end <= two.start for one, two in pairwise(tokens))
        if name == "words":
            assert all(text[token.start : token.end] == token.text for token in tokens)
            assert "".join(token.text for token in tokens) == "".join(text.split())


@given(st.text(max_size=40))
def test_to_normalise_twice_changes_nothing_more(text):
    assert normalise(normalise(text)) == normalise(text)


def test_marks_stay_with_their_letters_whatever_the_script():
    found = [token.text for token in TOKENIZERS["words"](normalise("हिन्दी שָׁלוֹם 10, n\u0303 x\u0301!"))]
    assert found == ["हिन्दी", "שָׁלוֹם", "10", ",", "ñ", "x\u0301", "!"]


def test_the_most_frequent_words_come_first_and_the_rest_is_unknown():
    vocabulary = Vocabulary.build([["b", "a", "c"], ["b", "a"], ["b"]], max_size=2, min_count=1)
    assert vocabulary.words == ["<pad>", "<unk>", "b", "a"]
    assert vocabulary.ids(["a", "c", "<pad>"]) == [3, UNK, PAD]
    assert Vocabulary.build([["x", "x", "y"]], max_size=9, min_count=2).words[2:] == ["x"]


def test_an_encoder_comes_back_from_its_config(encoders):
    for encoder in encoders:
        again = load_encoder(encoder.config)
        assert list(again.encode([*TEXTS, "never seen ☂"], 50)) == list(encoder.encode([*TEXTS, "never seen ☂"], 50))
        assert len(again) == len(encoder)
        assert again.blank == encoder.blank == UNK


def test_what_is_cut_off_is_counted_and_nothing_is_empty(encoders):
    for encoder in encoders:
        whole, cut, empty = [
            next(encoder.encode([text], most)) for text, most in ((TEXTS[1], 99), (TEXTS[1], 3), ("", 9))
        ]
        assert whole.num_cut == 0
        assert cut.ids == whole.ids[:3]
        assert cut.num_cut == len(whole.ids) - 3
        assert empty.ids == [UNK]
        spelled = [TEXTS[1][start:end].lower() for start, end in whole.spans]
        assert "".join(spelled) == "".join(TEXTS[1].lower().split())


def test_special_tokens_survive_the_cut():
    from tokenizers.processors import TemplateProcessing

    encoder = train_pieces(["a b c d <s> </s>"] * 3, max_size=40, min_count=1)
    encoder.tokenizer.add_special_tokens(["[CLS]", "[SEP]"])
    ends = [(mark, encoder.tokenizer.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
    encoder.tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    framed = load_encoder(encoder.config)
    cut, empty = framed.encode(["a b c d", ""], 4)
    assert [framed.tokenizer.id_to_token(id_) for id_ in cut.ids] == ["[CLS]", "a", "b", "[SEP]"]
    assert cut.num_cut == 2
    assert framed.is_special(np.array(cut.ids)).tolist() == [True, False, False, True]
    assert (framed.unknown, framed.blank) == (UNK, UNK)
    assert [framed.tokenizer.id_to_token(id_) for id_ in empty.ids] == ["[CLS]", "<unk>", "[SEP]"]


def test_vectors_of_two_files_with_one_name_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    https = ssl._create_default_https_context
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        with gzip.open(tmp_path / str(number) / "glove.gz", "wt") as file:
            file.write(f"film {number} 0.5 0.25\ngood 0 0 {number}\n")
    for number in (1, 2):
        vectors, share = load_vectors(str(tmp_path / str(number) / "glove.gz"), ["Film", "good", "dull", "bad"])
        assert vectors.tolist() == [[number, 0.5, 0.25], [0, 0, number], [0, 0, 0], [0, 0, 0]]
        assert share == 0.5
    assert ssl._create_default_https_context is https


def test_a_file_that_holds_no_vectors_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "notes.txt").write_text("film 1 2 3\ngood one two three\n")
    with pytest.raises(UserError, match=r"notes\.txt: not a file of vectors"):
        load_vectors(str(tmp_path / "notes.txt"), ["film"])
    with pytest.raises(UserError, match="no such file"):
        load_vectors(str(tmp_path / "none.txt"), ["film"])
