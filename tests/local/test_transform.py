"""Batch transform jobs of the local AWS: what the model's process is sent, and what becomes of its answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.sagemaker import jobs, transform
from tests.support.in_process import InProcessContext, error_of, group_exists, log_lines, put_model, wait_for

GROUP = "/aws/sagemaker/TransformJobs"
ROW = b"x" * (300 * 1024) + b"\n"  # three of them fit into a megabyte, four do not


@pytest.fixture(scope="module")
def model(aws: InProcessContext) -> str:
    put_model(aws, "batch")
    return "batch"


def transforming(aws: InProcessContext, name: str, rows: bytes = b"a,1\nb,2\n", **changes: Any) -> None:
    key = f"held-out/{name}/test.csv"
    aws.client("s3").put_object(Bucket="data", Key=key, Body=rows)
    request: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": "batch",
        "MaxConcurrentTransforms": 1,
        "MaxPayloadInMB": 1,
        "BatchStrategy": "MultiRecord",
        "TransformInput": {"ContentType": "text/csv", "SplitType": "Line", **source(f"s3://data/{key}")},
        "TransformOutput": {
            "S3OutputPath": f"s3://data/answers/{name}",
            "Accept": "text/csv",
            "AssembleWith": "Line",
        },
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **changes,
    }
    aws.client("sagemaker").create_transform_job(**request)


def source(uri: str, kind: str = "S3Prefix") -> dict[str, Any]:
    return {"DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}}}


def transformed(aws: InProcessContext, name: str) -> dict[str, Any]:
    describe = aws.client("sagemaker").describe_transform_job
    return dict(
        wait_for(lambda: (job := describe(TransformJobName=name))["TransformJobStatus"] in jobs.ENDED and job)
    )


def answers(aws: InProcessContext, name: str, file: str = "test.csv.out") -> bytes:
    body: bytes = aws.client("s3").get_object(Bucket="data", Key=f"answers/{name}/{file}")["Body"].read()
    return body


def test_a_transform_job_completes(aws: InProcessContext, model: str) -> None:
    transforming(aws, "t-good")
    job = transformed(aws, "t-good")
    assert job["TransformJobStatus"] == "Completed"
    assert job["TransformJobArn"] == "arn:aws:sagemaker:us-east-1:123456789012:transform-job/t-good"
    assert (job["ModelName"], job["MaxPayloadInMB"]) == (model, 1)
    assert job["TransformEndTime"] >= job["TransformStartTime"] >= job["CreationTime"]
    assert answers(aws, "t-good") == b"A,1\nB,2 [MULTI_RECORD text/csv text/csv]\n"
    assert "request /invocations" in log_lines(aws, GROUP, "t-good/algo-1-")
    wait_for(lambda: all(process.poll() is not None for process in aws.processes))
    listed = aws.client("sagemaker").list_transform_jobs(NameContains="t-good", StatusEquals="Completed")
    assert [each["TransformJobName"] for each in listed["TransformJobSummaries"]] == ["t-good"]


def test_records_are_sent_as_many_as_fit(aws: InProcessContext, model: str) -> None:
    transforming(aws, "t-many", ROW * 7)
    assert transformed(aws, "t-many")["TransformJobStatus"] == "Completed"
    assert answers(aws, "t-many").count(b"MULTI_RECORD") == 3
    assert answers(aws, "t-many").count(b"X\n") == 4  # the other three stand before the mark


def test_or_one_by_one(aws: InProcessContext, model: str) -> None:
    transforming(aws, "t-single", BatchStrategy="SingleRecord")
    assert transformed(aws, "t-single")["TransformJobStatus"] == "Completed"
    kinds = b"[SINGLE_RECORD text/csv text/csv]"
    assert answers(aws, "t-single") == b"A,1 " + kinds + b"\nB,2 " + kinds + b"\n"


def test_every_object_of_a_prefix_has_its_output(aws: InProcessContext, model: str) -> None:
    for key in ("a.csv", "deep/b.csv"):
        aws.client("s3").put_object(Bucket="data", Key=f"tree/{key}", Body=key.encode())
    transforming(aws, "t-tree", TransformInput=source("s3://data/tree/"), TransformOutput=output("t-tree"))
    assert transformed(aws, "t-tree")["TransformJobStatus"] == "Completed"
    assert answers(aws, "t-tree", "a.csv.out").startswith(b"A.CSV")
    assert answers(aws, "t-tree", "deep/b.csv.out").startswith(b"DEEP/B.CSV")


def output(name: str) -> dict[str, Any]:
    return {"S3OutputPath": f"s3://data/answers/{name}"}


def test_several_instances_share_the_objects_of_a_prefix(aws: InProcessContext, model: str) -> None:
    for number in range(5):
        aws.client("s3").put_object(Bucket="data", Key=f"parts/{number}.csv", Body=b"row %d" % number)
    before = len(aws.processes)
    transforming(
        aws,
        "t-shared",
        TransformInput=source("s3://data/parts/"),
        TransformOutput=output("t-shared"),
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2},
    )
    assert transformed(aws, "t-shared")["TransformJobStatus"] == "Completed"
    for number in range(5):
        assert answers(aws, "t-shared", f"{number}.csv.out").startswith(b"ROW %d" % number)
    assert len(aws.processes) == before + 2
    wait_for(lambda: all(process.poll() is not None for process in aws.processes))
    asked = [log_lines(aws, GROUP, f"t-shared/algo-{each}-").count("request /invocations") for each in (1, 2)]
    assert asked == [3, 2]


def test_a_job_fails_with_the_reason_of_the_instance_that_failed(aws: InProcessContext, model: str) -> None:
    for name, body in (("a", b"status 400"), ("b", ROW * 40)):
        aws.client("s3").put_object(Bucket="data", Key=f"mixed/{name}.csv", Body=body)
    transforming(
        aws,
        "t-mixed",
        TransformInput={"SplitType": "Line", **source("s3://data/mixed/")},
        TransformOutput=output("t-mixed"),
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2},
    )
    job = transformed(aws, "t-mixed")
    assert (job["TransformJobStatus"], job["FailureReason"]) == (
        "Failed",
        "ClientError: See job logs for more information",
    )
    assert aws.client("s3").list_objects_v2(Bucket="data", Prefix="answers/t-mixed")["KeyCount"] == 0
    wait_for(lambda: all(process.poll() is not None for process in aws.processes))


@pytest.mark.parametrize(
    ("rows", "blamed", "logged"),
    [
        (b"status 400", "ClientError", "test.csv: Bad HTTP status"),
        (b"status 500", "AlgorithmError", "test.csv: Bad HTTP status"),
        (b"die\n", "AlgorithmError", "test.csv: Unable to get response"),
        (b"x" * 1_100_000, "ClientError", "test.csv: a record of 1100000 bytes"),
    ],
)
def test_a_model_that_does_not_answer_fails_the_job(
    aws: InProcessContext, model: str, rows: bytes, blamed: str, logged: str
) -> None:
    name = f"t-failing-{rows[:10].decode().strip().replace(' ', '-')}"
    transforming(aws, name, rows)
    job = transformed(aws, name)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == f"{blamed}: See job logs for more information"
    data_log = log_lines(aws, GROUP, f"{name}/algo-1-")
    assert any(line.startswith(logged) for line in data_log)
    if b"status" in rows:
        assert any("bad request: column x" in line for line in data_log)
        assert sum("Bad HTTP status" in line for line in data_log) == (1 if b"400" in rows else 4)
    assert aws.client("s3").list_objects_v2(Bucket="data", Prefix=f"answers/{name}")["KeyCount"] == 0


def test_a_request_has_its_time(aws: InProcessContext, model: str) -> None:
    client = {"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0}
    transforming(aws, "t-slow", b"hang\n", ModelClientConfig=client)
    reason = transformed(aws, "t-slow")["FailureReason"]
    assert reason == "AlgorithmError: See job logs for more information"
    assert any("no answer within 1 s" in line for line in log_lines(aws, GROUP, "t-slow/algo-1-"))


def test_stop_transform_job_ends_the_process(aws: InProcessContext, model: str) -> None:
    transforming(aws, "t-stopped", b"hang\n")
    client = aws.client("sagemaker")
    wait_for(lambda: group_exists(aws, GROUP) and "hanging" in log_lines(aws, GROUP, "t-stopped/"))
    client.stop_transform_job(TransformJobName="t-stopped")
    job = transformed(aws, "t-stopped")
    assert job["TransformJobStatus"] == "Stopped"
    assert "FailureReason" not in job
    assert aws.processes[-1].poll() is not None
    code, _ = error_of(client.stop_transform_job, TransformJobName="t-stopped")
    assert code == "ValidationException"


@pytest.mark.parametrize("act", ["die", "sick"])
def test_a_model_that_does_not_come_up_fails_the_job(
    aws: InProcessContext, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    monkeypatch.setattr(transform, "HEALTH_CHECK_SECONDS", 1.0)
    put_model(aws, f"batch-{act}", ACT=act)
    transforming(aws, f"t-{act}", ModelName=f"batch-{act}")
    reason = transformed(aws, f"t-{act}")["FailureReason"]
    assert reason == "AlgorithmError: See job logs for more information"


def test_a_job_without_its_input_fails(aws: InProcessContext, model: str) -> None:
    transforming(aws, "t-nothing", TransformInput=source("s3://data/nothing-here/"))
    assert "Data download failed" in transformed(aws, "t-nothing")["FailureReason"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"TransformJobName": "under_score"}, "regular expression"),
        ({"ModelName": "nobody"}, 'Could not find model "arn:aws:sagemaker:'),
        ({"MaxConcurrentTransforms": 2}, "does not support MaxConcurrentTransforms"),
        ({"MaxPayloadInMB": 0}, "does not support MaxPayloadInMB 0"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "does not support DataProcessing"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://d/c"}}, "does not support DataCaptureConfig"),
        ({"TransformInput": source("s3://data/x", "ManifestFile")}, "S3DataType ManifestFile"),
        ({"TransformInput": {**source("s3://data/x"), "SplitType": "RecordIO"}}, "SplitType RecordIO"),
        ({"TransformInput": {**source("s3://data/x"), "CompressionType": "Gzip"}}, "CompressionType Gzip"),
        ({"TransformInput": source("/tmp/x")}, "is not an S3 URI"),
        ({"TransformOutput": {"S3OutputPath": "s3://d/x", "KmsKeyId": "k"}}, "does not support KmsKeyId"),
        ({"TransformOutput": {"S3OutputPath": "s3://d/x", "AssembleWith": "Comma"}}, "enum value set"),
        ({"BatchStrategy": "AllAtOnce"}, "enum value set"),
        ({"TransformResources": {"InstanceType": "ml.t2.medium", "InstanceCount": 1}}, "enum value set"),
    ],
)  # fmt: skip
def test_what_create_transform_job_refuses(
    aws: InProcessContext, model: str, changes: dict[str, Any], says: str
) -> None:
    code, message = error_of(transforming, aws=aws, **{"name": "t-refused", **changes})
    assert code == "ValidationException"
    assert says in message
    describe = aws.client("sagemaker").describe_transform_job
    assert (
        "Could not find requested job with name: t-refused"
        in error_of(describe, TransformJobName="t-refused")[1]
    )


def test_a_transform_job_is_announced_and_its_name_used_once(aws: InProcessContext, model: str) -> None:
    sqs, events = aws.client("sqs"), aws.client("events")
    queue = sqs.create_queue(QueueName="transforms")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    kind = "SageMaker Transform Job State Change"
    events.put_rule(Name="transforms", EventPattern=json.dumps({"detail-type": [kind]}))
    events.put_targets(Rule="transforms", Targets=[{"Id": "queue", "Arn": arn}])
    transforming(aws, "t-once")
    assert error_of(transforming, aws=aws, name="t-once")[0] == "ResourceInUse"
    transformed(aws, "t-once")
    seen: list[str] = []

    def completed() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            seen.append(json.loads(message["Body"])["detail"]["TransformJobStatus"])
        return "Completed" in seen

    wait_for(completed)
    events.remove_targets(Rule="transforms", Ids=["queue"])
