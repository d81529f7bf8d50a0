import pytest

from shared.core.errors import UserError
from shared.core.paths import ROOT, Project
from tests.pipelines import PROJECTS
from tools import readme, repro

PRESETS = [(path.parts[-3], path.stem) for path in ROOT.glob("projects/*/presets/*.yaml")]


@pytest.mark.parametrize(("project", "preset"), PRESETS)
def test_a_preset_changes_keys_that_exist_to_values_that_are_valid(project, preset):
    assert repro.preset_changes(Project(project), preset)


def test_a_project_is_found_by_its_folder_too():
    assert repro.find(f"projects/{PROJECTS[0]}/").name == PROJECTS[0]


def test_unknown_projects_and_presets_name_the_known(tmp_path):
    with pytest.raises(UserError, match="no such project") as error:
        repro.find("cifar")
    assert "cifar_cnn" in str(error.value)
    with pytest.raises(UserError, match="no such preset") as error:
        repro.preset_changes(Project("cifar_cnn"), "offical")
    assert "official-cpu" in str(error.value)


def test_a_record_is_told_by_the_metric_with_an_interval():
    runs = [{"metrics": {"loss": 1.0, "f1": f1, "f1_low": f1 - 0.1, "f1_high": f1 + 0.1}} for f1 in (0.5, 0.7)]
    headline = repro.record("official", {"train.epochs": 2}, runs)["headline"]
    assert (headline["name"], headline["num_seeds"]) == ("f1", 2)
    assert headline["mean"] == pytest.approx(0.6)
    assert headline["standard_deviation"] == pytest.approx(0.1 * 2**0.5)
    assert repro.record("official", {}, runs[:1])["headline"]["standard_deviation"] is None


def test_a_row_names_the_figure_the_unit_and_the_best_baseline():
    metrics = {"macro_f1": 0.91, "macro_f1_low": 0.9, "macro_f1_high": 0.92, "num_samples": 3453, "unit": "sentences"}
    metrics |= {"source": "own", "baseline": {"majority_macro_f1": 0.1, "tf_idf_macro_f1": 0.8, "tf_idf_loss": 5.0}}
    run = {"hardware": {"cores": 2, "cpu": "a CPU"}, "seconds": 61.0, "precision": "fp32"}
    row = readme._record("toy", repro.record("quick", {}, [{"metrics": metrics, "training": run}]))
    assert row == (
        "| [toy](projects/toy) | own data, 3,453 test sentences | macro f1 0.9100 (0.9000 to 0.9200) | tf idf 0.800 "
        "| preset `quick`, 1 seed, 95 % bootstrap interval | 61 s, fp32, 2 cores of a CPU |"
    )


def test_the_readmes_table_is_that_of_the_records():
    text = (ROOT / "README.md").read_text()
    assert readme.updated(text) == text, "stale: run python -m tools.readme"


def test_help_and_unknown_options_write_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(readme, "ROOT", tmp_path)  # without a README.md
    readme.main(["--help"])
    assert "python -m tools.readme --check" in capsys.readouterr().out
    with pytest.raises(UserError, match="--chekc: no such option"):
        readme.main(["--chekc"])
    assert list(tmp_path.iterdir()) == []


def test_the_command_for_an_experiments_files_names_its_commit():
    command = repro.apply_command(Project("cifar_cnn"), "0123456789abcdef")
    assert command == "dvc exp apply 0123456789 && git checkout HEAD -- projects/cifar_cnn/records"
