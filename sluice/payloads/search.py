"""What a search of hyperparameters came to, as the machine `training` hands it to ReportOutcome."""

from __future__ import annotations

import re

from pydantic import Field

from sluice.hyperparameters import decode
from sluice.payloads.base import Payload

# `<tuning job>-001-1a2b3c4d`
_NUMBER = re.compile(r"-([0-9]{3,})-[0-9a-f]{8}$")


class SearchTrial(Payload):
    """A training job of the search.

    Attributes:
        status: SageMaker's: Completed, Failed, or Stopped where it was stopped early.
        objective: the mean over its folds, as far as it came; None where it told none.
    """

    name: str
    status: str
    objective: float | None = None

    @property
    def number(self) -> int | None:
        """Which trial it is, from 1; None where the name says none."""
        found = _NUMBER.search(self.name)
        return int(found[1]) if found else None

    @property
    def tuning_job(self) -> str:
        """The name of the search that it is of."""
        return _NUMBER.sub("", self.name)


class Search(Payload):
    """All trials in the order in which they began, and the best of them.

    Attributes:
        metric: what was to become best.
        best: the hyperparameters of the best trial, as SageMaker hands them on.
        first_failure: the reason of the first trial that failed.
    """

    metric: str
    trials: tuple[SearchTrial, ...]
    best_trial: str | None = None
    best: dict[str, str] = Field(default={})
    first_failure: str | None = None

    @property
    def failed(self) -> int:
        return self._count("Failed")

    @property
    def stopped(self) -> int:
        return self._count("Stopped")

    @property
    def found(self) -> SearchTrial | None:
        """The best trial."""
        return next((trial for trial in self.trials if trial.name == self.best_trial), None)

    @property
    def values(self) -> dict[str, object]:
        """The best hyperparameters as train.py gets them."""
        return {name: decode(text) for name, text in sorted(self.best.items())}

    def _count(self, status: str) -> int:
        return sum(trial.status == status for trial in self.trials)
