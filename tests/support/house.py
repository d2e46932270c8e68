"""A deployed project whose models can go wrong, and its deployment machine as one starts it by hand."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sluice import keys
from sluice.outcomes import Outcome
from sluice.payloads.deployment import DeploymentResult
from sluice.payloads.golden import GoldenAnswers
from tests.support.bank import Bank, bank_rows, write_csv, write_project
from tests.support.faults import Client, archive
from tests.support.local_aws import wait_until

TABLES = """
[capture]
percent = 100
[serving]
instance_count = 2
[deployment]
strategy = "canary"
share = 50
wait_seconds = 4
environments = ["local"]
[deployment.alarms]
min_requests = 20
min_latency_requests = 3
max_latency_ratio = 30
"""


class House:
    """The deployed project; each test leaves it at rest, with a champion that serves."""

    def __init__(self, bank: Bank, folder: Path) -> None:
        self.bank, self.folder = bank, folder
        self.stack = bank.stack
        self.endpoint = self.stack.outputs["EndpointName"]
        self.table = self.stack.outputs["ReleasesTableName"]
        self.bucket = self.stack.outputs["ArtifactsBucketName"]
        summary = bank.train(write_csv(folder / "rows.csv", bank_rows(400)))
        assert summary["outcome"] == "Deployed", summary
        release = self.item("release")
        assert release is not None
        self.trained = self.read(release["model_uri"]["S"])
        self.golden = GoldenAnswers.model_validate_json(self.read(keys.golden(release["model_uri"]["S"])))
        self.dataset = release["dataset_version"]["S"]

    def client(self, name: str) -> Any:
        return self.stack.client(name)

    def read(self, uri: str) -> bytes:
        key = uri.split("/", 3)[3]
        body: bytes = self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def item(self, name: str) -> dict[str, Any] | None:
        key = {"endpoint_name": {"S": self.endpoint}, "item": {"S": name}}
        found: dict[str, Any] | None = (
            self.client("dynamodb").get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
        )
        return found

    @property
    def champion(self) -> str:
        release = self.item("release")
        assert release is not None
        return str(release["model_name"]["S"])

    def history(self, model: str) -> list[dict[str, Any]]:
        found = self.client("dynamodb").query(
            TableName=self.table,
            KeyConditionExpression="endpoint_name = :endpoint AND begins_with(#item, :history)",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues={":endpoint": {"S": self.endpoint}, ":history": {"S": "history#"}},
        )["Items"]
        return [each for each in found if each["model_name"]["S"] == model]

    def made(self, how: str) -> dict[str, Any]:
        """A model of its own that goes wrong so: the input that deploys it in the champion's place."""
        model = f"faults-local-{uuid.uuid4().hex[:16]}"
        key = f"models/{model}-train/output/model.tar.gz"
        body = archive(self.folder / model, self.trained, how)
        put = self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return {
            "model_name": model,
            "model_uri": f"s3://{self.bucket}/{key}",
            "archive": {"version_id": put["VersionId"], "etag": put["ETag"]},
            "judged_champion": self.champion,
            "dataset_version": self.dataset,
        }

    def recorded(self, asked: dict[str, Any], golden: GoldenAnswers) -> None:
        """Let these be the answers that the evaluation wrote down of a model."""
        key = keys.golden(asked["model_uri"].split("/", 3)[3])
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=golden.body())

    def start(self, asked: dict[str, Any]) -> str:
        arn: str = self.client("stepfunctions").start_execution(
            stateMachineArn=self.stack.outputs["DeploymentArn"], input=json.dumps(asked)
        )["executionArn"]
        return arn

    def end(self, arn: str) -> dict[str, Any]:
        """Wait for the execution's end, and describe it."""
        describe = self.client("stepfunctions").describe_execution
        wait_until(lambda: describe(executionArn=arn)["status"] != "RUNNING", seconds=120)
        found: dict[str, Any] = describe(executionArn=arn)
        return found

    def ended(self, arn: str) -> DeploymentResult:
        found = self.end(arn)
        assert found["status"] == "SUCCEEDED", found
        return DeploymentResult.model_validate_json(found["output"])

    def failed(self, arn: str) -> dict[str, Any]:
        """Wait for the execution to fail; its cause."""
        found = self.end(arn)
        assert (found["status"], found["error"]) == ("FAILED", "DeploymentFailed"), found
        cause: dict[str, Any] = json.loads(found["cause"])
        return cause

    def events(self, arn: str) -> list[dict[str, Any]]:
        pages = self.client("stepfunctions").get_paginator("get_execution_history")
        return [event for page in pages.paginate(executionArn=arn) for event in page["events"]]

    def entered(self, arn: str) -> list[str]:
        """The names of the states that the execution has entered so far."""
        details = (event.get("stateEnteredEventDetails") for event in self.events(arn))
        return [each["name"] for each in details if each]

    def stop(self, arn: str) -> None:
        self.client("stepfunctions").stop_execution(executionArn=arn)
        assert self.end(arn)["status"] == "ABORTED"

    def deploy(self, how: str) -> tuple[str, DeploymentResult]:
        asked = self.made(how)
        return asked["model_name"], self.ended(self.start(asked))

    def sender(self) -> Client:
        row = ",".join(bank_rows(1)[0][1:5]).encode()
        return Client(self.client("sagemaker-runtime"), self.endpoint, row)

    def goes_over(self) -> None:
        """Wait until the endpoint is on its way to another model."""
        describe = self.client("sagemaker").describe_endpoint
        wait_until(lambda: "PendingDeploymentSummary" in describe(EndpointName=self.endpoint), seconds=60)

    def alarms(self) -> list[str]:
        prefix = f"{self.endpoint}-faults-local-"
        found = self.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
        return [each["AlarmName"] for each in found]

    def serves(self) -> str | None:
        return self.bank.endpoint_config()

    def is_at_rest(self) -> None:
        """Whatever happened: record and endpoint agree, nobody holds the lock, and no alarm is left."""
        assert self.serves() == self.champion
        assert self.item("lock") is None
        assert self.alarms() == []

    @classmethod
    def beside(cls, bank: Bank, folder: Path) -> House:
        """Deploy it to the local AWS of a bank, and train its first model."""
        write_project(folder / "project", name="faults")
        toml = folder / "project" / "project.toml"
        toml.write_text(toml.read_text() + TABLES)
        house = cls(bank.beside(folder / "project", folder), folder)
        # From here on each model answers as the one before it, but for what is wrong with it.
        house.goes_on()
        return house

    def goes_on(self) -> None:
        """The next deployment works at once."""
        model, result = self.deploy("answers")
        assert result.outcome is Outcome.DEPLOYED, result
        assert self.champion == model
        self.is_at_rest()

    @contextlib.contextmanager
    def throttled(self) -> Iterator[None]:
        """Let DynamoDB refuse every write to the releases table: it has one unit a second, and owes hundreds."""
        dynamodb = self.client("dynamodb")
        dynamodb.update_table(
            TableName=self.table,
            BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": 1000, "WriteCapacityUnits": 1},
        )
        big = {"endpoint_name": {"S": "nobody"}, "item": {"S": "big"}, "what": {"S": "x" * 350_000}}
        try:
            dynamodb.put_item(TableName=self.table, Item=big)
            yield
        finally:
            dynamodb.update_table(TableName=self.table, BillingMode="PAY_PER_REQUEST")
            key = {name: big[name] for name in ("endpoint_name", "item")}
            dynamodb.delete_item(TableName=self.table, Key=key)

    def is_refused(self, arn: str, state: str) -> bool:
        """Whether the execution is in that state, and DynamoDB has refused what it asked for want of throughput."""
        at = None
        for event in self.events(arn):
            at = event.get("stateEnteredEventDetails", {}).get("name", at)
            failed = event.get("taskFailedEventDetails")
            if at == state and failed:
                assert failed["error"] == "DynamoDB.ProvisionedThroughputExceededException", failed
                return True
        return False

    def write_release(self, model: str) -> None:
        """Write the record by hand, as no deployment does."""
        release = self.item("release")
        assert release is not None
        self.client("dynamodb").put_item(
            TableName=self.table, Item={**release, "model_name": {"S": model}, "item": {"S": "release"}}
        )
