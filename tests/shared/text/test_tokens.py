"""Tokens lie where they say, and encoders come back from their config."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from shared.text.tokens import PAD, TOKENIZERS, UNK, PieceEncoder, Vocabulary, WordEncoder, load_encoder, normalise

TEXTS = ["The film is good.", "The film isn't good, it is great!", "A dull film"]


def framed():
    """A checkpoint's tokenizer: characters, between [CLS] and [SEP]; [MASK] says nothing."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz.,!'"]
    pieces = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(pieces, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    split = pre_tokenizers.Split("", "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), split])
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return PieceEncoder(tokenizer, "[MASK]")


@pytest.fixture
def encoders():
    vocabulary = Vocabulary.build(([token.text for token in TOKENIZERS["words"](text)] for text in TEXTS), 50, 1)
    return [WordEncoder("words", vocabulary), framed()]


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
        assert (len(again), again.blank, again.unknown) == (len(encoder), encoder.blank, encoder.unknown)


def test_tokens_spell_the_text_and_what_is_cut_off_is_counted(encoders):
    for encoder in encoders:
        whole, cut = (next(encoder.encode([TEXTS[1]], most)) for most in (99, 5))
        spelled = [TEXTS[1][start:end] for start, end in whole.spans]
        assert "".join(spelled) == "".join(TEXTS[1].split())
        assert (whole.num_cut, cut.num_cut, len(cut.ids)) == (0, len(whole.ids) - 5, 5)
        assert cut.ids[:4] == whole.ids[:4]


@pytest.mark.parametrize(
    "text", ["abx\u0301 y", "x\u0301y", "Jos\u00e9 x\u0323\u0301", "\u0939\u093f\u0928\u094d\u0926\u0940"]
)
def test_a_tokenizer_that_strips_accents_cuts_no_letter(text):
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    (encoded,) = PieceEncoder(tokenizer, "[UNK]").encode([text], 50)
    assert [text[start:end] for start, end in encoded.spans] == text.split()


def test_special_tokens_survive_the_cut_and_no_text_is_empty(encoders):
    words, pieces = encoders
    cut, empty, unknown = pieces.encode(["a b c d", "", "☂"], 4)
    assert [pieces.tokenizer.id_to_token(id_) for id_ in cut.ids] == ["[CLS]", "a", "b", "[SEP]"]
    assert pieces.special == [2, 3] == [cut.ids[0], cut.ids[-1]]
    assert [pieces.tokenizer.id_to_token(id_) for id_ in empty.ids] == ["[CLS]", "[MASK]", "[SEP]"]
    assert [pieces.tokenizer.id_to_token(id_) for id_ in unknown.ids] == ["[CLS]", "[UNK]", "[SEP]"]
    assert (pieces.blank, pieces.unknown) == (4, 1)
    assert next(words.encode([""], 9)).ids == [UNK] == [words.blank] == [words.unknown]
    assert words.special == []


def test_unknown_pieces_of_a_unigram_model_are_known_as_such():
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -1.0)], unk_id=0))
    encoder = PieceEncoder(tokenizer, "<unk>")
    assert next(encoder.encode(["a\u2602b"], 9)).ids.count(encoder.unknown) == 1
