"""REST APIs: deployed by CloudFormation, seen through API Gateway's own API, asked over HTTP."""

from __future__ import annotations

import http.client
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local.apigateway.refusals import Refusal
from local.apigateway.throttling import Throttles, of_method
from tests.support.stacks import ROLE, ROLE_ARN, Deploy, Deployed, resource

# Answers by what it is asked: the event itself, an error, something that is no answer.
ECHO = """\
import json

def handler(event, context):
    asked = json.loads(event["body"]) if event["body"] else {}
    if "raise" in asked:
        raise ValueError("no")
    if "answer" in asked:
        return asked["answer"]
    headers = {"X-Said": "hello", "Content-Type": "application/json"}
    return {"statusCode": 201, "headers": headers, "body": json.dumps(event)}
"""
SCHEMA = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "type": "object",
    "properties": {"raise": {"type": "boolean"}},
    "minProperties": 1,
}
PROBLEM = (
    '{"detail": $context.error.messageString, "code": "$context.error.responseType", '
    '"id": "$context.requestId"}'
)


def the_api(*, key: bool = False, iam: bool = False, rate: int = 100, **integration: Any) -> dict[str, Any]:
    """The resources of an API with one path, POST /echo."""
    api = {"RestApiId": {"Ref": "Api"}}
    uri = "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}/invocations"
    resources = {
        "Role": ROLE,
        "Function": resource(
            "AWS::Lambda::Function",
            Runtime="python3.12",
            Handler="index.handler",
            Role=ROLE_ARN,
            Timeout=10,
            Code={"ZipFile": ECHO},
        ),
        "Api": resource(
            "AWS::ApiGateway::RestApi",
            Name="echo",
            EndpointConfiguration={"Types": ["REGIONAL"]},
            Tags=[{"Key": "team", "Value": "churn"}],
        ),
        "Path": resource(
            "AWS::ApiGateway::Resource",
            **api,
            ParentId={"Fn::GetAtt": ["Api", "RootResourceId"]},
            PathPart="echo",
        ),
        "Model": resource("AWS::ApiGateway::Model", **api, Name="Asked", Schema=SCHEMA),
        "Validator": resource("AWS::ApiGateway::RequestValidator", **api, ValidateRequestBody=True),
        "Post": resource(
            "AWS::ApiGateway::Method",
            **api,
            ResourceId={"Ref": "Path"},
            HttpMethod="POST",
            AuthorizationType="AWS_IAM" if iam else "NONE",
            ApiKeyRequired=key,
            RequestModels={"$default": {"Ref": "Model"}},
            RequestValidatorId={"Ref": "Validator"},
            Integration={
                "Type": "AWS_PROXY",
                "IntegrationHttpMethod": "POST",
                "Uri": {"Fn::Sub": uri},
                **integration,
            },
        ),
        "Problems": resource(
            "AWS::ApiGateway::GatewayResponse",
            **api,
            ResponseType="DEFAULT_4XX",
            ResponseParameters={"gatewayresponse.header.Content-Type": "'application/problem+json'"},
            ResponseTemplates={"application/json": PROBLEM},
        ),
        "Missing": resource(
            "AWS::ApiGateway::GatewayResponse",
            **api,
            ResponseType="MISSING_AUTHENTICATION_TOKEN",
            StatusCode="404",
        ),
        "Deployment": {
            **resource("AWS::ApiGateway::Deployment", **api),
            "DependsOn": ["Post", "Problems", "Missing"],
        },
        "Stage": resource(
            "AWS::ApiGateway::Stage",
            **api,
            DeploymentId={"Ref": "Deployment"},
            StageName="live",
            MethodSettings=[
                {
                    "ResourcePath": "/*",
                    "HttpMethod": "*",
                    "ThrottlingRateLimit": rate,
                    "ThrottlingBurstLimit": rate,
                }
            ],
        ),
    }
    if key:
        resources |= {
            "Key": resource("AWS::ApiGateway::ApiKey", Enabled=True),
            "Plan": resource(
                "AWS::ApiGateway::UsagePlan",
                UsagePlanName="echo",
                ApiStages=[{"ApiId": {"Ref": "Api"}, "Stage": {"Ref": "Stage"}}],
                Quota={"Limit": 2, "Period": "DAY"},
            ),
            "PlanKey": resource(
                "AWS::ApiGateway::UsagePlanKey",
                UsagePlanId={"Ref": "Plan"},
                KeyId={"Ref": "Key"},
                KeyType="API_KEY",
            ),
        }
    return resources


