from __future__ import annotations

import json
import re
from typing import Any

import pytest

from infra import pipeline
from infra.build import ROOT
from infra.functions import snake_case
from infra.pipeline import hyperparameters_literal
from tests.infra.conftest import Synthesized, flat

MACHINES = ["Intake", "Training", "Deployment"]


def lambda_states(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: state
        for name, state in machine["States"].items()
        if state.get("Resource") == "arn:aws:states:::lambda:invoke"
    }


def test_a_handler_has_one_name_everywhere(prod: Synthesized, machines: dict[str, dict[str, Any]]) -> None:
    named = {name for machine in machines.values() for name in lambda_states(machine)}
    for machine in machines.values():
        for name, state in lambda_states(machine).items():
            assert state["Arguments"]["FunctionName"] == f"${{{name}Arn}}"
            assert (ROOT / "lambdas" / f"{snake_case(name)}.py").is_file()
            handler = prod.properties(f"Functions/{name}")["Handler"]
            assert handler == f"lambdas.{snake_case(name)}.handler"
    assert {snake_case(name) for name in named} == {
        path.stem
        for path in (ROOT / "lambdas").glob("*.py")
        if re.search(r"^(def handler\(|handler\s*[:=])", path.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("name", MACHINES)
def test_the_asl_is_the_definition_and_every_placeholder_is_given(prod: Synthesized, name: str) -> None:
    properties = prod.properties(f"Pipeline/{name}")
    text = (ROOT / "statemachines" / f"{name.lower()}.asl.json").read_text()
    assert properties["DefinitionString"] == text
    assert properties["DefinitionSubstitutions"].keys() == pipeline.placeholders(text)


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_logs_everything_to_a_group_with_an_end(prod: Synthesized, name: str) -> None:
    logging = prod.properties(f"Pipeline/{name}")["LoggingConfiguration"]
    assert logging["Level"] == "ALL"
    assert logging["IncludeExecutionData"] is True
    group = prod.properties(f"Pipeline/{name}Logs")
    assert group["LogGroupName"] == f"/aws/vendedlogs/states/sluice-bank-prod-{name}"
    assert group["RetentionInDays"] == 365


def test_each_upload_starts_the_intake_wherever_it_lies(prod: Synthesized) -> None:
    rule = prod.properties("Pipeline/ObjectCreated")
    uploads = prod.stack.node.find_child("Storage").node.find_child("UploadsBucket").node.default_child
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [{"Ref": prod.logical_id(uploads)}]}},
    }
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


def test_an_event_that_cannot_be_delivered_is_kept(prod: Synthesized) -> None:
    (target,) = prod.properties("Pipeline/ObjectCreated")["Targets"]
    queue = prod.stack.node.find_child("Pipeline").node.find_child("UndeliveredUploads").node.default_child
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": [prod.logical_id(queue), "Arn"]}}
    statements = prod.properties("Pipeline/UndeliveredUploads/Policy")["PolicyDocument"]["Statement"]
    (allowed,) = (each for each in statements if each["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert allowed["Action"] == "sqs:SendMessage"


def test_hyperparameters_reach_sagemaker_as_strings(prod: Synthesized) -> None:
    given = prod.properties("Pipeline/Training")["DefinitionSubstitutions"]["Hyperparameters"]
    text = '{"HyperParameters": "{% ${Hyperparameters} %}"}'.replace("${Hyperparameters}", given)
    expression = json.loads(text)["HyperParameters"]
    # A JSON object is a JSONata object literal of the same value.
    assert json.loads(expression.removeprefix("{% ").removesuffix(" %}")) == {
        "max_iter": "20",
        "loss": 'log "loss"',
        "early_stopping": "true",
    }


@pytest.mark.parametrize("text", ["20", "true", "True", '"quoted"', "[1]"])
def test_a_string_that_looks_like_another_value_is_quoted(text: str) -> None:
    given = json.loads(json.loads(f'"{hyperparameters_literal({"name": text})}"'))
    assert json.loads(given["name"]) == text


def test_no_hyperparameters_is_an_empty_object() -> None:
    assert hyperparameters_literal({}) == "{}"


def test_a_broken_definition_ends_the_synth(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "training.asl.json").write_text(
        '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}'
    )
    monkeypatch.setattr(pipeline, "STATE_MACHINES", tmp_path)
    with pytest.raises(pipeline.DefinitionError, match="Next 'B' is no state"):
        pipeline.definition("Training")


def test_the_outputs_people_and_tools_read(prod: Synthesized) -> None:
    assert {
        "UploadsBucketName",
        "ArtifactsBucketName",
        "ReleasesTableName",
        "IntakeArn",
        "TrainingArn",
        "DeploymentArn",
        "EndpointName",
        "TopicArn",
    } <= prod.template["Outputs"].keys()
    assert prod.template["Outputs"]["EndpointName"]["Value"] == "sluice-bank-prod"


def test_the_training_set_instances_are_the_projects(prod: Synthesized) -> None:
    given = prod.properties("Pipeline/Training")["DefinitionSubstitutions"]
    assert given["TrainingInstanceType"] == "ml.m5.large"
    assert given["MaxRuntimeSeconds"] == "3600"
    assert flat(given["CodeUri"]).count("s3://") == 1
