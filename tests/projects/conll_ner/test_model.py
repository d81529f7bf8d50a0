"""Both taggers: shapes, padding, the embedding that explanations look into, and tagging of whole texts."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from projects.conll_ner.data import NEWLINE, PieceFeatures, Sequences, WordFeatures
from projects.conll_ner.model import build_model, load_model
from projects.conll_ner.params import Model
from projects.conll_ner.tagging import tag, text_predictor
from shared.core.errors import UserError
from shared.data.table import Ragged
from shared.text.tokens import PieceEncoder
from shared.training.distributed import World, local
from shared.training.weights import save_model

PARAMS = Model(word_size=8, num_filters=4, hidden_size=6, word_dropout=0.3, dropout=0.3)
BODY = {
    "model_type": "bert", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
    "vocab_size": 200, "max_position_embeddings": 64,
}  # fmt: skip
TEXTS = [["Anna", "saw", "Bonn", ".", NEWLINE, "Anna", "slept"], ["Bonn", "unwatchable", "USA"]]


def bert_like() -> PieceFeatures:
    """Pieces with special tokens around each text, as BERT's."""
    words = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "saw", "bonn", ".", "slept", "un", "##watch", "##able", "usa"]
    tokenizer = Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return PieceFeatures(PieceEncoder(tokenizer, "[MASK]"), "tiny")


def test_words_are_cut_as_within_a_text_and_a_line_end_is_the_last_special_token():
    """Checkpoints such as RoBERTa have other pieces behind a space than at the beginning of a text."""
    signs = ["<unk>", "<s>", "</s>", "<mask>", "\u0120", "s", "a", "w", "\u010a"]
    tokenizer = Tokenizer(models.BPE({sign: number for number, sign in enumerate(signs)}, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    with pytest.raises(UserError, match="adds no special tokens"):
        PieceFeatures(PieceEncoder(tokenizer, "<mask>"), "tiny")
    tokenizer.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 1))
    encoded = PieceFeatures(PieceEncoder(tokenizer, "<mask>"), "tiny").encode(["saw", NEWLINE])
    assert encoded[:, 1:6].tolist() == [[5, 6, 7, 8, 0], [3, 0, 0, 0, 0]]


@pytest.fixture(params=["words", "pieces"])
def case(request):
    """A model in eval mode, its features and config."""
    torch.manual_seed(0)
    features = WordFeatures.build([["Anna", "saw", "Bonn"]] * 3, 100, 1) if request.param == "words" else bert_like()
    config = {"classes": ["LOC", "PER"], "model": PARAMS.model_dump(), "features": features.config, "body": BODY}
    config |= {"max_tokens": 20, "join_sentences": False}
    return build_model(config).eval(), features, config


def batch_of(features, texts, length):
    """Padded to a length."""
    rows = [torch.from_numpy(features.encode(words)) for words in texts]
    tokens = torch.stack([torch.nn.functional.pad(row, (0, 0, 0, length - len(row))) for row in rows])
    return tokens, torch.arange(length) < torch.tensor([len(row) for row in rows])[:, None]


def test_padding_changes_nothing(case):
    model, features, _ = case
    tokens, mask = batch_of(features, TEXTS, 7)
    whole = model(tokens, mask)
    assert whole.shape == (2, 7, 5)
    for row, words in enumerate(TEXTS):
        alone = model(*batch_of(features, [words], len(words)))
        torch.testing.assert_close(whole[row, : len(words)], alone[0], rtol=1e-4, atol=1e-5)
    longer, mask = batch_of(features, TEXTS, 11)
    longer[~mask] = 3
    torch.testing.assert_close(model(longer, mask)[:, :7][mask[:, :7]], whole[mask[:, :7]], rtol=1e-4, atol=1e-5)


