import pytest

from shared import readme, repro
from shared.errors import UserError
from shared.paths import ROOT, Project
from tests.pipelines import PROJECTS

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


def test_the_readmes_table_is_that_of_the_records():
    text = (ROOT / "README.md").read_text()
    assert readme.updated(text) == text, "stale: run python -m shared.readme"
