"""Tuning jobs of the local AWS: strategies, early stopping, counters, failures, stops; and interrupted spot jobs."""

from __future__ import annotations

import io
import json
import tarfile
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError

import pytest

from local.sagemaker.early_stopping import is_hopeless
from local.sagemaker.jobs import ENDED
from local.sagemaker.strategies import Bayesian, Grid, Random
from tests.support.in_process import REGISTRY, ROLE, InProcessContext, error_of, log_lines, wait_for

CONTINUOUS = {"Name": "x", "MinValue": "0", "MaxValue": "10", "ScalingType": "Linear"}
KIND = {"Name": "kind", "Values": ["good", "bad"]}


def request(name: str, **changes: Any) -> dict[str, Any]:
    """A tuning job of two training jobs; `changes` are members of its configuration."""
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "objective"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"ContinuousParameterRanges": [CONTINUOUS]},
            "TrainingJobEarlyStoppingType": "Off",
            "RandomSeed": 7,
            **changes,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {"kept": "1"},
            "AlgorithmSpecification": {
                "TrainingImage": f"{REGISTRY}/tune",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "objective", "Regex": "objective=(.*?);"}],
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://data/trials"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "Environment": {"A": "b"},
        },
        "Tags": [{"Key": "squad", "Value": "a"}],
    }


def tuned(aws: InProcessContext, asked: dict[str, Any]) -> dict[str, Any]:
    """What Describe says of a tuning job once it has ended."""
    client = aws.client("sagemaker")
    client.create_hyper_parameter_tuning_job(**asked)
    return ended(aws, asked["HyperParameterTuningJobName"])


def ended(aws: InProcessContext, name: str) -> dict[str, Any]:
    describe = aws.client("sagemaker").describe_hyper_parameter_tuning_job
    return dict(
        wait_for(
            lambda: (
                (job := describe(HyperParameterTuningJobName=name))["HyperParameterTuningJobStatus"] in ENDED
                and job
            )
        )
    )


def trials(aws: InProcessContext, name: str, **asked: Any) -> list[dict[str, Any]]:
    listed = aws.client("sagemaker").list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, **asked
    )
    return list(listed["TrainingJobSummaries"])


def kinds(values: list[str], **changes: Any) -> dict[str, Any]:
    """A grid of kinds, all with the same x, one after the other."""
    ranges = [{"Name": "kind", "Values": values}, {"Name": "x", "Values": ["3"]}]
    return {
        "Strategy": "Grid",
        "ParameterRanges": {"CategoricalParameterRanges": ranges},
        "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        **changes,
    }


def test_a_tuning_job_runs_training_jobs_and_tells_of_the_best(aws: InProcessContext) -> None:
    job = tuned(aws, request("random"))

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["HyperParameterTuningJobArn"].endswith(":hyper-parameter-tuning-job/random")
    assert job["TrainingJobStatusCounters"]["Completed"] == 2
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 0}
    found = trials(aws, "random", SortBy="CreationTime", SortOrder="Ascending")
    names = [each["TrainingJobName"] for each in found]
    assert [name[:11] for name in names] == ["random-001-", "random-002-"]
    assert all(len(name) == 19 for name in names)
    best = max(found, key=lambda each: each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
    assert job["BestTrainingJob"]["TrainingJobName"] == best["TrainingJobName"]
    x = float(best["TunedHyperParameters"]["x"])
    told = best["FinalHyperParameterTuningJobObjectiveMetric"]
    assert told == {"MetricName": "objective", "Value": pytest.approx(1 - (x - 3) ** 2 / 100)}

    one = aws.client("sagemaker").describe_training_job(TrainingJobName=names[0])
    assert one["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert one["TrainingJobStatus"] == "Completed"
    assert one["HyperParameters"].items() >= {"kept": "1", "_tuning_objective_metric": "objective"}.items()
    assert [each["MetricName"] for each in one["FinalMetricDataList"]] == ["objective"]
    tags = aws.client("sagemaker").list_tags(ResourceArn=one["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "squad", "Value": "a"}]
    listed = aws.client("sagemaker").list_hyper_parameter_tuning_jobs(NameContains="random")
    assert listed["HyperParameterTuningJobSummaries"][0]["Strategy"] == "Random"
    [first] = trials(aws, "random", SortBy="FinalObjectiveMetricValue", SortOrder="Descending", MaxResults=1)
    assert first["TrainingJobName"] == best["TrainingJobName"]


def test_a_grid_is_tried_once_each_and_some_may_fail(aws: InProcessContext) -> None:
    job = tuned(aws, request("grid", **kinds(["bad", "good", "mute"])))

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 2,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 1,
        "Stopped": 0,
    }
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 1, "Pending": 0, "Failed": 2}
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"kind": "good", "x": "3"}
    [failed] = trials(aws, "grid", StatusEquals="Failed")
    assert failed["FailureReason"] == "AlgorithmError: x is of a bad kind, exit code: 1"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["bad"], "All training jobs failed."),
        (["bad"] * 7, "No training job succeeded after 5 attempts."),
        (["mute"], "No objective metrics found after running 1 training jobs."),
    ],
)
def test_a_tuning_job_without_a_success_fails(aws: InProcessContext, values: list[str], reason: str) -> None:
    name = f"failing-{values[0]}-{len(values)}"
    config = kinds(values[:1])
    ranges = config["ParameterRanges"]["CategoricalParameterRanges"]
    ranges[1]["Values"] = [str(i) for i in range(len(values))]
    job = tuned(aws, request(name, **config))
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(reason)
    assert "BestTrainingJob" not in job
    assert len(trials(aws, name)) == min(len(values), 5)


