"""The page: whole without any stage but one, safe against hostile data, the same bytes when made again."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.core.errors import UserError
from shared.report import blocks
from shared.report.blocks import Block
from shared.report.index import build_index
from shared.report.page import Results, build

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
        blocks.matrix("matrix", word, np.eye(2, dtype=int).tolist(), [word, "other"]),
        blocks.pictures([row], sharp=True),
        blocks.strips([words]),
        blocks.highlights([words | marks | {"underlined": [True, False], "boxed": [False, True]}], word, word),
        blocks.sounds([{"file": "a.wav", "caption": word}]),
        blocks.article(word, word, word, good=True),
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
    write(results.of("evaluate") / "a.wav", "RIFF")
    text = left(results, "evaluate", *every_kind(word), summary=every_kind(word)[1:4])
    assert "<script" not in text
    assert "<img src=x" not in text
    assert "default-src 'none'" in text
    assert not re.search("https?://", text)


def test_made_again_it_is_the_same_bytes(results: Results) -> None:
    picture(results.of("explain") / "pictures/a.png")
    write(results.of("explain") / "a.wav", "RIFF")
    first = left(results, "explain", *every_kind("cat"))
    assert text_of(results) == first
    assert len(first) < 200_000


def test_an_unknown_kind_of_block_is_a_bug(results: Results) -> None:
    with pytest.raises(AssertionError, match="unknown kind of block: song"):
        left(results, "evaluate", {"block": "song"})


def test_two_charts_of_one_name_are_a_bug(results: Results) -> None:
    with pytest.raises(AssertionError, match="two charts are called evaluate-result"):
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


def test_it_says_what_was_run(results: Results) -> None:
    run = {"date": "2026-03-01", "commit": "1a2b3c4d5e", "clean": False, "num_weights": 1234567}
    run |= {"seconds": 572.4, "steps": 288, "processes": 1, "hardware": {"cpu": "EPYC", "cores": 2}}
    model = {"model": {"name": "compact"}, "trained_on": "abcd" * 16, "params": {"seed": 3, "lr": 0.1}}
    write(results.of("train") / "run.json", run)
    write(results.of("train") / "model.json", model)
    text = left(results, "train", blocks.text("trained"), params={"seed": 0})
    line = "Trained 2026-03-01 · commit 1a2b3c4d5e, with uncommitted changes · 1,234,567 weights · 9 min 32 s"
    assert f"<summary>{line} · 2 cores of EPYC</summary>" in text
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


def test_a_clone_whose_pictures_are_still_in_a_cache_elsewhere_is_told_how_to_get_them(results: Results) -> None:
    with pytest.raises(UserError, match=r"results/explain/pictures/a\.png: missing") as error:
        left(results, "explain", blocks.pictures([{"file": "pictures/a.png", "caption": ""}]))
    assert "dvc repro projects/toy, or dvc pull projects/toy" in str(error.value)
