"""The explain stage of a domain that is neither images nor texts: figures, verdicts, files."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from shared.core.errors import UserError
from shared.core.sections import Explain
from shared.explain import stage
from shared.explain.methods import METHODS, Method, Unsuitable
from shared.explain.parts import Subject

from .toys import Numbers, Weighted, value

COUNT, SIZE = 40, 6
WEIGHTS = torch.tensor([0.0, 0.1, 0.0, 5.0, 0.1, 0.2])
PARAMS = {"methods": ["occlusion", "shapley_value_sampling"], "num_scored": 30, "num_shown": 4, "num_randomised": 2}


def only_position(subject: Subject, seed: int) -> Tensor:
    """A method that does not look at the model."""
    return torch.linspace(1, 0, SIZE).expand(len(subject), -1)


def unsuitable(subject: Subject, seed: int) -> Tensor:
    raise Unsuitable("no layer suits")


OTHERS = {
    "position": Method("Position", "Wrong.", only_position, complete=True),
    "unsuitable": Method("Unsuitable", "None.", unsuitable),
}


def show(scene: Any, maps: dict[str, Tensor], facts: Any, folder: Path) -> list[dict[str, Any]]:
    (folder / "one.txt").write_text(f"{len(scene)} {[tuple(of.shape) for of in maps.values()]}")
    return [{"block": "pictures", "rows": [fact["title"] for fact in facts], "titles": list(maps)}]


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Runs the stage on questions that the fourth number decides; three are wrongly answered, one has no parts."""
    draws = torch.Generator().manual_seed(0)
    sizes = torch.tensor([SIZE] * (COUNT - 1) + [0])
    evidence = (torch.arange(SIZE) == 3).expand(COUNT, -1)
    scene = Numbers(torch.rand(COUNT, SIZE, generator=draws) + 0.5, sizes, evidence)
    facts: list[stage.Fact] = [{"title": f"q{row}", "correct": row not in (5, 6, 7)} for row in range(COUNT)]

    def run(scene: Numbers = scene, **changes: Any) -> Any:
        params = SimpleNamespace(explain=Explain(**({"seed": 0} | PARAMS | changes)))
        project = SimpleNamespace(results=lambda stage: tmp_path)
        trained: Any = SimpleNamespace(project=project, params=params, model=Weighted(WEIGHTS))
        stage.explain(
            trained, scene, value, facts, methods=METHODS | OTHERS, show=show, unit="sums", part="numbers",
            link="share", note="read me",
        )  # fmt: skip
        return tuple(json.loads((tmp_path / name).read_text()) for name in ("metrics.json", "page.json"))

    return run


def table_of(page: Any, first: str) -> Any:
    return next(b for b in page["blocks"] if b["block"] == "table" and b["columns"][0] == first)


