"""The model card: what a model is for, how good it is, where it fails, and how to load it.

It stands on the page and, as Markdown, beside the weights: results/train/README.md. What it is for, its limits and the
licence of its data are in the project's README, in the section USE; everything else is what the stages left.
"""

import re

from .results import Results, run_facts

USE = "Use and limits"
MISSING = (
    f'Not written yet: a section "## {USE}" in the project\'s README, with points such as "- **Meant for**: ...", '
    '"- **Limits**: ..." and "- **Data and licence**: ...".'
)
OF_RUN = "Model", "Weights", "Trained", "Commit", "Data"


def model_card(results: Results) -> dict[str, list[str]]:
    """Names and texts of the card; nothing where no model was trained."""
    if not results.json("train", "model.json"):
        return {}
    run = run_facts(results)
    said = [words for stage in ("evaluate", "explain") for words in _sentences(results, stage)]
    load = (
        "model.safetensors in results/train/ holds the weights; model.json beside it describes network, classes and "
        "how inputs are prepared. From the shell and from Python: "
        f"python -m projects.{results.project}.predict --help"
    )
    return {
        **(use_and_limits(results.readme) or {USE: [MISSING]}),
        "Results and known failures": said or ["Not evaluated yet."],
        "What was trained": ["; ".join(f"{name.lower()}: {run[name]}" for name in OF_RUN if name in run)],
        "How to load it": [load],
    }


def card_as_markdown(results: Results) -> str:
    """The card as the text of a file beside the weights."""
    sections = [f"## {name}\n\n" + "\n\n".join(texts) for name, texts in model_card(results).items()]
    return "\n\n".join([f"# Model card of {results.title}", *sections]) + "\n"


def use_and_limits(readme: str) -> dict[str, list[str]]:
    """The points of a README's section, as plain text.

    >>> use_and_limits("# toy\\n\\n## Use and limits\\n- **Meant for**: small\\n  `sums`.\\n\\n## To do\\n- more")
    {'Meant for': ['small sums.']}
    """
    found = re.search(rf"^## {USE}\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    points: dict[str, list[str]] = {}
    for part in re.split(r"\n\s*\n|\n(?=- )", found[1].strip()) if found else ():
        name, words = re.fullmatch(r"(?:- )?(?:\*\*(.+?)\*\*:?\s*)?(.*)", part, re.DOTALL).groups()  # type: ignore[union-attr]
        points.setdefault(name or USE, []).append(_plain_words(words))
    return points


def _plain_words(markdown: str) -> str:
    """One line without marks: links are their words."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)|<(https?:[^>\s]*)>", r"\1\2", markdown)
    return " ".join(re.sub(r"\*\*|`", "", text).split())


def _sentences(results: Results, stage: str) -> list[str]:
    """What the summary of a stage says in words."""
    said = []
    for block in results.summary(stage):
        if block["block"] == "number":
            detail = f" ({block['detail']})" if block["detail"] else ""
            said.append(f"{block['value']}. {block['label']}{detail}.")
        elif block["block"] == "text":
            said.append(block["text"])
    return said
