"""Ends that an execution cannot tell of itself, and an answer that was lost, in the local AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli import executions
from sluice import naming
from sluice.payloads.documents import Report
from tests.support.bank import Bank, bank_rows, write_csv, write_project
from tests.support.local_aws import wait_until


def start(bank: Bank, file: Path) -> str:
    """Upload a file, and give the ARN of the execution once it runs."""
    arn = executions.execution_arn(bank.stack, executions.upload(bank.stack, file))
    states = bank.stack.client("stepfunctions")

    def running() -> bool:
        try:
            states.describe_execution(executionArn=arn)
        except states.exceptions.ExecutionDoesNotExist:
            return False
        return True

    wait_until(running)
    return arn


def entered(bank: Bank, arn: str) -> set[str]:
    states = bank.stack.client("stepfunctions")
    pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
    return {
        event["stateEnteredEventDetails"]["name"]
        for page in pages
        for event in page["events"]
        if "stateEnteredEventDetails" in event
    }


def text_of(bank: Bank, key: str) -> str:
    s3, bucket = bank.stack.client("s3"), bank.stack.outputs["ArtifactsBucketName"]
    text: str = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    return text


@pytest.fixture(scope="module")
def ending(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A project of its own: no champion of another test's decides what is deployed."""
    work = tmp_path_factory.mktemp("ending")
    write_project(work / "project", name="ending")
    return bank.beside(work / "project", work)


@pytest.fixture(scope="module")
def trained(ending: Bank, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return ending.train(write_csv(tmp_path_factory.mktemp("data") / "served.csv", bank_rows(400, seed=7)))


def test_a_stopped_execution_has_its_report_and_one_message(
    ending: Bank, trained: dict[str, Any], tmp_path: Path
) -> None:
    assert trained["outcome"] == "Deployed", trained
    serving = ending.endpoint_config()
    arn = start(ending, write_csv(tmp_path / "stopped.csv", bank_rows(200, seed=8, mode="hang")))
    wait_until(lambda: "TrainModel" in entered(ending, arn), seconds=120)

    ending.stack.client("stepfunctions").stop_execution(
        executionArn=arn, error="WrongFile", cause="that was last year's"
    )
    wait_until(lambda: ending.notifications(arn), seconds=120)

    folder = f"reports/{arn.rsplit(':', 1)[-1]}"
    wait_until(lambda: f"{folder}/told.json" in ending.keys(folder))
    [message] = ending.notifications(arn)
    assert message["Subject"] == "Sluice ending: ExecutionAborted"
    assert message["MessageAttributes"]["outcome"]["Value"] == "Failed"
    seen = (
        f"The endpoint {ending.stack.outputs['EndpointName']} was looked at: it is in service on {serving}."
    )
    for text in (message["Message"], text_of(ending, f"{folder}/report.html")):
        for part in ("aborted in TrainModel", "WrongFile", seen):
            assert part in text
    report = Report.model_validate_json(text_of(ending, f"{folder}/report.json"))
    assert (report.error, report.rows) == ("ExecutionAborted", 200)
    assert ending.endpoint_config() == serving


def test_an_intake_that_fails_has_its_report_and_one_message(ending: Bank) -> None:
    machine = ending.stack.outputs["IntakeArn"]
    given = {"stateMachineArn": machine, "input": '{"bucket": "uploads"}'}
    arn = ending.stack.client("stepfunctions").start_execution(**given)["executionArn"]

    folder = f"reports/{arn.rsplit(':', 1)[-1]}"
    wait_until(lambda: f"{folder}/told.json" in ending.keys(folder), seconds=120)
    [message] = ending.notifications(arn)
    assert message["Subject"] == "Sluice ending: PipelineFailed"
    assert "failed in StartTraining" in message["Message"]
    report = Report.model_validate_json(text_of(ending, f"{folder}/report.json"))
    assert (report.error, report.source.bucket) == ("PipelineFailed", "uploads")


def test_a_model_that_is_there_because_an_answer_was_lost_is_deployed(
    ending: Bank, trained: dict[str, Any], tmp_path: Path
) -> None:
    sagemaker = ending.stack.client("sagemaker")
    of_before = sagemaker.describe_model(ModelName=ending.endpoint_config())
    arn = start(ending, write_csv(tmp_path / "lost.csv", bank_rows(400, seed=7)))
    name = naming.job("ending", "local", arn)
    bucket = ending.stack.outputs["ArtifactsBucketName"]
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=of_before["ExecutionRoleArn"],
        PrimaryContainer={
            "Image": of_before["PrimaryContainer"]["Image"],
            "Environment": {**of_before["PrimaryContainer"]["Environment"], "SLUICE_MODEL": name},
            "ModelDataUrl": f"s3://{bucket}/models/{name}-train/output/model.tar.gz",
        },
    )

    summary = executions.follow(ending.stack, arn)

    # The same rows as the champion's: no worse than that.
    assert summary["outcome"] == "Deployed", summary
    assert ending.endpoint_config() == name
    deployment = ending.stack.outputs["DeploymentArn"].replace(":stateMachine:", ":execution:")
    assert {"WhyRefused", "DescribeModel", "IsItOurs"} <= entered(ending, f"{deployment}:{name}")
