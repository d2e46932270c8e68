"""What the states of the machine `materialization` hand to the functions, and what those answer."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

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


class MaterializationPlan(Payload):
    """What PlanMaterialization answers: nothing to write where there is no dataset yet."""

    dataset_version: str | None
    moment: datetime
    shares: tuple[ShareToWrite, ...]


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