class Asked:
    """An answer over HTTP."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read()

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks a deployed API."""

    def __init__(self, server: Any, stack: Deployed) -> None:
        self.address = f"{server.endpoint_url}/_aws/execute-api/{stack.physical_id('Api')}/live"

    def ask(self, body: Any = None, *, verb: str = "POST", path: str = "/echo", **headers: str) -> Asked:
        url = urlsplit(self.address + path)
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=60)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(
                verb,
                f"{url.path}?{url.query}" if url.query else url.path,
                content,
                {"Content-Type": "application/json"} | named,
            )
            return Asked(connection.getresponse())
        finally:
            connection.close()

    def signed(
        self, body: bytes, *, secret: str = "local-aws", key: str | None = None, age: int = 0
    ) -> dict[str, str]:
        """The headers of a signed request to /echo."""
        request = AWSRequest(
            "POST", f"{self.address}/echo", data=body, headers={"Content-Type": "application/json"}
        )
        auth = SigV4Auth(Credentials(key or "LOCALAWSHASNOSECRETS", secret), "execute-api", "us-east-1")
        auth.add_auth(request)
        return {name.replace("-", "_"): value for name, value in request.headers.items()}


@pytest.fixture
def client(local_aws: Any, deploy: Deploy) -> Client:
    return Client(local_aws, deploy(the_api()))


def test_each_part_is_there_for_api_gateways_own_api(local_aws: Any, deploy: Deploy) -> None:
    stack = deploy(the_api(key=True))
    apigateway = local_aws.client("apigateway")
    api = stack.physical_id("Api")
    assert apigateway.get_rest_api(restApiId=api)["name"] == "echo"
    assert apigateway.get_rest_api(restApiId=api)["endpointConfiguration"] == {"types": ["REGIONAL"]}
    paths = {each["path"]: each for each in apigateway.get_resources(restApiId=api)["items"]}
    assert paths.keys() == {"/", "/echo"}
    method = apigateway.get_method(restApiId=api, resourceId=paths["/echo"]["id"], httpMethod="POST")
    assert (method["apiKeyRequired"], method["methodIntegration"]["type"]) == (True, "AWS_PROXY")
    assert json.loads(apigateway.get_model(restApiId=api, modelName="Asked")["schema"]) == SCHEMA
    (validator,) = apigateway.get_request_validators(restApiId=api)["items"]
    assert validator["validateRequestBody"] is True
    stage = apigateway.get_stage(restApiId=api, stageName="live")
    assert stage["methodSettings"]["*/*"]["throttlingRateLimit"] == 100.0
    told = apigateway.get_gateway_response(restApiId=api, responseType="DEFAULT_4XX")
    assert told["responseTemplates"] == {"application/json": PROBLEM}
    (plan,) = apigateway.get_usage_plans(keyId=stack.physical_id("Key"))["items"]
    assert plan["quota"] == {"limit": 2, "period": "DAY"}


def test_lambda_gets_the_request_and_its_answer_goes_out(client: Client) -> None:
    answer = client.ask({"a": "é"}, path="/echo?x=1&x=2", X_Own="mine")
    assert answer.status == 201
    assert answer.headers["X-Said"] == "hello"
    event = answer.document
    assert json.loads(event["body"]) == {"a": "é"}
    assert (event["resource"], event["path"], event["httpMethod"]) == ("/echo", "/echo", "POST")
    assert event["headers"]["X-Own"] == "mine"
    assert event["queryStringParameters"] == {"x": "2"}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"]}
    assert event["requestContext"]["requestId"] == answer.headers["x-amzn-RequestId"]
    assert event["requestContext"]["stage"] == "live"
    assert event["isBase64Encoded"] is False


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"raise": true', "malformed"),
        (b"{}", "too few"),
        (b'{"raise": "x"}', "type"),
        (b"", "nothing"),
        (b'{"a": NaN}', "no JSON"),
    ],
)
def test_a_body_that_the_model_refuses_is_400_and_lambda_never_sees_it(
    client: Client, body: bytes, why: str
) -> None:
    answer = client.ask(body)
    assert answer.status == 400, why
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["x-amzn-ErrorType"] == "BadRequestException"
    request_id = answer.headers["x-amzn-RequestId"]
    assert answer.document == {"detail": "Invalid request body", "code": "BAD_REQUEST_BODY", "id": request_id}


@pytest.mark.parametrize(
    "answer", ["text", {"statusCode": "x"}, {"statusCode": 200, "body": {}}, {"status": 200}]
)
def test_what_is_no_proxy_answer_is_502(client: Client, answer: Any) -> None:
    told = client.ask({"answer": answer})
    assert (told.status, told.document) == (502, {"message": "Internal server error"})


