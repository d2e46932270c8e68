"""SageMaker in the local AWS: every status, failure, log and answer of jobs and endpoints."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from moto.sagemaker.models import SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from local.sagemaker import actions, jobs, storage
from local.sagemaker.errors import JobFailed
from tests.support.in_process import (
    ADDED,
    PROGRAMS,
    REGISTRY,
    ROLE,
    InProcessContext,
    error_of,
    group_exists,
    log_lines,
    wait_for,
)


def test_the_seams_in_moto_are_where_they_were() -> None:
    """What install() replaces has to be there, and what it adds must not: look again at every new moto."""
    replaced = {
        "create_training_job",
        "describe_training_job",
        "create_hyper_parameter_tuning_job",
        "describe_hyper_parameter_tuning_job",
        "list_hyper_parameter_tuning_jobs",
        "create_processing_job",
        "describe_processing_job",
        "stop_processing_job",
        "create_transform_job",
        "describe_transform_job",
        "create_model",
        "create_endpoint_config",
        "create_endpoint",
        "describe_endpoint",
        "delete_endpoint",
        "describe_model",
        "describe_endpoint_config",
        "list_models",
        "list_endpoints",
        "list_endpoint_configs",
        "list_training_jobs",
        "list_processing_jobs",
        "list_transform_jobs",
        "search",
        "update_endpoint_weights_and_capacities",
        *actions.REFUSED,
    }
    assert replaced <= set(vars(SageMakerResponse))
    assert not set(ADDED) & set(vars(SageMakerResponse))
    assert {"invoke_endpoint", "invoke_endpoint_async"} <= set(vars(SageMakerRuntimeResponse))
    assert SageMakerRuntimeResponse.use_raw_body is False
    backend = SageMakerModelBackend("us-east-1", "123456789012")
    jobs = (
        *(backend.training_jobs, backend.processing_jobs, backend.transform_jobs),
        backend.hyper_parameter_tuning_jobs,
    )
    kept = (backend._models, backend.endpoints, backend.endpoint_configs)
    assert all(resources == {} for resources in (*jobs, *kept))


# --- training


def training(aws: InProcessContext, name: str, act: str = "train", **changes: Any) -> dict[str, Any]:
    aws.client("s3").put_object(Bucket="data", Key="train/a/part.csv", Body=b"1")
    aws.client("s3").put_object(Bucket="data", Key="train/b.csv", Body=b"2")
    aws.client("s3").put_object(Bucket="data", Key="code/project.zip", Body=b"zip")
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": f"{REGISTRY}/train",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "score", "Regex": "validation-score=(.*?);"}],
        },
        "HyperParameters": {"act": act},
        "Environment": {"DATASET_VERSION": "v1"},
        "InputDataConfig": [
            channel("train", "s3://data/train"),
            channel("code", "s3://data/code/project.zip"),
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://data/models/"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **changes,
    }
    return dict(aws.client("sagemaker").create_training_job(**request))


def channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def trained(aws: InProcessContext, name: str) -> dict[str, Any]:
    describe = aws.client("sagemaker").describe_training_job
    return dict(
        wait_for(lambda: (job := describe(TrainingJobName=name))["TrainingJobStatus"] in jobs.ENDED and job)
    )


def statuses(job: dict[str, Any]) -> list[str]:
    return [entry["Status"] for entry in job["SecondaryStatusTransitions"]]


def test_a_training_job_completes(aws: InProcessContext) -> None:
    answer = training(aws, "good")
    assert answer["TrainingJobArn"] == "arn:aws:sagemaker:us-east-1:123456789012:training-job/good"
    job = trained(aws, "good")
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    assert statuses(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(entry["EndTime"] >= entry["StartTime"] for entry in job["SecondaryStatusTransitions"])
    assert job["Environment"] == {"DATASET_VERSION": "v1"}
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("score", 0.75)]
    assert job["TrainingTimeInSeconds"] >= 1

    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == "s3://data/models/good/output/model.tar.gz"
    s3 = aws.client("s3")
    archive = s3.get_object(Bucket="data", Key="models/good/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert tar.getnames() == ["code", "code/features.py", "model.json"]
        model = json.load(tar.extractfile("model.json"))  # type: ignore[arg-type]
    assert model == {"files": ["code/project.zip", "train/a/part.csv", "train/b.csv"], "job": "good"}
    s3.head_object(Bucket="data", Key="models/good/output/output.tar.gz")

    lines = log_lines(aws, "/aws/sagemaker/TrainingJobs", "good/algo-1-")
    assert lines[-1] == "unfinished line"
    environment = next(line for line in lines if line.startswith("environment:")).split()
    assert {"TRAINING_JOB_ARN", "DATASET_VERSION", "FROM_IMAGE", "AWS_ENDPOINT_URL"} < set(environment)
    assert "PYTEST_CURRENT_TEST" not in environment


def test_the_model_archive_is_deterministic(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "a").write_text("a")
        os.utime(tmp_path / name / "sub" / "a", (len(name), hash(name) % 1000))
        storage.write_archive(tmp_path / name, tmp_path / f"{name}.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_container_arguments_replace_train(aws: InProcessContext) -> None:
    specification = {
        "TrainingImage": f"{REGISTRY}/train",
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["python", str(PROGRAMS / "train.py")],
        "ContainerArguments": ["--fast", "yes"],
    }
    training(aws, "arguments", AlgorithmSpecification=specification, HyperParameters={"argv": "--fast yes"})
    assert trained(aws, "arguments")["TrainingJobStatus"] == "Completed"


def test_a_failing_algorithm_says_why(aws: InProcessContext) -> None:
    training(aws, "failing", "fail")
    job = trained(aws, "failing")
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: the loss is NaN and more")
    assert job["FailureReason"].endswith(", exit code: 3")
    assert len(job["FailureReason"]) <= 1024
    assert "ModelArtifacts" not in job or not job["ModelArtifacts"].get("S3ModelArtifacts")


def test_a_silent_failure_names_the_exit_code(aws: InProcessContext) -> None:
    training(aws, "silent", "silent")
    assert trained(aws, "silent")["FailureReason"] == "AlgorithmError: , exit code: 1"


@pytest.mark.parametrize("uri", ["s3://data/nothing-here/", "s3://no-such-bucket/x"])
def test_missing_data_fails_the_download(aws: InProcessContext, uri: str) -> None:
    name = "nodata-" + uri.split("/")[2]
    training(aws, name, InputDataConfig=[channel("train", uri)])
    job = trained(aws, name)
    assert job["FailureReason"].startswith("ClientError: Data download failed")
    assert uri in job["FailureReason"]
    assert statuses(job) == ["Starting", "Downloading", "Failed"]


def test_an_unknown_image_fails_the_job(aws: InProcessContext) -> None:
    specification = {"TrainingImage": f"{REGISTRY}/nobody", "TrainingInputMode": "File"}
    training(aws, "noimage", AlgorithmSpecification=specification)
    assert "was ever pushed here" in trained(aws, "noimage")["FailureReason"]


def test_a_training_job_ends_at_its_time_limit(aws: InProcessContext) -> None:
    training(aws, "endless", "hang", StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = trained(aws, "endless")
    assert job["TrainingJobStatus"] == "Stopped"
    assert job["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("endless/output/model.tar.gz")


def test_a_job_that_ignores_sigterm_is_killed(aws: InProcessContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "STOP_GRACE_SECONDS", 0.2)
    training(aws, "deaf", "deaf", StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert trained(aws, "deaf")["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_stop_training_job(aws: InProcessContext) -> None:
    training(aws, "stopped", "hang")
    client = aws.client("sagemaker")
    group = "/aws/sagemaker/TrainingJobs"
    # The log is live: the line is there while the job still runs.
    wait_for(lambda: group_exists(aws, group) and "hanging" in log_lines(aws, group, "stopped/"))
    client.stop_training_job(TrainingJobName="stopped")
    job = trained(aws, "stopped")
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert statuses(job)[-2:] == ["Stopping", "Stopped"]
    code, _ = error_of(client.stop_training_job, TrainingJobName="stopped")
    assert code == "ValidationException"


def test_a_job_name_is_used_once(aws: InProcessContext) -> None:
    training(aws, "twice")
    code, message = error_of(training, aws=aws, name="twice")
    assert code == "ResourceInUse"
    assert "already exists" in message
    trained(aws, "twice")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"TrainingJobName": "x" * 64}, "less than or equal to 63"),
        ({"TrainingJobName": "under_score"}, "regular expression"),
        ({"HyperParameters": {str(n): "" for n in range(101)}}, "at most 100"),
        ({"HyperParameters": {"long": "x" * 2501}}, "2500"),
        ({"HyperParameters": {"number": 1}}, "must be a string"),
        ({"RetryStrategy": {"MaximumRetryAttempts": 1}}, "does not support RetryStrategy"),
        ({"ResourceConfig": {"InstanceCount": 2}}, "more than one instance"),
        ({"OutputDataConfig": {"S3OutputPath": "/tmp/x"}}, "is not an S3 URI"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_create_training_job_refuses(aws: InProcessContext, changes: dict[str, Any], says: str) -> None:
    arguments = {"name": "refused", **changes}
    code, message = error_of(training, aws=aws, **arguments)
    assert code == "ValidationException"
    assert says in message
    described = error_of(aws.client("sagemaker").describe_training_job, TrainingJobName="refused")
    assert described == ("ValidationException", "Requested resource not found.")


def test_jobs_are_listed_and_announced(aws: InProcessContext) -> None:
    sqs, events = aws.client("sqs"), aws.client("events")
    queue = sqs.create_queue(QueueName="states")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="jobs", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    events.put_targets(Rule="jobs", Targets=[{"Id": "queue", "Arn": arn}])
    training(aws, "announced")
    trained(aws, "announced")
    seen: list[dict[str, Any]] = []

    def completed() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            seen.append(json.loads(message["Body"]))
        return any(event["detail"]["SecondaryStatus"] == "Completed" for event in seen)

    wait_for(completed)
    assert {event["detail-type"] for event in seen} == {"SageMaker Training Job State Change"}
    events.remove_targets(Rule="jobs", Ids=["queue"])
    names = [
        job["TrainingJobName"]
        for job in aws.client("sagemaker").list_training_jobs(NameContains="announced")[
            "TrainingJobSummaries"
        ]
    ]
    assert names == ["announced"]


# --- processing


def processing(aws: InProcessContext, name: str, act: str = "copy", **changes: Any) -> None:
    aws.client("s3").put_object(Bucket="data", Key="raw/rows.csv", Body=b"1,2")
    path = "/opt/ml/processing"
    request: dict[str, Any] = {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": f"{REGISTRY}/process", "ContainerArguments": [act]},
        "Environment": {"FLAG": "on"},
        "ProcessingInputs": [
            {
                "InputName": "dataset",
                "S3Input": {
                    "S3Uri": "s3://data/raw/rows.csv",
                    "LocalPath": f"{path}/input/dataset",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "result",
                    "S3Output": {
                        "S3Uri": f"s3://data/out/{name}",
                        "LocalPath": f"{path}/output/result",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **changes,
    }
    aws.client("sagemaker").create_processing_job(**request)


def processed(aws: InProcessContext, name: str) -> dict[str, Any]:
    describe = aws.client("sagemaker").describe_processing_job
    return dict(
        wait_for(
            lambda: (job := describe(ProcessingJobName=name))["ProcessingJobStatus"] in jobs.ENDED and job
        )
    )


def test_a_processing_job_completes(aws: InProcessContext) -> None:
    processing(aws, "copying")
    job = processed(aws, "copying")
    assert job["ProcessingJobStatus"] == "Completed"
    assert job["ExitMessage"] == "copied"
    s3 = aws.client("s3")
    assert s3.get_object(Bucket="data", Key="out/copying/copies/rows.csv")["Body"].read() == b"1,2"
    config = json.load(s3.get_object(Bucket="data", Key="out/copying/config.json")["Body"])
    assert config == {"job": "copying", "flag": "on"}
    root = aws.state_dir / "sagemaker/processing-jobs/us-east-1/copying"
    wait_for(lambda: not root.exists())  # what completed needs no looking into


def listed(uri: str) -> list[dict[str, Any]]:
    """An input that a manifest lists."""
    s3_input = {
        "S3Uri": uri,
        "LocalPath": "/opt/ml/processing/input/dataset",
        "S3DataType": "ManifestFile",
        "S3InputMode": "File",
    }
    return [{"InputName": "dataset", "S3Input": s3_input}]


def test_a_processing_job_is_given_what_a_manifest_lists_and_nothing_else(aws: InProcessContext) -> None:
    s3 = aws.client("s3")
    for key in ("parts/a/one.csv", "parts/b/two.csv", "parts/b/three.csv"):
        s3.put_object(Bucket="data", Key=key, Body=key.encode())
    manifest = [{"prefix": "s3://data/parts/"}, "b/two.csv", "a/one.csv"]
    s3.put_object(Bucket="data", Key="list.json", Body=json.dumps(manifest).encode())
    processing(aws, "listed", ProcessingInputs=listed("s3://data/list.json"))
    assert processed(aws, "listed")["ProcessingJobStatus"] == "Completed"
    found = s3.list_objects_v2(Bucket="data", Prefix="out/listed/copies/")["Contents"]
    assert [each["Key"].rsplit("/", 1)[1] for each in found] == ["one.csv", "two.csv"]
    body = s3.get_object(Bucket="data", Key="out/listed/copies/one.csv")["Body"].read()
    assert body == b"parts/a/one.csv"


def test_what_a_manifest_lists_lies_as_it_does_below_the_prefix(
    aws: InProcessContext, tmp_path: Path
) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket="data", Key="parts/a/one.csv", Body=b"1")
    manifest = [{"prefix": "s3://data/parts/"}, "a/one.csv"]
    s3.put_object(Bucket="data", Key="list.json", Body=json.dumps(manifest).encode())
    assert storage.download_manifest(s3, "s3://data/list.json", tmp_path) == 1
    assert (tmp_path / "a" / "one.csv").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (None, "NoSuchKey"),
        (b"no JSON", "JSONDecodeError"),
        (b"{}", "ValueError"),
        (b'["parts/a"]', "TypeError"),
        (b'[{"prefix": "data/"}, "a"]', "is not an S3 URI"),
        (b'[{"prefix": "s3://data/"}]', "lists no objects"),
        (b'[{"prefix": "s3://data/"}, "nothing-there.csv"]', "Not Found"),
        (b'[{"prefix": "s3://data/"}, "../../out.csv"]', "leads outside"),
    ],
)
def test_a_manifest_that_is_none_fails_the_download(
    aws: InProcessContext, tmp_path: Path, body: bytes | None, why: str
) -> None:
    s3 = aws.client("s3")
    s3.delete_object(Bucket="data", Key="bad.json")
    if body is not None:
        s3.put_object(Bucket="data", Key="bad.json", Body=body)
    with pytest.raises(JobFailed, match=r"Data download failed: s3://data/bad.json") as caught:
        storage.download_manifest(s3, "s3://data/bad.json", tmp_path)
    assert why in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("act", "message"),
    [
        ("fail", "column tenure is missing"),
        ("silent", None),
        # 1 KB are 1,024 bytes: one x, and 511 of the letters with two bytes.
        ("long", "x" + "ü" * 511),
    ],
)
def test_a_failing_processing_job(aws: InProcessContext, act: str, message: str | None) -> None:
    processing(aws, f"p-{act}", act)
    job = processed(aws, f"p-{act}")
    reason = "AlgorithmError: See job logs for more information"
    assert (job["ProcessingJobStatus"], job["FailureReason"]) == ("Failed", reason)
    assert job.get("ExitMessage") == message
    assert aws.client("s3").list_objects_v2(Bucket="data", Prefix=f"out/p-{act}")["KeyCount"] == 0


def test_a_processing_job_ends_at_its_time_limit_or_on_demand(aws: InProcessContext) -> None:
    processing(aws, "p-endless", "hang", StoppingCondition={"MaxRuntimeInSeconds": 1})
    processing(aws, "p-stopped", "hang")
    aws.client("sagemaker").stop_processing_job(ProcessingJobName="p-stopped")
    assert processed(aws, "p-stopped")["ProcessingJobStatus"] == "Stopped"
    job = processed(aws, "p-endless")
    assert job["ProcessingJobStatus"] == "Stopped"
    assert (job["ProcessingEndTime"] - job["ProcessingStartTime"]).total_seconds() >= 1


def test_what_nothing_here_can_run_is_refused_by_name(aws: InProcessContext) -> None:
    client = aws.client("sagemaker")
    code, message = error_of(client.create_compilation_job, CompilationJobName="c")
    assert code == "ValidationException"
    assert "CreateCompilationJob" in message
    processing_output = {
        "Outputs": [
            {
                "OutputName": "x",
                "S3Output": {"S3Uri": "s3://b/k", "LocalPath": "/etc", "S3UploadMode": "EndOfJob"},
            }
        ]
    }
    _, message = error_of(processing, aws=aws, name="escape", ProcessingOutputConfig=processing_output)
    assert "must be below /opt/ml/processing/" in message


# --- endpoints
