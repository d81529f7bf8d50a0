"""Attribution of texts: known values, neighbours and padding that change nothing, words, highlights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from captum.attr import IntegratedGradients, LayerIntegratedGradients
from torch import Tensor

from shared.explain import parts
from shared.explain.parts import Subject
from shared.text import parts as text_parts
from shared.text.parts import TEXT_METHODS, TextScene, word_numbers
from shared.text.show import show

from .reader import Reader, Sum, of_text, of_token, scene_of, subject_of, total

INTEGRATED = "layer_integrated_gradients"
WEIGHTS = torch.cat([torch.zeros(2), torch.linspace(-1, 1, 24)])  # padding and the baseline say nothing
SENTENCES = [[2, 3, 4, 5, 6], [7, 8], [9, 9, 2], [3, 4, 5, 6, 7, 8, 9], [12, 3, 4]]
TARGETS = torch.tensor([0, 1, 2, 0, 1])


def read(numbers: int = 1) -> Subject:
    return subject_of(scene_of(SENTENCES, numbers, target=TARGETS), Reader())


def maps_of(method: str, subject: Subject) -> Tensor:
    return TEXT_METHODS[method].run(subject, 0)


@pytest.mark.parametrize("method", [INTEGRATED, "word_occlusion", "shapley_value_sampling"])
def test_of_a_sum_each_word_has_its_weight(method: str) -> None:
    scene = scene_of(SENTENCES)
    maps = maps_of(method, subject_of(scene, Sum(WEIGHTS), total))
    torch.testing.assert_close(maps, WEIGHTS[scene.tokens], rtol=1e-4, atol=1e-5)


def test_a_phrase_is_three_words_and_a_word_has_the_mean_of_its_phrases() -> None:
    a, b, c, d = WEIGHTS[2:6]
    first, second, both = a + b + c, b + c + d, WEIGHTS[20] + WEIGHTS[21]
    maps = maps_of("phrase_occlusion", subject_of(scene_of([[2, 3, 4, 5], [20, 21]]), Sum(WEIGHTS), total))
    torch.testing.assert_close(maps[0], torch.stack([first, (first + second) / 2, (first + second) / 2, second]))
    torch.testing.assert_close(maps[1], torch.stack([both, both, both * 0, both * 0]))


@pytest.mark.parametrize("numbers", [1, 3])
@pytest.mark.parametrize("method", [INTEGRATED, "word_occlusion", "phrase_occlusion"])
def test_neighbours_padding_and_chunks_change_nothing(
    method: str, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, sizes = read(numbers), []
    together = maps_of(method, subject)
    for row, sentence in enumerate(SENTENCES):
        alone = maps_of(method, subject_of(scene_of([sentence], numbers, target=TARGETS[row : row + 1]), Reader()))
        torch.testing.assert_close(together[row, : len(sentence)], alone[0], rtol=1e-3, atol=1e-5)
        assert (together[row, len(sentence) :] == 0).all()
    subject.model.register_forward_hook(lambda module, inputs, output: sizes.append(inputs[0][..., 0].numel()))
    monkeypatch.setattr(text_parts, "TOKENS", 20)
    torch.testing.assert_close(maps_of(method, subject), together, rtol=1e-3, atol=1e-5)
    assert max(sizes) <= 20


@pytest.mark.parametrize("tokens", [1, 9, 1000])
def test_values_in_chunks_are_those_of_each_text(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_of(SENTENCES, target=TARGETS, place=torch.tensor([4, 1, 0, 3, 2]))
    subject = subject_of(scene, Reader(), of_token)
    alone = torch.cat([subject[row[None]].full for row in subject.rows])
    monkeypatch.setattr(text_parts, "TOKENS", tokens)
    torch.testing.assert_close(replace(subject).full, alone)


def test_texts_of_one_word_have_curves_of_two_steps() -> None:
    subject = subject_of(scene_of([[2], [3], [4]], target=TARGETS[:3]), Reader())
    deletion, insertion = parts.curves(subject, maps_of("word_occlusion", subject), 0)
    torch.testing.assert_close(deletion[:, [0, -1]], torch.stack([subject.full, subject.empty], 1))
    torch.testing.assert_close(insertion[:, [0, -1]], torch.stack([subject.empty, subject.full], 1))


def test_the_path_is_cut_for_those_alone_that_miss_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, pieces = subject_of(scene_of(SENTENCES * 2, target=TARGETS.repeat(2)), Reader()), []
    attribute = IntegratedGradients.attribute

    def counted(self: Any, inputs: Tensor, *rest: Any, **words: Any) -> Any:
        pieces.append(len(inputs))
        return attribute(self, inputs, *rest, **words)

    def missed(cuts: int) -> Tensor:
        pieces.clear()
        monkeypatch.setattr(text_parts, "CUTS", cuts)
        return parts.completeness(maps_of(INTEGRATED, subject), subject.change)

    monkeypatch.setattr(IntegratedGradients, "attribute", counted)
    monkeypatch.setattr(text_parts, "_STEPS", 2)
    rough = missed(0)
    assert sum(pieces) == len(subject)
    fine = missed(8)
    assert fine.mean() < 0.02 < rough.mean()
    assert len(subject) < sum(pieces) < 10 * len(subject)


def test_a_jump_is_followed() -> None:
    def jump(model: Any, batch: parts.Batch) -> Tensor:
        return torch.tanh(1e4 * (total(model, batch) - 0.3))

    maps = maps_of(INTEGRATED, subject_of(scene_of([[25, 13], [24, 24, 25]]), Sum(WEIGHTS), jump))
    torch.testing.assert_close(maps.sum(1), torch.full((2,), 2.0), rtol=0, atol=0.1)
    torch.testing.assert_close(maps[0, 1] / maps[0, 0], WEIGHTS[13] / WEIGHTS[25], rtol=1e-3, atol=0)


@pytest.mark.parametrize("numbers", [1, 3])
def test_the_values_are_captums_own_of_the_embedding_layer(numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_parts, "CUTS", 0)
    scene = scene_of([[2, 3, 4, 5], [7, 8, 9, 9]], numbers, target=torch.tensor([0, 2]))
    model = Reader()

    def value(tokens: Tensor) -> Tensor:
        return of_text(model, {"tokens": tokens, "tokens_mask": scene.mask, "target": scene.fields["target"]})

    captums = LayerIntegratedGradients(value, model.embedding).attribute(
        scene.tokens, baselines=scene.baselines, n_steps=text_parts._STEPS, internal_batch_size=2
    )
    torch.testing.assert_close(maps_of(INTEGRATED, subject_of(scene, model)), captums.sum(2), rtol=1e-4, atol=1e-5)


def test_words_of_several_tokens_are_taken_as_one(tmp_path: Path) -> None:
    scene = TextScene.of(
        ["unhappily, no more"],
        [[(0, 0), (0, 2), (2, 9), (9, 10), (11, 13), (0, 0)]],
        torch.tensor([[18, 2, 3, 4, 5, 19]]),
        torch.ones(1, 6, dtype=torch.bool),
        torch.tensor([[18, 1, 1, 1, 1, 19]]),
        {"place": torch.tensor([4])},
        torch.tensor([[False, False, True, False, False, False]]),
    )
    expected = torch.stack([WEIGHTS[2] + WEIGHTS[3], WEIGHTS[4], WEIGHTS[5]])[None]
    for method in (INTEGRATED, "word_occlusion"):
        maps = maps_of(method, subject_of(scene, Sum(WEIGHTS), total))
        torch.testing.assert_close(maps, expected)
    fact = {"title": "<i>", "correct": True, "question": "why?"}
    (block,) = show(scene, {"A ✓": torch.tensor([[3.0, 0.0, -1.5]])}, [fact], tmp_path)
    assert block["rows"] == [
        {
            "title": "<i>",
            "good": True,
            "question": "why?",
            "pieces": ["unhappily", ",", " ", "no"],
            "underlined": [True, False, False, False],
            "boxed": [False, False, False, True],
            "marks": {"A ✓": [1.0, 0.0, 0.0, pytest.approx(-0.505, abs=0.01)]},
            "unread": " more",
        }
    ]


@pytest.mark.parametrize(
    ("written", "tokens", "numbers"),
    [
        ("a b", ["a", "b"], [0, 1]),
        ("don't", ["don", "'", "t"], [0, 1, 2]),
        ("日本語", ["日", "本", "語"], [0, 1, 2]),  # no spaces: each character is a word
        ("한국어 책", ["한국", "어", "책"], [0, 0, 1]),
        ("हिन्दी", ["हि", "न्", "दी"], [0, 0, 0]),  # vowel signs
        ("שלוםעולם", ["שלום", "עולם"], [0, 0]),
        ("👩‍🚀!", ["👩", "‍🚀", "!"], [0, 0, 1]),  # a joiner
    ],
)
def test_a_word_is_what_no_one_would_cut(written: str, tokens: list[str], numbers: list[int]) -> None:
    spans, at = [], 0
    for token in tokens:
        start = written.index(token, at)
        at = start + len(token)
        spans.append((start, at))
    assert word_numbers(written, spans) == numbers


def test_tokens_of_one_character_are_one_word() -> None:
    assert word_numbers("a 🚀", [(0, 1), (2, 3), (2, 3), (2, 3)]) == [0, 1, 1, 1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: cuDNN has no backward pass in eval mode")
@pytest.mark.parametrize("method", TEXT_METHODS)
def test_a_recurrent_model_on_a_gpu(method: str) -> None:
    expected, subject = maps_of(method, read()), read()
    there = replace(subject, model=subject.model.cuda())
    torch.testing.assert_close(maps_of(method, there), expected, rtol=1e-2, atol=1e-3)