def test_what_is_worse_than_most_is_stopped_early(aws: InProcessContext) -> None:
    config = kinds(["good", "hopeless"], TrainingJobEarlyStoppingType="Auto")
    job = tuned(aws, request("early", **config))
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1
    [stopped] = trials(aws, "early", StatusEquals="Stopped")
    assert stopped["TunedHyperParameters"]["kind"] == "hopeless"
    assert job["BestTrainingJob"]["TunedHyperParameters"]["kind"] == "good"


def test_a_tuning_job_that_is_stopped_stops_its_training_jobs(aws: InProcessContext) -> None:
    client = aws.client("sagemaker")
    client.create_hyper_parameter_tuning_job(**request("stopped", **kinds(["hang", "good"])))
    wait_for(lambda: trials(aws, "stopped") and trials(aws, "stopped")[0].get("TrainingStartTime"))
    client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    job = ended(aws, "stopped")
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert [each["TrainingJobStatus"] for each in trials(aws, "stopped")] == ["Stopped"]
    code, message = error_of(client.stop_hyper_parameter_tuning_job, HyperParameterTuningJobName="stopped")
    assert code == "ValidationException"
    assert "Stopped" in message


def test_a_tuning_job_that_nobody_made_is_not_found(aws: InProcessContext) -> None:
    client = aws.client("sagemaker")
    code, message = error_of(client.describe_hyper_parameter_tuning_job, HyperParameterTuningJobName="none")
    assert (code, message) == (
        "ResourceNotFound",
        "Amazon SageMaker can't find a tuning job called none. Type another name.",
    )


