"""The explain stage of every project: attributions, tests of them, and the page that shows both.

metrics.json   unit, part (plural nouns: what the questions are about, what is removed), num_samples questions, link,
               and for each method the mean over the questions of (*_score: higher is better, *_error: lower)
    evidence_score          share of |attribution| on the evidence, over questions that have some
    deletion_score          1 - area under the curve while parts are removed, the highest first
    insertion_score         area under the curve while parts are put in, the highest first
    infidelity_error        error in predicting the change of the score when random sets of parts are removed
    completeness_error      distance of the map's sum from the change of the score, for methods that promise equality
    randomised_similarity   rank correlation with the maps of weight-randomised models: should be low
  *_random is the same figure of a random attribution, *_randomised that of the method on weight-randomised models.
curves.tsv     method, curve (deletion, insertion), fraction of parts, probability or share, order
page.json      the blocks of the page; pictures/ what they show

N questions, P parts, K classes, T points of a curve.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor

from shared.core.errors import UserError
from shared.core.files import replace_folder, write_atomic, write_json
from shared.core.progress import progress
from shared.core.sections import Explain
from shared.core.seed import derive
from shared.evaluation.intervals import bootstrap
from shared.explain import parts
from shared.explain.methods import Method, Unsuitable, find_method
from shared.explain.parts import Link, Scene, Subject, Value
from shared.report import blocks
from shared.report.blocks import Block
from shared.training.stage import Trained

POOL = 1000  # test samples, drawn, among which errors are looked for
FIGURE_DIGITS = 4
RANDOM = "random"
MARKS = {True: "✓", False: "✗", None: "?"}

Figures = dict[str, Tensor]  # metric -> (N,), one figure per question
Maps = dict[str, Tensor]  # method -> (N, P)
Lines = dict[str, tuple[Tensor, Tensor]]  # method -> mean deletion and insertion curve (T,) each
Advance = Callable[..., None]  # of shared.core.progress, counted in questions


class Fact(TypedDict):
    """What the page says of one question."""

    title: str
    correct: bool
    question: NotRequired[str]
    note: NotRequired[str]


class Scored(NamedTuple):
    """What was tested: rows (S,) int64 of the scene, their questions, and the map (S, P) of each method."""

    rows: Tensor
    subject: Subject
    maps: Maps


Show = Callable[[Any, Maps, Sequence[Fact], Path], list[Block]]  # (shown scene, maps by title, facts, pictures folder)


def draw(size: int, seed: int) -> np.ndarray:
    """(N,) int64: which of `size` test samples make the pool, in random order; all where they are 1000 or fewer."""
    return np.random.default_rng(derive(seed, "pool")).permutation(size)[:POOL]


def class_facts(labels: Tensor, probabilities: Tensor, classes: Sequence[str]) -> list[Fact]:
    """What is said of N classified samples: labels (N,) int64, probabilities (N, K)."""
    tops = zip(labels.tolist(), *(part.tolist() for part in probabilities.max(1)), strict=True)
    return [
        {"title": f"true: {classes[label]}, predicted: {classes[top]} ({share:.0%})", "correct": label == top}
        for label, share, top in tops
    ]


def explain(
    trained: Trained[Any],
    scene: Scene,
    value: Value,
    facts: Sequence[Fact],
    *,
    methods: Mapping[str, Method],
    show: Show,
    unit: str,
    part: str,
    link: Link = "probability",
    note: str = "",
) -> Scored:
    """Attributes a model's score to the parts of its inputs, tests the attributions, writes all files of the stage.

        explain(trained, ImageScene(...), value, facts, methods=IMAGE_METHODS, show=show, unit="images", part="pixels")

    Args:
        trained: whose model is left as it was found, and whose params.explain says how much is computed.
        scene: questions in random order (see `draw`), on any device: the first num_scored are scored, and the shown are
            chosen among all. Questions without parts are left out.
        value: the score that is explained, for classes their `log_odds`.
        facts: of each question.
        methods: those that suit the scene; params.methods names some of them.
        show: draws the maps, as `shared.image.show.show` and `shared.text.show.show` do.
        unit, part: plural nouns of what the questions are about and of what is removed, such as "reviews" and "words".
        link: what the curves show: sigmoid(value), or for a value that is no log-odds its share of the way from the
            empty input to the full one.
        note: a caveat for the reader of the pictures.

    Returns:
        What a project's own tests may go on with; `blocks.append` adds theirs to the page.

    Raises:
        UserError: params name an unknown method, or none that works; no question has a part.
    """
    params, results = trained.params.explain, trained.project.results("explain")
    chosen = {name: find_method(name, methods) for name in params.methods}
    answerable = torch.nonzero(scene.sizes > 0)[:, 0]
    if not len(answerable):
        raise UserError(f"explain: no {part} in any of {len(scene)} {unit}", fix="see what prepare made of the data")
    facts = [facts[row] for row in answerable.tolist()]
    scored, shown = choose(torch.tensor([fact["correct"] for fact in facts]), params)
    wanted, places = torch.unique(torch.cat([scored, shown]), return_inverse=True)  # the scored come first
    print(f"explain: {len(wanted)} {unit}, {len(scored)} of them scored, by {len(chosen)} methods", flush=True)
    # Each method: maps, maps of randomised models, curves; and the curves of a random attribution
    with progress("explain", len(chosen) * (len(wanted) + 2 * len(scored)) + len(scored)) as advance:
        methods, counted = watched(chosen, value, advance)
        subject = Subject(trained.model, scene[answerable], counted, int(scene.sizes.max()))
        maps, left_out = attribute(subject[wanted], methods, params.seed)
        of_scored = {name: of[: len(scored)] for name, of in maps.items()}
        tested, lines = measure(subject[scored], methods, of_scored, params, link, advance)

    with replace_folder(results / "pictures") as folder:
        drawn = {f"{one.method.title} {MARKS[one.total.good]}": maps[one.name][places[len(scored) :]] for one in tested}
        pictures = show(subject.scene[shown], drawn, [facts[row] for row in shown.tolist()], folder)
    counts = {"num_samples": len(scored), "unit": unit, "part": part, "link": link}
    write_json(results / "metrics.json", counts | {one.name: one.means for one in tested})
    write_atomic(results / "curves.tsv", "\n".join(curve_table(lines, link)).encode() + b"\n")
    curves = [
        blocks.text(CURVES.format(part=part.capitalize())),
        *(curve_chart(one, lines, part, link) for one in tested),
    ]
    page = [
        blocks.section("What the model looked at"),
        *(blocks.text(text, "note") for text in (*left_out, note) if text),
        blocks.text(believed(tested)),
        verdict_table(tested),
        blocks.fold("How to read each method", [reading_table(tested)]),
        *pictures,
        blocks.section("Can these attributions be believed?"),
        tests_table(tested, len(scored), unit, part),
        blocks.fold("Insertion and deletion, as curves", curves),
    ]
    blocks.leave(results, page, summary=[blocks.text(believed(tested))], params=params.model_dump())
    wrong = sum(not facts[row]["correct"] for row in shown.tolist())
    print(believed(tested), *(f"{one.method.title} {one.total.text}" for one in tested), sep="\n")
    print(f"{len(scored)} {unit} scored; shown: {len(shown)}, {wrong} of them wrong")
    return Scored(answerable[scored], replace(subject[scored], value=value), of_scored)


def choose(correct: Tensor, params: Explain) -> tuple[Tensor, Tensor]:
    """Rows of the pool (N,) bool, in random order: those that are scored, and those that are shown: up to half of
    them errors, which come first.
    """
    wrong, right = (torch.nonzero(some)[:, 0] for some in (~correct, correct))
    num_wrong = min(len(wrong), max(params.num_shown // 2, params.num_shown - len(right)))
    shown = torch.cat([wrong[:num_wrong], right[: params.num_shown - num_wrong]])
    return torch.arange(min(params.num_scored, len(correct))), shown


def attribute(subject: Subject, methods: Mapping[str, Method], seed: int) -> tuple[Maps, list[str]]:
    """Maps (N, P) of each method that works here, and why others do not. Raises UserError if none does."""
    maps, left_out = {}, []
    for name, method in methods.items():
        try:
            maps[name] = method.run(subject, seed)
        except Unsuitable as error:
            left_out.append(f"Without {method.title}: {error.what}.")
            print(f"explain: without {name}: {error.what}")
    if not maps:
        raise UserError("explain.methods: none of them works with this model", expected="; ".join(left_out))
    return maps, left_out


def watched(methods: Mapping[str, Method], value: Value, advance: Advance) -> tuple[Mapping[str, Method], Value]:
    """The same, but each method advances by the questions that it has attributed, and each value notes how many
    presentations have been through the model."""
    title, count = "", 0

    def counting(model: torch.nn.Module, batch: Any) -> Tensor:
        nonlocal count
        found = value(model, batch)
        count += len(found)
        advance(0, f"{title}, {count:,} presentations")
        return found

    def running(method: Method, subject: Subject, seed: int) -> Tensor:
        nonlocal title
        title = method.title
        try:
            return method.run(subject, seed)
        finally:
            title = "curves"
            advance(len(subject))

    return {name: replace(one, run=partial(running, one)) for name, one in methods.items()}, counting


# --- figures and verdicts -------------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """good: True, False, or None if the intervals are inconclusive; text: the same in words, with figures."""

    good: bool | None
    text: str


@dataclass(frozen=True)
class Test:
    """A test of an attribution: a figure must be better than those of references, or below the limit."""

    key: str
    title: str
    meaning: str
    references: tuple[str, ...] = ()
    limit: float = 0.0


@dataclass(frozen=True)
class Tested:
    """A method with its figures and a verdict for each test that applies, by its key."""

    name: str
    method: Method
    figures: Figures
    verdicts: dict[str, Verdict]

    @property
    def means(self) -> dict[str, float]:
        return {key: round(of.double().mean().item(), FIGURE_DIGITS) for key, of in self.figures.items()}

    @property
    def total(self) -> Verdict:
        goods = [(test.title, self.verdicts[test.key].good) for test in TESTS if test.key in self.verdicts]
        failed, open_ = (", ".join(title for title, good in goods if good is which) for which in (False, None))
        passed = sum(good is True for _, good in goods)
        text = f"passes {passed} of {len(goods)} tests"
        text += f", fails: {failed}" * bool(failed) + f", inconclusive: {open_}" * bool(open_)
        return Verdict(overall([good for _, good in goods]), text)


def measure(
    subject: Subject,
    methods: Mapping[str, Method],
    maps: Maps,
    params: Explain,
    link: Link,
    advance: Advance,
) -> tuple[list[Tested], Lines]:
    """All figures of each method's maps (N, P), and the curves of these and of a random attribution.

    Args:
        advance: called with the number of questions when the curves of a method are there.
    """
    seed, scene, inside = params.seed, subject.scene, subject.inside
    randomised = randomised_maps(subject, {name: methods[name] for name in maps}, params)
    sets = scene.removals(seed) if hasattr(scene, "removals") else parts.random_sets(inside, seed)
    effects = parts.removal_effects(subject, sets)
    found, lines = {}, {}
    for name, some in (maps | {RANDOM: parts.random_maps(inside, seed)}).items():
        # Where a number falls on the way from empty to full, the parts that speak for it are those that lower it
        ordered = some * subject.change.sign()[:, None] if link == "share" else some
        pair = [parts.linked(line, subject.full, subject.empty, link) for line in parts.curves(subject, ordered, seed)]
        lines[name] = pair[0].mean(0), pair[1].mean(0)
        advance(len(subject))
        found[name] = on_evidence(scene, some) | {
            "deletion_score": 1 - parts.area(pair[0]),
            "insertion_score": parts.area(pair[1]),
            "infidelity_error": parts.infidelity(some, sets, effects),
        }
    random = suffixed(found.pop(RANDOM), RANDOM)
    for name, figures in found.items():
        figures |= random | suffixed(on_evidence(scene, randomised[name]), "randomised")
        figures["randomised_similarity"] = parts.similarity(maps[name], randomised[name], inside)
        if methods[name].complete:
            figures["completeness_error"] = parts.completeness(maps[name], subject.change)
    return [
        Tested(name, methods[name], of, {test.key: judge(test, of, seed) for test in TESTS if test.key in of})
        for name, of in found.items()
    ], lines


def randomised_maps(subject: Subject, methods: Mapping[str, Method], params: Explain) -> Maps:
    """Maps (N, P) of models whose weights are shuffled. There are num_randomised of them, which share the questions."""
    maps = {name: torch.zeros(len(subject), subject.num_parts) for name in methods}
    for number in range(min(params.num_randomised, len(subject))):
        rows = torch.arange(number, len(subject), params.num_randomised)
        # Of all questions: batch norm takes its statistics from more than a share of them
        other = parts.randomise(subject, derive(params.seed, "randomised", number))[rows]
        for name, method in methods.items():
            maps[name][rows] = method.run(other, params.seed).to(maps[name])
    return maps


def on_evidence(scene: Scene, maps: Tensor) -> Figures:
    """Over the questions that have evidence; nothing where none has."""
    if scene.evidence is None or not scene.evidence.any():
        return {}
    marked = scene.evidence.any(1)
    evidence = scene.evidence[marked][:, : maps.shape[1]]  # wider, where the largest questions were left out
    return {"evidence_score": parts.localisation(maps[marked], evidence)}


def suffixed(figures: Figures, word: str) -> Figures:
    return {f"{name}_{word}": of for name, of in figures.items()}


TESTS = (
    Test("evidence_score", "Lies on the evidence", "Share of the attribution on the known evidence. Higher is better.",
         references=(RANDOM, "randomised")),
    Test("deletion_score", "Deletion", "How fast the score is lost when the {part} named most important are removed "
         "first. Higher is better.", references=(RANDOM,)),
    Test("insertion_score", "Insertion", "How fast the score returns when they are inserted first. Higher is better.",
         references=(RANDOM,)),
    Test("infidelity_error", "Predicts changes", "Error in predicting the change of the score when random sets of "
         "{part} are removed (infidelity, Yeh et al. 2019). Lower is better; 1: as an empty attribution.",
         references=(RANDOM,)),
    Test("randomised_similarity", "Depends on the weights", "Similarity to the attribution of a model whose weights "
         "were shuffled. Below 0.5, or the method shows the input rather than the model.", limit=0.5),
    Test("completeness_error", "Adds up", "Distance of its sum from the change of the score, which it should equal "
         "for some methods. Below 0.1.", limit=0.1),
)  # fmt: skip
REFERENCES = {RANDOM: "a random attribution", "randomised": "a model with shuffled weights"}
VERDICTS = {True: "better than", False: "no better than", None: "not clearly different from"}


def judge(test: Test, figures: Figures, seed: int) -> Verdict:
    """Compares pairs of figures, question by question, with 95 % intervals; all comparisons must be better.

    >>> figures = {"deletion_score": torch.tensor([0.9, 0.8]), "deletion_score_random": torch.tensor([0.5, 0.5])}
    >>> judge(TESTS[1], figures, seed=0).text
    'better than a random attribution (0.500): by 0.350 (0.300 to 0.400)'
    """
    own, sign = figures[test.key], -1 if test.key.endswith("_error") else 1
    others = {REFERENCES[name]: figures.get(f"{test.key}_{name}") for name in test.references}
    gains = {f"{title} ({of.double().mean():.3f})": sign * (own - of) for title, of in others.items() if of is not None}
    if test.limit:
        gains[f"the limit {test.limit:g}"] = test.limit - own
    goods, texts = [], []
    for reference, gain in gains.items():
        mean, (low, high) = gain.double().mean(), bootstrap(gain.double().numpy(), seed)
        goods.append(None if low <= 0 <= high else low > 0)
        texts.append(f"{VERDICTS[goods[-1]]} {reference}: by {mean:.3f} ({low:.3f} to {high:.3f})")
    return Verdict(overall(goods), "; ".join(texts))


def overall(goods: Sequence[bool | None]) -> bool | None:
    """False where any is, else None where any is, else True."""
    return False if False in goods else None if None in goods else True


# --- blocks ---------------------------------------------------------------------------------------------------------

CURVES = (
    "{part} are removed (deletion) or inserted (insertion) in the order of their attribution. A good order loses the "
    "score early and regains it early: deletion falls below the dashed line of a random order, insertion rises above."
)
TESTS_INTRO = (
    "Each figure is a mean over {count} {unit} of the test split. Comparisons are paired over them; in brackets the "
    "95 % interval of the difference, from a bootstrap. If it contains 0, the test is inconclusive."
)


def highlighted_parts(
    names: Sequence[Sequence[str]], scene: Scene, maps: Mapping[str, Tensor], facts: Sequence[Fact]
) -> Block:
    """What a room without pictures shows: the name of each part in the colour of its attribution.

    Args:
        names: of the parts of each question, in their order.
        maps: title -> (N, P).
    """
    rows = []
    for row, (parts_named, fact) in enumerate(zip(names, facts, strict=True)):
        marks = {title: rounded(parts.robust_scale(of[row, : len(parts_named)])) for title, of in maps.items()}
        decides = [] if scene.evidence is None else scene.evidence[row, : len(parts_named)].tolist()
        optional = {key: fact[key] for key in ("question", "note") if key in fact}
        said = {"title": fact["title"], "good": fact["correct"]} | optional
        rows.append(said | {"pieces": [f"{name} " for name in parts_named], "marks": marks, "underlined": decides})
    return blocks.highlights(rows, underlined="truly decides" if scene.evidence is not None else "")


def believed(tested: Sequence[Tested]) -> str:
    """Which maps of the page can be believed, in one sentence."""
    holding = [one.method.title for one in tested if one.total.good]
    names = f": {', '.join(holding)}" if holding else "; none of the maps is evidence of what the model uses"
    return f"The explanation holds for {len(holding)} of {len(tested)} attribution methods{names}."


def verdict_table(tested: Sequence[Tested]) -> Block:
    """Above the pictures: each method, whether it holds, and the first test that agrees."""
    rows = []
    for one in tested:
        found = [(test, one.verdicts[test.key]) for test in TESTS if test.key in one.verdicts]
        test, verdict = next((pair for pair in found if pair[1].good is one.total.good), found[0])
        total = blocks.cell(one.method.title, good=one.total.good, note=one.total.text)
        rows.append([total, blocks.cell(test.title, note=verdict.text)])
    return blocks.table(["Method", "For example"], rows)


def reading_table(tested: Sequence[Tested]) -> Block:
    return blocks.table(["Method", "How to read it"], [[one.method.title, one.method.reading] for one in tested])


def tests_table(tested: Sequence[Tested], count: int, unit: str, part: str) -> Block:
    rows = []
    for test in TESTS:
        found = [(one.verdicts.get(test.key), one.means.get(test.key)) for one in tested]
        cells = [verdict and blocks.cell(mean, good=verdict.good, note=verdict.text) for verdict, mean in found]
        rows += [[blocks.cell(test.title, note=test.meaning.format(part=part)), *cells]] * any(cells)
    columns = ["Test", *(one.method.title for one in tested)]
    return blocks.table(columns, rows, intro=TESTS_INTRO.format(count=count, unit=unit))


def curve_chart(one: Tested, lines: Lines, part: str, link: Link) -> Block:
    series, at = {}, parts.fractions().tolist()
    for number, curve in enumerate(("deletion", "insertion")):
        series[curve] = at, rounded(lines[one.name][number])
        series[f"{curve} ({RANDOM})"] = at, rounded(lines[RANDOM][number])
    dashed = [label for label in series if RANDOM in label]
    title, x = f"Insertion and deletion: {one.method.title}", f"share of {part}"
    return blocks.lines(f"curve-{one.name}", title, series, x=x, y=link, unit_range=True, dashed=dashed)


def curve_table(lines: Lines, link: Link) -> list[str]:
    """The mean curves in long form, as DVC plots them."""
    rows = [f"method\tcurve\tfraction\t{link}\torder"]
    for name, pair in lines.items():
        order = RANDOM if name == RANDOM else "attribution"
        for curve, line in zip(("deletion", "insertion"), pair, strict=True):
            points = zip(parts.fractions().tolist(), rounded(line), strict=True)
            rows += [f"{name}\t{curve}\t{fraction:.2f}\t{point}\t{order}" for fraction, point in points]
    return rows


def rounded(values: Tensor) -> list[float]:
    return [round(value, FIGURE_DIGITS) for value in values.tolist()]
