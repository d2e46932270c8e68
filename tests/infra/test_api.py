"""The HTTP API in the templates: off by default, shut to all but callers, deployed anew where it changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.infra.synthesized import PROJECT, Stacks, plain, synthesize, write_project

API = "\n[api]\nrate_per_second = 5\nburst = 7\nmax_rows = 9\nmax_body_kb = 64\ntimeout_seconds = 4\n"
ACCOUNT = "<Region>:<AccountId>"


def stacks_with(tmp_path: Path, table: str, environment: str = "prod") -> Stacks:
    tmp_path.mkdir(exist_ok=True)
    write_project(tmp_path / "project", PROJECT + table)
    return synthesize(tmp_path / "out", project=str(tmp_path / "project"), environment=environment)


@pytest.fixture(scope="module")
def by_iam(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    return stacks_with(tmp_path_factory.mktemp("iam"), API)


@pytest.fixture(scope="module")
def by_key(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    return stacks_with(
        tmp_path_factory.mktemp("key"), API + 'authorization = "api_key"\nquota_per_day = 1000\n'
    )


def deployments(stacks: Stacks) -> set[str]:
    resources = stacks.pipeline.template["Resources"]
    return {name for name, each in resources.items() if each["Type"] == "AWS::ApiGateway::Deployment"}


def test_without_the_table_there_is_no_api_and_no_function_for_one(prod: Stacks) -> None:
    resources = prod.pipeline.template["Resources"]
    assert [name for name, each in resources.items() if each["Type"].startswith("AWS::ApiGateway::")] == []
    assert not any("AnswerRequest" in name for name in resources)
    assert not any(name.startswith("Api") for name in prod.pipeline.template["Outputs"])


def test_the_function_may_ask_this_endpoint_and_write_its_log_and_nothing_else(by_iam: Stacks) -> None:
    granted = {
        plain(resource): sorted(statement["Action"])
        for statement in by_iam.pipeline.statements("Functions/AnswerRequestRole")
        for resource in statement["Resource"]
    }
    assert granted == {
        "<FunctionsAnswerRequestLogs>": ["logs:CreateLogStream", "logs:PutLogEvents"],
        f"arn:<Partition>:sagemaker:{ACCOUNT}:endpoint/sluice-bank-prod": ["sagemaker:InvokeEndpoint"],
    }


def test_the_function_is_told_its_endpoint_and_limits(by_iam: Stacks) -> None:
    properties = by_iam.pipeline.properties("Functions/AnswerRequest")
    assert properties["Environment"]["Variables"] == {
        "ENDPOINT_NAME": "sluice-bank-prod",
        "API_MAX_BODY_BYTES": "65536",
        "API_TIMEOUT_SECONDS": "4",
    }
    assert properties["Timeout"] == 4
    assert properties["Handler"] == "lambdas.answer_request.handler"


def test_only_this_apis_one_method_may_call_the_function(by_iam: Stacks) -> None:
    permission = by_iam.pipeline.properties("Api/MayInvoke")
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["Action"] == "lambda:InvokeFunction"
    assert plain(permission["FunctionName"]) == "<FunctionsAnswerRequest>"
    assert plain(permission["SourceArn"]) == (
        f"arn:<Partition>:execute-api:{ACCOUNT}:<ApiRestApi>/prod/POST/invocations"
    )


def test_by_default_iam_says_who_may_ask_and_a_policy_is_there_for_them(by_iam: Stacks) -> None:
    method = by_iam.pipeline.properties("Api/Method")
    assert (method["AuthorizationType"], method["ApiKeyRequired"]) == ("AWS_IAM", False)
    assert by_iam.pipeline.of_type("AWS::ApiGateway::ApiKey") == []
    policy = by_iam.pipeline.properties("Api/Callers")
    assert policy["ManagedPolicyName"] == "sluice-bank-prod-api-callers"
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "execute-api:Invoke")
    assert plain(statement["Resource"]) == (
        f"arn:<Partition>:execute-api:{ACCOUNT}:<ApiRestApi>/prod/POST/invocations"
    )
    assert not {"Roles", "Users", "Groups"} & policy.keys()
    outputs = by_iam.pipeline.template["Outputs"]
    assert plain(outputs["ApiCallersPolicyArn"]["Value"]) == "<ApiCallers>"
    assert "ApiKeyId" not in outputs


def test_a_key_opens_it_where_the_project_says_so_and_its_value_is_in_no_template(by_key: Stacks) -> None:
    method = by_key.pipeline.properties("Api/Method")
    assert (method["AuthorizationType"], method["ApiKeyRequired"]) == ("NONE", True)
    assert by_key.pipeline.properties("Api/Key").keys() == {"Enabled", "Name"}
    plan = by_key.pipeline.properties("Api/UsagePlan")
    assert plan["Throttle"] == {"RateLimit": 5, "BurstLimit": 7}
    assert plan["Quota"] == {"Limit": 1000, "Period": "DAY"}
    assert plain(by_key.pipeline.template["Outputs"]["ApiKeyId"]["Value"]) == "<ApiKey>"
    assert "ApiCallersPolicyArn" not in by_key.pipeline.template["Outputs"]


@pytest.mark.parametrize("stacks", ["by_iam", "by_key"])
def test_no_method_is_open_to_everybody(stacks: str, request: pytest.FixtureRequest) -> None:
    found: Stacks = request.getfixturevalue(stacks)
    methods = found.pipeline.of_type("AWS::ApiGateway::Method")
    assert methods
    for method in methods:
        properties = method["Properties"]
        assert properties["AuthorizationType"] == "AWS_IAM" or properties["ApiKeyRequired"] is True


def test_bodies_of_every_type_are_validated(by_iam: Stacks) -> None:
    method = by_iam.pipeline.properties("Api/Method")
    assert {key: plain(value) for key, value in method["RequestModels"].items()} == {
        "$default": "<ApiPredictionRequest>"
    }
    assert plain(method["RequestValidatorId"]) == "<ApiValidator>"
    assert by_iam.pipeline.properties("Api/Validator")["ValidateRequestBody"] is True
    schema = by_iam.pipeline.properties("Api/PredictionRequest")["Schema"]
    assert schema["$schema"].endswith("/draft-04/schema#")
    assert '"maxItems": 9' in json.dumps(schema)
    assert method["Integration"]["TimeoutInMillis"] == 4000
    assert method["Integration"]["Type"] == "AWS_PROXY"


def test_the_stage_is_throttled(by_iam: Stacks) -> None:
    stage = by_iam.pipeline.properties("Api/Stage")
    assert stage["StageName"] == "prod"
    assert stage["MethodSettings"] == [
        {"ResourcePath": "/*", "HttpMethod": "*", "ThrottlingRateLimit": 5, "ThrottlingBurstLimit": 7}
    ]


def test_every_refusal_of_the_gateway_is_a_problem(by_iam: Stacks) -> None:
    responses = [each["Properties"] for each in by_iam.pipeline.of_type("AWS::ApiGateway::GatewayResponse")]
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "BAD_REQUEST_BODY", "THROTTLED"} <= {
        each["ResponseType"] for each in responses
    }
    for each in responses:
        kind = each["ResponseParameters"]["gatewayresponse.header.Content-Type"]
        assert kind == "'application/problem+json'"
        assert each["ResponseTemplates"].keys() == {"application/json"}


def test_what_changes_is_deployed_and_what_does_not_is_not(by_iam: Stacks, tmp_path: Path) -> None:
    # A stage's throttling is the stage's own, not the deployment's.
    faster = stacks_with(tmp_path / "faster", API.replace("rate_per_second = 5", "rate_per_second = 6"))
    more_rows = stacks_with(tmp_path / "rows", API.replace("max_rows = 9", "max_rows = 10"))
    assert deployments(faster) == deployments(by_iam)
    assert not deployments(more_rows) & deployments(by_iam)


def test_a_deployment_waits_for_all_that_it_holds(by_iam: Stacks) -> None:
    (name,) = deployments(by_iam)
    resources: dict[str, Any] = by_iam.pipeline.template["Resources"]
    held = {
        each
        for each, resource in resources.items()
        if resource["Type"].removeprefix("AWS::ApiGateway::")
        in ("Resource", "Method", "Model", "RequestValidator", "GatewayResponse")
    }
    assert set(resources[name]["DependsOn"]) == held


def test_answers_of_500_and_above_are_an_alarm(by_iam: Stacks, prod: Stacks) -> None:
    alarm = by_iam.pipeline.properties("Observability/ApiFailed")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/ApiGateway", "5XXError")
    assert alarm["Dimensions"] == [{"Name": "ApiName", "Value": "sluice-bank-prod"}]
    assert by_iam.pipeline.properties("Api/RestApi")["Name"] == "sluice-bank-prod"
    assert not any("ApiFailed" in name for name in prod.pipeline.template["Resources"])
    by_iam.pipeline.properties("Observability/AnswerRequestErrors")
