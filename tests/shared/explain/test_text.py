"""Attribution of texts: known values, neighbours and padding that change nothing, the files of the stage."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from captum.attr import LayerIntegratedGradients
from torch import Tensor

from shared.core.errors import UserError
from shared.core.sections import Explain
from shared.explain import text, text_attribution
from shared.explain.text import TextScene, explain_texts
from shared.explain.text_attribution import TEXT_METHODS, Questions, Scorer, attribute_texts
from shared.explain.text_score import TextExplainer, WordScene, random_sets

from .reader import UNK, Reader, Sum, of_text, of_token, scene_of

WEIGHTS = torch.cat([torch.zeros(2), torch.linspace(-1, 1, 24)])  # padding and the baseline say nothing
SENTENCES = [[2, 3, 4, 5, 6], [7, 8], [9, 9, 2], [3, 4, 5, 6, 7, 8, 9], [12, 3, 4]]
ALL = {"methods": list(TEXT_METHODS), "num_scored": 8, "num_shown": 3, "num_randomised": 2, "seed": 0}


def asked_of(scene: TextScene) -> Questions:
    words = [text.word_numbers(*pair) for pair in zip(scene.texts, scene.spans, strict=True)]
    return text.questions(scene, words, torch.arange(len(scene)), torch.device("cpu"))[0]


def values_of(method: str, scorer: Scorer, scene: TextScene) -> Tensor:
    return attribute_texts(method, scorer, asked_of(scene), 1.0).values


def three_of_each(scene: TextScene) -> TextScene:
    """The same with three numbers a token."""
    tokens, baselines = (part[..., None].expand(-1, -1, 3) for part in (scene.tokens, scene.baselines))
    return TextScene(scene.texts, scene.spans, tokens, scene.mask, baselines, scene.targets)


@pytest.mark.parametrize("method", ["layer_integrated_gradients", "word_occlusion"])
def test_of_a_sum_each_word_has_its_weight(method: str) -> None:
    scene = scene_of(SENTENCES, [1, 1, 1, 1, 0])
    expected = WEIGHTS[scene.tokens] * torch.tensor([1, 1, 1, 1, -1])[:, None]
    torch.testing.assert_close(values_of(method, Scorer(Sum(WEIGHTS), of_text), scene), expected)


def test_a_phrase_is_three_words_and_a_word_has_the_mean_of_its_phrases() -> None:
    scene = scene_of([[2, 3, 4, 5], [20, 21]], [1, 1])
    a, b, c, d = WEIGHTS[2:6]
    first, second, both = a + b + c, b + c + d, WEIGHTS[20] + WEIGHTS[21]
    expected = torch.stack([first, (first + second) / 2, (first + second) / 2, second])
    values = values_of("phrase_occlusion", Scorer(Sum(WEIGHTS), of_text), scene)
    torch.testing.assert_close(values[0], expected)
    torch.testing.assert_close(values[1], torch.stack([both, both, torch.tensor(0.0), torch.tensor(0.0)]))


@pytest.mark.parametrize("method", TEXT_METHODS)
@pytest.mark.parametrize("several", [False, True])
def test_neighbours_and_padding_change_nothing(method: str, several: bool) -> None:
    scorer, scene = Scorer(Reader(), of_text), scene_of(SENTENCES, [0, 1, 2, 0, 1])
    scene = three_of_each(scene) if several else scene
    together = values_of(method, scorer, scene)
    for row, sentence in enumerate(SENTENCES):
        alone = scene_of([sentence], [int(scene.targets[row])])
        values = values_of(method, scorer, three_of_each(alone) if several else alone)
        torch.testing.assert_close(together[row, : len(sentence)], values[0], rtol=1e-4, atol=1e-6)
        assert (together[row, len(sentence) :] == 0).all()


@pytest.mark.parametrize("method", TEXT_METHODS)
def test_memory_is_flat(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes = Reader(), []
    scene = scene_of([*SENTENCES, *SENTENCES, [5] * 30], [0] * 11)
    whole = values_of(method, Scorer(model, of_text), scene)
    model.register_forward_hook(lambda module, inputs, output: sizes.append(inputs[0].numel()))
    monkeypatch.setattr(text_attribution, "TOKENS", 40)
    parts = values_of(method, Scorer(model, of_text), scene)
    assert max(sizes) <= 40
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)


def test_scores_in_parts_are_those_of_each_text(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, asked = Scorer(Reader(tags=True), of_token), asked_of(scene_of(SENTENCES, [0] * 5))
    places = torch.tensor([4, 1, 0, 3, 2])
    whole = scorer(asked.tokens, asked.mask, places)
    for tokens in (1, 9, 1000):
        monkeypatch.setattr(text_attribution, "TOKENS", tokens)
        torch.testing.assert_close(scorer.in_parts(asked.tokens, asked.mask, places), whole)


def test_the_way_is_cut_for_those_alone_that_miss_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_of(scene_of([*SENTENCES, *SENTENCES], [0, 1, 2, 0, 1, 1, 2, 0, 1, 2]))
    explainer = TextExplainer.of(Scorer(Reader(), of_text), 0, asked)
    scene = WordScene(asked, None, explainer.deviation)
    pieces: list[int] = []
    attribute = LayerIntegratedGradients.attribute

    def counted(self: Any, at: Tensor, **words: Any) -> Any:
        pieces.append(len(at))
        return attribute(self, at, **words)

    def figures(cuts: int) -> dict[str, float]:
        pieces.clear()
        monkeypatch.setattr(text_attribution, "CUTS", cuts)
        delta = explainer("layer_integrated_gradients", scene).delta
        assert delta is not None
        return scene.completeness(explainer.model, delta)

    monkeypatch.setattr(LayerIntegratedGradients, "attribute", counted)
    monkeypatch.setattr(text_attribution, "STEPS", 2)
    rough = figures(0)
    assert sum(pieces) == len(asked)
    fine = figures(8)
    assert rough["completeness_share"] < 1 == fine["completeness_share"]
    assert fine["completeness_error"] < rough["completeness_error"]
    assert len(asked) < sum(pieces) < 10 * len(asked)


def test_weight_randomised_models_are_in_eval_mode_too() -> None:
    asked = asked_of(scene_of(SENTENCES, [0] * 5))
    explainer = TextExplainer.of(Scorer(Reader(), of_text), 0, asked)
    (randomised,) = explainer.of_randomised(WordScene(asked, None, 1.0), 1)
    assert not any(module.training for module in randomised.model.modules())


def test_a_jump_is_followed() -> None:
    class Jump(Sum):
        def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
            return torch.tanh(1e4 * (super().forward(tokens, mask) - 0.3))

    asked = asked_of(scene_of([[25, 13], [24, 24, 25]], [1, 1]))
    found = attribute_texts("layer_integrated_gradients", Scorer(Jump(WEIGHTS), of_text), asked, 1.0)
    assert found.delta is not None
    assert found.delta.abs().max() < 0.1  # of the change of the score, 2
    torch.testing.assert_close(found.values[0, 1] / found.values[0, 0], WEIGHTS[13] / WEIGHTS[25], rtol=1e-3, atol=0)


@pytest.mark.parametrize("several", [False, True])
def test_the_values_are_captums_own_of_the_embedding_layer(several: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_attribution, "CUTS", 0)
    scorer, asked = Scorer(Reader(), of_text), asked_of(scene_of([[2, 3, 4, 5], [7, 8, 9, 9]], [0, 2]))
    if several:
        asked = asked_of(three_of_each(scene_of([[2, 3, 4, 5], [7, 8, 9, 9]], [0, 2])))
    values = attribute_texts("layer_integrated_gradients", scorer, asked, 1.0).values
    captums = LayerIntegratedGradients(scorer, scorer.embedding).attribute(
        asked.tokens,
        baselines=asked.baselines,
        target=asked.targets,
        additional_forward_args=asked.extra,
        n_steps=text_attribution.STEPS,
    )
    torch.testing.assert_close(values, captums.sum(2), rtol=1e-4, atol=1e-5)


def test_words_of_several_tokens_are_taken_as_one() -> None:
    scene = TextScene(
        texts=["unhappily, no"],
        spans=[[(0, 0), (0, 2), (2, 9), (9, 10), (11, 13), (0, 0)]],
        tokens=torch.tensor([[18, 2, 3, 4, 5, 19]]),
        mask=torch.ones(1, 6, dtype=torch.bool),
        baselines=torch.tensor([[18, 1, 1, 1, 1, 19]]),
        targets=torch.tensor([1]),
        evidence=torch.tensor([[False, False, True, False, False, False]]),
    )
    expected = torch.stack([WEIGHTS[2] + WEIGHTS[3], WEIGHTS[4], WEIGHTS[5]])[None]
    for method in ("layer_integrated_gradients", "word_occlusion"):
        values = values_of(method, Scorer(Sum(WEIGHTS), of_text), scene)
        torch.testing.assert_close(values[:, :3], expected)
        assert (values[:, 3:] == 0).all()
    drawn = text.highlight(scene, 0, [-1, 0, 0, 1, 2, -1], {"method": torch.tensor([3.0, 0.0, -1.5])})
    assert drawn["pieces"] == ["unhappily", ",", " ", "no"]
    assert drawn["evidence"] == [True, False, False, False]
    assert drawn["values"]["method"] == [1.0, 0.0, 0.0, pytest.approx(-0.505, abs=0.01)]


@pytest.mark.parametrize(
    ("written", "tokens", "numbers"),
    [
        ("a b", ["a", "b"], [0, 1]),
        ("don't", ["don", "'", "t"], [0, 1, 2]),
        ("日本語", ["日", "本", "語"], [0, 1, 2]),  # no spaces: each sign is a word
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
    assert text.word_numbers(written, spans) == numbers


def test_tokens_of_one_sign_are_one_word() -> None:
    assert text.word_numbers("a 🚀", [(0, 1), (2, 3), (2, 3), (2, 3)]) == [0, 1, 1, 1]


def test_random_sets_lie_inside_and_are_never_empty() -> None:
    inside = torch.arange(20) < torch.tensor([20, 3, 1])[:, None]
    sets = random_sets(inside, 0)
    assert not (sets & ~inside[:, None]).any()
    counts = sets.sum(2)
    assert (counts[0].min(), counts[0].max()) >= (2, 3)
    assert counts[0].max() <= 5
    assert (counts[1:] == 1).all()


def test_curves_of_the_deciding_words_have_known_ends() -> None:
    scene = scene_of([[25] + [13] * 9, [13, 25]], [1, 1])
    asked = asked_of(scene)
    scorer = Scorer(Sum(10 * torch.eye(26)[25]), of_text)  # only token 25 counts
    maps = (asked.tokens == 25).float()
    curves = WordScene(asked, None, 1.0).curves(scorer, maps, 0)
    torch.testing.assert_close(curves.deletion[0], torch.tensor([1.0] + [0.5] * 10))  # one of ten words
    torch.testing.assert_close(
        curves.insertion[1], torch.tensor([0.5] * 3 + [1.0] * 8)
    )  # one of two: from a quarter on
    alone = WordScene(asked[1:].trimmed(), None, 1.0).curves(scorer, maps[1:, :2], 0)
    torch.testing.assert_close(alone.deletion[0], curves.deletion[1])


def params(**changes: Any) -> Explain:
    return Explain(**(ALL | changes))


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Runs the stage on sentences in which one word decides."""
    draws = torch.Generator().manual_seed(0)
    sentences, evidence = [], []
    for number in range(12):
        one = torch.randint(10, 16, (4 + number,), generator=draws).tolist()
        place = number % len(one)
        one[place] = 2 if number % 2 else 25
        sentences.append(one)
        evidence.append([at == place for at in range(len(one))])
    scene = scene_of(sentences, [int(token_of == 0) for token_of in (number % 2 for number in range(12))], evidence)
    facts = [
        {"id": f"t/{row}", "true": "good", "predicted": "good", "probability": 0.9, "correct": row != 5}
        for row in range(12)
    ]

    def read(scene: TextScene = scene, model: Any = None, **changes: Any) -> tuple[Any, Any]:
        model = Sum(WEIGHTS**5) if model is None else model
        explain_texts(model, scene, facts, score=of_text, unit="texts", params=params(**changes), results=tmp_path)
        return tuple(json.loads((tmp_path / name).read_text()) for name in ("metrics.json", "highlights.json"))

    return read