def test_the_figures_and_the_page(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics, page = run()
    assert {metrics[key] for key in ("num_samples", "unit", "part", "link")} == {30, "sums", "numbers", "share"}
    for name in PARAMS["methods"]:
        figures = metrics[name]
        assert figures["evidence_score"] > 0.8 > figures["evidence_score_randomised"]
        assert figures["evidence_score_random"] == pytest.approx(1 / SIZE, abs=0.05)
        assert figures["deletion_score"] > 0.8 > 0.6 > figures["deletion_score_random"]
        assert figures["insertion_score"] > figures["insertion_score_random"] + 0.2
        assert figures["infidelity_error"] == pytest.approx(0, abs=1e-4)
        assert figures["infidelity_error_random"] > 0.1
        assert ("completeness_error" in figures) == (name == "shapley_value_sampling")
    assert page["params"]["num_scored"] == 30
    holds = "The explanation holds for 2 of 2 attribution methods: Occlusion, Shapley values."
    assert page["summary"][0]["text"] == holds
    kinds = [block["block"] for block in page["blocks"]]
    assert kinds[2] == "text"
    assert page["blocks"][2]["text"] == holds
    verdicts = table_of(page, "Method")
    assert page["blocks"].index(verdicts) < kinds.index("pictures")
    assert [row[0]["good"] for row in verdicts["rows"]] == [True, True]
    assert "better than a random attribution (0." in verdicts["rows"][0][1]["note"]
    pictures = next(b for b in page["blocks"] if b["block"] == "pictures")
    assert pictures["rows"] == ["q5", "q6", "q0", "q1"]
    assert pictures["titles"] == ["Occlusion ✓", "Shapley values ✓"]
    assert (tmp_path / "pictures" / "one.txt").read_text() == f"4 [(4, {SIZE}), (4, {SIZE})]"
    cells = table_of(page, "Test")["rows"][1][1:]
    assert [cell["good"] for cell in cells] == [True, True]
    assert cells[0]["note"].startswith("better than a random attribution (0.")
    assert len((tmp_path / "curves.tsv").read_text().splitlines()) == 1 + 3 * 2 * 11
    told = capsys.readouterr().out
    assert f"{holds}\nOcclusion passes 5 of 5 tests\nShapley values passes 6 of 6 tests\n30 sums scored" in told
    assert "shown: 4, 2 of them wrong" in told


def test_evidence_may_be_wider_than_the_largest_question(run: Any) -> None:
    draws = torch.Generator().manual_seed(0)
    evidence = (torch.arange(SIZE + 3) == 3).expand(COUNT, -1)
    metrics, _ = run(Numbers(torch.rand(COUNT, SIZE, generator=draws) + 0.5, torch.full((COUNT,), SIZE), evidence))
    assert metrics["occlusion"]["evidence_score"] > 0.8


def test_a_log_says_how_far_it_is(
    run: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.core.progress.LINE_S", 0.0)
    run(methods=["unsuitable", "occlusion"])
    told = [line for line in capsys.readouterr().out.splitlines() if " after " in line]
    shares = [int(line.split("%")[0].removeprefix("explain: ")) for line in told]
    assert shares == sorted(shares)
    assert shares[-1] in range(60, 85)  # what the unsuitable one would have done is missing
    assert any(", Occlusion, " in line and "presentations" in line for line in told)


def test_a_method_that_does_not_look_at_the_model_fails(run: Any) -> None:
    metrics, page = run(methods=["position", "unsuitable"])
    assert metrics["position"]["randomised_similarity"] == 1
    total = table_of(page, "Method")["rows"][0][0]
    assert total["good"] is False
    assert all(word in total["note"] for word in ("fails:", "Depends on the weights", "Adds up"))
    tests = {row[0]["value"]: row[1] for row in table_of(page, "Test")["rows"]}
    assert tests["Depends on the weights"]["note"] == "no better than the limit 0.5: by -0.500 (-0.500 to -0.500)"
    notes = [b["text"] for b in page["blocks"] if b["block"] == "text" and b["kind"] == "note"]
    assert notes == ["Without Unsuitable: no layer suits.", "read me"]
    example = table_of(page, "Method")["rows"][0][1]
    assert tests[example["value"]]["good"] is False
    assert example["note"] == tests[example["value"]]["note"]
    assert page["summary"][0]["text"] == (
        "The explanation holds for 0 of 1 attribution methods; none of the maps is evidence of what the model uses."
    )


def test_verdicts_are_paired_and_say_where_they_cannot_tell() -> None:
    deletion = stage.TESTS[1]
    base = torch.rand(50, generator=torch.Generator().manual_seed(0))
    noise = 0.1 * torch.randn(50, generator=torch.Generator().manual_seed(1))

    def judged(gain: float) -> stage.Verdict:
        return stage.judge(deletion, {"deletion_score": base + gain, "deletion_score_random": base + noise}, 0)

    assert [judged(gain).good for gain in (0.1, noise.mean().item(), -0.1)] == [True, None, False]
    assert judged(0.1).text.startswith("better than a random attribution (0.")
    same = stage.judge(deletion, {"deletion_score": base, "deletion_score_random": base}, 0)
    assert same.good is None
    assert "not clearly different from" in same.text


def test_an_error_is_better_lower_and_one_failure_fails_all() -> None:
    low, high = torch.zeros(5), torch.ones(5)
    assert stage.judge(stage.TESTS[3], {"infidelity_error": low, "infidelity_error_random": high}, 0).good is True
    figures = {"evidence_score": high, "evidence_score_random": low, "evidence_score_randomised": high + 1}
    verdict = stage.judge(stage.TESTS[0], figures, 0)
    assert verdict.good is False
    assert "better than a random attribution (0.000)" in verdict.text
    assert "no better than a model with shuffled weights (2.000)" in verdict.text


def test_the_same_bytes_again_and_nothing_about_evidence_where_there_is_none(run: Any, tmp_path: Path) -> None:
    scene = Numbers(torch.rand(COUNT, SIZE, generator=torch.Generator().manual_seed(1)), torch.full((COUNT,), SIZE))
    metrics, page = run(scene)
    files = {path: path.read_bytes() for path in tmp_path.glob("*.*")}
    assert files.keys() == {tmp_path / name for name in ("metrics.json", "curves.tsv", "page.json")}
    run(scene)
    assert files == {path: path.read_bytes() for path in files}
    assert not [key for key in metrics["occlusion"] if key.startswith("evidence")]
    assert table_of(page, "Test")["rows"][0][0]["value"] == "Deletion"


def test_a_share_counts_from_the_empty_input_whatever_its_sign(run: Any) -> None:
    falling = Numbers(-torch.rand(COUNT, SIZE, generator=torch.Generator().manual_seed(1)), torch.full((COUNT,), SIZE))
    metrics, _ = run(falling)
    assert metrics["occlusion"]["deletion_score"] > 0.8


def test_who_is_shown() -> None:
    params = Explain(**({"seed": 0} | PARAMS))
    scored, shown = stage.choose(torch.tensor([True] * 5 + [False]), params)
    assert scored.tolist() == [0, 1, 2, 3, 4, 5]
    assert shown.tolist() == [5, 0, 1, 2]
    assert stage.choose(torch.tensor([False] * 5 + [True]), params)[1].tolist() == [0, 1, 2, 5]


def test_the_pool_and_the_facts_of_classes() -> None:
    assert sorted(stage.draw(10, 0).tolist()) == list(range(10))
    assert len(stage.draw(10_000, 0)) == stage.POOL
    facts = stage.class_facts(torch.tensor([0, 1]), torch.tensor([[0.9, 0.1], [0.75, 0.25]]), ["cat", "dog"])
    assert facts[0] == {"title": "true: cat, predicted: cat (90%)", "correct": True}
    assert facts[1] == {"title": "true: dog, predicted: cat (75%)", "correct": False}


def test_what_is_wrong_is_told(run: Any) -> None:
    with pytest.raises(UserError, match="none of them works"):
        run(methods=["unsuitable"])
    nothing = Numbers(torch.zeros(COUNT, SIZE), torch.zeros(COUNT, dtype=torch.long))
    with pytest.raises(UserError, match="no numbers in any of 40 sums"):
        run(nothing)
