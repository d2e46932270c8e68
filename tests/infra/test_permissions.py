from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.conftest import Synthesized, flat

# What may stand on `*`, because the action knows no resources.
WITHOUT_RESOURCES = {
    "logs:CreateLogDelivery": "log delivery of a state machine, as AWS prescribes it",
    "logs:DeleteLogDelivery": "the same",
    "logs:DescribeLogGroups": "the same",
    "logs:DescribeResourcePolicies": "the same",
    "logs:GetLogDelivery": "the same",
    "logs:ListLogDeliveries": "the same",
    "logs:PutResourcePolicy": "the same",
    "logs:UpdateLogDelivery": "the same",
    "sagemaker:ListEndpoints": "lists them all",
    "ecr:GetAuthorizationToken": "a token is the registry's, not a repository's",
    "cloudwatch:PutMetricData": "conditioned on the namespace",
}
SYNC = {
    "sagemaker:createTrainingJob.sync": (
        "sagemaker:DescribeTrainingJob sagemaker:StopTrainingJob sagemaker:AddTags",
        "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    ),
    "sagemaker:createProcessingJob.sync": (
        "sagemaker:DescribeProcessingJob sagemaker:StopProcessingJob sagemaker:AddTags",
        "StepFunctionsGetEventsForSageMakerProcessingJobsRule",
    ),
    "sagemaker:createTransformJob.sync": (
        "sagemaker:DescribeTransformJob sagemaker:StopTransformJob sagemaker:AddTags",
        "StepFunctionsGetEventsForSageMakerTransformJobsRule",
    ),
    "states:startExecution.sync:2": (
        "states:DescribeExecution states:StopExecution",
        "StepFunctionsGetEventsForStepFunctionsExecutionRule",
    ),
}
MACHINES = ["Intake", "Training", "Deployment"]


def resources(machine: dict[str, Any]) -> Iterator[str]:
    for state in machine["States"].values():
        if state["Type"] == "Task":
            yield state["Resource"].removeprefix("arn:aws:states:::")


def action(resource: str) -> str:
    """`aws-sdk:sagemaker:createModel` and `sagemaker:createTrainingJob.sync` as IAM actions."""
    if resource == "lambda:invoke":
        return "lambda:InvokeFunction"
    service, verb = resource.removeprefix("aws-sdk:").split(":")[:2]
    verb = verb.removesuffix(".sync")
    return f"{service}:{verb[0].upper()}{verb[1:]}"


@pytest.mark.parametrize("name", MACHINES)
def test_every_resource_of_the_asl_has_its_action(
    prod: Synthesized, machines: dict[str, dict[str, Any]], name: str
) -> None:
    granted = prod.actions(f"Pipeline/{name}Role")
    wanted = {action(resource) for resource in resources(machines[name])}
    assert wanted
    assert wanted <= granted


@pytest.mark.parametrize("name", MACHINES)
def test_what_sync_tasks_need_besides(
    prod: Synthesized, machines: dict[str, dict[str, Any]], name: str
) -> None:
    granted = prod.actions(f"Pipeline/{name}Role")
    rules = flat(
        [
            each["Resource"]
            for each in prod.statements(f"Pipeline/{name}Role")
            if set(each["Action"]) == {"events:PutTargets", "events:PutRule", "events:DescribeRule"}
        ]
    )
    synchronous = {resource for resource in resources(machines[name]) if ".sync" in resource}
    for resource in synchronous:
        actions, rule = SYNC[resource]
        assert set(actions.split()) <= granted
        assert rule in rules


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_may_do_nothing_its_asl_does_not_use(
    prod: Synthesized, machines: dict[str, dict[str, Any]], name: str
) -> None:
    used = {action(resource) for resource in resources(machines[name])}
    for resource in resources(machines[name]):
        if resource in SYNC:
            used |= {*SYNC[resource][0].split(), "events:PutTargets", "events:PutRule", "events:DescribeRule"}
    if any("ole" in flat(state.get("Arguments", "")) for state in machines[name]["States"].values()):
        used.add("iam:PassRole")
    deliveries = {each for each in WITHOUT_RESOURCES if each.startswith("logs:")}
    assert prod.actions(f"Pipeline/{name}Role") - deliveries <= used


@pytest.mark.parametrize("name", ["Training", "Deployment"])
def test_only_the_sagemaker_role_is_passed_and_only_to_sagemaker(prod: Synthesized, name: str) -> None:
    (statement,) = (
        each for each in prod.statements(f"Pipeline/{name}Role") if "iam:PassRole" in each["Action"]
    )
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    role = prod.logical_id(prod.stack.node.find_child("SageMakerRole").node.default_child)
    assert statement["Resource"] == [{"Fn::GetAtt": [role, "Arn"]}]


def test_no_statement_is_wider_than_it_must_be(prod: Synthesized) -> None:
    for policy in prod.of_type("AWS::IAM::Policy"):
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            assert not [each for each in actions if "*" in each]
            if statement["Resource"] == "*" or "*" in statement["Resource"]:
                assert set(actions) <= WITHOUT_RESOURCES.keys()


def test_no_managed_policy_is_attached(prod: Synthesized) -> None:
    for role in prod.of_type("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role["Properties"]


def test_metrics_of_jobs_are_limited_to_their_namespaces(prod: Synthesized) -> None:
    (statement,) = (
        each for each in prod.statements("SageMakerRole") if each["Action"] == ["cloudwatch:PutMetricData"]
    )
    assert statement["Condition"] == {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}}


def test_jobs_cannot_write_datasets_or_read_uploads(prod: Synthesized) -> None:
    writable = [
        flat(resource)
        for each in prod.statements("SageMakerRole")
        if "s3:PutObject" in each["Action"]
        for resource in each["Resource"]
    ]
    assert {re.search(r"/([a-z-]+)/\*", each)[1] for each in writable} == {  # type: ignore[index]
        "training-sets",
        "models",
        "reports",
    }
    uploads = prod.logical_id(
        prod.stack.node.find_child("Storage").node.find_child("UploadsBucket").node.default_child
    )
    assert uploads not in flat(prod.statements("SageMakerRole"))


def test_sagemaker_names_are_those_of_the_project(prod: Synthesized) -> None:
    for name in ("Training", "Deployment"):
        for statement in prod.statements(f"Pipeline/{name}Role"):
            for resource in statement["Resource"]:
                if ":sagemaker:" in flat(resource):
                    assert re.search(r"/(bank-\*|sluice-bank-prod)\"", flat(resource))