def test_the_figures_and_highlights(read: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics, drawn = read()
    assert (metrics["num_samples"], metrics["unit"], metrics["part"]) == (8, "texts", "word")
    for method in TEXT_METHODS:
        figures = metrics[method]
        assert figures["evidence_score"] > 2 * figures["evidence_score_random"]
        assert figures["evidence_score"] > figures["evidence_score_randomised"]
        assert figures["deletion_score"] > figures["deletion_score_random"]
        assert ("completeness_share" in figures) == (method == "layer_integrated_gradients")
        assert "sensitivity_error" not in figures
    assert metrics["layer_integrated_gradients"]["completeness_share"] == 1
    assert metrics["word_occlusion"]["infidelity_error"] == pytest.approx(0, abs=1e-3)
    assert "8 texts scored; shown: 3, 1 of them wrong" in capsys.readouterr().out
    assert drawn[0]["id"] == "t/5"
    for one in drawn:
        lists = [one["pieces"], one["evidence"], one["asked"], *one["values"].values()]
        assert len(set(map(len, lists))) == 1
        assert sum(one["evidence"]) == 1
        assert re.fullmatch(r"([a-z] ?)+", "".join(one["pieces"]))
    assert len((tmp_path / "curves.tsv").read_text().splitlines()) == 1 + 4 * 2 * 11
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.tsv", "highlights.json", "metrics.json"]


def test_the_same_bytes_again_and_no_localisation_without_evidence(read: Any, tmp_path: Path) -> None:
    model = Reader()
    scene = scene_of([*SENTENCES, *SENTENCES, SENTENCES[0], SENTENCES[1]], [0] * 12)
    few = {"methods": ["layer_integrated_gradients"], "num_scored": 3}
    read(scene, model, **few)
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    metrics, drawn = read(scene, model, **few)
    assert files == {path: path.read_bytes() for path in files}
    assert not [name for name in metrics["layer_integrated_gradients"] if name.startswith("evidence")]
    assert not any(drawn[0]["evidence"])


def test_questions_about_tokens_and_texts_that_were_cut(tmp_path: Path) -> None:
    scene = scene_of([[2, 3, 4], [5, 6], [7, 8, 9]], [0, 1, 2])
    scene = TextScene(
        [f"{one} and more" for one in scene.texts], *list(vars(scene).values())[1:6], torch.tensor([1, 0, 2])
    )
    facts = [{"id": str(row), "correct": True, "question": "why?"} for row in range(3)]
    few = params(num_scored=3)
    explain_texts(Reader(tags=True), scene, facts, score=of_token, unit="tags", params=few, results=tmp_path)
    drawn = json.loads((tmp_path / "highlights.json").read_text())
    assert [one["pieces"][one["asked"].index(True)] for one in drawn] == ["d", "f", "j"]
    assert {one["unread"] for one in drawn} == {" and more"}


def test_what_is_wrong_is_told(read: Any) -> None:
    with pytest.raises(UserError, match="word_oclusion") as caught:
        read(methods=["word_oclusion"])
    assert "did you mean word_occlusion" in str(caught.value)
    nothing = TextScene([""], [[(0, 0)]], *(torch.tensor([[UNK]]),) * 3, torch.tensor([0]))
    with pytest.raises(UserError, match="no word"):
        read(nothing)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: cuDNN has no backward pass in eval mode")
@pytest.mark.parametrize("method", TEXT_METHODS)
def test_a_recurrent_model_on_a_gpu(method: str) -> None:
    asked, scorer = asked_of(scene_of(SENTENCES, [0, 1, 2, 0, 1])), Scorer(Reader(), of_text)
    expected = attribute_texts(method, scorer, asked, 1.0).values
    there = Questions(*(part.cuda() for part in vars(asked).values()))
    values = attribute_texts(method, scorer.cuda(), there, 1.0).values
    torch.testing.assert_close(values.cpu(), expected, rtol=1e-2, atol=1e-3)
