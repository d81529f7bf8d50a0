"""Checkpoints of transformers: the same scores, pieces and greedy translations as the library's own."""

from pathlib import Path

import pytest
import sentencepiece
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor
from transformers import (
    AutoTokenizer,
    BertConfig,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from projects.multi30k_translation.checkpoint import CheckpointTranslator, empty_checkpoint, load_checkpoint, pieces_of
from projects.multi30k_translation.decoding import Search, Uncached, translate
from projects.multi30k_translation.pieces import Pieces
from shared.core.errors import UserError

SENTENCES = ["Anna paid for the lamp.", "Übung macht den Meister, sagt Anna.", "the lamp"] * 10
PREFIX = "translate English to German: "
LANGUAGES = "en", "de"


def marian(folder: Path) -> Path:
    """A random Marian model whose vocabulary has another order than its SentencePiece models."""
    folder.mkdir()
    for name in ("source", "target"):
        with (folder / f"{name}.spm").open("wb") as file:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(SENTENCES), model_writer=file, vocab_size=40, hard_vocab_limit=False,
                minloglevel=2,
            )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    known = [processor.id_to_piece(number) for number in reversed(range(3, len(processor)))]
    vocabulary = {piece: number for number, piece in enumerate(["</s>", "<unk>", *known, "<pad>"])}
    pad = len(vocabulary) - 1
    (folder / "vocab.json").write_text(str(vocabulary).replace("'", '"'), encoding="utf-8")
    config = MarianConfig(
        vocab_size=len(vocabulary), d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, pad_token_id=pad, eos_token_id=0,
        decoder_start_token_id=pad, forced_eos_token_id=None, max_position_embeddings=64, scale_embedding=True,
        init_std=0.5,
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "MarianTokenizer"}')
    return folder


def t5(folder: Path) -> Path:
    """A random T5 that wants to be told what to translate."""
    words = sorted({word for sentence in [*SENTENCES, PREFIX] for word in sentence.split()})
    scores = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((f"\u2581{word}", -2.0) for word in words)]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=2))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = T5Config(
        vocab_size=len(scores), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0,
        task_specific_params={"translation_en_to_de": {"prefix": PREFIX}},
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[marian, t5], ids=["marian", "t5"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    found: Path = request.param(tmp_path_factory.mktemp("checkpoint") / "it")
    return found


@pytest.fixture(scope="module")
def loaded(folder: Path) -> tuple[CheckpointTranslator, Pieces]:
    pieces = pieces_of(str(folder), LANGUAGES)
    model, config = load_checkpoint(str(folder), pieces, 32)
    again = empty_checkpoint(config)
    again.load_state_dict(model.state_dict())
    return again.double().eval(), Pieces.of(pieces.config)


@pytest.mark.filterwarnings("ignore:Recommended")
def test_texts_are_cut_as_the_library_cuts_them(folder: Path, loaded: tuple[CheckpointTranslator, Pieces]) -> None:
    own = MarianTokenizer.from_pretrained(folder) if (folder / "source.spm").exists() else None
    tokenizer = own or AutoTokenizer.from_pretrained(folder)
    prefix = "" if own else PREFIX
    for side in (False, True):
        texts = [text if side else prefix + text for text in SENTENCES[:3]]
        wanted = (tokenizer(text_target=texts) if side else tokenizer(texts))["input_ids"]
        found = loaded[1].encode(SENTENCES[:3], 64, target=side)
        assert [one.ids for one in found] == wanted
        for one, text in zip(found, SENTENCES, strict=False):
            assert "".join(text[start:end] for start, end in one.spans) == text.replace(" ", "")
    assert loaded[1].decode(wanted[0]) == SENTENCES[0]


def padded(pieces: Pieces) -> tuple[Tensor, Tensor]:
    rows = [torch.tensor(one.ids) for one in pieces.encode(SENTENCES[:3], 32)]
    source = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return source, torch.arange(source.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]


def test_scores_are_the_networks_own(loaded: tuple[CheckpointTranslator, Pieces]) -> None:
    model, pieces = loaded
    source, mask = padded(pieces)
    inputs = torch.randint(3, 20, (3, 5))
    own = model.network(input_ids=source, attention_mask=mask.long(), decoder_input_ids=inputs).logits
    found = model.score(model(source, mask, inputs, torch.ones_like(inputs, dtype=torch.bool)))
    torch.testing.assert_close(found, own.flatten(0, 1))


def test_attention_is_shared_out_over_the_source(loaded: tuple[CheckpointTranslator, Pieces]) -> None:
    model, pieces = loaded
    source, mask = padded(pieces)
    layers: list[Tensor] = []
    with_it = model.states(model.embedding(source), mask, model.embedding(source), layers)
    torch.testing.assert_close(with_it, model.states(model.embedding(source), mask, model.embedding(source)))
    assert len(layers) == 2
    torch.testing.assert_close((layers[0] * mask[:, None]).sum(2), torch.ones_like(layers[0][:, :, 0]))


def test_translations_are_the_librarys_own_cached_or_not(loaded: tuple[CheckpointTranslator, Pieces]) -> None:
    model, pieces = loaded
    source, mask = padded(pieces)
    beams = Search(3, 1.0, pieces.marks)
    cached, plain = (translate(one, source, mask, beams) for one in (model, Uncached(model)))
    assert [[one.ids for one in some] for some in cached] == [[one.ids for one in some] for some in plain]
    greedy = translate(model, source, mask, Search(1, 0.0, pieces.marks))
    wanted = model.network.generate(
        input_ids=source, attention_mask=mask.long(), num_beams=1, do_sample=False, max_new_tokens=20,
        suppress_tokens=list(pieces.marks.never),
    )  # fmt: skip
    for row, (one, *_) in zip(wanted.tolist(), greedy, strict=True):
        shorter = min(len(one.ids), 20)
        assert row[1 : 1 + shorter] == one.ids[:shorter]


def test_what_is_no_encoder_decoder_is_named(tmp_path: Path) -> None:
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="bert is no encoder-decoder"):
        pieces_of(str(tmp_path), LANGUAGES)
    with pytest.raises(UserError, match="no checkpoint"):
        pieces_of(str(tmp_path / "nowhere"), LANGUAGES)


def test_code_of_a_checkpoint_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anybody asked whether it may be."""
    (tmp_path / "config.json").write_text('{"model_type": "odd", "auto_map": {"AutoConfig": "code.Odd"}}')
    (tmp_path / "code.py").write_text("raise SystemExit('was run')")
    monkeypatch.setattr("builtins.input", lambda question: "y")
    with pytest.raises(UserError, match="no checkpoint"):
        pieces_of(str(tmp_path), LANGUAGES)
