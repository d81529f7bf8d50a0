"""The page: whole without any file but one, safe against hostile data, the same bytes when made again."""

import csv
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.core.errors import UserError
from shared.report import index, page
from shared.report.attributions import TESTS, verdict
from shared.report.results import Results

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$x_{$ & 猫", "a,b\tc"]
VOID = {"br", "img", "meta", "link", "hr", "input"}

Make = Callable[..., Results]


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def table(rows: list[list[Any]], delimiter: str) -> str:
    import io

    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def worst(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(folder / "001.png")
    row = {"id": f"{names[0]}.png", "actual": names[0], "predicted": names[1], "confidence": 0.99, "file": "001.png"}
    write(folder / "index.json", [row])


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(names: list[str], source: str = "sample", evidence: bool = True) -> Results:
        results = Results("toy", tmp_path)
        metrics = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95, "num_samples": 40, "source": source}
        figures = {"precision": 0.5, "recall": 0.5, "f1": None, "num_samples": 3}
        metrics |= {"baseline": {"linear_accuracy": 0.4}, "by_class": dict.fromkeys(names, figures)}
        write(results.path("evaluate/metrics.json"), metrics)
        pairs = [[f"{i}.png", names[i % len(names)], names[i * i % len(names)], 0.7] for i in range(3 * len(names))]
        write(
            results.path("evaluate/predictions.csv"), table([["id", "actual", "predicted", "confidence"], *pairs], ",")
        )
        bins = [["low", "high", "num_samples", "confidence", "accuracy"], [0.6, 0.7, 40, 0.65, 0.5]]
        write(results.path("evaluate/reliability.tsv"), table(bins, "\t"))
        worst(results.path("evaluate/worst"), names)
        history = [
            ["step", "epoch", "train_loss", "learning_rate"],
            *([i, i / 9, 1 / (i + 1), 0.1] for i in range(900)),
        ]
        write(results.path("train/history.tsv"), table(history, "\t"))
        write(results.path("train/validation.tsv"), "step\tepoch\tvalid_loss\n9\t1\t0.5\n")
        method = {"insertion_score": 0.6, "insertion_score_random": 0.3}
        method |= {"evidence_score": 0.5, "evidence_score_random": 0.1} if evidence else {}
        write(results.path("explain/metrics.json"), {"num_samples": 5, "occlusion": method})
        curves = [["method", "curve", "fraction", "probability", "order"]]
        curves += [["occlusion", "deletion", x, 1 - x, order] for order in ("method", "random") for x in (0, 0.5, 1)]
        write(results.path("explain/curves.tsv"), table(curves, "\t"))
        write(results.folder / "params.yaml", "train:\n  lr: 0.1\nruntime:\n  device: auto\n")
        manifest = {"source": source, "classes": names, "image_size": 32, "splits": {"test": {"count": 40}}}
        write(tmp_path / "data" / "prepared" / "toy" / "manifest.json", manifest)
        return results

    return make


def text_project(results: Results, texts: list[str]) -> None:
    """Leaves what the stages of a project of texts leave, in the place of images."""
    metrics = {"f1": 0.9, "f1_low": 0.8, "f1_high": 0.95, "num_samples": 40, "unit": "reviews", "source": "own"}
    write(results.path("evaluate/metrics.json"), metrics | {"baseline": {"gazetteer_f1": 0.4, "gazetteer_loss": 7.0}})
    rows = [{"id": name, "actual": name, "predicted": "x", "confidence": 0.99, "text": name} for name in texts]
    write(results.path("evaluate/worst/index.json"), rows)
    write(results.path("evaluate/roc.tsv"), "false_positive_rate\ttrue_positive_rate\n0\t0\n0.5\t1\n1\t1\n")
    write(results.path("evaluate/pr.tsv"), "recall\tprecision\n")
    method = {
        "completeness_error": 0.01,
        "completeness_share": 0.97,
        "deletion_score": 0.5,
        "deletion_score_random": 0.2,
    }
    told = {"num_samples": 5, "unit": "reviews", "part": "word", "layer_integrated_gradients": method}
    write(results.path("explain/metrics.json"), told)
    write(results.path("explain/pictures/index.json"), [])
    shown = {"true": "x", "predicted": "y", "probability": 0.7, "correct": False, "unread": "cut off"}
    drawn = [
        {"id": name, **shown, "pieces": [name, " ", name], "evidence": [True, False, False]}
        | {"asked": [False, False, True], "values": {"layer_integrated_gradients": [1.0, 0.0, -0.5]}}
        for name in texts
    ]
    write(results.path("explain/highlights.json"), drawn)
    splits = {"test": {"count": 40, "num_truncated": 3, "entities": {"PER": 1234}, "sha256": {"text.json": "abc"}}}
    manifest = {"source": "own", "classes": ["x"], "num_tokens": 5000, "max_tokens": 400, "num_shared": 2}
    write(results.root / "data" / "prepared" / "toy" / "manifest.json", manifest | {"splits": splits})


class Checker(HTMLParser):
    """Notes elements that are not closed in order, ids given twice, scripts, handlers and what is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.ids += [value or ""] if name == "id" else []
            fetched = name in ("src", "href", "xlink:href") and not re.match(r"data:image/|#|\.\./", value or "")
            if tag == "script" or name.startswith("on") or fetched:
                self.problems.append(f"<{tag} {name}={value}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}>")


def check(text: str) -> None:
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.problems == []
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))


def test_hostile_names_stay_words_and_nothing_is_fetched(make: Make) -> None:
    text = page.build(make(HOSTILE)).read_text(encoding="utf-8")
    check(text)
    assert "&lt;script&gt;alert(1)" in text
    assert "default-src 'none'" in text
    assert "http://" not in text
    assert "https://" not in text


def test_made_again_it_is_the_same_bytes(make: Make) -> None:
    results = make(["cat", "dog"])
    first = page.build(results).read_bytes()
    assert page.build(results).read_bytes() == first
    assert len(first) < 300_000


@pytest.mark.parametrize("number", [2, 200])
def test_any_number_of_classes(make: Make, number: int) -> None:
    text = page.build(make([f"class {i}" for i in range(number)])).read_text(encoding="utf-8")
    check(text)
    assert len(text) < 1_000_000


def test_it_says_where_the_figures_come_from(make: Make) -> None:
    text = page.build(make(["cat", "dog"])).read_text(encoding="utf-8")
    assert "Obtained on the embedded sample" in text
    assert "Clearly better than the linear baseline" in text
    assert "Localisation is left out" not in text


def test_real_data_without_evidence(make: Make) -> None:
    text = page.build(make(["cat", "dog"], source="official", evidence=False)).read_text(encoding="utf-8")
    assert "Obtained on the embedded sample" not in text
    assert "Localisation is left out" in text


def test_sections_are_made_from_what_is_there(tmp_path: Path) -> None:
    results = Results("other", tmp_path)
    own = {"title": "Best songs", "columns": ["song", "score"], "rows": [["<b>", 0.5], ["none", None]]}
    write(results.path("evaluate/section.json"), own)
    text = page.build(results).read_text(encoding="utf-8")
    check(text)
    assert "Best songs" in text
    assert "&lt;b&gt;" in text
    assert "Confusions" not in text


def test_a_picture_that_moves_has_one_that_stands_still(tmp_path: Path) -> None:
    results = Results("other", tmp_path)
    row = {"file": "a.webp", "still": "a.png", "caption": "<learning>", "sharp": True}
    write(results.path("evaluate/section.json"), {"title": "Training", "pictures": [row]})
    frames = [Image.fromarray(np.full((300, 300, 3), shade, np.uint8)) for shade in (0, 128, 255)]
    frames[0].save(results.path("evaluate/a.webp"), save_all=True, append_images=frames[1:])
    frames[2].save(results.path("evaluate/a.png"))
    text = page.build(results).read_text(encoding="utf-8")
    check(text)
    moving, still = re.findall(r'<img class="([^"]*)" src="data:image/(\w+);base64', text)
    assert moving == ("sharp moving", "webp")
    assert still == ("sharp still", "png")
    assert "prefers-reduced-motion" in text


def test_own_sections_of_the_evaluation_come_before_the_attributions(make: Make) -> None:
    results = make(["cat", "dog"])
    write(results.path("evaluate/section.json"), {"title": "Own of evaluate"})
    write(results.path("explain/sections.json"), [{"title": "Own of explain"}, {"title": "Another"}])
    text = page.build(results).read_text(encoding="utf-8")
    places = [text.index(f"<h2>{title}") for title in ("Own of evaluate", "Can these", "Own of explain", "Another")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("interval", "verdict"), [((1.0, 2.0), "Clearly better"), ((4.0, 6.0), "Not clearly"), ((8.0, 9.0), "Worse")]
)
def test_a_distance_is_better_where_it_is_lower(make: Make, interval: tuple[float, float], verdict: str) -> None:
    results = make(["cat", "dog"])
    low, high = interval
    metrics = {"a_distance": (low + high) / 2, "a_distance_low": low, "a_distance_high": high, "source": "own"}
    write(results.path("evaluate/metrics.json"), metrics | {"baseline": {"x_a_distance": 5.0, "y_a_distance": 70.0}})
    text = page.build(results).read_text(encoding="utf-8")
    check(text)
    assert f"{verdict} " in text[text.index("bootstrap interval") : text.index("y baseline")]
    assert "lower is better" in text
    assert results.headline is not None
    assert results.headline.best_baseline == ("x", 5.0)


def test_a_project_of_texts(make: Make) -> None:
    results = make(["cat", "dog"])
    hard = [*HOSTILE, "ערב טוב", "e\u0301\u202eabc", "x" * 5000]
    text_project(results, hard)
    text = page.build(results).read_text(encoding="utf-8")
    check(text)
    for word in (
        "F1 over 40 test reviews",
        "Clearly better than the gazetteer baseline",
        "share of words",
        "on 5 test rev",
    ):
        assert word in text
    assert "pixels" not in text
    assert "images" not in text
    assert "✓ nearly always adds up" in text
    assert '<mark class="for l8 evidence">ערב טוב</mark> <mark class="against l4 asked">ערב טוב</mark>' in text
    assert text.count('class="text" dir="auto"') == 2 * len(hard)
    assert "ROC curve" in text
    assert "Precision over recall" not in text  # no curve: all of one class
    for word in ("Entities PER", "1,234", "5,000 different tokens", "2 test samples stand in train"):
        assert word in text


def test_what_removing_means_is_said_of_images(make: Make) -> None:
    text = page.build(make(["cat", "dog"])).read_text(encoding="utf-8")
    assert "Pixels are removed (deletion)" in text
    assert "Accuracy over 40 test images" in text


def test_no_results_and_no_project_are_told(tmp_path: Path) -> None:
    (tmp_path / "projects" / "toy").mkdir(parents=True)
    with pytest.raises(UserError, match="no results") as caught:
        page.build(Results("toy", tmp_path))
    assert "dvc repro projects/toy" in str(caught.value)
    with pytest.raises(UserError, match="no such project"):
        page.build(Results("tow", tmp_path))


def test_the_index_links_to_pages_and_names_what_has_not_run(make: Make, tmp_path: Path) -> None:
    page.build(make(["cat", "dog"]))
    write(tmp_path / "projects" / "new" / "params.yaml", "train: {}\n")
    text = index.build(tmp_path).read_text(encoding="utf-8")
    check(text)
    assert 'href="../projects/toy/results/report.html"' in text
    assert "dvc repro projects/new" in text


def test_verdicts_need_more_than_a_hair() -> None:
    evidence = TESTS[0]
    figures = {"evidence_score": 0.50, "evidence_score_random": 0.20, "evidence_score_randomised": 0.30}
    assert verdict(evidence, figures).good is True
    assert verdict(evidence, figures | {"evidence_score_randomised": 0.49}).good is False
    assert verdict(evidence, {"evidence_score": 0.5}).good is None
    assert verdict(evidence, {}).good is None


def test_where_the_order_does_not_matter_deletion_and_insertion_cannot_tell() -> None:
    deletion = next(test for test in TESTS if test.key == "deletion_score")
    same = verdict(deletion, {"deletion_score": 0.3686, "deletion_score_random": 0.3686})
    assert same == (None, "cannot tell: a random order does exactly the same")
    assert verdict(deletion, {"deletion_score": 0.3653, "deletion_score_random": 0.3686}).good is False


def test_an_error_must_be_below_the_limit_and_below_a_random_one() -> None:
    infidelity = next(test for test in TESTS if test.key == "infidelity_error")
    figures = {"infidelity_error": 0.3, "infidelity_error_random": 0.4}
    assert verdict(infidelity, figures) == (
        True, "better than an empty attribution, better than a random attribution (0.400)"
    )  # fmt: skip
    assert verdict(infidelity, figures | {"infidelity_error_random": 0.25}) == (
        False, "better than an empty attribution, no better than a random attribution (0.250)"
    )  # fmt: skip
    assert verdict(infidelity, {"infidelity_error": 1.0, "infidelity_error_random": 1.2}).good is False
