"""[deployment] of project.toml: how traffic goes over to a new model, and what takes it back.

The limits are SageMaker's: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, StringConstraints, model_validator

from sluice.tables import Environment, Table

ALARM_PERIOD_SECONDS = 60
"""SageMaker's own metrics have one value a minute."""
MOST_ALARMS = 10
_SHARES = {"canary": (1, 50), "linear": (10, 50), "rolling": (5, 50)}
_LEAST_TIMEOUT, _MOST_TIMEOUT = 600, 28_800
# For new instances to come up, which takes minutes.
_START_SECONDS = 1800

_Rate = Annotated[FiniteFloat, Field(gt=0, lt=1)]


class Alarms(Table):
    """[deployment.alarms]: what takes the traffic back. All look at the new model's fleet alone, minute by minute.

    Attributes:
        min_requests: in a minute with fewer of them a rate says nothing.
        min_latency_requests: in a minute with fewer the 99th percentile is the slowest few, of a new fleet the
            first ones.
        minutes, of_minutes: so many of the last so many have to be beyond a limit.
        max_error_rate: of answers with a status of 500 and above, and of none at all.
        max_refused_rate: of answers with a status of 400 to 499, beyond the old fleet's own share of them.
        max_latency_ratio: of the 99th percentile beside that of the old fleet, where both have traffic.
        max_latency_ms: of the 99th percentile of the model's own time.
        max_answer_shift: how far the mean of what the new model says (a regression's value, the probability of the
            positive class) may be from the old one's meanwhile, in standard deviations and beyond what is chance:
            docs/decisions/0030.
        also: names of alarms of your own, which have to be there.
    """

    min_requests: Annotated[int, Field(ge=1)] = 50
    min_latency_requests: Annotated[int, Field(ge=1)] = 300
    minutes: Annotated[int, Field(ge=1, le=10)] = 1
    of_minutes: Annotated[int, Field(ge=1, le=10)] = 1
    max_error_rate: _Rate | None = 0.02
    max_refused_rate: _Rate | None = 0.2
    max_latency_ratio: Annotated[FiniteFloat, Field(gt=1)] | None = 3.0
    max_latency_ms: Annotated[FiniteFloat, Field(gt=0)] | None = None
    max_answer_shift: Annotated[FiniteFloat, Field(gt=0)] | None = 0.25
    also: tuple[Annotated[str, StringConstraints(min_length=1, max_length=255)], ...] = ()

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if self.minutes > self.of_minutes:
            raise ValueError(f"minutes: {self.minutes} of the last {self.of_minutes} (of_minutes) cannot be")
        return self

    def watching(self, strategy: str) -> tuple[str, ...]:
        """Name the limits that are alarms: nothing stands beside a fleet that has all the traffic at once."""
        beside = {"latency-ratio": self.max_latency_ratio, "answers": self.max_answer_shift}
        limits = {
            "errors": self.max_error_rate,
            "refused": self.max_refused_rate,
            "latency": self.max_latency_ms,
            **({} if strategy == "all_at_once" else beside),
        }
        return tuple(name for name, limit in limits.items() if limit is not None)


class Deployment(Table):
    """[deployment]: how an endpoint in service is brought to a new model.

    Attributes:
        strategy: everything at once, a small part first, equal steps, or instance by instance.
        environments: where that is so; elsewhere all goes over at once, and nothing watches it.
        share: in percent of the fleet: of the canary, of each linear step, of each batch that is rolled over.
        wait_seconds: for how long each step is watched before the next.
        keep_old_seconds: for how long the old fleet stays after the last step.
        max_seconds: for the whole, the start of the new instances included; beyond, it is rolled back.
    """

    strategy: Literal["all_at_once", "canary", "linear", "rolling"] = "all_at_once"
    environments: tuple[Environment, ...] = ("prod",)
    share: int | None = None
    wait_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    keep_old_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    max_seconds: Annotated[int, Field(ge=_LEAST_TIMEOUT, le=_MOST_TIMEOUT)] | None = None
    alarms: Alarms = Alarms()

    @property
    def steps(self) -> int:
        if self.strategy == "all_at_once" or self.share is None:
            return 1
        return 2 if self.strategy == "canary" else -(-100 // self.share)

    @property
    def waits(self) -> int:
        """For how many seconds a deployment waits in all."""
        return self.steps * self.wait_seconds + self.keep_old_seconds

    @property
    def timeout_seconds(self) -> int:
        return self.max_seconds or min(_MOST_TIMEOUT, max(_LEAST_TIMEOUT, self.waits + _START_SECONDS))

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        limits = _SHARES.get(self.strategy)
        if limits is None:
            if self.share is not None:
                raise ValueError('share: with strategy = "all_at_once" there is one step, with everything')
        elif self.share is None:
            raise ValueError(
                f'share: strategy = "{self.strategy}" needs it: {limits[0]} to {limits[1]} (percent)'
            )
        elif not limits[0] <= self.share <= limits[1]:
            raise ValueError(
                f'share: {self.share} % is not {limits[0]} to {limits[1]}, as SageMaker takes it of "{self.strategy}"'
            )
        if self.strategy == "rolling" and self.keep_old_seconds:
            raise ValueError("keep_old_seconds: a rolling deployment keeps nothing of the old fleet")
        if self.timeout_seconds < self.waits:
            raise ValueError(
                f"max_seconds: {self.timeout_seconds} is less than the waits alone take ({self.steps} of "
                f"wait_seconds = {self.wait_seconds}, and keep_old_seconds = {self.keep_old_seconds})"
            )
        self._check_alarms()
        return self

    def _check_alarms(self) -> None:
        watching = [*self.alarms.watching(self.strategy), *self.alarms.also]
        if self.strategy != "all_at_once" and not watching:
            raise ValueError(
                "alarms: nothing watches it, and nothing would bring it back: set at least one limit"
            )
        if len(watching) > MOST_ALARMS:
            raise ValueError(
                f"alarms.also: with the limits that is {len(watching)}; SageMaker takes {MOST_ALARMS}"
            )
        # A wait begins within a minute, and the first whole one ends up to two minutes later.
        seconds = (self.alarms.of_minutes + 1) * ALARM_PERIOD_SECONDS
        # The local AWS looks at a minute that is not over.
        if watching and self.wait_seconds < seconds and set(self.environments) - {"local"}:
            raise ValueError(
                f"wait_seconds: {self.wait_seconds} is over before an alarm has seen its minutes, which takes up to "
                f"{seconds} s (of_minutes = {self.alarms.of_minutes})"
            )

    def check_fleet(self, instances: int) -> None:
        """Raise ValueError for a fleet of so many instances that cannot be parted so."""
        if self.share is not None and instances * self.share < 100:
            least = (
                "then it can be all_at_once only"
                if instances == 1
                else f"at least {-(-100 // instances)} are"
            )
            raise ValueError(
                f"deployment.share: {self.share} % of serving.instance_count = {instances} is no instance; {least}"
            )
