"""Tracker: what anything that keeps runs and registered models must be able to do. lambdas/adapters has MLflow's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

Ending = Literal["FINISHED", "FAILED", "KILLED"]


class Metric(NamedTuple):
    """A figure of a run; `step` is the iteration that it was measured after, 0 of one that is measured once."""

    name: str
    value: float
    step: int = 0


class Nested(NamedTuple):
    """A run that has ended, below another one."""

    name: str
    params: Mapping[str, str]
    metrics: Sequence[Metric]
    ending: Ending


class Tracker(Protocol):
    """A tracking server and its registry.

    Whatever is asked may be asked again, because an answer was lost: a method that makes something gives what is
    there already. Names are made of letters, digits, `-`, `_`, `.` and `/`.

    Every method raises TrackingUnavailable for what passes, and TrackingRefused for what does not.
    """

    def begin(self, experiment: str, name: str) -> str:
        """Give the id of the run of this name, which is made where there is none."""

    def find(self, experiment: str, name: str) -> str | None:
        """Give the id of the run of this name; None where there is none."""

    def environment(self, experiment: str, run: str) -> dict[str, str]:
        """Give the variables by which a client in another process finds the run."""

    def log(
        self,
        run: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Sequence[Metric] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None: ...

    def keep(self, run: str, path: str, body: bytes, media_type: str) -> None:
        """Keep a file with the run."""

    def nest(self, experiment: str, run: str, below: Sequence[Nested]) -> None:
        """Keep runs below a run. What ended there under its name already is left: a call cut off goes on."""

    def end(self, run: str, ending: Ending) -> None: ...

    def register(self, model: str, run: str, source: str, description: str, tags: Mapping[str, str]) -> str:
        """Give the version that stands for the run's model at `source`, a URI; it says what is given here.

        Where there is none it is made with all of that at once: a version that says nothing is never seen.
        """

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None: ...

    def point(self, model: str, alias: str, version: str | None) -> None:
        """Let an alias name a version, or none."""

    def pointed(self, model: str, alias: str) -> str | None:
        """Give the version that an alias names; None where there is none."""
