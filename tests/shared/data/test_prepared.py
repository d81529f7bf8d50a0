import pytest

from shared.core.errors import UserError
from shared.core.paths import Project
from shared.data.prepared import check_same


def test_weights_of_other_data_are_refused_without_printing_all_of_them() -> None:
    config = {"classes": ["a", "b"], "words": [str(number) for number in range(10_000)], "mean": [0.4]}
    project = Project("cifar_cnn")
    check_same(project, config, config | {"mean": [0.5]}, "classes", "words")
    with pytest.raises(UserError, match=r"model\.json: classes \['a', 'b'\] is not that of the data"):
        check_same(project, config, config | {"classes": ["a", "c"]}, "classes", "words")
    with pytest.raises(UserError) as refused:
        check_same(project, config, config | {"words": ["1"]}, "classes", "words")
    assert len(str(refused.value)) < 400
