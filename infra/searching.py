"""What the machine `training` is told of a search: the tuning job's configuration, by SageMaker's own names."""

from __future__ import annotations

from typing import Any

from sluice import naming, objective
from sluice.problems import SMALLER_IS_BETTER
from sluice.project import Project
from sluice.tables import Environment
from sluice.training_tables import Range, Search

# To find an instance, and to fetch images and data, as in statemachines/training.asl.yaml.
_AROUND_A_JOB = 3_600
# https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
_LONGEST = 2_592_000
_STRATEGIES = {"bayesian": "Bayesian", "random": "Random", "grid": "Grid"}
_SCALES = {"linear": "Linear", "log": "Logarithmic"}


def condition(project: Project, *, spot: bool, seconds: int) -> dict[str, int]:
    """Give the StoppingCondition of a training job that may run for `seconds`."""
    if not spot:
        return {"MaxRuntimeInSeconds": seconds}
    wait = max(seconds, project.max_wait_seconds)
    return {"MaxRuntimeInSeconds": seconds, "MaxWaitTimeInSeconds": wait}


def search_settings(project: Project, environment: Environment) -> dict[str, Any]:
    """Give `$settings.search`, under that name; nothing where a project searches for nothing."""
    search = project.search
    if search is None:
        return {}
    seconds = search.max_runtime_seconds or project.model.max_runtime_seconds
    stopping = condition(project, spot=project.training.spot_in(environment), seconds=seconds)
    longest = search.rounds * (max(stopping.values()) + _AROUND_A_JOB)
    return {
        "search": {
            "prefix": naming.search_prefix(project.name, environment),
            "metric": search.metric,
            "pattern": objective.PATTERN,
            "config": _config(search),
            "condition": stopping,
            "limit_seconds": min(longest, _LONGEST),
        }
    }


def _config(search: Search) -> dict[str, Any]:
    limits = {"MaxParallelTrainingJobs": min(search.parallel, search.trials)}
    if search.strategy != "grid":
        limits["MaxNumberOfTrainingJobs"] = search.trials
    return {
        "Strategy": _STRATEGIES[search.strategy],
        "HyperParameterTuningJobObjective": {
            "Type": "Minimize" if search.metric in SMALLER_IS_BETTER else "Maximize",
            "MetricName": search.metric,
        },
        "ResourceLimits": limits,
        "ParameterRanges": _ranges(search),
        "TrainingJobEarlyStoppingType": "Auto" if search.early_stopping else "Off",
        "RandomSeed": search.seed,
    }


def _ranges(search: Search) -> dict[str, Any]:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for name, each in search.ranges.items():
        if each.type == "categorical":
            kinds.setdefault("CategoricalParameterRanges", []).append(
                {"Name": name, "Values": list(each.encoded)}
            )
        else:
            kind = "IntegerParameterRanges" if each.type == "integer" else "ContinuousParameterRanges"
            low, high = _bounds(each)
            kinds.setdefault(kind, []).append(
                {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": _SCALES[each.scale]}
            )
    return kinds


def _bounds(asked: Range) -> tuple[str, str]:
    assert asked.min is not None
    assert asked.max is not None
    if asked.type == "integer":
        return str(int(asked.min)), str(int(asked.max))
    return repr(asked.min), repr(asked.max)
