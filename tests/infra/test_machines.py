"""The machines as deployed: the linted text, their settings, their logs, and the rule that starts the first."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.asl import load
from infra.build import ROOT
from infra.machines import DefinitionError, definition
from infra.settings import literal
from sluice import keys
from tests.infra.synthesized import Stacks, plain, states

MACHINES = ["Intake", "Events", "Batch", "Training", "Deployment"]


def lambda_states(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: state
        for name, state in states(machine)
        if str(state.get("Resource")).endswith(":lambda:invoke")
    }


def test_a_handler_has_one_name_everywhere(shop: Stacks, machines: dict[str, dict[str, Any]]) -> None:
    named = set()
    for machine in machines.values():
        for name, state in lambda_states(machine).items():
            module = re.sub("(?<!^)(?=[A-Z])", "_", name).lower()
            assert state["Arguments"]["FunctionName"] == f"{{% $settings.functions.{name} %}}"
            assert (ROOT / "lambdas" / f"{module}.py").is_file()
            assert shop.pipeline.properties(f"Functions/{name}")["Handler"] == f"lambdas.{module}.handler"
            named.add(module)
        for state in (each for _, each in states(machine) if "waitForTaskToken" in str(each.get("Resource"))):
            # It is called for what it makes known; the state's result is a person's.
            assert state["Arguments"]["FunctionName"] == "{% $settings.functions.RequestApproval %}"
            assert (
                shop.pipeline.properties("Functions/RequestApproval")["Handler"]
                == "lambdas.request_approval.handler"
            )
            named.add("request_approval")
    for rule, name in (("EndedUntold", "ReportEnding"), ("SkewDue", "MeasureSkew")):
        (target,) = shop.pipeline.properties(f"Machines/{rule}")["Targets"]
        assert plain(target["Arn"]) == f"<Functions{name}>"
        module = re.sub("(?<!^)(?=[A-Z])", "_", name).lower()
        assert shop.pipeline.properties(f"Functions/{name}")["Handler"] == f"lambdas.{module}.handler"
        named.add(module)
    # API Gateway calls it: tests/infra/test_api.py.
    named.add("answer_request")
    assert named == {
        path.stem
        for path in (ROOT / "lambdas").glob("*.py")
        if re.search(r"^(def handler\(|handler\s*[:=])", path.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("name", MACHINES)
def test_the_asl_is_the_definition_as_json(prod: Stacks, name: str) -> None:
    properties = prod.pipeline.properties(f"Machines/{name}")
    file = ROOT / "statemachines" / f"{name.lower()}.asl.yaml"
    assert json.loads(properties["DefinitionString"]) == load.load(file)
    assert properties["DefinitionSubstitutions"].keys() == {"Partition", "Settings"}
    assert properties["DefinitionSubstitutions"]["Partition"] == {"Ref": "AWS::Partition"}


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_logs_everything_to_a_group_with_an_end(prod: Stacks, name: str) -> None:
    logging = prod.pipeline.properties(f"Machines/{name}")["LoggingConfiguration"]
    assert logging["Level"] == "ALL"
    assert logging["IncludeExecutionData"] is True
    group = prod.pipeline.properties(f"Machines/{name}Logs")
    assert plain(group["LogGroupName"]) == (
        f"/aws/vendedlogs/states/sluice-bank-prod-{name}-<piece 0 of <piece 2 of <StackId>>>"
    )
    assert group["RetentionInDays"] == 365


def test_the_settings_are_those_of_project_environment_and_stacks(prod: Stacks) -> None:
    settings = prod.pipeline.settings("Training")
    assert re.fullmatch(
        r"cdk-hnb659fds-assets-<AccountId>-<Region>/[0-9a-f]{64}\.zip", settings.pop("code_source")
    )
    images = settings.pop("images")
    assert images.keys() == {"training_set", "process", "train", "serve"}
    assert len(set(images.values())) == 3
    assert images["training_set"] == images["process"], "there is nothing of Feast in this project"
    functions = settings.pop("functions")
    assert functions.keys() == {
        "ValidateDataset",
        "PrepareBatch",
        "JoinPredictions",
        "OpenRun",
        "DecideGate",
        "RegisterModel",
        "VerifyModel",
        "MoveAlias",
        "ReportOutcome",
    }
    assert settings.pop("places") == {
        name: f"s3://<ArtifactsBucket>/{key}" for name, key in keys.places("{execution}", "{job}").items()
    }
    # tests/unit/test_guard.py looks at it.
    assert settings.pop("guard").keys() == {"config", "first_share", "alarms", "figures"}
    assert settings == {
        "project": "bank",
        "online_store": "",
        "missing_features": "error",
        "environment": "prod",
        "endpoint_name": "sluice-bank-prod",
        "deployment_alarms": "sluice-bank-prod-bank-prod-",
        "job_prefix": "bank-prod-",
        "artifacts_bucket": "<ArtifactsBucket>",
        "releases_table": "<ReleasesTable>",
        "topic_arn": "<Outcomes>",
        "sagemaker_role_arn": "<SageMakerRole>",
        "own_image": False,
        "capture": {
            "EnableCapture": False,
            "InitialSamplingPercentage": 0,
            "DestinationS3Uri": "s3://<ArtifactsBucket>/captures",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {
                "CsvContentTypes": ["text/csv"],
                "JsonContentTypes": ["application/json", "application/jsonlines"],
            },
        },
        "approval": None,
        "offline": {},
        "hyperparameters": {"max_iter": "20", "loss": 'log "loss"', "early_stopping": "true"},
        "max_runtime_seconds": 3600,
        "spot": False,
        "training_condition": {"MaxRuntimeInSeconds": 3600},
        "max_wait_seconds": 3600,
        "instance_types": {
            "processing": "ml.t3.large",
            "training": "ml.m5.large",
            "transform": "ml.m5.large",
            "serving": "ml.t2.medium",
        },
        "serving_instance_count": 1,
        "poll_seconds": 15,
        "metrics_seconds": "10",
        "events_prefix": "incoming/events/",
        "batch_prefix": "incoming/batch/",
        "batch": {"instance_mb": 64, "max_instances": 4, "limit_seconds": 86400},
        "log_retention_days": 365,
        "machines": {"deployment": "<MachinesDeployment>"},
        "tracking": {"on_failure": "fail", "feature_plan": None, "commit": None},
    }


def test_where_approvals_are_asked_for_the_machine_knows_until_when(
    shop: Stacks, shop_local: Stacks, prod: Stacks
) -> None:
    settings = shop.pipeline.settings("Training")
    assert settings["approval"] == {"expires_seconds": 7 * 24 * 3600}
    assert "RequestApproval" in settings["functions"]
    # Its project.toml names prod alone.
    for other in (shop_local, prod):
        assert other.pipeline.settings("Training")["approval"] is None
        assert "RequestApproval" not in other.pipeline.settings("Training")["functions"]
        assert not other.pipeline.of_type("AWS::IAM::ManagedPolicy")
        assert "ApproversPolicyArn" not in other.pipeline.template["Outputs"]


def test_each_machine_knows_the_one_it_starts(prod: Stacks) -> None:
    known = {name: prod.pipeline.settings(name)["machines"] for name in MACHINES}
    assert known == {
        "Intake": {
            "training": "<MachinesTraining>",
            "events": "<MachinesEvents>",
            "batch": "<MachinesBatch>",
        },
        "Events": {},
        "Batch": {},
        "Training": {"deployment": "<MachinesDeployment>"},
        "Deployment": {},
    }


def test_settings_survive_being_json_in_a_string_in_json() -> None:
    settings = {"loss": 'a "log\\loss" \n', "max": "20", "none": None, "deep": {"ä": [1, 2.5, True]}}
    text = '{"settings": "{% ${Settings} %}"}'.replace("${Settings}", literal(settings))
    assert json.loads(json.loads(text)["settings"].removeprefix("{% ").removesuffix(" %}")) == settings


def test_each_upload_starts_the_intake_wherever_it_lies(prod: Stacks) -> None:
    rule = prod.pipeline.properties("Machines/ObjectCreated")
    (bucket,) = rule["EventPattern"]["detail"]["bucket"]["name"]
    assert plain(bucket) == "<UploadsBucket>"
    assert rule["EventPattern"]["source"] == ["aws.s3"]
    assert rule["EventPattern"]["detail-type"] == ["Object Created"]
    assert rule["EventPattern"]["detail"].keys() == {"bucket", "$or"}
    # All but folder markers: a key that ends in a slash and no bytes.
    assert rule["EventPattern"]["detail"]["$or"] == [
        {"object": {"key": [{"anything-but": {"suffix": "/"}}]}},
        {"object": {"size": [{"numeric": [">", 0]}]}},
    ]
    (target,) = rule["Targets"]
    paths = target["InputTransformer"]["InputPathsMap"]
    given = re.sub(
        r"<([^>]+)>", lambda found: json.dumps(paths[found[1]]), target["InputTransformer"]["InputTemplate"]
    )
    assert json.loads(given) == {
        "bucket": "$.detail.bucket.name",
        "key": "$.detail.object.key",
        "version_id": "$.detail.object.version-id",
    }


def test_ends_that_a_machine_cannot_tell_of_are_told_by_a_function(prod: Stacks) -> None:
    rule = prod.pipeline.properties("Machines/EndedUntold")
    pattern = rule["EventPattern"]
    assert (pattern["source"], pattern["detail-type"]) == (
        ["aws.states"],
        ["Step Functions Execution Status Change"],
    )
    assert [plain(each) for each in pattern["detail"]["stateMachineArn"]] == [
        "<MachinesIntake>",
        "<MachinesEvents>",
        "<MachinesBatch>",
        "<MachinesTraining>",
    ]
    assert pattern["detail"].keys() == {"stateMachineArn", "status"}
    assert set(pattern["detail"]["status"]) == {"ABORTED", "TIMED_OUT", "FAILED"}
    (target,) = rule["Targets"]
    assert not target.keys() & {"Input", "InputPath", "InputTransformer"}, "the handler reads the whole event"
    (permission,) = prod.pipeline.of_type("AWS::Lambda::Permission")
    assert permission["Properties"]["Principal"] == "events.amazonaws.com"
    assert plain(permission["Properties"]["SourceArn"]) == "<MachinesEndedUntold>"


@pytest.mark.parametrize(
    ("rule", "queue"), [("ObjectCreated", "UndeliveredUploads"), ("EndedUntold", "UndeliveredEndings")]
)
def test_an_event_that_cannot_be_delivered_is_kept(prod: Stacks, rule: str, queue: str) -> None:
    (target,) = prod.pipeline.properties(f"Machines/{rule}")["Targets"]
    assert plain(target["DeadLetterConfig"]["Arn"]) == f"<Machines{queue}>"
    statements = prod.pipeline.properties(f"Machines/{queue}/Policy")["PolicyDocument"]["Statement"]
    (allowed,) = (each for each in statements if each["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert allowed["Action"] == "sqs:SendMessage"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "TimeoutSeconds: 9\nStartAt: A\nStates:\n  A: {Type: Pass, Next: B}\n",
            "Next 'B' is no state",
        ),
        ("States:\n  A: {Type: Pass}\n  A: {Type: Pass}\n", "the key 'A' stands there twice"),
        ("StartAt: [", "while parsing a flow"),
    ],
)
def test_a_broken_definition_ends_the_synth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    (tmp_path / "training.asl.yaml").write_text(text)
    monkeypatch.setattr(load, "MACHINES", tmp_path)
    with pytest.raises(DefinitionError, match=told):
        definition("training")


def test_the_outputs_people_and_tools_read_are_all_on_one_stack(prod: Stacks) -> None:
    outputs = {name: plain(each["Value"]) for name, each in prod.pipeline.template["Outputs"].items()}
    assert outputs == {
        "Project": "bank",
        "Environment": "prod",
        "EndpointName": "sluice-bank-prod",
        "UploadsBucketName": "<UploadsBucket>",
        "ArtifactsBucketName": "<ArtifactsBucket>",
        "ReleasesTableName": "<ReleasesTable>",
        "TopicArn": "<Outcomes>",
        "AlarmTopicArn": "<Alarms>",
        "IntakeArn": "<MachinesIntake>",
        "EventsArn": "<MachinesEvents>",
        "BatchArn": "<MachinesBatch>",
        "TrackingUri": "<MlflowAppArn>",
        "TrainingArn": "<MachinesTraining>",
        "DeploymentArn": "<MachinesDeployment>",
    }