def test_a_function_that_raises_is_502_and_says_nothing_of_it(client: Client) -> None:
    told = client.ask({"raise": True})
    assert (told.status, told.document) == (502, {"message": "Internal server error"})


def test_a_path_that_is_not_there_is_what_the_api_says_of_it(client: Client) -> None:
    for path, verb in (("/", "POST"), ("/other", "POST"), ("/echo", "GET"), ("/echo/below", "POST")):
        told = client.ask({"a": 1}, path=path, verb=verb)
        assert (told.status, told.document) == (404, {"message": "Missing Authentication Token"}), (
            path,
            verb,
        )


def test_a_stage_that_is_not_there_is_forbidden(client: Client) -> None:
    client.address = client.address.replace("/live", "/other")
    assert client.ask({"a": 1}).status == 403


def test_a_body_beyond_ten_megabytes_is_413(client: Client) -> None:
    told = client.ask(b'{"a": "' + b"x" * (10 * 1024 * 1024) + b'"}')
    assert (told.status, told.document["code"]) == (413, "REQUEST_TOO_LARGE")
    # It fits into a request, but not into what Lambda takes.
    told = client.ask(b'{"a": "' + b"x" * (7 * 1024 * 1024) + b'"}')
    assert (told.status, told.document["code"]) == (413, "REQUEST_TOO_LARGE")


def test_a_key_is_asked_for_and_counted(local_aws: Any, deploy: Deploy) -> None:
    stack = deploy(the_api(key=True))
    client = Client(local_aws, stack)
    key = local_aws.client("apigateway").get_api_key(apiKey=stack.physical_id("Key"), includeValue=True)
    for wrong in ({}, {"x_api_key": "x" * 40}, {"x_api_key": ""}):
        told = client.ask({"a": 1}, **wrong)
        assert (told.status, told.document["code"]) == (403, "INVALID_API_KEY")
    first = client.ask({"a": 1}, x_api_key=key["value"])
    assert first.status == 201
    assert first.document["requestContext"]["identity"]["apiKeyId"] == key["id"]
    assert client.ask({"a": 1}, x_api_key=key["value"]).status == 201
    told = client.ask({"a": 1}, x_api_key=key["value"])
    assert (told.status, told.document["code"]) == (429, "QUOTA_EXCEEDED")


def test_a_key_that_was_disabled_opens_nothing(local_aws: Any, deploy: Deploy) -> None:
    resources = the_api(key=True)
    stack = deploy(resources)
    key = local_aws.client("apigateway").get_api_key(apiKey=stack.physical_id("Key"), includeValue=True)
    resources["Key"] = resource("AWS::ApiGateway::ApiKey", Enabled=False)
    deploy(resources, to=stack)
    assert stack.physical_id("Key") == key["id"]
    assert Client(local_aws, stack).ask({"a": 1}, x_api_key=key["value"]).status == 403


