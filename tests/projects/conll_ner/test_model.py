"""Both taggers: shapes, padding, the embedding that explanations look into."""

import pytest
import torch

from projects.conll_ner.data import NEWLINE, PieceFeatures, WordFeatures
from projects.conll_ner.formats import Sentence
from projects.conll_ner.model import body_of, build_model, load_model
from projects.conll_ner.params import Model
from shared.core.errors import UserError
from shared.text.tokens import PieceEncoder
from shared.training.weights import save_model

CLASSES = ["LOC", "PER"]
PARAMS = Model(word_size=8, num_filters=4, hidden_size=6, word_dropout=0.3, dropout=0.3)
BODY = {
    "model_type": "bert", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
    "vocab_size": 200, "max_position_embeddings": 64,
}  # fmt: skip
TEXTS = [["Anna", "saw", "Bonn", ".", NEWLINE, "Anna", "slept"], ["Bonn", "unwatchable", "USA"]]


def bert_like() -> PieceFeatures:
    """Pieces with marks around each text, as BERT's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "saw", "bonn", ".", "slept", "un", "##watch", "##able", "usa"]
    tokenizer = Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return PieceFeatures(PieceEncoder(tokenizer, "[MASK]"), "tiny")


def word_features() -> WordFeatures:
    spans = [(0, 4), (5, 8), (9, 13)]
    one = Sentence("f:1", "Anna saw Bonn", spans, ["O"] * 3, None, "f:1", None)
    return WordFeatures.build([one] * 3, 100, 1)


@pytest.fixture(params=["words", "pieces"])
def case(request):
    """A model in eval mode, its features and config."""
    torch.manual_seed(0)
    features = word_features() if request.param == "words" else bert_like()
    body = None if request.param == "words" else body_of(BODY)
    config = {"classes": CLASSES, "model": PARAMS.model_dump(), "features": features.config, "body": BODY}
    return build_model(PARAMS, features, CLASSES, body).eval(), features, config


def batch_of(features, texts, length):
    """Padded to a length."""
    rows = [torch.from_numpy(features.encode(words)).long() for words in texts]
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


def test_one_vector_a_word_at_the_embedding_layer(case):
    model, features, _ = case
    tokens, mask = batch_of(features, TEXTS, 7)
    found = []
    layer = model.get_submodule(model.embedding_layer)
    layer.register_forward_hook(lambda module, given, vectors: found.append(vectors.shape[:2]))
    model(tokens, mask)
    assert found == [(2, 7)]


def test_the_baseline_keeps_lengths_and_line_ends_alone(case):
    model, features, _ = case
    tokens, mask = batch_of(features, TEXTS, 7)
    blank = model.baseline(tokens, mask)
    assert blank.shape == tokens.shape
    assert torch.equal(blank[0, 4], tokens[0, 4])
    assert torch.equal(blank[~mask], tokens[~mask])
    vectors = model.embed(blank)[0]
    assert torch.equal(vectors[0], vectors[2])
    assert model(blank, mask).isfinite().all()


def test_weights_come_back(case, tmp_path):
    model, features, config = case
    save_model(tmp_path, model, config)
    loaded, _ = load_model(tmp_path, "")
    tokens, mask = batch_of(features, TEXTS, 7)
    assert torch.equal(loaded(tokens, mask), model(tokens, mask))
    (tmp_path / "model.json").unlink()
    with pytest.raises(UserError, match="no trained model"):
        load_model(tmp_path, "dvc repro")


def test_every_weight_has_a_gradient(case):
    model, features, _ = case
    tokens, mask = batch_of(features, TEXTS, 7)
    model.train().crf.loss(model(tokens, mask), mask, torch.zeros(2, 7, dtype=torch.int64)).backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


def test_mentions_of_one_name_tell_each_other():
    torch.manual_seed(0)
    features = word_features()
    model = build_model(PARAMS, features, CLASSES).eval()
    tokens, mask = batch_of(features, [["Qqq", "saw", "Bonn", "Qqq"]], 4)
    names = tokens.clone()
    names[0, 3, 2] += 1
    assert not torch.equal(model(tokens, mask), model(names, mask))
