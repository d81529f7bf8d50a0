"""The page: whole without any stage but one, safe against hostile data, the same bytes when made again."""

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.core.errors import UserError
from shared.report import blocks
from shared.report.blocks import Block
from shared.report.card import use_and_limits
from shared.report.html import data_uri
from shared.report.index import build_index
from shared.report.page import build, write_blocks
from shared.report.results import Results

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$x_{$ & 猫", "a,b\tc\n\x00\x0b", "\ud800"]
VOID = {"br", "img", "meta", "link", "hr", "input"}
METRICS = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95, "num_samples": 40, "source": "sample"}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def picture(path: Path, size: int = 8, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    Image.fromarray(noise).save(path, **options)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    found = Results("toy", tmp_path)
    write(found.folder / "params.yaml", "train:\n  seed: 0\n  lr: 0.1\nruntime:\n  device: auto\n")
    return found


def left(results: Results, stage: str, *made: Block, **options: Any) -> str:
    """The page after a stage has left these blocks."""
    results.of(stage).mkdir(parents=True, exist_ok=True)
    blocks.leave(results.of(stage), made, **options)
    return text_of(Results(results.project, results.root))


def text_of(results: Results) -> str:
    text = build(results).read_text(encoding="utf-8")
    check(text)
    return text


def every_kind(word: str) -> list[Block]:
    """One block of each kind, with a word of the data wherever one may stand."""
    row = {"file": "pictures/a.png", "caption": word, "note": word}
    cases = [{"title": word, "text": word, "note": word, "group": word, "id": word}]
    cases.append({"title": "b", "text": "b", "group": "other", "good": True})
    words = {"title": word, "good": False, "note": word, "pictures": [row]}
    marks = {"pieces": [word, word], "marks": {word: [1.0, -0.5]}, "unread": word, "question": word}
    curve = {word: ([0, 1], [0.2, None]), "other": (np.arange(3), np.arange(3.0))}
    return [
        blocks.section(word),
        blocks.text(word, "note"),
        blocks.number(word, word, word),
        blocks.table([word, "n"], [[word, 1], [blocks.cell(word, True, word), None]], word),
        blocks.lines("lines", word, curve, word, word, dashed=["other"]),
        blocks.bars("bars", word, {word: 0.5, "nothing": None}, (0.4, 0.6)),
        blocks.scatter("scatter", word, [0.1, 0.9], [0.2, 0.8], [1, 9], word, word, diagonal=True),
        blocks.matrix("matrix", word, np.eye(2, dtype=int).tolist(), [word, "other"], {"0-0": word}),
        blocks.pictures([row | {"alt": word}], sharp=True),
        blocks.fold(word, [blocks.text(word), blocks.facts({word: word, "two": [word, word]})]),
        blocks.strips([words]),
        blocks.highlights([words | marks | {"underlined": [True, False], "boxed": [False, True]}], word, word),
        blocks.sounds([{"file": "a.mp3", "caption": word}]),
        blocks.articles(cases, by=word),
    ]


class Checker(HTMLParser):
    """Notes elements that are not closed in order, ids given twice, scripts, handlers and what is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.ids += [value or ""] if name == "id" else []
            self.links |= {value[1:]} if name == "href" and value and value.startswith("#") else set()
            pattern = r"data:(image|audio)/|#|\.\./"
            fetched = name in ("src", "href", "xlink:href") and not re.match(pattern, value or "")
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
    assert checker.links <= set(checker.ids)


@pytest.mark.parametrize("word", HOSTILE)
def test_every_kind_of_block_escapes_what_came_from_data(results: Results, word: str) -> None:
    picture(results.of("evaluate") / "pictures/a.png")
    write(results.of("evaluate") / "a.mp3", "ID3")
    text = left(results, "evaluate", *every_kind(word), summary=every_kind(word)[1:4])
    assert "<script" not in text
    assert "<img src=x" not in text
    assert "default-src 'none'" in text
    assert not re.search("https?://", text)


def test_made_again_it_is_the_same_bytes(results: Results) -> None:
    picture(results.of("explain") / "pictures/a.png")
    write(results.of("explain") / "a.mp3", "ID3")
    first = left(results, "explain", *every_kind("cat"))
    assert text_of(results) == first
    assert len(first) < 200_000


def test_an_unknown_kind_of_block_is_a_bug(results: Results) -> None:
    with pytest.raises(AssertionError, match="unknown kind of block: song"):
        left(results, "evaluate", {"block": "song"})


def test_two_charts_of_one_name_are_a_bug(results: Results) -> None:
    with pytest.raises(AssertionError, match="two charts or cases are called evaluate-result"):
        left(results, "evaluate", *[blocks.bars("result", "Result", {"this model": 1.0})] * 2)


@pytest.mark.parametrize("file", ["../secret.png", "/etc/hostname", "pictures/../../../secret.png"])
def test_a_file_outside_the_folder_is_refused(results: Results, file: str) -> None:
    picture(results.folder / "results" / "secret.png")
    with pytest.raises(AssertionError, match="is not in"):
        left(results, "evaluate", blocks.pictures([{"file": file, "caption": ""}]))


def test_large_pictures_are_made_smaller(results: Results) -> None:
    picture(results.of("evaluate") / "large.png", 1000)
    text = left(results, "evaluate", blocks.pictures([{"file": "large.png", "caption": ""}]))
    assert (results.of("evaluate") / "large.png").stat().st_size > 2_000_000
    assert len(text) < 250_000


def test_a_picture_that_moves_has_one_that_stands_still(results: Results) -> None:
    frames = [Image.fromarray(np.full((300, 300, 3), shade, np.uint8)) for shade in (128, 255)]
    picture(results.of("train") / "a.webp", 300, save_all=True, append_images=frames, lossless=True)
    picture(results.of("train") / "a.png")
    row = {"file": "a.webp", "still": "a.png", "caption": "learning"}
    text = left(results, "train", blocks.pictures([row], sharp=True))
    moving, still = re.findall(r'<img class="([^"]*)" src="data:image/(\w+);base64,', text)
    assert (moving, still) == (("sharp moving", "webp"), ("sharp still", "png"))
    assert len(text) > 4 / 3 * (results.of("train") / "a.webp").stat().st_size


def test_numbers_that_are_missing_are_shown_so(results: Results) -> None:
    row = ["a", float("nan"), np.float32("inf"), None, np.int64(1234), 0.5]
    text = left(results, "evaluate", blocks.table(["x"] * 6, [row]))
    cells = re.findall(r"<td[^>]*>\s*([^<\s]*)", text)
    assert cells == ["\u2013", "\u2013", "\u2013", "1,234", "0.500"]


def test_a_column_of_numbers_is_aligned_to_the_right(results: Results) -> None:
    rows = [["a", 1, 0.5, blocks.cell(0.5, None, "a note")], ["b", 2, None, 0.5]]
    text = left(results, "evaluate", blocks.table(["name", "n", "score", "test"], rows))
    assert re.findall(r'<th scope="col" class="number">(\w+)', text) == ["n", "score"]
    assert text.count('<td class="number">') == 4


def test_sections_come_in_the_order_of_the_stages(results: Results) -> None:
    left(results, "explain", blocks.section("Attributions"), blocks.text("e"), summary=[blocks.text("holds")])
    left(results, "evaluate", blocks.text("no section begun"), summary=[blocks.text("good")])
    write(results.of("train") / "history.tsv", "step\tepoch\ttrain_loss\n1\t1\t2.0\n2\t2\t1.0\n")
    left(results, "train", summary=[blocks.text("trained")])
    text = left(results, "prepare", blocks.text("rows"))
    assert re.findall("<h2>(.*)</h2>", text) == [
        "Data", "Learning curves", "Evaluation", "Attributions", "How to reproduce"
    ]  # fmt: skip
    assert text.index("<p>trained") < text.index("<p>good") < text.index("<p>holds") < text.index("<h2>Data")


def test_learning_curves_leave_out_what_never_changes(results: Results) -> None:
    rows = [f"{step}\t{step / 9}\t{1 / (step + 1)}\t0.1\tnan" for step in range(900)]
    write(results.of("train") / "history.tsv", "\n".join(["step\tepoch\ttrain_loss\tlearning_rate\tgap", *rows]))
    write(
        results.of("train") / "validation.tsv", "step\tepoch\tvalid_loss\tvalid_f1\n9\t1\t0.5\t0.1\n18\t2\t0.4\t0.3\n"
    )
    text = left(results, "train")
    assert re.findall('id="(train-learning-[a-z0-9_]*)"', text) == ["train-learning-loss", "train-learning-f1"]
    assert len(text) < 60_000


def test_learning_curves_that_hardly_change_are_left_out_and_further_ones_folded(results: Results) -> None:
    rows = [f"{step}\t{step}\t{1 / step}\t{0.9 + 0.0004 * step}\t{step}\t{-step}" for step in range(1, 10)]
    columns = "step\tepoch\ttrain_loss\ttrain_accuracy\ttrain_roc_auc\tgrad"
    write(results.of("train") / "history.tsv", "\n".join([columns, *rows]))
    text = left(results, "train")
    assert re.findall("<figcaption>(.*?)</figcaption>", text) == ["Loss", "ROC AUC", "Grad"]
    assert text.index("ROC AUC</figcaption>") < text.index("and 1 more") < text.index("Grad</figcaption>")


def test_it_says_what_was_run(results: Results) -> None:
    run = {"date": "2026-03-01", "commit": "1a2b3c4d5e", "clean": False, "num_weights": 1234567}
    run |= {"seconds": 572.4, "steps": 288, "processes": 1, "hardware": {"cpu": "EPYC", "cores": 2}}
    model = {"model": {"name": "compact"}, "trained_on": "abcd" * 16, "params": {"seed": 3, "lr": 0.1}}
    write(results.of("train") / "run.json", run)
    write(results.of("train") / "model.json", model)
    text = left(results, "train", blocks.text("trained"), params={"seed": 0})
    line = "Trained 2026-03-01 · commit 1a2b3c4d5e, with uncommitted changes · 1,234,567 weights · 9 min 32 s"
    assert f"<summary>{line} · 2 cores of EPYC</summary>" in text
    assert text.index(line) < text.index("trained")
    for fact in ("<dd>compact</dd>", "288 steps", "digest abcdabcdabcdabcd", "train.seed = 3", "<strong>3</strong>"):
        assert fact in text
    assert "Versions" not in text
    assert "processes" not in text


def test_it_says_where_the_figures_come_from(results: Results) -> None:
    write(results.of("evaluate") / "metrics.json", METRICS)
    assert "Obtained on the embedded sample" in left(results, "evaluate", blocks.text("done"))
    write(results.of("evaluate") / "metrics.json", METRICS | {"source": "own"})
    assert "Obtained on the embedded sample" not in left(results, "evaluate", blocks.text("done"))


@pytest.mark.parametrize(
    ("baseline", "told", "kind"),
    [(5.0, "Clearly better than", "plain"), (0.5, "Worse than", "note"), (1.5, "Not clearly different from", "note")],
)
def test_the_headline_says_how_it_compares(baseline: float, told: str, kind: str) -> None:
    metrics = {"a_distance": 1.4, "a_distance_low": 1.0, "a_distance_high": 2.0, "num_samples": 1200, "unit": "songs"}
    number, verdict, _ = blocks.headline(metrics | {"baseline": {"k_means_a_distance": baseline}})
    assert number["label"] == "A distance over 1,200 test songs"
    assert "lower is better" in number["detail"]
    assert verdict["text"] == f"{told} the baseline k means ({baseline:.3f})."
    assert verdict["kind"] == kind


def test_the_headline_follows_the_paired_difference_and_spells_names_as_the_field_does() -> None:
    name = "ndcg_score_at_10"
    metrics = {name: 0.5, f"{name}_low": 0.4, f"{name}_high": 0.6, "baseline": {f"item_knn_{name}": 0.45}}
    number, verdict, bars = blocks.headline(
        metrics | {"difference": {"item_knn": 0.05, "item_knn_low": 0.02, "item_knn_high": 0.08}}
    )
    assert number["label"] == "NDCG at 10"
    assert verdict["text"] == "Clearly better than the baseline item kNN (0.450)."
    assert list(bars["rows"]) == ["this model", "item kNN"]
    assert "Not clearly different from" in blocks.headline(metrics)[1]["text"]


def test_the_headline_can_be_said_in_words() -> None:
    number = blocks.headline(METRICS, "4 of 40 songs wrong")[0]
    assert (number["value"], number["label"]) == ("4 of 40 songs wrong", "Accuracy 0.900 over 40 test samples")


def test_counts_of_a_matrix_lead_to_cases(results: Results) -> None:
    counts = [[9, 1], [0, 5]]
    cases = [{"title": "cat taken for dog", "text": "meow", "id": "error-0-1"}]
    text = left(
        results,
        "evaluate",
        blocks.matrix("confusion", "Confusions", counts, ["cat", "dog"], {"0-1": "error-0-1"}),
        blocks.articles(cases),
    )
    assert re.findall('<a xlink:href="#(.*?)">', text) == ["evaluate-error-0-1"]
    assert '<article id="evaluate-error-0-1">' in text
    assert 'aria-label="Confusions: 14 of 15 on the diagonal"' in text


@pytest.mark.parametrize(
    ("groups", "choices"),
    [(["cat", "dog", "cat"], ["cat", "dog"]), (["cat", "cat"], []), ([f"c{number}" for number in range(41)], [])],
)
def test_cases_are_chosen_by_group_without_script(results: Results, groups: list[str], choices: list[str]) -> None:
    cases = [{"title": "t", "text": "t", "group": group} for group in groups]
    text = left(results, "evaluate", blocks.articles(cases, by="Class"))
    assert re.findall(r'class="p\d+">(\w+)', text) == choices
    assert ".chosen:has(.p0:checked) .case:not(.g0)" in text
    assert re.findall('<article class="case (g.)"', text) == (["g0", "g1", "g0"] if choices else [])


def test_pictures_say_what_is_to_be_seen(results: Results) -> None:
    picture(results.of("explain") / "a.png")
    seen = {"file": "a.png", "caption": "Saliency", "alt": "red in the middle"}
    text = left(results, "explain", blocks.strips([{"title": "cat", "good": True, "pictures": [seen]}]))
    assert 'alt="red in the middle"' in text
    assert "<figcaption>Saliency</figcaption>" in text


def test_only_bars_beside_this_models_are_grey(results: Results) -> None:
    rows = {"one": 0.5, "other": 0.25}
    for interval, coloured in ((None, 2), ((0.4, 0.6), 1)):
        text = left(results, "evaluate", blocks.bars("bars", "Bars", rows, interval))
        assert text.count("fill: var(--c1)") == coloured


def test_long_tables_are_folded(results: Results) -> None:
    for num_rows, folded in ((15, False), (16, True)):
        text = left(results, "evaluate", blocks.table(["Class", "n"], [["a", 1]] * num_rows))
        assert ("<summary>Class: 16 rows</summary>" in text) == folded


README = """# toy: sums

## Use and limits
- **Meant for**: sums of
  two <numbers>, see [there](../there.md).
- **Data and licence**: `generated`, <https://sums.org>.

Never for three.

## To adapt
- **More**: none.
"""


def test_the_use_is_read_from_the_readme() -> None:
    assert use_and_limits(README) == {
        "Meant for": ["sums of two <numbers>, see there."],
        "Data and licence": ["generated, https://sums.org."],
        "Use and limits": ["Never for three."],
    }
    assert use_and_limits("# toy\n\n## Use\n- **A**: b\n") == {}


def test_the_card_is_on_the_page_and_beside_the_weights(results: Results) -> None:
    write(results.folder / "README.md", README)
    write(results.of("train") / "model.json", {"model": {"name": "adder"}, "trained_on": "ab" * 32, "params": {}})
    write(results.of("train") / "run.json", {"date": "2026-03-01", "num_weights": 1234})
    summary = [blocks.number("2 of 40 wrong", "Accuracy 0.950"), blocks.text("Most often: 1 taken for 7 (2).")]
    text = left(results, "evaluate", blocks.text("done"), summary=summary)
    card = (results.of("train") / "README.md").read_text(encoding="utf-8")
    for words in (
        "sums of two",
        "Never for three.",
        "2 of 40 wrong",
        "Most often: 1 taken for 7",
        "model: adder",
        "1,234",
    ):
        assert words in card
        assert words in text[text.index("<h2>Model card") :]
    assert card.startswith("# Model card of toy: sums\n\n## Meant for\n\nsums of two")
    assert "python -m projects.toy.predict --help" in card
    write(results.folder / "README.md", "# toy: sums\n")
    assert "Not written yet" in text_of(Results(results.project, results.root))


def test_without_a_model_there_is_no_card(results: Results) -> None:
    assert "Model card" not in left(results, "prepare", blocks.text("rows"))
    assert not results.of("train").exists()


def committed(root: Path, metrics: dict[str, Any]) -> None:
    write(root / "projects/toy/results/evaluate/metrics.json", metrics)
    name = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (("init", "--quiet"), ("add", "projects"), (*name, "commit", "--quiet", "--message=run")):
        subprocess.run(["git", *words], cwd=root, check=True)


@pytest.mark.parametrize(
    ("before", "verdict"),
    [
        ({"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6}, "better"),
        ({"accuracy": 0.99, "accuracy_low": 0.97, "accuracy_high": 1.0}, "worse"),
        ({"accuracy": 0.85, "accuracy_low": 0.8, "accuracy_high": 0.9}, "no clear difference"),
        ({"source": "official"}, "other data"),
        ({"num_samples": 41}, "other data"),
        ({"macro_f1": 0.5}, "the same"),
    ],
)
def test_it_compares_with_the_last_committed_run(results: Results, before: dict[str, Any], verdict: str) -> None:
    committed(results.root, METRICS | before)
    write(results.of("evaluate") / "metrics.json", METRICS)
    text = left(results, "evaluate", blocks.text("done"))
    said = re.search(r"<p>(Committed run [0-9a-f]+ of \d{4}-\d\d-\d\d: Accuracy [\d.]+; this run: (.*?))\.</p>", text)
    assert said
    assert said[2] == verdict
    assert "<h2>Other runs</h2>" in text


def test_the_committed_run_is_not_compared_with_itself(results: Results) -> None:
    committed(results.root, METRICS | {"accuracy": 0.5})
    committed(results.root, METRICS)
    assert "Committed run" not in left(results, "evaluate", blocks.text("done"))


def test_it_compares_with_records_of_the_same_data(results: Results) -> None:
    write(results.of("evaluate") / "metrics.json", METRICS)
    headline = {"name": "accuracy", "mean": 0.7, "standard_deviation": 0.01, "num_seeds": 3}
    for name, source in (("small", "sample"), ("large", "official")):
        record = {"preset": name, "headline": headline, "runs": [{"metrics": METRICS | {"source": source}}]}
        write(results.folder / f"records/{name}.json", record)
    text = left(results, "evaluate", blocks.text("done"))
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(record \w+)</th>.*?</tr>", text, re.DOTALL)
    assert rows == ["record large", "record small"]
    assert "± 0.010, 3 seeds" in text
    assert (
        text.index("record large")
        < text.index("<small>other data")
        < text.index("record small")
        < text.index("✓ better")
    )


def test_no_results_and_no_project_are_told(results: Results, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results") as caught:
        build(results)
    assert "dvc repro projects/toy" in str(caught.value)
    with pytest.raises(UserError, match="no such project"):
        build(Results("tow", tmp_path))


def test_the_index_shows_headlines_records_and_what_has_not_run(results: Results, tmp_path: Path) -> None:
    write(results.of("evaluate") / "metrics.json", METRICS)
    picture(results.of("evaluate") / "a.png")
    left(results, "evaluate", blocks.pictures([{"file": "a.png", "caption": ""}]))
    record = {"name": "accuracy", "mean": 0.9421, "standard_deviation": 0.0016, "num_seeds": 3}
    write(results.folder / "records/official.json", {"preset": "official", "headline": record})
    write(tmp_path / "projects/new/params.yaml", "train: {}\n")
    text = build_index(tmp_path).read_text(encoding="utf-8")
    check(text)
    for part in ('href="../projects/toy/results/report.html"', "dvc repro projects/new", "0.942", "3 seeds"):
        assert part in text
    assert text.count("data:image/png") == 1
    for part in ('id="toy"', 'href="../projects/toy/README.md"', "official</th>"):
        assert part in text


def test_the_index_shows_first_what_summaries_show_or_a_text(results: Results, tmp_path: Path) -> None:
    picture(results.of("explain") / "map.png")
    picture(results.of("evaluate") / "made.png", 16)
    made = blocks.pictures([{"file": "made.png", "caption": ""}], size="large")
    left(results, "explain", blocks.pictures([{"file": "map.png", "caption": ""}]))
    left(results, "evaluate", blocks.text("done"), summary=[blocks.number("3 of 9 wrong", "Accuracy"), made])
    write(results.of("evaluate") / "metrics.json", METRICS)
    text = build_index(tmp_path).read_text(encoding="utf-8")
    assert 'class="thumbnails one"' in text
    assert "3 of 9 wrong" in text
    assert data_uri(results.of("evaluate"), "made.png") in text
    (results.of("evaluate") / "made.png").unlink()  # as in a fresh clone, before `dvc pull`
    assert data_uri(results.of("explain"), "map.png") in build_index(tmp_path).read_text(encoding="utf-8")
    other = Results("words", tmp_path)
    write(other.folder / "params.yaml", "train: {}\n")
    row = {"title": "t", "good": True, "pieces": ["so ", "<b>"] * 20, "marks": {"m": [0.0, 1.0] * 20}}
    left(other, "explain", blocks.highlights([row]))
    text = build_index(tmp_path).read_text(encoding="utf-8")
    check(text)
    assert text.count('<mark class="for l8">&lt;b&gt;</mark>') == 15


def test_a_page_leads_to_the_other_projects(results: Results, tmp_path: Path) -> None:
    write(tmp_path / "projects/new/params.yaml", "train: {}\n")
    text = left(results, "evaluate", blocks.text("done"))
    assert '<a href="../../../report/index.html#new">new</a>' in text
    assert 'id="new"' in build_index(tmp_path).read_text(encoding="utf-8")


def test_a_name_that_is_not_utf_8_does_not_stop_a_page(tmp_path: Path) -> None:
    path = write_blocks(tmp_path / "report/check.html", "caf\udce9", [blocks.table([], [["\udce9.png"]])], tmp_path)
    text = path.read_text(encoding="utf-8")
    check(text)
    assert "<h1>caf?</h1>" in text
    assert "?.png</th>" in text


@pytest.mark.parametrize("place", ["blocks", "summary"])
def test_a_clone_whose_pictures_are_still_in_a_cache_elsewhere_is_told_how_to_get_them(
    results: Results, place: str
) -> None:
    missing, done = blocks.pictures([{"file": "pictures/a.png", "caption": ""}]), blocks.text("done")
    made, summary = (missing, done) if place == "blocks" else (done, missing)
    with pytest.raises(UserError, match=r"results/explain/pictures/a\.png: missing") as error:
        left(results, "explain", made, summary=[summary])
    assert "dvc repro projects/toy, or dvc pull projects/toy" in str(error.value)
