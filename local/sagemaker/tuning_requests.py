"""What CreateHyperParameterTuningJob is asked: refused as SageMaker refuses it, and by name what is not done here."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from local.sagemaker import training
from local.sagemaker.errors import refuse_unsupported, unsupported, validation
from local.sagemaker.validation import check_enum, check_name

UNSUPPORTED = ("TrainingJobDefinitions", "WarmStartConfig", "Autotune")
UNSUPPORTED_CONFIG = ("StrategyConfig", "TuningJobCompletionCriteria")
UNSUPPORTED_DEFINITION = (
    "DefinitionName",
    "TuningObjective",
    "HyperParameterRanges",
    "HyperParameterTuningResourceConfig",
    "RetryStrategy",
)
MAX_NAME = 32
# https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
MAX_RANGES = 30
MAX_VALUES = 30
MAX_TRAINING_JOBS = 750
MAX_PARALLEL = 100


def check_request(request: dict[str, Any]) -> None:
    """Refuse what SageMaker refuses, and by name what the local AWS cannot run."""
    check_name(request.get("HyperParameterTuningJobName"), "hyperParameterTuningJobName", MAX_NAME)
    refuse_unsupported(request, UNSUPPORTED, "CreateHyperParameterTuningJob")
    config = request.get("HyperParameterTuningJobConfig") or {}
    refuse_unsupported(config, UNSUPPORTED_CONFIG, "CreateHyperParameterTuningJob's configuration")
    strategy = config.get("Strategy")
    check_enum(strategy, "hyperParameterTuningJobConfig.strategy", "HyperParameterTuningJobStrategyType")
    if strategy == "Hyperband":
        raise unsupported("the tuning strategy Hyperband", "Use Bayesian, Random or Grid.")
    check_enum(
        config.get("TrainingJobEarlyStoppingType", "Off"),
        "hyperParameterTuningJobConfig.trainingJobEarlyStoppingType",
        "TrainingJobEarlyStoppingType",
    )
    _check_ranges(config.get("ParameterRanges") or {}, strategy)
    _check_limits(config.get("ResourceLimits") or {}, strategy, config.get("ParameterRanges") or {})
    definition = request.get("TrainingJobDefinition")
    if not definition:
        raise validation("You must specify TrainingJobDefinition.")
    refuse_unsupported(
        definition, UNSUPPORTED_DEFINITION, "CreateHyperParameterTuningJob's TrainingJobDefinition"
    )
    _check_objective(config.get("HyperParameterTuningJobObjective") or {}, definition)
    _check_static(definition.get("StaticHyperParameters") or {}, config.get("ParameterRanges") or {})
    # What a training job of it would be asked for.
    one = {key: value for key, value in definition.items() if key != "StaticHyperParameters"}
    static = dict(definition.get("StaticHyperParameters") or {})
    name = f"{request['HyperParameterTuningJobName']}-001-00000000"
    training.check_request({**one, "TrainingJobName": name, "HyperParameters": static})


def _check_ranges(ranges: dict[str, Any], strategy: Any) -> None:
    named = [each for kind in ranges.values() for each in kind or []]
    names = [each["Name"] for each in named]
    if not names:
        raise validation("You must specify at least one parameter range.")
    if len(names) > MAX_RANGES:
        raise validation(
            f"The number of hyperparameters to search, {len(names)}, exceeds the limit of {MAX_RANGES}."
        )
    for name in names:
        if names.count(name) > 1:
            raise validation(f"The hyperparameter {name} has more than one range.")
    numbers: tuple[tuple[str, Callable[[str], float]], ...] = (
        ("IntegerParameterRanges", int),
        ("ContinuousParameterRanges", float),
    )
    for kind, read in numbers:
        for each in ranges.get(kind) or []:
            if strategy == "Grid":
                raise validation(
                    f"Grid search takes categorical hyperparameters only, and {each['Name']} is none."
                )
            _check_bounds(each, read)
    for each in ranges.get("CategoricalParameterRanges") or []:
        if not 1 <= len(each.get("Values") or []) <= MAX_VALUES:
            raise validation(
                f"The categorical hyperparameter {each['Name']} must have 1 to {MAX_VALUES} values."
            )


def _check_bounds(asked: dict[str, Any], read: Callable[[str], float]) -> None:
    name, scale = asked["Name"], asked.get("ScalingType", "Auto")
    check_enum(scale, f"scalingType of {name}", "HyperParameterScalingType")
    if scale == "ReverseLogarithmic":
        raise unsupported(f"ScalingType ReverseLogarithmic ({name})")
    try:
        low, high = read(asked["MinValue"]), read(asked["MaxValue"])
    except (KeyError, TypeError, ValueError) as error:
        raise validation(f"The range of the hyperparameter {name} is not valid: {error}") from error
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise validation(f"The range of the hyperparameter {name} is empty: {low} to {high}.")
    if scale == "Logarithmic" and low <= 0:
        raise validation(f"Logarithmic scaling of the hyperparameter {name} needs values above 0.")


def _check_limits(limits: dict[str, Any], strategy: Any, ranges: dict[str, Any]) -> None:
    if limits.get("MaxRuntimeInSeconds"):
        raise unsupported("ResourceLimits.MaxRuntimeInSeconds")
    parallel, jobs = limits.get("MaxParallelTrainingJobs"), limits.get("MaxNumberOfTrainingJobs")
    if not isinstance(parallel, int) or not 1 <= parallel <= MAX_PARALLEL:
        raise validation(f"MaxParallelTrainingJobs must be 1 to {MAX_PARALLEL}.")
    if strategy == "Grid":
        size = math.prod(len(each["Values"]) for each in ranges.get("CategoricalParameterRanges") or [])
        if jobs not in (None, size):
            raise validation(f"MaxNumberOfTrainingJobs is {jobs}, and the grid has {size} combinations.")
        jobs = size
    if not isinstance(jobs, int) or not 1 <= jobs <= MAX_TRAINING_JOBS:
        raise validation(f"MaxNumberOfTrainingJobs must be 1 to {MAX_TRAINING_JOBS}.")
    if parallel > jobs:
        raise validation("MaxParallelTrainingJobs must not exceed MaxNumberOfTrainingJobs.")


def _check_objective(objective: dict[str, Any], definition: dict[str, Any]) -> None:
    if not objective:
        raise validation("You must specify HyperParameterTuningJobObjective.")
    check_enum(objective.get("Type"), "type of the objective", "HyperParameterTuningJobObjectiveType")
    metrics = (definition.get("AlgorithmSpecification") or {}).get("MetricDefinitions") or []
    if objective.get("MetricName") not in [each["Name"] for each in metrics]:
        raise validation(
            f"The objective metric {objective.get('MetricName')} is none of the metric definitions of the algorithm."
        )


def _check_static(static: dict[str, Any], ranges: dict[str, Any]) -> None:
    both = sorted({each["Name"] for kind in ranges.values() for each in kind or []} & set(static))
    if both:
        raise validation(f"The hyperparameter {both[0]} is both static and tuned.")
