"""The keys of params.yaml that the explain stage reads."""

from pydantic import Field

from shared.params import Section


class ExplainImages(Section):
    """A project's `explain` section, for images."""

    seed: int = Field(ge=0)
    methods: list[str] = Field(min_length=1)
    num_scored: int = Field(ge=1)  # test images the faithfulness figures are computed over
    num_shown: int = Field(ge=1)  # images on the page, half of them wrongly classified where there are so many
    num_randomised: int = Field(ge=1)  # weight-randomised models to compare with


class ExplainTexts(Section):
    """A project's `explain` section, for texts."""

    seed: int = Field(ge=0)
    methods: list[str] = Field(min_length=1)
    num_scored: int = Field(ge=1)  # test texts the faithfulness figures are computed over
    num_shown: int = Field(ge=1)  # texts on the page, half of them wrongly answered where there are so many
    num_randomised: int = Field(ge=1)  # weight-randomised models to compare with
