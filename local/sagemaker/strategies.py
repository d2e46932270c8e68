"""How a tuning job chooses what its next training job tries: at random, from a grid, or by what it learned."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from typing import Any, Protocol

Values = dict[str, str]


class Strategy(Protocol):
    """Asked for one set of hyperparameters after the other; told what came of each."""

    def ask(self) -> Values | None:
        """The next set, as a training job gets it; None where there is none left."""

    def tell(self, values: Values, objective: float | None) -> None:
        """What came of a set that `ask` gave; None where its job failed."""


def strategy_of(config: Mapping[str, Any]) -> Strategy:
    """The strategy that a HyperParameterTuningJobConfig asks for."""
    ranges = config.get("ParameterRanges") or {}
    # Without a seed AWS searches otherwise each time.
    seed = config.get("RandomSeed")
    seed = random.SystemRandom().randrange(2**32) if seed is None else int(seed)
    match config["Strategy"]:
        case "Grid":
            return Grid(ranges)
        case "Random":
            return Random(ranges, seed)
        case _:
            return Bayesian(ranges, seed, config["HyperParameterTuningJobObjective"]["Type"])


class Grid:
    """Every combination of categorical values, once."""

    def __init__(self, ranges: Mapping[str, Any]) -> None:
        named = ranges.get("CategoricalParameterRanges") or []
        names = [each["Name"] for each in named]
        self._left = iter(
            dict(zip(names, chosen, strict=True))
            for chosen in itertools.product(*(each["Values"] for each in named))
        )

    def ask(self) -> Values | None:
        return next(self._left, None)

    def tell(self, values: Values, objective: float | None) -> None:
        """What came of a combination changes nothing of the rest."""


class Random:
    """Each value drawn by itself, evenly on its scale."""

    def __init__(self, ranges: Mapping[str, Any], seed: int) -> None:
        self._ranges = ranges
        self._draw = random.Random(seed)  # noqa: S311 - a search, no secret

    def ask(self) -> Values | None:
        values = {}
        for each in self._ranges.get("IntegerParameterRanges") or []:
            low, high = int(each["MinValue"]), int(each["MaxValue"])
            drawn = self._between(low, high + 1, each) if _is_log(each) else self._draw.randint(low, high)
            values[each["Name"]] = str(min(int(drawn), high))
        for each in self._ranges.get("ContinuousParameterRanges") or []:
            drawn = self._between(float(each["MinValue"]), float(each["MaxValue"]), each)
            values[each["Name"]] = repr(float(drawn))
        for each in self._ranges.get("CategoricalParameterRanges") or []:
            values[each["Name"]] = self._draw.choice(each["Values"])
        return values

    def tell(self, values: Values, objective: float | None) -> None:
        """Nothing is learned."""

    def _between(self, low: float, high: float, asked: Mapping[str, Any]) -> float:
        if _is_log(asked):
            drawn = math.exp(self._draw.uniform(math.log(low), math.log(high)))
        else:
            drawn = self._draw.uniform(low, high)
        return min(max(drawn, low), high)


class Bayesian:
    """By Optuna's tree-structured Parzen estimator, which also knows of the jobs that still run.

    AWS fits a Gaussian process instead: what is tried is not the same there, and what is found is much alike.
    """

    def __init__(self, ranges: Mapping[str, Any], seed: int, objective_type: str) -> None:
        # Half a second, and only for who tunes.
        import optuna

        optuna.logging.disable_default_handler()
        self._space: dict[str, Any] = {}
        for each in ranges.get("IntegerParameterRanges") or []:
            self._space[each["Name"]] = optuna.distributions.IntDistribution(
                int(each["MinValue"]), int(each["MaxValue"]), log=_is_log(each)
            )
        for each in ranges.get("ContinuousParameterRanges") or []:
            self._space[each["Name"]] = optuna.distributions.FloatDistribution(
                float(each["MinValue"]), float(each["MaxValue"]), log=_is_log(each)
            )
        for each in ranges.get("CategoricalParameterRanges") or []:
            self._space[each["Name"]] = optuna.distributions.CategoricalDistribution(each["Values"])
        self._study = optuna.create_study(
            direction="maximize" if objective_type == "Maximize" else "minimize",
            # `constant_liar`: of jobs that run at once no two look at the same place.
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5, constant_liar=True),
        )
        self._running: list[tuple[Values, Any]] = []
        self._failed = optuna.trial.TrialState.FAIL

    def ask(self) -> Values | None:
        trial = self._study.ask(self._space)
        values = {
            name: value if isinstance(value, str) else repr(value) for name, value in trial.params.items()
        }
        self._running.append((values, trial))
        return values

    def tell(self, values: Values, objective: float | None) -> None:
        place = next(i for i, (asked, _) in enumerate(self._running) if asked == values)
        _, trial = self._running.pop(place)
        if objective is None or not math.isfinite(objective):
            self._study.tell(trial, state=self._failed)
        else:
            self._study.tell(trial, objective)


def _is_log(asked: Mapping[str, Any]) -> bool:
    """Auto is the service's own choice there; here it is linear."""
    return asked.get("ScalingType") == "Logarithmic"