def config(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda asked: asked["HyperParameterTuningJobConfig"].update(changes)


def definition(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda asked: asked["TrainingJobDefinition"].update(changes)


def continuous(**changes: str) -> Callable[[dict[str, Any]], None]:
    return config(ParameterRanges={"ContinuousParameterRanges": [{**CONTINUOUS, **changes}]})


LIMITS = {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda asked: asked.update(HyperParameterTuningJobName="a" * 33), "less than or equal to 32"),
        (lambda asked: asked.update(WarmStartConfig={"WarmStartType": "x"}), "WarmStartConfig"),
        (config(Strategy="Guess"), "enum value set"),
        (config(Strategy="Hyperband"), "Hyperband"),
        (
            config(TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 1}),
            "TuningJobCompletionCriteria",
        ),
        (config(ParameterRanges={}), "at least one parameter range"),
        (continuous(MinValue="11"), "is empty"),
        (continuous(MinValue="low"), "not valid"),
        (continuous(ScalingType="Logarithmic"), "above 0"),
        (continuous(ScalingType="ReverseLogarithmic"), "ReverseLogarithmic"),
        (config(Strategy="Grid"), "categorical hyperparameters only"),
        (config(**kinds([str(i) for i in range(31)])), "1 to 30 values"),
        (config(**kinds(["good"], ResourceLimits=LIMITS)), "the grid has 1 combinations"),
        (config(ResourceLimits={**LIMITS, "MaxNumberOfTrainingJobs": 751}), "1 to 750"),
        (config(ResourceLimits={**LIMITS, "MaxParallelTrainingJobs": 101}), "1 to 100"),
        (config(ResourceLimits={**LIMITS, "MaxParallelTrainingJobs": 3}), "must not exceed"),
        (config(ResourceLimits={**LIMITS, "MaxRuntimeInSeconds": 200}), "MaxRuntimeInSeconds"),
        (
            config(HyperParameterTuningJobObjective={"Type": "Maximize", "MetricName": "other"}),
            "none of the metric definitions",
        ),
        (definition(StaticHyperParameters={"x": "1"}), "both static and tuned"),
        (definition(RetryStrategy={"MaximumRetryAttempts": 1}), "RetryStrategy"),
        (definition(EnableManagedSpotTraining=True), "Invalid MaxWaitTimeInSeconds"),
    ],
)
def test_what_cannot_be_tuned_is_refused(
    aws: InProcessContext, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    asked = request("refused")
    change(asked)
    code, message = error_of(aws.client("sagemaker").create_hyper_parameter_tuning_job, **asked)
    assert code == "ValidationException"
    assert said in message


def test_a_name_that_is_taken_is_refused(aws: InProcessContext) -> None:
    tuned(aws, request("taken"))
    code, message = error_of(aws.client("sagemaker").create_hyper_parameter_tuning_job, **request("taken"))
    assert code == "ResourceInUse"
    assert "already exists" in message


# --- what is tried

RANGES = {
    "IntegerParameterRanges": [{"Name": "n", "MinValue": "1", "MaxValue": "4"}],
    "ContinuousParameterRanges": [
        {"Name": "rate", "MinValue": "0.001", "MaxValue": "1", "ScalingType": "Logarithmic"},
        {"Name": "x", "MinValue": "-5", "MaxValue": "5"},
    ],
    "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
}


@pytest.mark.parametrize(
    "make", [lambda seed: Random(RANGES, seed), lambda seed: Bayesian(RANGES, seed, "Minimize")]
)
def test_values_are_within_their_ranges_and_the_same_for_a_seed(make: Callable[[int], Any]) -> None:
    first, again, other = make(1), make(1), make(2)
    drawn = []
    for number in range(30):
        values = first.ask()
        assert values == again.ask()
        drawn.append(values)
        first.tell(values, float(number % 7))
        again.tell(values, float(number % 7))
    assert other.ask() != drawn[0]
    assert {int(values["n"]) for values in drawn} <= {1, 2, 3, 4}
    assert len({values["n"] for values in drawn}) > 1
    assert all(0.001 <= float(values["rate"]) <= 1 and -5 <= float(values["x"]) <= 5 for values in drawn)
    assert {values["kind"] for values in drawn} == {"a", "b"}


def test_a_log_scale_looks_as_often_at_small_values() -> None:
    drawn = [float(values["rate"]) for values in iter_of(Random(RANGES, 3), 300)]
    assert 0.2 < sum(rate < 0.01 for rate in drawn) / len(drawn) < 0.47


def iter_of(strategy: Any, count: int) -> list[dict[str, str]]:
    return [strategy.ask() for _ in range(count)]


def test_a_grid_gives_every_combination_once() -> None:
    grid = Grid({"CategoricalParameterRanges": [{"Name": n, "Values": ["1", "2"]} for n in "ab"]})
    drawn = [tuple(values.values()) for values in iter(grid.ask, None)]
    assert sorted(drawn) == [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")]


@pytest.mark.parametrize(("kind", "sign"), [("Maximize", 1.0), ("Minimize", -1.0)])
def test_a_bayesian_search_comes_nearer_than_chance(kind: str, sign: float) -> None:
    """What it tries at last is closer to the optimum than what it began with; a failed job does not stop it."""
    ranges = {"ContinuousParameterRanges": [CONTINUOUS]}
    search = Bayesian(ranges, 11, kind)
    distances = []
    for number in range(40):
        values = search.ask()
        assert values is not None
        distances.append(abs(float(values["x"]) - 3))
        search.tell(values, None if number == 3 else sign * -((float(values["x"]) - 3) ** 2))
    assert sum(distances[-10:]) < sum(distances[:10]) / 2


@pytest.mark.parametrize(
    ("running", "others", "maximize", "hopeless"),
    [
        ([0.5], [], True, False),
        ([], [[0.9]], True, False),
        ([0.5], [[0.9], [0.4], [0.6]], True, True),
        ([0.7], [[0.9], [0.4], [0.6]], True, False),
        ([0.7], [[0.9], [0.4], [0.6]], False, True),
        ([0.5], [[0.9], [0.4], [0.6]], False, False),
        # The average of the others up to the second epoch is 0.5; at their end they are better.
        ([0.1, 0.6], [[0.2, 0.8, 1.0]], True, False),
        ([0.1, 0.4], [[0.2, 0.8, 1.0]], True, True),
        # Who never came so far says nothing.
        ([0.1, 0.4], [[0.9]], True, False),
    ],
)
def test_a_job_is_hopeless_below_the_median_of_the_averages(
    running: list[float], others: list[list[float]], maximize: bool, hopeless: bool
) -> None:
    assert is_hopeless(running, others, maximize=maximize) is hopeless


# --- managed spot


def spot(aws: InProcessContext, name: str, **changes: Any) -> dict[str, Any]:
    asked = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": f"{REGISTRY}/spot", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://data/models"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": f"s3://data/checkpoints/{name}"},
        **changes,
    }
    return dict(aws.client("sagemaker").create_training_job(**asked))


def interrupt(aws: InProcessContext, name: str, method: str = "POST") -> tuple[int, str]:
    url = f"{aws.endpoint_url}/moto-api/sagemaker/training-jobs/{name}/interrupt"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
            return answer.status, json.load(answer)["message"]
    except HTTPError as error:
        with error:
            return error.code, json.load(error)["message"]


def test_an_interrupted_spot_job_goes_on_from_its_checkpoint(aws: InProcessContext) -> None:
    spot(aws, "spot")
    wait_for(lambda: aws.client("s3").list_objects_v2(Bucket="data", Prefix="checkpoints/spot/")["KeyCount"])
    wait_for(lambda: "ten" in log_lines(aws, "/aws/sagemaker/TrainingJobs", "spot/"))
    assert interrupt(aws, "spot")[0] == 200

    describe = aws.client("sagemaker").describe_training_job
    job = wait_for(lambda: (job := describe(TrainingJobName="spot"))["TrainingJobStatus"] in ENDED and job)
    assert job["TrainingJobStatus"] == "Completed"
    statuses = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert statuses == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert job["BillableTimeInSeconds"] <= job["TrainingTimeInSeconds"]
    body = aws.client("s3").get_object(Bucket="data", Key="models/spot/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        held = tar.extractfile("count.txt")
        assert held is not None
        assert held.read() == b"10 to 20"
    assert interrupt(aws, "spot") == (400, "The training job spot is Completed, not Training.")


def test_only_a_spot_job_can_be_interrupted(aws: InProcessContext) -> None:
    spot(
        aws,
        "lasting",
        EnableManagedSpotTraining=False,
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    assert interrupt(aws, "lasting") == (400, "The training job lasting does not run on spot instances.")
    assert interrupt(aws, "nobody") == (404, "There is no training job nobody.")
    assert interrupt(aws, "lasting", "GET")[0] == 405
    aws.client("sagemaker").stop_training_job(TrainingJobName="lasting")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 60}}, "Invalid MaxWaitTimeInSeconds"),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}},
            "Invalid MaxWaitTimeInSeconds",
        ),
        ({"EnableManagedSpotTraining": False}, "MaxWaitTimeInSeconds is for jobs"),
        ({"CheckpointConfig": {"S3Uri": "https://x"}}, "checkpointConfig.s3Uri"),
        ({"CheckpointConfig": {"S3Uri": "s3://data/x", "LocalPath": "/var"}}, "LocalPath /var"),
    ],
)
def test_a_spot_job_that_cannot_be_is_refused(
    aws: InProcessContext, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Exception, match="ValidationException") as caught:
        spot(aws, "wrong", **changes)
    assert said in str(caught.value)
