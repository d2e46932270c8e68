"""[serving], [capture], [drift] and [batch] of project.toml: what serves, what of it is kept, what predicts files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, StringConstraints

from sluice.tables import Table


class Serving(Table):
    """[serving]: what the endpoint runs on.

    Attributes:
        missing: of an entity whose features the online store has not, or only older than their ttl: its prediction is
            an error, or what the model makes of nulls.
    """

    instance_type: Annotated[str, StringConstraints(pattern=r"^ml\.")] = "ml.t2.medium"
    instance_count: Annotated[int, Field(ge=1)] = 1
    missing: Literal["error", "null"] = "error"


class Capture(Table):
    """[capture]: what is kept of the requests to the endpoint, and of its answers, as they came.

    Attributes:
        percent: of the requests; 0 keeps nothing.
        days: for so long.
    """

    percent: Annotated[int, Field(ge=0, le=100)] = 0
    days: Annotated[int, Field(ge=1, le=3650)] = 30


class Batch(Table):
    """[batch]: what predicts the rows of a file.

    Attributes:
        instance_mb: so much of what the model is sent an instance gets before another one joins; in 10^6 bytes.
        max_instances: and no more than so many join.
        max_hours: a transform job may take so long.
    """

    instance_mb: Annotated[int, Field(ge=1, le=100_000)] = 64
    max_instances: Annotated[int, Field(ge=1, le=100)] = 4
    max_hours: Annotated[int, Field(ge=1, le=120)] = 24


class Drift(Table):
    """[drift]: how captured traffic is held against what the model was judged on.

    Attributes:
        every: an hour or a day; "never" looks only when it is asked to.
        false_alarms_a_month: how many are put up with in the mean, over all columns and windows.
        least_rows: below which nothing is said; the rows wait for the next window.
        least_effect: the Jensen-Shannon distance below which a difference does not matter, however sure it is.
    """

    every: Literal["hour", "day", "never"] = "day"
    false_alarms_a_month: Annotated[FiniteFloat, Field(gt=0, le=30)] = 0.5
    least_rows: Annotated[int, Field(ge=30)] = 300
    least_effect: Annotated[FiniteFloat, Field(ge=0, lt=1)] = 0.05

    @property
    def windows(self) -> int:
        """How many verdicts a month has; one that is asked for by hand is one more."""
        return 720 if self.every == "hour" else 30
