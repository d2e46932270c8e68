"""SageMaker in the local AWS: every status, failure, log and answer of jobs and endpoints."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
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
    put_config,
    put_model,
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


def settled(aws: InProcessContext, name: str) -> dict[str, Any]:
    describe = aws.client("sagemaker").describe_endpoint
    return dict(
        wait_for(
            lambda: (end := describe(EndpointName=name))["EndpointStatus"] in {"InService", "Failed"} and end
        )
    )


@pytest.fixture(scope="module")
def endpoint(aws: InProcessContext) -> str:
    put_model(aws, "first")
    aws.client("sagemaker").create_endpoint(EndpointName="live", EndpointConfigName="first")
    assert aws.client("sagemaker").describe_endpoint(EndpointName="live")["EndpointStatus"] == "Creating"
    described = settled(aws, "live")
    assert described["EndpointStatus"] == "InService", described
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    return "live"


def invoke(aws: InProcessContext, name: str, body: bytes = b"{}", **arguments: Any) -> Any:
    return aws.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body, **arguments)


def test_invoke_forwards_and_answers(aws: InProcessContext, endpoint: str) -> None:
    answer = invoke(
        aws,
        endpoint,
        b"1,2",
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="trace=1",
        InferenceId="id-1",
        TargetVariant="AllTraffic",
    )
    seen = json.load(answer["Body"])
    assert (seen["model"], seen["size"]) == ("first", 3)
    assert seen["headers"]["content-type"] == "text/csv"
    assert seen["headers"]["accept"] == "application/json"
    assert seen["headers"]["x-amzn-sagemaker-custom-attributes"] == "trace=1"
    assert seen["headers"]["x-amzn-sagemaker-inference-id"] == "id-1"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "from-the-model"
    assert answer["ContentType"] == "application/json"
    assert invoke(aws, endpoint, b"raw", ContentType="application/x-npy")["Body"].read() == bytes(range(256))
    binary = json.load(invoke(aws, endpoint, b"\x93NUMPY\xff\x00", ContentType="application/x-npy")["Body"])
    assert binary["size"] == 8


@pytest.mark.parametrize(("status", "side"), [(400, "client"), (500, "server")])
def test_a_models_error_is_a_model_error(
    aws: InProcessContext, endpoint: str, status: int, side: str
) -> None:
    with pytest.raises(ClientError) as caught:
        invoke(aws, endpoint, b"status %d" % status)
    response: Any = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert f'Received {side} error ({status}) from primary with message "bad request: column x"' in str(
        caught.value
    )
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"] == "bad request: column x"
    assert response["LogStreamArn"].endswith("/aws/sagemaker/Endpoints/live")


def test_what_invoke_refuses(aws: InProcessContext, endpoint: str) -> None:
    json.load(invoke(aws, endpoint, b"x" * 6_291_456)["Body"])
    code, message = error_of(invoke, aws=aws, name=endpoint, body=b"x" * 6_291_457)
    assert (code, message) == ("413", "HTTP content length exceeded 6291456 bytes.")
    assert error_of(invoke, aws=aws, name="nobody") == (
        "ValidationError",
        "Endpoint nobody of account 123456789012 not found.",
    )
    code, message = error_of(invoke, aws=aws, name=endpoint, TargetVariant="blue")
    assert code == "ValidationError"
    assert "Variant blue not found" in message


def test_invocations_are_counted_and_logged(aws: InProcessContext, endpoint: str) -> None:
    invoke(aws, endpoint)
    dimensions = [
        {"Name": "EndpointName", "Value": endpoint},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]

    def total(metric: str) -> float:
        points = aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=time.time() - 600,
            EndTime=time.time() + 60,
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    wait_for(lambda: total("Invocations") >= 1 and total("ModelLatency") > 0 and total("OverheadLatency") > 0)
    assert total("Invocation4XXErrors") <= total("Invocations")
    lines = log_lines(aws, f"/aws/sagemaker/Endpoints/{endpoint}", "AllTraffic/")
    assert "request /invocations" in lines


def test_a_dead_process_is_replaced(aws: InProcessContext, endpoint: str) -> None:
    code, _ = error_of(invoke, aws=aws, name=endpoint, body=b"die")
    assert code == "ModelError"

    def answers() -> bool:
        try:
            return bool(json.load(invoke(aws, endpoint)["Body"])["model"] == "first")
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"ServiceUnavailable", "ModelError"}:
                raise
            return False

    wait_for(answers)
    lines = log_lines(aws, f"/aws/sagemaker/Endpoints/{endpoint}", "AllTraffic/")
    assert any("exit code 5: restart 1" in line for line in lines)


@pytest.mark.parametrize(
    ("act", "says"),
    [("die", "the process ended with exit code 9"), ("sick", "not healthy within 1 s: /ping answered 503")],
)
def test_an_unhealthy_endpoint_fails(aws: InProcessContext, act: str, says: str) -> None:
    put_model(aws, act, ACT=act)
    client = aws.client("sagemaker")
    client.create_endpoint(EndpointName=act, EndpointConfigName=act)
    described = settled(aws, act)
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert says in log_lines(aws, f"/aws/sagemaker/Endpoints/{act}", "AllTraffic/")
    assert "not found" in error_of(invoke, aws=aws, name=act)[1]
    code, message = error_of(client.update_endpoint, EndpointName=act, EndpointConfigName=act)
    assert code == "ValidationException"
    assert "DeleteEndpoint is the only operation" in message
    names = [
        summary["EndpointName"]
        for summary in client.list_endpoints(NameContains=act, StatusEquals="Failed")["Endpoints"]
    ]
    assert names == [act]
    client.delete_endpoint(EndpointName=act)


@pytest.mark.parametrize(
    ("url", "image", "says"),
    [
        ("s3://data/none.tar.gz", "serve", "Failed to download model data"),
        ("s3://data/bad.tar.gz", "serve", "Failed to extract model data archive"),
        ("s3://data/evil.tar.gz", "serve", "Failed to extract model data archive"),
        ("s3://data/bad.tar.gz", "nobody", "was ever pushed here"),
    ],
)
def test_an_endpoint_without_its_parts_fails(aws: InProcessContext, url: str, image: str, says: str) -> None:
    evil = io.BytesIO()
    with tarfile.open(fileobj=evil, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../../outside"), io.BytesIO())
    aws.client("s3").put_object(Bucket="data", Key="bad.tar.gz", Body=b"no archive")
    aws.client("s3").put_object(Bucket="data", Key="evil.tar.gz", Body=evil.getvalue())
    name = "broken-" + image + "-" + url.split("/")[-1].split(".")[0]
    put_config(aws, name, url, image)
    aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert says in settled(aws, name)["FailureReason"]


def test_update_switches_or_stays_and_delete_ends_the_process(aws: InProcessContext) -> None:
    client = aws.client("sagemaker")
    put_model(aws, "v1")
    put_model(aws, "v2")
    put_model(aws, "v3", ACT="die")
    client.create_endpoint(EndpointName="updated", EndpointConfigName="v1")
    settled(aws, "updated")
    _, message = error_of(client.create_endpoint, EndpointName="updated", EndpointConfigName="v1")
    assert "Cannot create already existing endpoint" in message
    old = aws.processes[-1]

    client.update_endpoint(EndpointName="updated", EndpointConfigName="v2", RetainAllVariantProperties=True)
    assert client.describe_endpoint(EndpointName="updated")["EndpointStatus"] == "Updating"
    assert json.load(invoke(aws, "updated")["Body"])["model"] in {"v1", "v2"}
    described = settled(aws, "updated")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "v2")
    assert json.load(invoke(aws, "updated")["Body"])["model"] == "v2"
    wait_for(lambda: old.poll() is not None)
    new = aws.processes[-1]

    client.update_endpoint(EndpointName="updated", EndpointConfigName="v3")
    described = settled(aws, "updated")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "v2")
    assert "did not pass the ping health check" in described["FailureReason"]
    assert json.load(invoke(aws, "updated")["Body"])["model"] == "v2"

    client.delete_endpoint(EndpointName="updated")
    assert "not found" in error_of(invoke, aws=aws, name="updated")[1]
    wait_for(lambda: not client.list_endpoints(NameContains="updated")["Endpoints"])
    assert new.poll() is not None
    assert "Could not find endpoint" in error_of(client.describe_endpoint, EndpointName="updated")[1]
    assert "Could not find endpoint" in error_of(client.delete_endpoint, EndpointName="updated")[1]
