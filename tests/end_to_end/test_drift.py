"""The endpoint's traffic against what the model was judged on: captured, counted, judged and told, for real."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import main
from sluice import keys
from sluice.column_names import PREDICTION
from sluice.monitoring.drift import DriftVerdict
from sluice.monitoring.model_reference import ModelReference
from tests.support.bank import Bank, bank_rows, write_csv, write_project
from tests.support.local_aws import wait_until

TABLES = """
[capture]
percent = 100
[drift]
every = "never"
least_rows = 200
"""
ALARMS = {"DriftedColumns": "DataDrifted", "PredictionDrifted": "PredictionsDrifted"}


class House:
    """The deployed project, its traffic, and the machine that looks at it."""

    def __init__(self, bank: Bank, folder: Path) -> None:
        self.stack = bank.stack
        self.endpoint = self.stack.outputs["EndpointName"]
        self.bucket = self.stack.outputs["ArtifactsBucketName"]
        summary = bank.train(write_csv(folder / "rows.csv", bank_rows(3000)))
        assert summary["outcome"] == "Deployed", summary
        self.model_uri: str = summary["model_uri"]

    def client(self, name: str) -> Any:
        return self.stack.client(name)

    def send(self, count: int, *, seed: int, older: int = 0, media_type: str = "text/csv") -> None:
        """Ask for predictions, fifty rows a request, and wait until all of it is captured."""
        before = self.captured()
        rows = [row[1:5] for row in bank_rows(count, seed=seed)]
        for row in rows:
            row[0] = str(int(row[0]) + older)
        runtime = self.client("sagemaker-runtime")
        for start in range(0, count, 50):
            some = rows[start : start + 50]
            body = "".join(",".join(row) + "\n" for row in some)
            if media_type == "application/json":
                body = json.dumps([[int(age), float(balance), job, mode] for age, balance, job, mode in some])
            runtime.invoke_endpoint(
                EndpointName=self.endpoint,
                ContentType=media_type,
                Accept="application/json",
                Body=body.encode(),
            )
        wait_until(lambda: self.captured() >= before + count // 50, seconds=30)

    def captured(self) -> int:
        """How many requests lie in the bucket."""
        s3 = self.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"captures/{self.endpoint}/AllTraffic/"
        )
        found = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return sum(self.read(key).count(b"\n") for key in found)

    def read(self, key: str) -> bytes:
        body: bytes = self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def look(self) -> dict[str, Any]:
        """Run the machine; give its output."""
        states = self.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=self.stack.outputs["DriftArn"], input="{}")[
            "executionArn"
        ]
        wait_until(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", seconds=90)
        found = states.describe_execution(executionArn=arn)
        assert found["status"] == "SUCCEEDED", found
        output: dict[str, Any] = json.loads(found["output"])
        return output

    def entered(self, arn: str) -> set[str]:
        events = self.client("stepfunctions").get_execution_history(executionArn=arn)["events"]
        return {
            each["stateEnteredEventDetails"]["name"] for each in events if "stateEnteredEventDetails" in each
        }

    def judged_rows(self) -> int:
        """The rows of all verdicts that were given."""
        pages = (
            self.client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self.bucket, Prefix="drift/windows/")
        )
        found = [
            DriftVerdict.model_validate_json(self.read(each["Key"]))
            for page in pages
            for each in page.get("Contents", [])
            if each["Key"].endswith("/verdict.json")
        ]
        return sum(each.verdict.rows for each in found if each.is_judged)

    def verdict(self, window: str) -> DriftVerdict:
        return DriftVerdict.model_validate_json(self.read(keys.drift_verdict(window)))

    def alarm(self, metric: str) -> dict[str, Any]:
        found = self.client("cloudwatch").describe_alarms_for_metric(
            Namespace="Sluice/Drift",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": self.endpoint}],
        )["MetricAlarms"]
        (alarm,) = found
        return dict(alarm)

    def alarms_are(self, state: str) -> None:
        """Wait until both alarms are in a state."""
        wait_until(lambda: {self.alarm(each)["StateValue"] for each in ALARMS} == {state}, seconds=60)

    def comes_to(self, arn: str, state: str) -> None:
        """Wait until an execution has entered a state."""
        wait_until(lambda: state in self.entered(arn), seconds=60)

    def data_points(self, metric: str) -> list[float]:
        [found] = self.client("cloudwatch").list_metrics(
            Namespace="Sluice/Drift",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": self.endpoint}],
        )["Metrics"]
        assert found["MetricName"] == metric
        answer = self.client("cloudwatch").get_metric_data(
            MetricDataQueries=[
                {
                    "Id": "m",
                    "MetricStat": {
                        "Metric": {k: found[k] for k in ("Namespace", "MetricName", "Dimensions")},
                        "Period": 3600,
                        "Stat": "Maximum",
                    },
                }
            ],
            StartTime="2020-01-01T00:00:00Z",
            EndTime="2100-01-01T00:00:00Z",
        )
        values: list[float] = answer["MetricDataResults"][0]["Values"]
        return values


@pytest.fixture(scope="module")
def house(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> House:
    work = tmp_path_factory.mktemp("drift")
    write_project(work / "project", name="drifting")
    toml = work / "project" / "project.toml"
    toml.write_text(toml.read_text() + TABLES)
    return House(bank.beside(work / "project", work), work)


def test_the_training_left_a_reference_beside_the_model(house: House) -> None:
    body = house.read(keys.reference(house.model_uri.split("/", 3)[3]))
    model = ModelReference.model_validate_json(body)

    assert model.model_uri == house.model_uri
    assert list(model.reference.columns) == ["age", "balance", "job", "mode", PREDICTION]
    assert 400 < model.reference.rows < 800


def test_that_a_deployment_looked_at_its_model_is_no_traffic(house: House) -> None:
    # The rows by which it did so are captured as all requests are.
    wait_until(lambda: house.captured() > 0, seconds=30)
    found = house.look()
    assert (found["outcome"], found["rows"]) == ("NoTraffic", 0)


def test_traffic_as_it_was_is_stable_whatever_its_type(house: House) -> None:
    house.send(300, seed=2)
    house.send(300, seed=3, media_type="application/json")

    found = house.look()

    assert (found["outcome"], found["rows"], found["drifted"]) == ("Stable", 600, [])
    verdict = house.verdict(found["window"])
    assert (verdict.records, verdict.earlier, verdict.unread) == (12, 0, {})
    house.alarms_are("OK")


def test_a_second_run_counts_nothing_again(house: House) -> None:
    found = house.look()
    assert (found["outcome"], found["rows"]) == ("NoTraffic", 0)


def test_too_few_rows_wait(house: House) -> None:
    house.send(100, seed=4)
    assert house.look()["outcome"] == "TooFew"
    house.send(150, seed=5)
    found = house.look()
    assert (found["outcome"], found["rows"]) == ("Stable", 250)


def test_a_corrupt_line_and_a_late_file_are_seen(house: House) -> None:
    house.send(250, seed=6)
    key = f"captures/{house.endpoint}/AllTraffic/2020/01/01/00/late-{uuid.uuid4()}.jsonl"
    house.client("s3").put_object(Bucket=house.bucket, Key=key, Body=b'{"captureData": {"endpointInput": \n')

    found = house.look()

    verdict = house.verdict(found["window"])
    assert (found["outcome"], found["rows"], verdict.unread) == ("Stable", 250, {"corrupt": 1})
    assert [(each.key, each.line) for each in verdict.aside] == [(key, 1)]
    assert "1 lines that are no capture record" in found["sentence"]


def test_a_run_that_is_stopped_anywhere_loses_nothing_and_counts_nothing_twice(house: House) -> None:
    states = house.client("stepfunctions")
    before = house.judged_rows()
    for seed, place in ((8, "AcquireLock"), (9, "CountCaptures"), (10, "JudgeDrift")):
        house.send(250, seed=seed)
        arn = states.start_execution(stateMachineArn=house.stack.outputs["DriftArn"], input="{}")[
            "executionArn"
        ]
        house.comes_to(arn, place)
        states.stop_execution(executionArn=arn)
    # What it has left is gone on with; then comes what was captured since.
    ended = [house.look()["outcome"] for _ in range(3)]

    assert ended[-1] == "NoTraffic"
    assert "AlreadyRunning" not in ended
    assert house.judged_rows() - before == 750


def test_traffic_that_moved_is_told_and_raises_the_alarms(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs, sns = house.client("sqs"), house.client("sns")
    url = sqs.create_queue(QueueName="drift-alarms")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=house.stack.outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=arn)
    house.send(600, seed=7, older=25)

    monkeypatch.setattr("cli.stack.current", lambda _name: house.stack)
    status = main.main(["drift", "--run"])

    printed = capsys.readouterr().out.splitlines()
    assert status == 5
    assert printed[0].startswith("Drifted: ")
    moved = [line.split()[0] for line in printed[3:] if line.split()[1:2] == ["yes"]]
    assert "age" in moved
    assert not {"balance", "job", "mode"} & set(moved)
    page = printed[-1].removeprefix("report: ").split("/", 3)[3]
    assert b"what the model answers" in house.read(page)
    assert max(house.data_points("DriftedColumns")) == 1
    assert max(house.data_points("PredictionDrifted")) == 1
    house.alarms_are("ALARM")
    told = wait_until(_alarms_of(sqs, url))
    assert told["NewStateValue"] == "ALARM"
    assert told["Trigger"]["Namespace"] == "Sluice/Drift"

    # What was not judged says nothing: the alarm stands.
    assert house.look()["outcome"] == "NoTraffic"
    assert house.alarm("DriftedColumns")["StateValue"] == "ALARM"


def _alarms_of(sqs: Any, url: str) -> Callable[[], dict[str, Any] | None]:
    def told() -> dict[str, Any] | None:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            alarm: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
            if alarm["Trigger"].get("Namespace") == "Sluice/Drift":
                return alarm
        return None

    return told