def test_a_signature_is_checked(local_aws: Any, deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(local_aws, deploy(the_api(iam=True)))
    body = b'{"a": 1}'
    assert client.ask(body, **client.signed(body)).status == 201

    unsigned = client.ask(body)
    assert (unsigned.status, unsigned.document) == (404, {"message": "Missing Authentication Token"})
    for wrong in (
        client.signed(b'{"a": 2}'),
        client.signed(body, secret="guessed"),
        client.signed(body, key="SOMEBODYELSE"),
        {"Authorization": "Bearer x"},
    ):
        told = client.ask(body, **wrong)
        assert (told.status, told.document["code"]) == (403, "INVALID_SIGNATURE")

    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    told = client.ask(body, **client.signed(body))
    assert (told.status, "Signature expired" in told.document["detail"]) == (403, True)


def test_more_than_the_burst_is_429(local_aws: Any, deploy: Deploy) -> None:
    client = Client(local_aws, deploy(the_api(rate=1)))
    statuses = [client.ask({"a": 1}).status for _ in range(4)]
    assert statuses[0] == 201
    assert 429 in statuses


def test_a_stage_serves_what_was_deployed_not_what_was_changed_since(local_aws: Any, deploy: Deploy) -> None:
    resources = the_api()
    stack = deploy(resources)
    client = Client(local_aws, stack)
    resources["Model"] = resource(
        "AWS::ApiGateway::Model",
        RestApiId={"Ref": "Api"},
        Name="Asked",
        Schema={**SCHEMA, "minProperties": 2},
    )
    deploy(resources, to=stack)
    assert client.ask({"a": 1}).status == 201
    resources["Deployment2"] = resources.pop("Deployment")
    resources["Stage"]["Properties"]["DeploymentId"] = {"Ref": "Deployment2"}
    resources["Stage"]["Properties"]["MethodSettings"] = []
    deploy(resources, to=stack)
    assert client.ask({"a": 1}).status == 400
    settings = local_aws.client("apigateway").get_stage(restApiId=stack.physical_id("Api"), stageName="live")
    assert settings["methodSettings"]["*/*"]["throttlingBurstLimit"] == 5000


def test_an_integration_has_its_own_time(local_aws: Any, deploy: Deploy) -> None:
    resources = the_api(TimeoutInMillis=50)
    resources["Function"]["Properties"]["Code"]["ZipFile"] = (
        "import time\n\ndef handler(event, context):\n    time.sleep(1)\n    return {}\n"
    )
    told = Client(local_aws, deploy(resources)).ask({"a": 1})
    assert (told.status, told.document) == (504, {"message": "Endpoint request timed out"})


def test_what_is_answered_is_counted(local_aws: Any, deploy: Deploy) -> None:
    resources = the_api()
    resources["Api"]["Properties"]["Name"] = "counted"
    client = Client(local_aws, deploy(resources))
    assert [client.ask({"a": 1}).status, client.ask(b"{").status, client.ask({"raise": True}).status] == [
        201,
        400,
        502,
    ]
    cloudwatch = local_aws.client("cloudwatch")

    def total(metric: str) -> float:
        found = cloudwatch.get_metric_statistics(
            Namespace="AWS/ApiGateway",
            MetricName=metric,
            Dimensions=[{"Name": "ApiName", "Value": "counted"}],
            StartTime=datetime(2020, 1, 1, tzinfo=UTC),
            EndTime=datetime(2100, 1, 1, tzinfo=UTC),
            Period=86400 * 365,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in found["Datapoints"]))

    assert (total("Count"), total("4XXError"), total("5XXError")) == (3, 1, 1)


def test_an_integration_that_is_no_function_is_refused(deploy: Deploy) -> None:
    stack = deploy(the_api(Type="MOCK"))
    assert stack.status == "ROLLBACK_COMPLETE"
    assert "AWS_PROXY, and to nothing else" in stack.reason("CREATE_FAILED")


def test_a_stack_that_goes_takes_all_of_it_along(local_aws: Any, deploy: Deploy) -> None:
    stack = deploy(the_api(key=True))
    apigateway = local_aws.client("apigateway")
    api, key = stack.physical_id("Api"), stack.physical_id("Key")
    local_aws.client("cloudformation").delete_stack(StackName=stack.name)
    with pytest.raises(ClientError, match="NotFound"):
        apigateway.get_rest_api(restApiId=api)
    with pytest.raises(ClientError, match="NotFound"):
        apigateway.get_api_key(apiKey=key)


class TestThrottles:
    def test_a_bucket_fills_at_its_rate_up_to_its_burst(self) -> None:
        now = [0.0]
        throttles = Throttles(lambda: now[0])
        for _ in range(3):
            throttles.take("a", rate=2, burst=3)
        with pytest.raises(Refusal, match="THROTTLED"):
            throttles.take("a", rate=2, burst=3)
        throttles.take("b", rate=2, burst=3)
        now[0] = 0.5
        throttles.take("a", rate=2, burst=3)
        with pytest.raises(Refusal, match="THROTTLED"):
            throttles.take("a", rate=2, burst=3)
        now[0] = 3600
        for _ in range(3):
            throttles.take("a", rate=2, burst=3)
        with pytest.raises(Refusal, match="THROTTLED"):
            throttles.take("a", rate=2, burst=3)

    def test_a_quota_is_a_days(self) -> None:
        now = [0.0]
        throttles = Throttles(lambda: now[0])
        throttles.count("a", 1)
        with pytest.raises(Refusal, match="QUOTA_EXCEEDED"):
            throttles.count("a", 1)
        now[0] = 86_400.0
        throttles.count("a", 1)

    def test_a_methods_own_settings_come_before_those_of_all(self) -> None:
        limits = {"throttlingRateLimit": 1.0, "throttlingBurstLimit": 2}
        settings = {"*/*": {**limits, "throttlingRateLimit": 9.0}, "~1echo/POST": limits}
        assert of_method(settings, "/echo", "POST") == (1.0, 2)
        assert of_method(settings, "/echo", "GET") == (9.0, 2)
        assert of_method({}, "/echo", "GET") == (10_000.0, 5_000)
