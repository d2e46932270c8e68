"""The SageMaker SDKs, the AWS CLI and botocore's waiters run on the local AWS as they are."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from tests.support.in_process import REGISTRY, ROLE
from tests.support.local_aws import LocalAws

Seen = Callable[[str], dict[str, Any]]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_the_sagemaker_sdk_3(seen: Seen) -> None:
    found = seen("sdk3")
    log = found.pop("log")
    status, artifacts = found.pop("trained")
    assert status == "Completed"
    assert artifacts.startswith("s3://sdk/models/sdk3-")
    assert found == {
        "listed": True,
        "model": {"A": "sdk3-a"},
        "models": ["sdk3-a"],
        "config": "sdk3-a",
        "answer": "of the SDK",
        "updated": "sdk3-b",
        "left": ["sdk3-b"],
    }
    assert "validation-score=0.75;" in log, "what the container printed is shown"


def test_the_sagemaker_sdk_2(seen: Seen) -> None:
    found = seen("sdk2")
    log = found.pop("log")
    assert "AlgorithmError: the loss is NaN" in found.pop("failed")
    assert found == {
        "trained": True,
        "metrics": [0.625],  # the average of the minute
        "attached": [True, "train"],
        "answer": True,
        "updated": True,
        "second": "of the SDK",
        "left": [],
    }
    assert "validation-score=0.75;" in log, "what the container printed is shown"


# --- the AWS CLI

TRUST = '{"Version": "2012-10-17", "Statement": []}'
MACHINE = '{"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": true}}}'


def test_the_aws_cli(run: Run, tmp_path: Path) -> None:
    def aws(*arguments: str) -> Any:
        done = run("awscli", "aws", *arguments, "--output", "json")
        assert done.returncode == 0, (arguments, done.stderr)
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout

    assert aws("sts", "get-caller-identity")["Account"] == "123456789012"
    (tmp_path / "rows.csv").write_text("1,2\n")
    aws("s3", "mb", "s3://of-the-cli")
    aws("s3", "cp", "rows.csv", "s3://of-the-cli/a/rows.csv")
    assert "rows.csv" in aws("s3", "ls", "s3://of-the-cli/a/")
    aws("s3", "sync", "s3://of-the-cli/a", "copy")
    assert (tmp_path / "copy" / "rows.csv").read_text() == "1,2\n"

    role = aws("iam", "create-role", "--role-name", "of-the-cli", "--assume-role-policy-document", TRUST)
    create = ["stepfunctions", "create-state-machine", "--name", "of-the-cli", "--definition", MACHINE]
    machine = aws(*create, "--role-arn", role["Role"]["Arn"])["stateMachineArn"]
    aws("stepfunctions", "start-execution", "--state-machine-arn", machine)

    container = f"Image={REGISTRY}/serve:1,ModelDataUrl=s3://sdk/model/model.tar.gz"
    named = ("--model-name", "of-the-cli", "--execution-role-arn", ROLE)
    aws("sagemaker", "create-model", *named, "--primary-container", container)
    variant = "VariantName=AllTraffic,ModelName=of-the-cli,InitialInstanceCount=1,InstanceType=ml.m5.large"
    named = ("--endpoint-config-name", "of-the-cli", "--production-variants", variant)
    aws("sagemaker", "create-endpoint-config", *named)
    endpoint = ("--endpoint-name", "of-the-cli")
    aws("sagemaker", "create-endpoint", *endpoint, "--endpoint-config-name", "of-the-cli")
    aws("sagemaker", "wait", "endpoint-in-service", *endpoint)
    aws("sagemaker-runtime", "invoke-endpoint", *endpoint, "--body", "MSwy", "answer.json")
    assert json.loads((tmp_path / "answer.json").read_text())["model"] == "of the SDK"
    aws("sagemaker", "delete-endpoint", *endpoint)
    aws("sagemaker", "wait", "endpoint-deleted", *endpoint)

    dimension = f"Name=StateMachineArn,Value={machine}"
    metric = ("--namespace", "AWS/States", "--metric-name", "ExecutionsSucceeded", "--dimensions", dimension)
    today = (date.today() - timedelta(days=1), date.today() + timedelta(days=2))
    times = ("--start-time", today[0].isoformat(), "--end-time", today[1].isoformat(), "--period", "86400")
    points = aws("cloudwatch", "get-metric-statistics", *metric, *times, "--statistics", "Sum")["Datapoints"]
    assert [point["Sum"] for point in points] == [1.0]


def test_the_waiters_of_botocore(local_aws: LocalAws) -> None:
    sagemaker = local_aws.client("sagemaker")
    quick = {"Delay": 1, "MaxAttempts": 60}
    training = {
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": f"{REGISTRY}/train:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://sdk/models/"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    sagemaker.create_training_job(TrainingJobName="waited-for", **training)
    waiter.wait(TrainingJobName="waited-for", WaiterConfig=quick)
    failing = {**training, "HyperParameters": {"act": "fail"}}
    sagemaker.create_training_job(TrainingJobName="waited-in-vain", **failing)
    with pytest.raises(WaiterError, match="terminal failure state"):
        waiter.wait(TrainingJobName="waited-in-vain", WaiterConfig=quick)
