"""What the states of the machine `materialization` hand to the functions, and what those answer."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from sluice.payloads.base import Payload


class PlanMaterializationInput(Payload):
    """What PlanMaterialization is asked.

    Attributes:
        dataset: the name of a version; null for the current one.
        moment: as of when; null for what [online] as_of says.
    """

    execution: str
    dataset: str | None = None
    moment: datetime | None = None


class ShareToWrite(Payload):
    """The entities of a view that one call writes: share `number` of `count`."""

    execution: str
    dataset_version: str
    view: str
    number: int
    count: int
    moment: int = Field(description="microseconds since 1970 in UTC")
    as_of: int = Field(
        description="when the dataset was looked up, in microseconds: of two writers the later counts"
    )
    moved: int | None = Field(
        default=None, description="how far windows have moved on without new events; null: to the moment"
    )


class MaterializationPlan(Payload):
    """What PlanMaterialization answers: nothing to write where there is no dataset yet."""

    dataset_version: str | None
    moment: datetime
    as_of: int = Field(description="when the dataset was looked up, in microseconds")
    shares: tuple[ShareToWrite, ...]


class MeasureSkewInput(Payload):
    """What MeasureSkew is asked: so many entities of each view, chosen by the seed, else by the clock.

    Attributes:
        dataset, moment, as_of: of a materialization that has ended, as its output has them: what it wrote is held
            against the version it wrote. Without them it is the current version, and the store as it is.
        shown: at most so many differences are answered with, with their values.
    """

    sample: int = Field(default=2_000, ge=1, le=100_000)
    seed: int | None = None
    dataset: str | None = None
    moment: datetime | None = None
    as_of: int | None = None
    shown: int = Field(default=20, ge=0, le=20)

    @model_validator(mode="after")
    def _of_one_materialization(self) -> Self:
        if len({self.dataset is None, self.moment is None, self.as_of is None}) > 1:
            raise ValueError("dataset, moment and as_of go together")
        return self


class FoundDifference(Payload):
    """A feature of an entity that is another in the store, both as people read them."""

    entity: str
    feature: str
    stored: str
    recomputed: str


class ViewSkew(Payload):
    """What was found of a view: `features` counts entities by the feature that differs, `shown` has the first.

    `moved_on` of the chosen entities were not compared, and are not among those `sampled`: a later upload is being
    written over them.
    """

    view: str
    sampled: int
    moved_on: int = 0
    missing: int
    missing_shown: list[str]
    differing: int
    features: dict[str, int]
    shown: list[FoundDifference]


class MeasuredSkew(Payload):
    """What MeasureSkew answers: nothing was looked at where there is no dataset yet."""

    dataset_version: str | None
    rate: float = Field(
        description="the part of the sampled entities that are missing or differ, of all views"
    )
    views: list[ViewSkew]

    @property
    def sampled(self) -> int:
        return sum(view.sampled for view in self.views)

    @property
    def moved_on(self) -> int:
        return sum(view.moved_on for view in self.views)

    @property
    def missing(self) -> int:
        return sum(view.missing for view in self.views)

    @property
    def wrong(self) -> int:
        """How many of the sampled are missing or differ."""
        return sum(view.missing + view.differing for view in self.views)


class MaterializedShare(Payload):
    """What MaterializeView answers.

    Attributes:
        written, removed: items that were put, and deleted.
        held: entities whose item is as it has to be.
        superseded: items that a later writer has written, which stay.
    """

    view: str
    written: int
    removed: int
    held: int
    superseded: int
