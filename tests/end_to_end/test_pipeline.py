"""From an upload to a serving endpoint, with templates, machines, handlers and containers as they are."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cli import executions, prediction
from cli.serving import Served
from sluice import keys, naming
from tests.support.bank import Bank, bank_rows, write_csv
from tests.support.local_aws import wait_until


@pytest.fixture(scope="module")
def trained(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    rows = bank_rows(600)
    rows[10][1] = "old"  # one cell that is no integer
    return bank.train(write_csv(tmp_path_factory.mktemp("data") / "good.csv", rows))


def test_an_upload_becomes_an_endpoint(bank: Bank, trained: dict[str, Any]) -> None:
    assert trained["outcome"] == "Deployed", trained
    assert (trained["rows"], trained["rejected_rows"]) == (599, 1)
    assert trained["metrics"]["roc_auc"] > 0.9
    assert {"ValidateDataset", "BuildTrainingSet", "TrainModel", "EvaluateModel", "DeployModel"} <= set(
        trained["seconds"]
    )
    described = bank.stack.client("sagemaker").describe_endpoint(EndpointName=trained["endpoint_name"])
    assert described["EndpointStatus"] == "InService"


def test_the_endpoint_serves_by_the_compiled_path(bank: Bank, trained: dict[str, Any]) -> None:
    assert trained["scoring"].startswith("compiled, equal to the fitted pipeline on ")
    group = f"/aws/sagemaker/Endpoints/{trained['endpoint_name']}"
    found = bank.stack.client("logs").filter_log_events(logGroupName=group, filterPattern="scoring")
    assert any("scoring: compiled" in event["message"] for event in found["events"])


def test_what_sagemaker_holds_says_whose_it_is_and_its_log_is_not_kept_for_ever(
    bank: Bank, trained: dict[str, Any]
) -> None:
    sagemaker, name = bank.stack.client("sagemaker"), trained["endpoint_name"]
    endpoint = sagemaker.describe_endpoint(EndpointName=name)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    for arn in (endpoint["EndpointArn"], config["EndpointConfigArn"], model["ModelArn"]):
        tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
        assert tags.pop("sluice:dataset-version", trained["dataset_version"]) == trained["dataset_version"]
        assert tags == {"sluice:project": "bank", "sluice:environment": "local"}
    groups = bank.stack.client("logs").describe_log_groups(
        logGroupNamePrefix=f"/aws/sagemaker/Endpoints/{name}"
    )
    assert [group["retentionInDays"] for group in groups["logGroups"]] == [7]


def test_the_dataset_version_is_the_hash_of_its_file(bank: Bank, trained: dict[str, Any]) -> None:
    import hashlib

    s3, bucket = bank.stack.client("s3"), bank.stack.outputs["ArtifactsBucketName"]
    manifest = s3.get_object(Bucket=bucket, Key=keys.manifest(trained["dataset_version"]))["Body"].read()
    (part,) = json.loads(manifest)["parts"]
    body = s3.get_object(Bucket=bucket, Key=keys.part(part["md5"]))["Body"].read()
    assert hashlib.sha256(body).hexdigest()[:16] == trained["dataset_version"]
    assert pq.read_table(io.BytesIO(body)).num_rows == 599


def test_a_rejected_row_is_in_quarantine_with_its_reason(bank: Bank, trained: dict[str, Any]) -> None:
    execution = trained["execution_arn"].rsplit(":", 1)[-1]
    s3, bucket = bank.stack.client("s3"), bank.stack.outputs["ArtifactsBucketName"]
    text = s3.get_object(Bucket=bucket, Key=keys.rejected(execution))["Body"].read().decode()
    (rejected,) = csv.DictReader(io.StringIO(text))
    assert (rejected["row"], rejected["column"], rejected["value"]) == ("11", "age", "old")
    assert rejected["reason"]


def test_the_endpoint_serves_the_probabilities_of_the_artifact(
    bank: Bank, trained: dict[str, Any], tmp_path: Path
) -> None:
    execution = trained["execution_arn"].rsplit(":", 1)[-1]
    s3, bucket = bank.stack.client("s3"), bank.stack.outputs["ArtifactsBucketName"]
    held_out = s3.get_object(Bucket=bucket, Key=keys.held_out(execution))["Body"].read()
    features = pq.read_table(io.BytesIO(held_out)).drop_columns(["y", "__key"])
    source, key = naming.split_uri(trained["model_uri"])
    with tarfile.open(fileobj=io.BytesIO(s3.get_object(Bucket=source, Key=key)["Body"].read())) as archive:
        archive.extractall(tmp_path, filter="data")
    pq.write_table(features, tmp_path / "features.parquet")
    program = (
        "import joblib, json, pandas as pd, sys; sys.path.insert(0, 'code');"
        "model = joblib.load('model.joblib'); X = pd.read_parquet('features.parquet');"
        "print(json.dumps(model.predict_proba(X)[:, list(model.classes_).index('yes')].tolist()))"
    )
    expected = json.loads(subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path))
    served = prediction.Asked(Served.by(bank.stack)).predictions(features.to_pylist())
    assert len(expected) > 50
    assert [each["probability"] for each in served] == pytest.approx(expected, rel=0, abs=1e-9)


def test_the_contract_lies_beside_the_model_and_the_code_beside_its_training_set(
    bank: Bank, trained: dict[str, Any]
) -> None:
    s3, bucket = bank.stack.client("s3"), bank.stack.outputs["ArtifactsBucketName"]
    _, model = naming.split_uri(trained["model_uri"])
    job = naming.job("bank", "local", trained["execution_arn"])
    assert model == keys.model(job)

    contract = json.loads(s3.get_object(Bucket=bucket, Key=keys.contract(model))["Body"].read())

    assert contract["version"] == 1
    assert [each["name"] for each in contract["features"]] == ["age", "balance", "job", "mode"]
    assert contract["dataset_version"] == trained["dataset_version"]
    execution = trained["execution_arn"].rsplit(":", 1)[-1]
    code = s3.get_object(Bucket=bucket, Key=keys.code(execution))["Body"].read()
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        assert {"project.toml", "train.py"} <= set(archive.namelist())


def test_each_decision_is_one_structured_line_in_its_functions_log(
    bank: Bank, trained: dict[str, Any]
) -> None:
    logs = bank.stack.client("logs")
    execution = trained["execution_arn"].rsplit(":", 1)[-1]
    told = {}
    for function in ("ValidateDataset", "DecideGate", "ReportOutcome"):
        (group,) = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/sluice-bank-local-{function}-")[
            "logGroups"
        ]
        lines = []
        for stream in logs.describe_log_streams(logGroupName=group["logGroupName"])["logStreams"]:
            events = logs.get_log_events(
                logGroupName=group["logGroupName"], logStreamName=stream["logStreamName"]
            )["events"]
            lines += [json.loads(event["message"]) for event in events if event["message"].startswith("{")]
        (told[function],) = (line for line in lines if line.get("execution") == execution)
    assert (told["ValidateDataset"]["rows"], told["ValidateDataset"]["rejected_rows"]) == (599, 1)
    assert told["DecideGate"]["promote"] is True
    assert told["ReportOutcome"]["outcome"] == "Deployed"
    assert "old" not in json.dumps(told), "a value of a row"


def test_the_same_event_twice_starts_nothing(bank: Bank, trained: dict[str, Any]) -> None:
    execution = trained["execution_arn"]
    sfn = bank.stack.client("stepfunctions")
    source = json.loads(sfn.describe_execution(executionArn=execution)["input"])
    intake = sfn.start_execution(stateMachineArn=bank.stack.outputs["IntakeArn"], input=json.dumps(source))
    status = _await_end(bank, intake["executionArn"])
    assert status["status"] == "SUCCEEDED"
    entered = [
        event["stateEnteredEventDetails"]["name"]
        for event in sfn.get_execution_history(executionArn=intake["executionArn"])["events"]
        if event["type"].endswith("StateEntered")
    ]
    assert entered == ["Begin", "WhichUpload", "StartTraining", "AlreadyStarted"]


def test_what_the_container_counts_is_in_cloudwatch_by_endpoint_and_by_fleet(
    bank: Bank, trained: dict[str, Any]
) -> None:
    name = trained["endpoint_name"]
    config = bank.stack.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointConfigName"]
    whose = {"EndpointName": name, "VariantName": "AllTraffic"}
    metrics = ("Predictions", "PredictedSum", "PredictedSquares")

    def total(metric: str, **more: str) -> float:
        points = bank.stack.client("cloudwatch").get_metric_statistics(
            Namespace="Sluice/Serving",
            MetricName=metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in {**whose, **more}.items()],
            StartTime=time.time() - 3600,
            EndTime=time.time() + 60,
            Period=86400,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    def totals() -> list[tuple[float, float]]:
        """By endpoint and by fleet; other models may have served it, and deployments asked them."""
        return [(total(each), total(each, EndpointConfigName=config)) for each in metrics]

    # They are told each second: between two looks that are alike nothing came.
    before = wait_until(lambda: (found := totals()) == totals() and found)
    prediction.Asked(Served.by(bank.stack)).predictions(
        [{"age": 40, "balance": 1000.0, "job": "clerk", "mode": "ok"}] * 3
    )

    def grown() -> list[tuple[float, float]]:
        return [(now[0] - was[0], now[1] - was[1]) for now, was in zip(totals(), before, strict=True)]

    def alike() -> list[tuple[float, float]] | None:
        found = grown()
        same = all(by_endpoint == pytest.approx(by_fleet) for by_endpoint, by_fleet in found)
        return found if same and found[0][0] >= 3 else None

    (predictions, _), (summed, _), (squares, _) = wait_until(alike)
    assert 0 < squares <= summed <= predictions


def test_one_notification_an_execution(bank: Bank, trained: dict[str, Any]) -> None:
    assert len(bank.notifications(trained["execution_arn"])) == 1


def test_a_worse_challenger_leaves_the_champion_in_place(
    bank: Bank, trained: dict[str, Any], tmp_path: Path
) -> None:
    before = bank.endpoint_config()
    summary = bank.train(write_csv(tmp_path / "noise.csv", bank_rows(600, seed=2, noise=1.0)))
    assert summary["outcome"] == "GateRejected", summary
    assert summary["champion_metrics"]
    assert any("roc_auc" in reason for reason in summary["reasons"])
    assert bank.endpoint_config() == before


def _await_end(bank: Bank, arn: str) -> dict[str, Any]:
    executions.follow(bank.stack, arn)
    status: dict[str, Any] = bank.stack.client("stepfunctions").describe_execution(executionArn=arn)
    return status
