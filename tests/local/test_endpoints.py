"""Endpoints as real processes: in service, asked, failing, updated, deleted."""

from __future__ import annotations

import io
import json
import tarfile
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.in_process import (
    InProcessContext,
    error_of,
    log_lines,
    put_config,
    put_model,
    wait_for,
)


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
