"""The explain stage of every project: attributions, tests of them, and what the page shows of both.

metrics.json   unit, part (what is asked about and what is removed, in the plural), num_samples questions, link, and for
               each method the mean over the questions of (*_score: higher is better, *_error: lower)
    evidence_score          share of |attribution| on the evidence, over questions that have some
    deletion_score          1 - area under the curve while parts are removed, the highest first
    insertion_score         area under the curve while parts are put in, the highest first
    infidelity_error        of the change of the score when random sets of parts are removed, what the map misses
    completeness_error      what the sum of the map misses of the change of the score, for methods that promise it
    randomised_similarity   rank correlation with the maps of weight-randomised models: a sane method changes
  *_random is the same figure of a random attribution, *_randomised that of the method on weight-randomised models.
curves.tsv     method, curve (deletion, insertion), fraction of parts, probability or share, order
page.json      the blocks of the page; pictures/ what they show

N questions, P parts, K classes, T points of a curve.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from shared.core.errors import UserError
from shared.core.files import replace_folder, write_atomic, write_json
from shared.core.sections import Explain
from shared.core.seed import derive
from shared.explain import parts
from shared.explain.methods import Method, Unsuitable, find_method
from shared.explain.parts import Link, Scene, Subject, Value
from shared.report import blocks
from shared.report.blocks import Block

POOL = 1000  # test samples, drawn, among which the wrongly answered ones are looked for
SIMILAR = 0.5  # to the maps of weight-randomised models: above, a method shows the input rather than the model
INCOMPLETE = 0.1  # of the change of the score, that the sum of a map may miss
DIGITS = 4
RANDOM = "random"
MARKS = {True: "✓", False: "✗", None: "?"}

Figures = dict[str, Tensor]  # metric -> (N,), one figure a question
Maps = dict[str, Tensor]  # method -> (N, P)


class Fact(TypedDict):
    """What the page says of one question."""

    title: str
    correct: bool
    question: NotRequired[str]
    note: NotRequired[str]


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
    model: nn.Module,
    scene: Scene,
    value: Value,
    facts: Sequence[Fact],
    *,
    methods: Mapping[str, Method],
    show: Show,
    params: Explain,
    results: Path,
    unit: str,
    part: str,
    link: Link = "probability",
    note: str = "",
) -> None:
    """Attributes a model's score to the parts of its inputs, tests the attributions, writes all files of the stage.

        explain(model, ImageScene(...), value, facts, methods=IMAGE_METHODS, show=show, params=params.explain, ...)

    Args:
        model: in eval mode, on the device that computes; it is left as it was found.
        scene: questions in random order (see `draw`), on any device: the first num_scored are scored, and the shown are
            chosen among all. Questions without any part are left out.
        value: the score that is explained, for classes their `log_odds`.
        facts: of each question.
        methods: those that suit the scene; params.methods names some of them.
        show: the room's, (scene of the shown questions, maps by title, facts, folder for pictures) -> blocks.
        results: folder to write to.
        unit, part: plurals of what is asked about and of what is removed, such as "reviews" and "words".
        link: what the curves show: sigmoid(value), or for a value that is no log-odds its share of the way from the
            empty input to the full one.
        note: what the reader of the pictures must know.

    Raises:
        UserError: params name an unknown method, or none that suits; no question has a part.
    """
    chosen = {name: find_method(name, methods) for name in params.methods}
    asked = torch.nonzero(scene.sizes > 0)[:, 0]
    if not len(asked):
        raise UserError(f"explain: no {part} in any of {len(scene)} {unit}", fix="see what prepare made of the data")
    correct = torch.tensor([facts[row]["correct"] for row in asked.tolist()])
    num_scored, shown = choose(correct, params)
    subject = Subject(model, scene[asked], value, int(scene.sizes.max()))
    wanted, places = torch.unique(torch.cat([torch.arange(num_scored), shown]), return_inverse=True)
    maps, left_out = attribute(subject[wanted], chosen, params.seed)
    tested = subject[torch.arange(num_scored)]
    figures, lines = measure(
        tested,
        {name: chosen[name] for name in maps},
        {name: of[:num_scored] for name, of in maps.items()},
        params,
        link,
    )
    verdicts = {name: judge(of, params.seed) for name, of in figures.items()}

    titles = {name: f"{chosen[name].title} {MARKS[total(verdicts[name]).good]}" for name in maps}
    with replace_folder(results / "pictures") as folder:
        drawn = {titles[name]: of[places[num_scored:]] for name, of in maps.items()}
        pictures = show(subject.scene[shown], drawn, [facts[row] for row in asked[shown].tolist()], folder)
    write_atomic(results / "curves.tsv", "\n".join(curve_table(lines, link)).encode() + b"\n")
    means = {name: {key: round(of.double().mean().item(), DIGITS) for key, of in row.items()}
             for name, row in figures.items()}  # fmt: skip
    write_json(results / "metrics.json", {"num_samples": num_scored, "unit": unit, "part": part, "link": link} | means)
    wrong = int((~correct[shown]).sum())
    titled = {name: chosen[name] for name in maps}
    page = [
        *pictures_section(titled, verdicts, pictures, [*left_out, note]),
        *tests_section(titled, verdicts, num_scored, unit, part),
        *curves_section(titled, lines, part, link),
    ]
    blocks.leave(results, page, summary=[blocks.text(sentence(titled, verdicts))], params=params.model_dump())
    print(sentence(titled, verdicts))
    print(f"{num_scored} {unit} scored; shown: {len(shown)}, {wrong} of them wrong")


def choose(correct: Tensor, params: Explain) -> tuple[int, Tensor]:
    """How many of the pool (N,) bool, in random order, are scored (the first), and the rows of those that are shown:
    wrongly answered ones first, half of all or as many as there are.
    """
    wrong, right = (torch.nonzero(some)[:, 0] for some in (~correct, correct))
    num_wrong = min(len(wrong), max(params.num_shown // 2, params.num_shown - len(right)))
    return min(params.num_scored, len(correct)), torch.cat([wrong[:num_wrong], right[: params.num_shown - num_wrong]])


def attribute(subject: Subject, methods: Mapping[str, Method], seed: int) -> tuple[Maps, list[str]]:
    """Maps (N, P) of each method that suits, and why others do not. Raises UserError where none is left."""
    maps, left_out = {}, []
    for name, method in methods.items():
        try:
            maps[name] = method.run(subject, seed)
        except Unsuitable as error:
            left_out.append(f"Without {method.title}: {error.what}.")
            print(f"explain: without {name}: {error.what}")
    if not maps:
        raise UserError("explain.methods: none of them suits this model", expected="; ".join(left_out))
    return maps, left_out


# --- figures --------------------------------------------------------------------------------------------------------


def measure(
    subject: Subject, methods: Mapping[str, Method], maps: Maps, params: Explain, link: Link
) -> tuple[dict[str, Figures], dict[str, tuple[Tensor, Tensor]]]:
    """All figures of each method's maps (N, P), and the deletion and insertion curves (T,) of these and of a random
    attribution, means over the questions.
    """
    seed, scene = params.seed, subject.scene
    randomised = randomised_maps(subject, methods, params)
    sets = scene.removals(seed) if hasattr(scene, "removals") else parts.random_sets(subject.inside, seed)
    effects = parts.removal_effects(subject, sets)
    found, lines = {}, {}
    for name, some in (maps | {RANDOM: parts.random_maps(subject.inside, seed)}).items():
        # Where a number falls on the way from empty to full, what speaks for it are the parts that lower it
        ordered = some * subject.change.sign()[:, None] if link == "share" else some
        pair = [parts.linked(line, subject.full, subject.empty, link) for line in parts.curves(subject, ordered, seed)]
        lines[name] = pair[0].mean(0), pair[1].mean(0)
        found[name] = on_evidence(scene, some) | {
            "deletion_score": 1 - parts.area(pair[0]),
            "insertion_score": parts.area(pair[1]),
            "infidelity_error": parts.infidelity(some, sets, effects),
        }
    random = suffixed(found.pop(RANDOM), RANDOM)
    for name, method in methods.items():
        found[name] |= random | suffixed(on_evidence(scene, randomised[name]), "randomised")
        if method.complete:
            found[name]["completeness_error"] = parts.completeness(maps[name], subject.change)
        found[name]["randomised_similarity"] = parts.similarity(maps[name], randomised[name], subject.inside)
    return found, lines


def randomised_maps(subject: Subject, methods: Mapping[str, Method], params: Explain) -> Maps:
    """Maps (N, P) of models whose weights are shuffled. There are num_randomised of them, which share the questions."""
    maps = {name: torch.zeros(len(subject), subject.num_parts) for name in methods}
    for number in range(min(params.num_randomised, len(subject))):
        rows = torch.arange(number, len(subject), params.num_randomised)
        # All questions are there when batch norm takes its statistics
        other = parts.randomise(subject, derive(params.seed, "randomised", number))[rows]
        for name, method in methods.items():
            maps[name][rows] = method.run(other, params.seed).to(maps[name])
    return maps


def on_evidence(scene: Scene, maps: Tensor) -> Figures:
    """Over the questions that have evidence; nothing where none has."""
    if scene.evidence is None or not scene.evidence.any():
        return {}
    marked = scene.evidence.any(1)
    return {"evidence_score": parts.localisation(maps[marked], scene.evidence[marked])}


def suffixed(figures: Figures, word: str) -> Figures:
    return {f"{name}_{word}": of for name, of in figures.items()}


# --- verdicts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Test:
    """A test of an attribution. A figure must be better than those of references, or stay below the limit."""

    key: str
    title: str
    meaning: str
    references: tuple[str, ...] = ()
    limit: float | None = None


TESTS = (
    Test("evidence_score", "Lies on the evidence", "Share of the attribution on what truly decides. Higher is better.",
         references=(RANDOM, "randomised")),
    Test("deletion_score", "Deletion", "How fast the score is lost when the {part} named most important are removed "
         "first. Higher is better.", references=(RANDOM,)),
    Test("insertion_score", "Insertion", "How fast it is found when they are put in first. Higher is better.",
         references=(RANDOM,)),
    Test("infidelity_error", "Predicts changes", "What it misses of the change of the score when random sets of {part} "
         "are removed (infidelity, Yeh et al. 2019). Lower is better, 1 is an empty attribution's.",
         references=(RANDOM,)),
    Test("randomised_similarity", "Depends on the weights", "Similarity to the attribution of a model whose weights "
         "were shuffled. Below 0.5, or the method shows the input rather than the model.", limit=SIMILAR),
    Test("completeness_error", "Adds up", "What its sum misses of the change of the score that it should equal; some "
         "methods promise this. Below 0.1.", limit=INCOMPLETE),
)  # fmt: skip
REFERENCES = {RANDOM: "a random attribution", "randomised": "a model with shuffled weights"}


@dataclass(frozen=True)
class Verdict:
    """good: True, False, or None where the interval does not tell; text: the same in words, with figures."""

    good: bool | None
    text: str
    value: float


def judge(figures: Figures, seed: int) -> dict[str, Verdict]:
    """A verdict for each test of which there are figures, by its key."""
    return {test.key: verdict(test, figures, seed) for test in TESTS if test.key in figures}


def verdict(test: Test, figures: Figures, seed: int) -> Verdict:
    """Paired over the questions, with 95 % intervals from a bootstrap; all comparisons must be better.

    >>> figures = {"deletion_score": torch.tensor([0.9, 0.8]), "deletion_score_random": torch.tensor([0.5, 0.5])}
    >>> verdict(TESTS[1], figures, seed=0).text
    'better than a random attribution (0.500): by 0.350 (0.300 to 0.400)'
    """
    own = figures[test.key]
    found: list[tuple[bool | None, str]] = []
    if test.limit is not None:
        mean, low, high = parts.mean_interval(own, seed)
        good = told(test.limit - high, test.limit - low)
        word = {True: "below", False: "above", None: "cannot tell from"}[good]
        found.append((good, f"{word} {test.limit:g} ({low:.3f} to {high:.3f})"))
    sign = -1 if test.key.endswith("_error") else 1
    for name in test.references:
        if (other := figures.get(f"{test.key}_{name}")) is not None:
            mean, low, high = parts.mean_interval(sign * (own - other), seed)
            good = told(low, high)
            word = {True: "better than", False: "no better than", None: "cannot tell from"}[good]
            reference = f"{REFERENCES[name]} ({other.double().mean():.3f})"
            found.append((good, f"{word} {reference}: by {mean:.3f} ({low:.3f} to {high:.3f})"))
    return Verdict(
        overall([good for good, _ in found]), "; ".join(text for _, text in found), own.double().mean().item()
    )


def told(low: float, high: float) -> bool | None:
    """What an interval of a gain says: True above 0, False below, None where it holds 0."""
    return None if low <= 0 <= high else low > 0


def overall(goods: Sequence[bool | None]) -> bool | None:
    """False where any is, else None where any is, else True."""
    return False if False in goods else None if None in goods else True


@dataclass(frozen=True)
class Total:
    """Over the tests of a method: good, how many are passed, and titles of those that fail or do not tell."""

    good: bool | None
    passed: int
    failed: list[str]
    open: list[str]

    def __str__(self) -> str:
        rest = [f"{word}: {', '.join(titles)}" for word, titles in (("fails", self.failed), ("cannot tell", self.open))
                if titles]  # fmt: skip
        count = self.passed + len(self.failed) + len(self.open)
        return f"passes {self.passed} of {count} tests" + (f" ({'; '.join(rest)})" if rest else "")


def total(verdicts: Mapping[str, Verdict]) -> Total:
    goods = {test.title: verdicts[test.key].good for test in TESTS if test.key in verdicts}
    failed, unknown = ([title for title, good in goods.items() if good is which] for which in (False, None))
    return Total(overall(list(goods.values())), len(goods) - len(failed) - len(unknown), failed, unknown)


def sentence(methods: Mapping[str, Method], verdicts: Mapping[str, Mapping[str, Verdict]]) -> str:
    """Whether the explanation holds, in one sentence."""
    totals = {methods[name].title: total(of) for name, of in verdicts.items()}
    holding = [title for title, of in totals.items() if of.good]
    start = f"The explanation holds for {len(holding)} of {len(totals)} methods" if holding else (
        "No method passes all tests of its explanation")  # fmt: skip
    return f"{start}: {'; '.join(f'{title} {of}' for title, of in totals.items())}."


# --- blocks ---------------------------------------------------------------------------------------------------------

Verdicts = Mapping[str, Mapping[str, Verdict]]


def pictures_section(
    methods: Mapping[str, Method], verdicts: Verdicts, pictures: list[Block], notes: Sequence[str]
) -> list[Block]:
    rows = []
    for name, method in methods.items():
        of = total(verdicts[name])
        rows.append([blocks.cell(method.title, good=of.good, note=str(of)), method.reading])
    return [
        blocks.section("What the model looked at"),
        *(blocks.text(note, "note") for note in notes if note),
        *pictures,
        blocks.table(["Method", "How to read it"], rows),
    ]


def tests_section(
    methods: Mapping[str, Method], verdicts: Verdicts, num_scored: int, unit: str, part: str
) -> list[Block]:
    rows = []
    for test in TESTS:
        found = [verdicts[name].get(test.key) for name in methods]
        if any(found):
            cells = [of and blocks.cell(round(of.value, DIGITS), good=of.good, note=of.text) for of in found]
            rows.append([blocks.cell(test.title, note=test.meaning.format(part=part)), *cells])
    intro = (
        f"Each figure is a mean over {num_scored} {unit} of the test split. Comparisons are paired over them; in "
        "brackets the 95 % interval of the difference, from a bootstrap. Where it holds 0, they cannot tell."
    )
    columns = ["Test", *(method.title for method in methods.values())]
    return [blocks.section("Can these attributions be believed?"), blocks.table(columns, rows, intro=intro)]


def curves_section(
    methods: Mapping[str, Method], lines: Mapping[str, tuple[Tensor, Tensor]], part: str, link: Link
) -> list[Block]:
    at = parts.fractions().tolist()
    charts = []
    for name, method in methods.items():
        series = {
            f"{curve}{suffix}": (at, rounded(lines[source][number]))
            for number, curve in enumerate(("deletion", "insertion"))
            for source, suffix in ((name, ""), (RANDOM, " (random)"))
        }
        charts.append(
            blocks.lines(
                f"curve-{name}",
                method.title,
                series,
                x=f"share of {part}",
                y=link,
                unit_range=True,
                dashed=["deletion (random)", "insertion (random)"],
            )
        )
    intro = (
        f"{part.capitalize()} are removed (deletion) or put in (insertion) in the order of their attribution. A good "
        "order loses the score early and finds it early: deletion falls below the dashed line of a random order, "
        "insertion rises above."
    )
    return [blocks.section("Insertion and deletion"), blocks.text(intro), *charts]


def curve_table(lines: Mapping[str, tuple[Tensor, Tensor]], link: Link) -> list[str]:
    """The mean curves in long form, as DVC plots them."""
    rows = [f"method\tcurve\tfraction\t{link}\torder"]
    for name, pair in lines.items():
        order = RANDOM if name == RANDOM else "attribution"
        for curve, line in zip(("deletion", "insertion"), pair, strict=True):
            points = zip(parts.fractions().tolist(), rounded(line), strict=True)
            rows += [f"{name}\t{curve}\t{fraction:.2f}\t{point}\t{order}" for fraction, point in points]
    return rows


def rounded(values: Tensor) -> list[float]:
    return [round(value, DIGITS) for value in values.tolist()]
