"""MLflow apps of the local AWS: MLflow's own server, and our tracker against it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.adapters.mlflow import MlflowTracker
from lambdas.adapters.mlflow_wire import RestWire
from sluice.errors import TrackingRefused, TrackingUnavailable
from sluice.tracking.tracker import Metric, Nested
from tests.support.local_aws import LocalAws
from tests.support.stacks import Deploy

URI = "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT"
ROLE = "arn:aws:iam::123456789012:role/mlflow"


@pytest.fixture(scope="module")
def app(local_aws: LocalAws) -> str:
    """An app that stays: with the last one its server would go, and start anew for each test."""
    return made(local_aws)


def made(local_aws: LocalAws) -> str:
    arn: str = local_aws.client("sagemaker").create_mlflow_app(
        Name=f"app-{uuid.uuid4().hex[:8]}", ArtifactStoreUri="s3://runs/mlflow", RoleArn=ROLE
    )["Arn"]
    return arn


@pytest.fixture
def wire(local_aws: LocalAws, app: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[RestWire]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, local_aws.env[name])
    made = RestWire(app, custom_endpoint=local_aws.env[URI])
    yield made
    made.close()


def settled(wire: RestWire, app: str) -> MlflowTracker:
    """A tracker whose server has started: the first request may take longer than one is waited for."""
    for attempt in range(8):
        try:
            wire.call("GET", "experiments/get-by-name?experiment_name=Default")
            break
        except TrackingUnavailable:
            assert attempt < 7
    return MlflowTracker(wire, app, "s3://runs/mlflow")


def test_an_app_is_made_described_listed_and_deleted(local_aws: LocalAws) -> None:
    api = local_aws.client("sagemaker")
    asked = {"Name": "bank", "ArtifactStoreUri": "s3://runs/mlflow", "RoleArn": ROLE}
    arn = api.create_mlflow_app(**asked)["Arn"]

    found = api.describe_mlflow_app(Arn=arn)
    assert {name: found[name] for name in asked} == asked
    assert found["Status"] == "Created"
    assert arn in {each["Arn"] for each in api.list_mlflow_apps()["Summaries"]}
    with pytest.raises(ClientError, match="already exists"):
        api.create_mlflow_app(**asked)
    api.update_mlflow_app(Arn=arn, ArtifactStoreUri="s3://runs/other")
    assert api.describe_mlflow_app(Arn=arn)["ArtifactStoreUri"] == "s3://runs/other"
    api.delete_mlflow_app(Arn=arn)
    with pytest.raises(ClientError, match="does not exist"):
        api.describe_mlflow_app(Arn=arn)


@pytest.mark.parametrize(
    "unsupported",
    [{"KmsKeyId": "k"}, {"ModelRegistrationMode": "AutoModelRegistrationEnabled"}],
)
def test_what_an_app_here_has_not_is_refused_by_name(
    local_aws: LocalAws, unsupported: dict[str, str]
) -> None:
    with pytest.raises(ClientError, match=next(iter(unsupported))):
        local_aws.client("sagemaker").create_mlflow_app(
            Name="no", ArtifactStoreUri="s3://runs/mlflow", RoleArn=ROLE, **unsupported
        )


def test_a_template_makes_an_app_without_waiting_for_its_server(local_aws: LocalAws, deploy: Deploy) -> None:
    stack = deploy(
        {
            "App": {
                "Type": "AWS::SageMaker::MlflowApp",
                "Properties": {"Name": "of-a-stack", "ArtifactStoreUri": "s3://runs/m", "RoleArn": ROLE},
            }
        }
    )

    assert stack is not None
    [found] = [
        each
        for each in local_aws.client("sagemaker").list_mlflow_apps()["Summaries"]
        if each["Name"] == "of-a-stack"
    ]
    assert ":mlflow-app/app-" in found["Arn"]


def test_the_real_server_answers_our_tracker_as_the_one_in_memory(wire: RestWire, app: str) -> None:
    tracker = settled(wire, app)
    experiment, name = f"bank-{uuid.uuid4().hex[:8]}", "bank-dev-1"

    assert tracker.find(experiment, name) is None
    run = tracker.begin(experiment, name)
    assert tracker.begin(experiment, name) == run
    assert tracker.find(experiment, name) == run
    tracker.log(
        run,
        params={"sluice.code": "a/b.zip"},
        metrics=[
            Metric("broken", float("nan")),
            *(Metric("loss", 1 / step, step) for step in range(1, 1500)),
        ],
        tags={"sluice.execution": "arn"},
    )
    tracker.log(run, params={"sluice.code": "a/b.zip"})
    with pytest.raises(TrackingRefused, match="refuses") as caught:
        tracker.log(run, params={"sluice.code": "another"})
    assert "Changing param values is not allowed" in caught.value.why

    source = "s3://runs/models/bank-dev-1-train/output/model.tar.gz"
    version = tracker.register(experiment, run, source, "**Promoted**", {"stage": "staging"})
    assert tracker.register(experiment, run, source, "**Rejected**", {"stage": "experimental"}) == version
    assert tracker.pointed(experiment, "champion") is None
    tracker.point(experiment, "champion", version)
    assert tracker.pointed(experiment, "champion") == version
    tracker.point(experiment, "champion", None)
    tracker.point(experiment, "champion", None)
    assert tracker.pointed(experiment, "champion") is None
    trial = Nested("trial-001", {"hyperparameter.depth": "3"}, [Metric("roc_auc", 0.8)], "KILLED")
    for _ in range(2):
        tracker.nest(experiment, run, [trial])
    tracker.end(run, "FINISHED")

    told = _version(wire, experiment, version)
    assert (told["source"], told["description"], told["run_id"]) == (source, "**Rejected**", run)
    assert told["tags"] == [{"key": "stage", "value": "experimental"}]
    found = wire.call("GET", f"runs/get?run_id={run}")["run"]
    assert found["info"]["status"] == "FINISHED"
    assert found["info"]["artifact_uri"].startswith(f"s3://runs/mlflow/{experiment}/")
    chosen = {
        "experiment_ids": [found["info"]["experiment_id"]],
        "filter": "attributes.run_name = 'trial-001'",
    }
    [below] = wire.call("POST", "runs/search", chosen)["runs"]
    assert below["info"]["status"] == "KILLED"
    assert {each["key"]: each["value"] for each in below["data"]["tags"]}["mlflow.parentRunId"] == run
    assert below["data"]["params"] == [{"key": "hyperparameter.depth", "value": "3"}]
    assert [(each["key"], each["value"]) for each in below["data"]["metrics"]] == [("roc_auc", 0.8)]


def test_files_of_a_run_lie_in_s3(local_aws: LocalAws, wire: RestWire, app: str) -> None:
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="runs")
    tracker = settled(wire, app)
    run = tracker.begin(f"bank-{uuid.uuid4().hex[:8]}", "bank-dev-1")

    tracker.keep(run, "model/signature.json", b"{}", "application/json")
    tracker._s3.close()

    [file] = s3.list_objects_v2(Bucket="runs", Prefix="mlflow/")["Contents"]
    assert file["Key"].endswith(f"/{run}/artifacts/model/signature.json")
    listed = wire.call("GET", f"artifacts/list?run_id={run}&path=model")
    assert [each["path"] for each in listed["files"]] == ["model/signature.json"]


def test_the_last_app_that_is_deleted_takes_the_runs_along(
    local_aws: LocalAws, wire: RestWire, app: str
) -> None:
    tracker = settled(wire, app)
    run = tracker.begin("of-the-last-app", "bank-dev-1")
    api = local_aws.client("sagemaker")
    other = made(local_aws)
    api.delete_mlflow_app(Arn=other)
    assert tracker.find("of-the-last-app", "bank-dev-1") == run

    for each in api.list_mlflow_apps()["Summaries"]:
        api.delete_mlflow_app(Arn=each["Arn"])
    made(local_aws)

    assert settled(wire, app).find("of-the-last-app", "bank-dev-1") is None


def _version(wire: RestWire, model: str, version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        json.dumps(wire.call("GET", f"model-versions/get?name={model}&version={version}"))
    )["model_version"]
    return found
