"""Data capture of the local endpoints: which requests, in which files, in which form."""

from __future__ import annotations

import base64
import json
import re
import uuid
from typing import Any

import pytest

from tests.support.in_process import InProcessContext, error_of, put_model, wait_for

OPTIONS = [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]


def captured(
    aws: InProcessContext, percent: int = 100, options: list[dict[str, str]] = OPTIONS, **more: Any
) -> tuple[str, str]:
    """An endpoint that is captured, and the prefix of its files in the bucket `data`."""
    name = f"c-{uuid.uuid4().hex[:8]}"
    client = aws.client("sagemaker")
    client.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {"VariantName": "AllTraffic", "ModelName": "kept", "InstanceType": "ml.m5.large"}
        ],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": percent,
            "DestinationS3Uri": f"s3://data/captures/{name}/",
            "CaptureOptions": options,
            **more,
        },
    )
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait_for(lambda: client.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")
    return name, f"captures/{name}/{name}/AllTraffic/"


@pytest.fixture(scope="module", autouse=True)
def model(aws: InProcessContext) -> None:
    put_model(aws, "kept")


@pytest.fixture(scope="module")
def everything(aws: InProcessContext) -> tuple[str, str]:
    header = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
    return captured(aws, CaptureContentTypeHeader=header)


def files(aws: InProcessContext, prefix: str) -> list[str]:
    found = aws.client("s3").list_objects_v2(Bucket="data", Prefix=prefix).get("Contents", [])
    return [each["Key"] for each in found]


def records(aws: InProcessContext, prefix: str, count: int) -> list[dict[str, Any]]:
    """Wait until there are so many, and give them."""

    def read() -> list[dict[str, Any]]:
        bodies = [
            aws.client("s3").get_object(Bucket="data", Key=key)["Body"].read() for key in files(aws, prefix)
        ]
        return [json.loads(line) for body in bodies for line in body.splitlines()]

    wait_for(lambda: len(read()) >= count)
    return read()


def invoke(aws: InProcessContext, name: str, body: bytes, **more: Any) -> bytes:
    answer = aws.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body, **more)
    read: bytes = answer["Body"].read()
    return read


def test_a_request_and_its_answer_are_a_line_in_awss_own_form(
    aws: InProcessContext, everything: tuple[str, str]
) -> None:
    name, prefix = everything
    answer = invoke(aws, name, b"1,2\n", ContentType="text/csv; charset=utf-8", InferenceId="i-1")

    [record] = [each for each in records(aws, prefix, 1) if each["eventMetadata"].get("inferenceId") == "i-1"]
    assert record["captureData"] == {
        "endpointInput": {
            "observedContentType": "text/csv; charset=utf-8",
            "mode": "INPUT",
            "data": "1,2\n",
            "encoding": "CSV",
        },
        "endpointOutput": {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": answer.decode(),
            "encoding": "JSON",
        },
    }
    assert uuid.UUID(record["eventMetadata"]["eventId"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["eventMetadata"]["inferenceTime"])
    assert record["eventVersion"] == "0"
    [hour] = {re.sub(r"[^/]+$", "", key.removeprefix(prefix)) for key in files(aws, prefix)}
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\d\d/", hour)
    assert all(key.endswith(".jsonl") for key in files(aws, prefix))


def test_what_is_no_declared_text_is_base64(aws: InProcessContext, everything: tuple[str, str]) -> None:
    name, prefix = everything
    invoke(aws, name, b"\x93NUMPY", ContentType="application/x-npy", InferenceId="npy")
    invoke(aws, name, b"\xff", ContentType="text/csv", InferenceId="no-text")

    def found() -> dict[str, Any]:
        return {each["eventMetadata"].get("inferenceId"): each for each in records(aws, prefix, 1)}

    wait_for(lambda: {"npy", "no-text"} <= found().keys())
    for inference, body in (("npy", b"\x93NUMPY"), ("no-text", b"\xff")):
        side = found()[inference]["captureData"]["endpointInput"]
        assert side["encoding"] == "BASE64"
        assert base64.b64decode(side["data"]) == body


def test_an_endpoint_says_that_it_is_captured(aws: InProcessContext, everything: tuple[str, str]) -> None:
    name, _ = everything
    found = aws.client("sagemaker").describe_endpoint(EndpointName=name)["DataCaptureConfig"]
    assert (found["CaptureStatus"], found["CurrentSamplingPercentage"]) == ("Started", 100)


def test_nothing_is_lost_where_the_endpoint_goes_and_one_side_may_be_enough(aws: InProcessContext) -> None:
    name, prefix = captured(aws, options=[{"CaptureMode": "Output"}])
    for _ in range(7):
        invoke(aws, name, b"{}")
    aws.client("sagemaker").delete_endpoint(EndpointName=name)

    found = records(aws, prefix, 7)
    assert len(found) == 7
    assert {tuple(each["captureData"]) for each in found} == {("endpointOutput",)}
    assert len({each["eventMetadata"]["eventId"] for each in found}) == 7


@pytest.mark.parametrize(("percent", "least", "most"), [(0, 0, 0), (50, 60, 140)])
def test_a_share_is_kept(aws: InProcessContext, percent: int, least: int, most: int) -> None:
    name, prefix = captured(aws, percent)
    # Of 200 fair draws fewer than 60 or more than 140 are kept once in a hundred million runs.
    for _ in range(200):
        invoke(aws, name, b"{}")
    aws.client("sagemaker").delete_endpoint(EndpointName=name)
    wait_for(lambda: not aws.client("sagemaker").list_endpoints(NameContains=name)["Endpoints"])
    assert least <= len(records(aws, prefix, 0)) <= most


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"InitialSamplingPercentage": 101}, "must be a whole number from 0 to 100"),
        ({"DestinationS3Uri": "captures/"}, "must be an S3 URI"),
        ({"CaptureOptions": []}, "must have 1 to 32 members"),
        ({"CaptureOptions": [{"CaptureMode": "Both"}]}, "enum"),
        ({"KmsKeyId": "k"}, "does not support DataCaptureConfig.KmsKeyId"),
    ],
)
def test_what_cannot_be_captured_is_refused(
    aws: InProcessContext, changes: dict[str, Any], says: str
) -> None:
    config = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://data/c",
        "CaptureOptions": OPTIONS,
        **changes,
    }
    _, message = error_of(
        aws.client("sagemaker").create_endpoint_config,
        EndpointConfigName="refused",
        ProductionVariants=[{"VariantName": "v", "ModelName": "kept", "InstanceType": "ml.m5.large"}],
        DataCaptureConfig=config,
    )
    assert says in message
