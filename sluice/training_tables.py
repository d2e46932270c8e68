"""[search] and [training] of project.toml: what hyperparameters are looked for, and on what a model is trained."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, FiniteFloat, StringConstraints, model_validator

from sluice.hyperparameters import encode
from sluice.tables import Environment, Table

# https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
_MOST_RANGES = 30
_MOST_VALUES = 30
_MOST_TRIALS = 750
_MOST_PARALLEL = 100
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HyperParameterTuningJobConfig.html
_MOST_SEED = 4_294_967_295
_MOST_LENGTH = 256
_MOST_FOLDS = 20
_TRIALS = 20

_RangeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.:-]{0,255}$")]


class Range(Table):
    """[search.ranges.NAME]: the values that a hyperparameter may take.

    Attributes:
        min, max: of an `integer` or a `number`, both included.
        scale: `log` looks as closely between 0.001 and 0.01 as between 0.1 and 1.
        values: of a `categorical` one.
    """

    type: Literal["integer", "number", "categorical"]
    min: FiniteFloat | None = None
    max: FiniteFloat | None = None
    scale: Literal["linear", "log"] = "linear"
    values: tuple[str | bool | int | float, ...] = ()

    @property
    def encoded(self) -> tuple[str, ...]:
        """The values as SageMaker hands them on."""
        return tuple(encode({"value": each})["value"] for each in self.values)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.type == "categorical":
            self._check_values()
        else:
            self._check_bounds()
        return self

    def _check_values(self) -> None:
        if self.min is not None or self.max is not None or self.scale != "linear":
            raise ValueError(
                "`min`, `max` and `scale` are for integer and number; a categorical has `values`"
            )
        if not self.values:
            raise ValueError("the range is empty: list its `values`")
        if len(self.values) > _MOST_VALUES:
            raise ValueError(f"{len(self.values)} values; SageMaker takes {_MOST_VALUES}")
        twice = [each for each in self.encoded if self.encoded.count(each) > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is there twice")
        for text in self.encoded:
            if len(text) > _MOST_LENGTH:
                raise ValueError(f"a value is {len(text)} characters long; SageMaker takes {_MOST_LENGTH}")
            if "${" in text or "%}" in text:
                raise ValueError(f"{text!r} holds `${{` or `%}}`, which mean something in a state machine")

    def _check_bounds(self) -> None:
        if self.values:
            raise ValueError(f'`values` are for type = "categorical", not for {self.type}')
        if self.min is None or self.max is None:
            raise ValueError(f"`min` and `max` are needed for {self.type}")
        if self.type == "integer" and not (self.min.is_integer() and self.max.is_integer()):
            raise ValueError("`min` and `max` of an integer have to be whole")
        if self.min >= self.max:
            raise ValueError(f"the range is empty: `min` ({self.min:g}) is not below `max` ({self.max:g})")
        if self.scale == "log" and self.min <= 0:
            raise ValueError(f'scale = "log" is for values above 0, and `min` is {self.min:g}')


class Search(Table):
    """[search]: hyperparameters are looked for before a model is trained.

    Attributes:
        strategy: `bayesian` learns from the trials before, `random` does not, `grid` tries all combinations.
        trials: how many combinations are tried; of a grid it follows from the ranges.
        parallel: so many trials at a time. A bayesian search learns less, the more of them run at once.
        early_stopping: trials that are worse than most were at the same fold are stopped.
        metric: what is to become best; empty: gates.compare.
        folds: each trial is fitted so often, every time without another part of the training rows.
        seed: the same seed tries the same, as far as the strategy allows.
        max_runtime_seconds: of one trial; without, model.max_runtime_seconds.
    """

    ranges: Annotated[dict[_RangeName, Range], Field(min_length=1, max_length=_MOST_RANGES)]
    strategy: Literal["bayesian", "random", "grid"] = "bayesian"
    trials: Annotated[int, Field(ge=1, le=_MOST_TRIALS)] = _TRIALS
    parallel: Annotated[int, Field(ge=1, le=_MOST_PARALLEL)] = 2
    early_stopping: bool = True
    metric: str = ""
    folds: Annotated[int, Field(ge=2, le=_MOST_FOLDS)] = 3
    seed: Annotated[int, Field(ge=0, le=_MOST_SEED)] = 0
    max_runtime_seconds: Annotated[int, Field(ge=1, le=777_600)] | None = None

    @property
    def rounds(self) -> int:
        """How many trials are made one after the other, at most."""
        return math.ceil(self.trials / self.parallel)

    @model_validator(mode="before")
    @classmethod
    def _a_grid_counts_itself(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("strategy") != "grid":
            return given
        if "trials" in given:
            raise ValueError('`trials` is not for strategy = "grid", which tries every combination')
        ranges = given.get("ranges")
        found = ranges.values() if isinstance(ranges, dict) else ()
        sizes = [len(each["values"]) for each in found if isinstance(each, dict) and each.get("values")]
        count = math.prod(sizes)
        if count > _MOST_TRIALS:
            raise ValueError(f"the grid has {count:,} combinations; SageMaker tries {_MOST_TRIALS}")
        return {**given, "trials": max(1, count)}

    @model_validator(mode="after")
    def _a_grid_has_values(self) -> Self:
        if self.strategy == "grid":
            numbers = [name for name, each in self.ranges.items() if each.type != "categorical"]
            if numbers:
                raise ValueError(
                    f'strategy = "grid" takes categorical ranges alone, and {numbers[0]} is none: list its values'
                )
        return self

    @model_validator(mode="after")
    def _no_more_at_once_than_there_are(self) -> Self:
        if "parallel" in self.model_fields_set and self.parallel > self.trials:
            raise ValueError(f"`parallel` ({self.parallel}) is above `trials` ({self.trials})")
        return self


class Training(Table):
    """[training]: on what kind of instances a model is trained.

    Attributes:
        spot: on spare ones, which cost less and may be taken back: the job then goes on from its checkpoints.
        environments: otherwise than that in some environments.
        max_wait_seconds: for how long a job on spot instances may wait and run; by default twice
            model.max_runtime_seconds.
    """

    spot: bool = False
    environments: dict[Environment, bool] = Field(default={})
    max_wait_seconds: Annotated[int, Field(ge=1, le=2_419_200)] | None = None

    def spot_in(self, environment: Environment) -> bool:
        return self.environments.get(environment, self.spot)
