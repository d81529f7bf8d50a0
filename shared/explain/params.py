"""The keys of params.yaml that the explain stage reads."""

from pydantic import Field

from shared.params import Section


class Explain(Section):
    """A project's `explain` section. What is asked about is an image, a text, or an entity in one."""

    seed: int = Field(ge=0)
    methods: list[str] = Field(min_length=1)
    num_scored: int = Field(ge=1)  # of the test split, that the faithfulness figures are computed over
    num_shown: int = Field(ge=1)  # on the page, half of them wrongly answered where there are so many
    num_randomised: int = Field(ge=1)  # weight-randomised models to compare with
