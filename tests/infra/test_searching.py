"""What the machine `training` is told of a search, as SageMaker takes it, and of spot instances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.searching import condition, search_settings
from sluice import naming
from sluice.project import Project
from tests.infra.synthesized import PROJECT, plain, synthesize, write_project

RANGES = {
    "rate": {"type": "number", "min": 0.01, "max": 1, "scale": "log"},
    "depth": {"type": "integer", "min": 2, "max": 8},
    "loss": {"type": "categorical", "values": ["log", "1", 1, True]},
}


def project(search: dict[str, Any] | None, **tables: Any) -> Project:
    return Project.model_validate(
        {
            "project": {"name": "bank"},
            "target": {"column": "y", "problem": "binary", "positive": "yes"},
            "columns": {"age": {"type": "integer"}, "y": {"type": "string"}},
            "features": {"numeric": ["age"]},
            **({} if search is None else {"search": search}),
            **tables,
        }
    )


def test_a_project_without_a_search_is_told_of_none() -> None:
    assert search_settings(project(None), "prod") == {}


def test_a_search_is_told_in_sagemakers_words() -> None:
    asked = project({"ranges": RANGES, "trials": 10, "parallel": 3, "seed": 5})
    found = search_settings(asked, "prod")["search"]
    assert found["config"] == {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "roc_auc"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 10, "MaxParallelTrainingJobs": 3},
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {"Name": "rate", "MinValue": "0.01", "MaxValue": "1.0", "ScalingType": "Logarithmic"}
            ],
            "IntegerParameterRanges": [
                {"Name": "depth", "MinValue": "2", "MaxValue": "8", "ScalingType": "Linear"}
            ],
            # A text that looks like a number is quoted, and comes back as the text.
            "CategoricalParameterRanges": [{"Name": "loss", "Values": ["log", '"1"', "1", "true"]}],
        },
        "TrainingJobEarlyStoppingType": "Auto",
        "RandomSeed": 5,
    }
    assert found["condition"] == {"MaxRuntimeInSeconds": 3600}
    # Four rounds, each with an hour for an instance to be found.
    assert found["limit_seconds"] == 4 * 7200


def test_less_is_better_of_an_error() -> None:
    asked = project({"ranges": RANGES, "metric": "log_loss", "early_stopping": False})
    config = search_settings(asked, "dev")["search"]["config"]
    assert config["HyperParameterTuningJobObjective"] == {"Type": "Minimize", "MetricName": "log_loss"}
    assert config["TrainingJobEarlyStoppingType"] == "Off"


def test_a_grid_names_no_number_of_trials() -> None:
    grid = {"strategy": "grid", "ranges": {"loss": RANGES["loss"]}, "max_runtime_seconds": 60}
    found = search_settings(project(grid), "dev")["search"]
    assert found["config"]["Strategy"] == "Grid"
    assert found["config"]["ResourceLimits"] == {"MaxParallelTrainingJobs": 2}
    assert found["limit_seconds"] == 2 * 3660


def test_no_search_is_waited_for_longer_than_sagemaker_searches() -> None:
    asked = project({"ranges": RANGES, "trials": 750, "parallel": 1})
    assert search_settings(asked, "dev")["search"]["limit_seconds"] == 30 * 24 * 3600


def test_spot_may_be_asked_for_in_some_environments_alone() -> None:
    asked = project({"ranges": RANGES}, training={"spot": True, "environments": {"prod": False}})
    assert asked.training.spot_in("dev")
    assert not asked.training.spot_in("prod")
    assert search_settings(asked, "dev")["search"]["condition"] == {
        "MaxRuntimeInSeconds": 3600,
        "MaxWaitTimeInSeconds": 7200,
    }
    assert search_settings(asked, "prod")["search"]["condition"] == {"MaxRuntimeInSeconds": 3600}
    waiting = project(None, training={"spot": True, "max_wait_seconds": 5000})
    assert condition(waiting, spot=True, seconds=3600)["MaxWaitTimeInSeconds"] == 5000


def test_the_report_may_list_the_trials_of_a_project_that_searches_and_of_no_other(tmp_path: Path) -> None:
    listing = "sagemaker:ListTrainingJobsForHyperParameterTuningJob"
    ranges = '\n[search.ranges.depth]\ntype = "integer"\nmin = 1\nmax = 9\n'
    found = {}
    for name, more in (("plain", ""), ("searching", ranges)):
        folder = tmp_path / name
        write_project(folder, PROJECT + more)
        made = synthesize(tmp_path / f"{name}-out", project=str(folder), environment="prod")
        statements = made.pipeline.statements("Functions/ReportOutcomeRole")
        found[name] = [plain(each["Resource"][0]) for each in statements if listing in each["Action"]]
    name = naming.search_prefix("bank", "prod") + "?" * naming.JOB_DIGITS
    arn = f"arn:<Partition>:sagemaker:<Region>:<AccountId>:hyper-parameter-tuning-job/{name}"
    assert found == {"plain": [], "searching": [arn]}