def test_every_word_sees_both_sides(case):
    model, features, _ = case
    tokens, mask = batch_of(features, TEXTS[:1], 7)
    before = model(tokens, mask)
    for place in (0, 6):
        changed = tokens.clone()
        changed[0, place] = torch.from_numpy(features.encode(["saw"]))[0]
        assert (model(changed, mask) - before).abs().amax(2).gt(1e-6).all()


def test_the_baseline_keeps_lengths_and_line_ends_alone(case):
    model, features, _ = case
    tokens, mask = batch_of(features, TEXTS, 7)
    blank = model.baseline(tokens, mask)
    assert blank.shape == tokens.shape
    assert torch.equal(blank[0, 4], tokens[0, 4])
    assert torch.equal(blank[~mask], tokens[~mask])
    vectors = model.get_submodule(model.embedding_layer)(blank)
    assert vectors.shape[:2] == (2, 7)
    assert torch.equal(vectors[0, 0], vectors[0, 2])


def test_weights_come_back_and_every_one_has_a_gradient(case, tmp_path):
    model, features, config = case
    save_model(tmp_path, model, config)
    loaded, _ = load_model(tmp_path)
    tokens, mask = batch_of(features, TEXTS, 7)
    assert torch.equal(loaded(tokens, mask), model(tokens, mask))
    model.train().crf.loss(model(tokens, mask), mask, torch.zeros(2, 7, dtype=torch.int64)).sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


def test_mentions_of_one_name_tell_each_other():
    torch.manual_seed(0)
    features = WordFeatures.build([["saw", "Bonn"]] * 3, 100, 1)
    model = build_model({"classes": ["LOC"], "model": PARAMS.model_dump(), "features": features.config}).eval()
    tokens, mask = batch_of(features, [["Qqq", "saw", "Bonn", "Qqq"]], 4)
    names = tokens.clone()
    names[0, 3, 2] += 1
    assert not torch.equal(model(tokens, mask), model(names, mask))


def test_tags_do_not_depend_on_batches_or_ranks_and_a_rank_may_have_none(case, monkeypatch):
    model, features, config = case
    tokens = Ragged.of([features.encode(words) for words in TEXTS for _ in range(3)], np.int32)
    sequences = Sequences(tokens, np.arange(6), features, config)
    shares = [tag(model, sequences, config["classes"], size, local()) for size in (1, 1000)]
    assert shares[0][0] == shares[1][0]
    for one, other in zip(shares[0][1], shares[1][1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
        assert ((one > 0) & (one <= 1 + 1e-6)).all()
    monkeypatch.setattr("shared.evaluation.records.gather_objects", lambda value, world: [])
    idle = World(7, 8, torch.device("cpu"))
    assert tag(model, sequences, config["classes"], 1000, idle) == ([], [])
    assert text_predictor(model, config, 1000, idle)(["Anna saw Bonn"]) == []


def test_places_are_those_of_the_raw_text(case, monkeypatch):
    """Each word that holds a letter is an entity of one word here, so every word's place is seen."""
    model, _, config = case
    odd = "e\u0301t\u0323\u0307 \r\n\x00Anna\u200b saw AT&T \U0001f468\u200d\U0001f469 Bo\u0308nn"

    def always(model, sequences, *_):
        lengths = sequences.tokens.lengths
        return [["B-PER"] * int(size) for size in lengths], [np.full(size, 1 + 2e-6) for size in lengths]  # rounding

    monkeypatch.setattr("projects.conll_ner.tagging.tag", always)
    found, nothing = text_predictor(model, config, 1000, local())([odd, "\u200b"[:0] or " \n"])
    texts = [one["text"] for one in found["entities"]]
    assert [odd[one["start"] : one["end"]] for one in found["entities"]] == texts
    named = ["e\u0301t\u0323\u0307", "Anna", "saw", "AT", "T", "Bo\u0308nn"]
    assert [text for text in texts if text[0].isalpha()] == named
    assert {one["confidence"] for one in found["entities"]} == {1.0}
    assert nothing == {"error": "no word in this text"}
