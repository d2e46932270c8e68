"""What SageMaker answers and lists: nothing empty, filters, order and pages, Search."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest

from tests.support.in_process import REGISTRY, ROLE, InProcessContext, error_of, put_model, wait_for

TRAINING = {
    "RoleArn": ROLE,
    "AlgorithmSpecification": {
        "TrainingImage": f"{REGISTRY}/train",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "score", "Regex": "validation-score=(.*?);"}],
    },
    "OutputDataConfig": {"S3OutputPath": "s3://data/models/"},
    "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
}


def train(aws: InProcessContext, name: str, **changes: Any) -> dict[str, Any]:
    """A training job that has ended, as Describe says."""
    client = aws.client("sagemaker")
    client.create_training_job(**{"TrainingJobName": name, **TRAINING, **changes})

    def ended() -> dict[str, Any] | None:
        job = dict(client.describe_training_job(TrainingJobName=name))
        return job if job["TrainingJobStatus"] in ("Completed", "Failed") else None

    found: dict[str, Any] = wait_for(ended)
    return found


def empty_structures(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        here = [path] if not value else []
        return here + [p for key, each in value.items() for p in empty_structures(each, f"{path}.{key}")]
    if isinstance(value, list):
        return [p for each in value for p in empty_structures(each, f"{path}[]")]
    return []


def test_no_answer_has_an_empty_structure(aws: InProcessContext) -> None:
    """The SDK 3 checks answers against its models, and SDK 2 sends what it was answered back."""
    client = aws.client("sagemaker")
    put_model(aws, "plain", A="1")
    client.create_model(
        ModelName="plainer",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": f"{REGISTRY}/serve", "ImageConfig": {}},
        VpcConfig={},
        EnableNetworkIsolation=True,
    )
    client.create_endpoint(EndpointName="plain", EndpointConfigName="plain")
    job = train(aws, "plain", VpcConfig={}, CheckpointConfig={}, ExperimentConfig={}, ProfilerConfig={})

    answers = {
        "model": client.describe_model(ModelName="plain"),
        "plainer": client.describe_model(ModelName="plainer"),
        "config": client.describe_endpoint_config(EndpointConfigName="plain"),
        "endpoint": client.describe_endpoint(EndpointName="plain"),
        "job": job,
    }
    for name, each in answers.items():
        each.pop("ResponseMetadata")
        assert empty_structures(each) == [], name
    assert not {"VpcConfig", "Containers"} & set(answers["model"])
    assert not {"DataCaptureConfig", "AsyncInferenceConfig", "KmsKeyId"} & set(answers["config"])
    assert answers["model"]["EnableNetworkIsolation"] is False
    assert answers["plainer"]["EnableNetworkIsolation"] is True


def test_an_answer_says_what_sagemaker_fills_in(aws: InProcessContext) -> None:
    job = train(aws, "filled-in")
    assert job["OutputDataConfig"] == {"KmsKeyId": "", "S3OutputPath": "s3://data/models/"}
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}
    assert job["EnableNetworkIsolation"] is False
    kept = train(aws, "key-kept", OutputDataConfig={"S3OutputPath": "s3://data/models/", "KmsKeyId": "k"})
    assert kept["OutputDataConfig"]["KmsKeyId"] == "k"


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"DebugHookConfig": {"S3OutputPath": "s3://data/d", "CollectionConfigurations": []}}, None),
        ({"ProfilerConfig": {"S3OutputPath": "s3://data/p", "DisableProfiler": False}}, None),
        (
            {"DebugHookConfig": {"CollectionConfigurations": [{"CollectionName": "losses"}]}},
            "CollectionConfigurations of CreateTrainingJob's DebugHookConfig",
        ),
        ({"ProfilerConfig": {"ProfilingParameters": {"a": "b"}}}, "ProfilingParameters"),
        ({"DebugRuleConfigurations": [{"RuleConfigurationName": "r"}]}, "DebugRuleConfigurations"),
    ],
)
def test_a_debugger_or_profiler_that_asks_for_nothing_is_accepted(
    aws: InProcessContext, changes: dict[str, Any], refused: str | None
) -> None:
    name = f"hooks-{uuid.uuid4().hex[:8]}"
    if refused is None:
        job = train(aws, name, **changes)
        assert job["TrainingJobStatus"] == "Completed"
        assert set(changes) <= set(job)
    else:
        create = aws.client("sagemaker").create_training_job
        code, message = error_of(create, **{"TrainingJobName": name, **TRAINING, **changes})
        assert (code, refused in message) == ("ValidationException", True), message


def test_the_metrics_of_training_are_in_cloudwatch(aws: InProcessContext) -> None:
    train(aws, "measured")
    now = datetime.datetime.now(datetime.UTC)

    points = aws.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="score",
        Dimensions=[{"Name": "TrainingJobName", "Value": "measured"}],
        StartTime=now - datetime.timedelta(hours=1),
        EndTime=now + datetime.timedelta(hours=1),
        Period=7200,
        Statistics=["SampleCount", "Minimum", "Maximum"],
    )["Datapoints"]

    assert [(p["SampleCount"], p["Minimum"], p["Maximum"]) for p in points] == [(2, 0.5, 0.75)]


@pytest.mark.parametrize(
    ("call", "arguments", "text"),
    [
        ("describe_model", {"ModelName": "gone"}, 'Could not find model "{arn}:model/gone".'),
        (
            "describe_endpoint_config",
            {"EndpointConfigName": "gone"},
            'Could not find endpoint configuration "{arn}:endpoint-config/gone".',
        ),
        ("describe_endpoint", {"EndpointName": "gone"}, 'Could not find endpoint "{arn}:endpoint/gone".'),
        ("describe_training_job", {"TrainingJobName": "gone"}, "Requested resource not found."),
        (
            "describe_processing_job",
            {"ProcessingJobName": "gone"},
            "Could not find requested job with name: gone",
        ),
    ],
)
def test_what_is_not_there_is_said_in_sagemakers_words(
    aws: InProcessContext, call: str, arguments: dict[str, str], text: str
) -> None:
    expected = text.format(arn="arn:aws:sagemaker:us-east-1:123456789012")
    assert error_of(getattr(aws.client("sagemaker"), call), **arguments) == ("ValidationException", expected)


# --- listings


def models(aws: InProcessContext, **request: Any) -> list[str]:
    return [model["ModelName"] for model in aws.client("sagemaker").list_models(**request)["Models"]]


@pytest.fixture(scope="module")
def alphabet(aws: InProcessContext) -> InProcessContext:
    """Twelve models letter-a to letter-l, made in that order."""
    for letter in "abcdefghijkl":
        aws.client("sagemaker").create_model(
            ModelName=f"letter-{letter}",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": f"{REGISTRY}/serve"},
        )
    return aws


def test_models_are_listed_ten_at_a_time_the_newest_first(alphabet: InProcessContext) -> None:
    first = alphabet.client("sagemaker").list_models(NameContains="letter")
    assert [model["ModelName"][-1] for model in first["Models"]] == list("lkjihgfedc")
    assert set(first["Models"][0]) == {"ModelName", "ModelArn", "CreationTime"}
    rest = models(alphabet, NameContains="letter", NextToken=first["NextToken"])
    assert [name[-1] for name in rest] == list("ba")


def test_every_page_is_reached(alphabet: InProcessContext) -> None:
    pages = alphabet.client("sagemaker").get_paginator("list_models")
    found = [
        model["ModelName"][-1]
        for page in pages.paginate(
            NameContains="letter", SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 5}
        )
        for model in page["Models"]
    ]
    assert found == list("abcdefghijkl")


def test_models_are_filtered_by_when_they_were_made(alphabet: InProcessContext) -> None:
    client = alphabet.client("sagemaker")
    at = client.describe_model(ModelName="letter-c")["CreationTime"]
    earlier = models(alphabet, NameContains="letter", CreationTimeBefore=at, SortOrder="Ascending")
    later = models(alphabet, NameContains="letter", CreationTimeAfter=at, MaxResults=100)
    assert set(earlier) | set(later) | {"letter-c"} <= {f"letter-{letter}" for letter in "abcdefghijkl"}
    assert "letter-c" not in (*earlier, *later)
    assert not set(earlier) & set(later)
    day = datetime.timedelta(days=1)
    assert models(alphabet, CreationTimeBefore=at - day) == []
    assert models(alphabet, CreationTimeAfter=at + day) == []


@pytest.mark.parametrize(
    ("operation", "request_", "says"),
    [
        ("list_models", {"SortBy": "Status"}, "Value 'Status' at 'sortBy'"),
        ("list_models", {"SortOrder": "Up"}, "[Ascending, Descending]"),
        ("list_endpoints", {"StatusEquals": "Broken"}, "enum value set"),
        ("list_training_jobs", {"MaxResults": 101}, "less than or equal to 100"),
        ("list_training_jobs", {"WarmPoolStatusEquals": "InUse"}, "does not support WarmPoolStatusEquals"),
        ("list_processing_jobs", {"NextToken": "nonsense"}, "pagination token"),
    ],
)
def test_what_a_listing_refuses(
    aws: InProcessContext, operation: str, request_: dict[str, Any], says: str
) -> None:
    code, message = error_of(getattr(aws.client("sagemaker"), operation), **request_)
    assert (code, says in message) == ("ValidationException", True), message


def test_jobs_are_filtered_before_they_are_paged(aws: InProcessContext) -> None:
    client = aws.client("sagemaker")
    for name, act in (("page-a", "train"), ("page-b", "fail"), ("page-c", "train")):
        train(aws, name, HyperParameters={"act": act})
    page = client.list_training_jobs(NameContains="page-", StatusEquals="Failed", MaxResults=1)
    assert [job["TrainingJobName"] for job in page["TrainingJobSummaries"]] == ["page-b"]
    assert "NextToken" not in page
    names = client.list_training_jobs(NameContains="page-", SortBy="Name", SortOrder="Descending")
    assert [job["TrainingJobName"][-1] for job in names["TrainingJobSummaries"]] == list("cba")


# --- search


@pytest.fixture(scope="module")
def searched(aws: InProcessContext) -> InProcessContext:
    for name, team, act in (
        ("sought-one", "red", "train"),
        ("sought-two", "blue", "fail"),
        ("sought-three", "red", "fail"),
    ):
        train(aws, name, HyperParameters={"act": act}, Tags=[{"Key": "team", "Value": team}])
    return aws


def where(name: str, value: str | None = None, operator: str = "Equals") -> dict[str, str]:
    return {"Name": name, "Operator": operator, **({} if value is None else {"Value": value})}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (
            {"Filters": [where("TrainingJobName", "sought-", "Contains")]},
            {"sought-one", "sought-two", "sought-three"},
        ),
        ({"Filters": [where("Tags.team", "red")]}, {"sought-one", "sought-three"}),
        (
            {"Filters": [where("Tags.team", "red"), where("TrainingJobStatus", "Failed")]},
            {"sought-three"},
        ),
        (
            {
                "Operator": "Or",
                "Filters": [where("Tags.team", "blue"), where("HyperParameters.act", "train")],
            },
            {"sought-one", "sought-two"},
        ),
        ({"Filters": [where("Metrics.score", "0.7", "GreaterThan")]}, {"sought-one"}),
        ({"Filters": [where("Metrics.score", operator="NotExists")]}, {"sought-two", "sought-three"}),
        ({"Filters": [where("Tags.team", "blue, green", "In")]}, {"sought-two"}),
        ({"Filters": [where("CreationTime", "2020-01-01T00:00:00Z", "LessThan")]}, set()),
        ({"Filters": [where("ResourceConfig.VolumeSizeInGB", "5", "GreaterThanOrEqualTo")]}, None),
        (
            {"SubExpressions": [{"Operator": "Or", "Filters": [where("TrainingJobName", "sought-two")]}]},
            {"sought-two"},
        ),
    ],
)
def test_jobs_are_found_by_what_they_are(
    searched: InProcessContext, expression: dict[str, Any], expected: set[str] | None
) -> None:
    everything = {"sought-one", "sought-two", "sought-three"}
    own = {"Filters": [where("TrainingJobName", "sought-", "Contains")]}
    found = searched.client("sagemaker").search(
        Resource="TrainingJob", SearchExpression={"SubExpressions": [own, expression]}, MaxResults=100
    )["Results"]
    names = [result["TrainingJob"]["TrainingJobName"] for result in found]
    assert set(names) == (everything if expected is None else expected)


def test_a_search_is_sorted_and_paged(searched: InProcessContext) -> None:
    client = searched.client("sagemaker")
    request: dict[str, Any] = {
        "Resource": "TrainingJob",
        "SearchExpression": {"Filters": [where("Tags.team", operator="Exists")]},
        "SortBy": "TrainingJobName",
        "SortOrder": "Ascending",
        "MaxResults": 2,
    }
    first = client.search(**request)
    assert [r["TrainingJob"]["TrainingJobName"] for r in first["Results"]] == ["sought-one", "sought-three"]
    assert first["Results"][0]["TrainingJob"]["Tags"] == [{"Key": "team", "Value": "red"}]
    rest = client.search(**request, NextToken=first["NextToken"])
    assert [r["TrainingJob"]["TrainingJobName"] for r in rest["Results"]] == ["sought-two"]


def test_what_cannot_be_searched_is_refused_by_name(aws: InProcessContext) -> None:
    code, message = error_of(aws.client("sagemaker").search, Resource="Experiment")
    assert (code, "Search of Experiment" in message) == ("ValidationException", True)
