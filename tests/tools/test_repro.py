"""make repro and the tables of the READMEs: records, words, and results that come back without harm."""

import json
import sys
from pathlib import Path

import pytest

from shared.core.errors import UserError
from shared.core.paths import ROOT, Project
from tests.checkout import run
from tests.pipelines import PROJECTS
from tests.tools.toy import make_repository
from tools import deps, readme, repro

PRESETS = [(path.parts[-3], path.stem) for path in ROOT.glob("projects/*/presets/*.yaml")]
METRICS = {"macro_f1": 0.91, "macro_f1_low": 0.9, "macro_f1_high": 0.92, "num_samples": 3453, "unit": "sentences"}
METRICS |= {"source": "own", "baseline": {"majority_macro_f1": 0.1, "tf_idf_macro_f1": 0.8, "tf_idf_loss": 5.0}}
RUN = {"metrics": METRICS, "training": {"hardware": {"cores": 2, "cpu": "a CPU"}, "seconds": 61.0, "precision": "fp32"}}
SEEDS = [RUN, RUN | {"metrics": METRICS | {"macro_f1": 0.93}}]


@pytest.mark.parametrize(("project", "preset"), PRESETS)
def test_a_preset_changes_keys_that_exist_to_values_that_are_valid(project, preset):
    assert repro.preset_changes(Project(project), preset)


@pytest.mark.parametrize("form", ["{}", "{}/", "projects/{}", "projects/{}/", "./projects/{}/"])
def test_a_project_is_found_by_its_folder_too(form):
    assert repro.find(form.format(PROJECTS[0])).name == PROJECTS[0]


@pytest.mark.parametrize("words", [[PROJECTS[0]], [*PRESETS[0]], [PROJECTS[0], "--seeds", "0", "1"]])
def test_a_checkout_that_cannot_be_written_is_named_before_dvc_starts(words, monkeypatch, capsys):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr(repro, "_dvc", lambda *words: pytest.fail("DVC was started"))
    monkeypatch.setattr(sys, "argv", ["repro", *words])
    with pytest.raises(SystemExit, match="2"):
        repro.main()
    assert "error: .dvc: cannot be written\n  expected: a checkout of your own" in capsys.readouterr().err


def test_unknown_projects_and_presets_name_the_known():
    project, preset = PRESETS[0]
    with pytest.raises(UserError, match="no such project") as error:
        repro.find("cifar")
    assert project in str(error.value)
    with pytest.raises(UserError, match="no such preset") as error:
        repro.preset_changes(Project(project), "offical")
    assert preset in str(error.value)


def test_a_record_has_mean_and_spread_of_the_metric_with_an_interval():
    headline = repro.record("official", {"train.epochs": 2}, SEEDS)["headline"]
    assert (headline["name"], headline["num_seeds"]) == ("macro_f1", 2)
    assert headline["mean"] == pytest.approx(0.92)
    assert headline["standard_deviation"] == pytest.approx(0.01 * 2**0.5)
    assert repro.record("official", {}, SEEDS[:1])["headline"]["standard_deviation"] is None


def test_the_last_words_of_a_run_are_the_headline_with_its_interval():
    assert repro.result(repro.record("quick", {}, [RUN])) == (
        "macro F1 0.9100 (0.9000 to 0.9200), 95 % interval; own data, 3,453 test sentences; "
        "best simple baseline: tf idf 0.8000 (higher is better)"
    )
    words = repro.result(repro.record("quick", {}, SEEDS))
    assert words.startswith("macro F1 0.9200 ± 0.0141, mean and standard deviation of 2 seeds; own data")


def test_a_table_has_each_preset_with_what_it_reached():
    lines = readme.presets_table({"slow": None, "quick": repro.record("quick", {}, SEEDS)}).split("\n")
    data = "own data, 3,453 test sentences"
    assert lines[2:] == [
        f"| `quick` | {data} | macro F1 0.9200 ± 0.0141 | tf idf 0.8000 | 2 | 61 s | fp32, 2 cores of a CPU |",
        "| `slow` |  | no record yet |  |  |  |  |",
    ]


def test_the_tables_are_those_of_the_records():
    assert readme.stale() == {}, "run python -m tools.readme"


def test_a_table_takes_the_place_between_its_markers(tmp_path, monkeypatch):
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    monkeypatch.setattr(readme, "_staged", lambda pattern: {})
    path = tmp_path / "projects/toy/README.md"
    path.parent.mkdir(parents=True)
    path.write_text(f"before\n{readme.RECORDS}\nold\n{readme.RECORDS_END}\nafter\n")
    assert list(readme.stale()) == [path]
    with pytest.raises(SystemExit):
        deps.check_or_write("", readme.stale, ["--check"])
    deps.check_or_write("", readme.stale, [])
    assert path.read_text() == f"before\n{readme.RECORDS}\n{readme.presets_table({})}\n{readme.RECORDS_END}\nafter\n"
    deps.check_or_write("", readme.stale, ["--check"])


def test_a_table_without_its_end_is_an_error_and_the_text_below_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    monkeypatch.setattr(readme, "_staged", lambda pattern: {})
    (tmp_path / "projects/toy").mkdir(parents=True)
    (tmp_path / "projects/toy/README.md").write_text(f"before\n{readme.RECORDS}\nold\nafter\n")
    with pytest.raises(UserError, match="no line '<!-- end of records -->' below"):
        readme.stale()


def test_a_seed_given_twice_is_run_once(monkeypatch):
    found = []
    monkeypatch.setattr(repro, "run_preset", lambda project, preset, seeds: found.append(seeds))
    monkeypatch.setattr(sys, "argv", ["repro", PROJECTS[0], "--seeds", "1", "0", "1"])
    repro.main()
    assert found == [[1, 0]]


def test_the_results_of_a_preset_come_back_and_nothing_else_changes(tmp_path: Path):
    root = make_repository(tmp_path / "repo")
    words = run(root, sys.executable, "-m", "tools.repro", "projects/toy/", "large")
    record = json.loads((root / "projects/toy/records/large.json").read_text())
    assert (record["headline"]["mean"], record["changes"]) == (0.5, {"train.scale": 5.0})
    assert "large: accuracy 0.5000 (0.1000 to 0.9000), 95 % interval" in words
    mine = [root / "projects/toy/params.yaml", root / "projects/toy/records/large.json", root / "dvc.yaml"]
    texts = [path.write_text(f"{path.read_text()} ") and path.read_text() for path in mine]
    run(root, "bash", "-c", words.strip().split("\n")[-1])
    assert [path.read_text() for path in mine] == texts
    assert run(root, "git", "diff", "--cached") == ""
    assert json.loads((root / "projects/toy/results/train/model.json").read_text()) == {"scale": 5.0}
    assert '"accuracy": 0.5' in (root / "projects/toy/results/report.html").read_text()


def test_seeds_without_a_preset_record_params_yaml_as_sample(tmp_path: Path):
    root = make_repository(tmp_path / "repo")
    run(root, sys.executable, "-m", "tools.repro", "toy", "--seeds", "3")
    record = json.loads((root / "projects/toy/records/sample.json").read_text())
    assert (record["preset"], record["changes"]) == ("sample", {})
    assert [(run["seed"], run["params"]["train.scale"]) for run in record["runs"]] == [(3, 1.0)]
