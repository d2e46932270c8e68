"""Lambda functions run as processes and answer as Lambda does."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.awslambda.models import LambdaBackend, LambdaFunction, LambdaStorage
from moto.awslambda.responses import LambdaResponse

from tests.support.local_aws import LocalAws, create_function, is_running, wait_until, zip_of

HANDLER = """
import json, os, sys, time
calls = 0
def handler(event, context):
    global calls
    calls += 1
    do = event.get("do")
    if do == "print": print("to stdout"); print("to stderr", file=sys.stderr)
    if do == "raise": raise ValueError("not this one")
    if do == "exit": os._exit(3)
    if do == "kill": os.kill(os.getpid(), 9)
    if do == "hang": time.sleep(600)
    if do == "large": return "x" * 7_000_000
    if do == "meet":
        open(event["mine"], "w").close()
        while not os.path.exists(event["theirs"]): time.sleep(0.01)
    return {
        "pid": os.getpid(), "calls": calls, "event": event, "path": sys.path, "environment": dict(os.environ),
        "arn": context.invoked_function_arn, "name": context.function_name,
        "version": context.function_version, "memory": context.memory_limit_in_mb,
        "left_ms": context.get_remaining_time_in_millis(), "request_id": context.aws_request_id,
        "client": context.client_context and context.client_context.custom,
    }
"""


class Function:
    """A function of the session's local AWS."""

    def __init__(self, server: LocalAws, name: str, source: str = HANDLER, **settings: Any) -> None:
        self.server = server
        self.name = name
        self.client = server.client("lambda")
        self.arn = create_function(server, name, source, **settings)

    def invoke(self, event: object = None, **options: Any) -> Any:
        """The answer with its payload decoded, in `Answer`."""
        response = self.client.invoke(FunctionName=self.name, Payload=json.dumps(event or {}), **options)
        payload = response.pop("Payload").read()
        return {**response, "Answer": json.loads(payload) if payload else None}

    def answer(self, event: object = None, **options: Any) -> Any:
        response = self.invoke(event, **options)
        assert "FunctionError" not in response, response
        return response["Answer"]

    def error(self, event: object = None) -> Any:
        response = self.invoke(event)
        assert response["StatusCode"] == 200
        assert response["FunctionError"] == "Unhandled"
        return response["Answer"]

    def log(self) -> list[str]:
        logs = self.server.client("logs")
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{self.name}")["events"]
        return [event["message"] for event in events]


NewFunction = Callable[..., Function]


@pytest.fixture
def function(local_aws: LocalAws, request: pytest.FixtureRequest) -> Function:
    return Function(local_aws, re.sub(r"\W+", "-", request.node.name).strip("-")[:64], Timeout=30)


def test_the_seams_in_moto_are_where_they_were() -> None:
    assert {"__init__", "invoke", "update_configuration", "get_configuration"} <= vars(LambdaFunction).keys()
    assert {"add_permission", "delete_function"} <= vars(LambdaBackend).keys()
    assert {"publish_version", "_get_version"} <= vars(LambdaStorage).keys()
    assert "invoke" in vars(LambdaResponse)


def test_the_event_arrives_and_the_answer_returns(function: Function) -> None:
    answer = function.answer({"a": ["ü", None, 1.5]})
    assert answer["event"] == {"a": ["ü", None, 1.5]}
    assert answer["arn"] == function.arn
    assert (answer["name"], answer["version"], answer["memory"]) == (function.name, "$LATEST", "128")
    assert 25_000 < answer["left_ms"] <= 30_000


def test_no_payload_is_an_empty_object(function: Function) -> None:
    payload = function.client.invoke(FunctionName=function.name)["Payload"].read()
    assert json.loads(payload)["event"] == {}


def test_the_process_stays_warm(function: Function) -> None:
    first, second = function.answer(), function.answer()
    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["pid"] == second["pid"]


def test_the_environment_is_lambdas_and_nothing_of_ours(local_aws: LocalAws) -> None:
    function = Function(
        local_aws,
        "environment",
        MemorySize=256,
        Environment={"Variables": {"MINE": "1", "_HANDLER": "reserved"}},
    )
    answer = function.answer()
    environment = answer["environment"]
    assert environment["MINE"] == "1"
    assert environment["_HANDLER"] == "app.handler"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "environment"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environment["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert environment["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/environment"
    assert environment["AWS_ENDPOINT_URL"] == local_aws.endpoint_url
    assert environment["AWS_REGION"] == "us-east-1"
    assert (
        environment["LAMBDA_TASK_ROOT"] == answer["path"][0]
        or environment["LAMBDA_TASK_ROOT"] in answer["path"]
    )
    assert "PYTEST_CURRENT_TEST" not in environment


def test_a_raised_exception(function: Function) -> None:
    error = function.error({"do": "raise"})
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "not this one")
    assert "in handler" in error["stackTrace"][-1]
    assert function.answer()["calls"] == 2  # the process is none the worse for it


@pytest.mark.parametrize(
    ("do", "reason"), [("exit", "exit status 3"), ("kill", "signal: killed")], ids=["exit", "kill"]
)
def test_a_process_that_dies(function: Function, do: str, reason: str) -> None:
    pid = function.answer()["pid"]
    error = function.error({"do": do})
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].startswith("RequestId: ")
    assert error["errorMessage"].endswith(f" Error: Runtime exited with error: {reason}")
    assert function.answer()["pid"] != pid


def test_a_timeout_kills_the_process(local_aws: LocalAws) -> None:
    function = Function(local_aws, "timeout", Timeout=1)
    pid = function.answer()["pid"]
    error = function.error({"do": "hang"})
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith(" Error: Task timed out after 1.00 seconds")
    assert not is_running(pid)
    assert any(line.endswith("Task timed out after 1.00 seconds") for line in function.log())
    assert function.answer()["calls"] == 1


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("import nowhere", "Runtime.ImportModuleError", "No module named 'nowhere'"),
        ("def other(event, context): ...", "Runtime.HandlerNotFound", "'handler' missing"),
        ("raise OSError('no disk')", "OSError", "no disk"),
        ("def handler(:", "Runtime.UserCodeSyntaxError", "Syntax error"),
        ("import os; os._exit(7)", "Runtime.ExitError", "exit status 7"),
    ],
    ids=["import", "handler", "raise", "syntax", "exit"],
)
def test_an_initialisation_that_fails(local_aws: LocalAws, source: str, kind: str, message: str) -> None:
    error = Function(local_aws, f"init-{kind.replace('.', '-')}", source).error()
    assert error["errorType"] == kind
    assert message in error["errorMessage"]


def test_a_response_that_is_too_large(function: Function) -> None:
    assert function.error({"do": "large"})["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_response_that_is_just_small_enough(local_aws: LocalAws) -> None:
    function = Function(local_aws, "large", "def handler(event, context): return 'x' * 6_200_000")
    assert len(function.answer()) == 6_200_000


def test_concurrent_calls_have_a_process_each(function: Function, local_aws: LocalAws) -> None:
    one, two = (str(local_aws.state_dir / name) for name in ("meet-one", "meet-two"))
    events = [{"do": "meet", "mine": one, "theirs": two}, {"do": "meet", "mine": two, "theirs": one}]
    with ThreadPoolExecutor(2) as pool:
        pids = {answer["pid"] for answer in pool.map(function.answer, events)}
    assert len(pids) == 2


def test_reserved_concurrency_throttles(function: Function) -> None:
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as caught:
        function.invoke()
    assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_new_code_and_new_settings_replace_the_process(function: Function) -> None:
    first = function.answer()["pid"]
    function.client.update_function_code(
        FunctionName=function.name,
        ZipFile=zip_of("import os\ndef handler(event, context): return os.getpid()"),
    )
    second = function.answer()
    wait_until(lambda: not is_running(first))
    function.client.update_function_configuration(
        FunctionName=function.name, Environment={"Variables": {"NEW": "1"}}
    )
    assert function.answer() != second
    wait_until(lambda: not is_running(second))


def test_a_published_version_keeps_its_code(function: Function) -> None:
    version = function.client.publish_version(FunctionName=function.name)["Version"]
    function.client.update_function_code(
        FunctionName=function.name, ZipFile=zip_of("def handler(event, context): return 'new'")
    )
    assert function.answer() == "new"
    response = function.invoke(Qualifier=version)
    assert response["Answer"]["version"] == version
    assert response["ExecutedVersion"] == version


def test_a_deleted_function_has_no_process(function: Function) -> None:
    pid = function.answer()["pid"]
    function.client.delete_function(FunctionName=function.name)
    wait_until(lambda: not is_running(pid))


def test_the_log_is_in_cloudwatch(function: Function) -> None:
    answer = function.invoke({"do": "print"}, LogType="Tail")
    request_id = answer["Answer"]["request_id"]
    lines = function.log()
    assert lines[:4] == [
        f"START RequestId: {request_id} Version: $LATEST",
        "to stdout",
        "to stderr",
        f"END RequestId: {request_id}",
    ]
    assert lines[4].startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert "Init Duration: " in lines[4]
    assert base64.b64decode(answer["LogResult"]).decode().splitlines() == lines
    function.invoke({"do": "print"})
    assert function.log().count("to stdout") == 2


def test_the_log_group_of_the_function_is_used(local_aws: LocalAws) -> None:
    function = Function(local_aws, "log-group", LoggingConfig={"LogGroup": "elsewhere"})
    settings = function.client.get_function_configuration(FunctionName="log-group")
    assert settings["LoggingConfig"]["LogGroup"] == "elsewhere"
    function.answer()
    streams = local_aws.client("logs").describe_log_streams(logGroupName="elsewhere")["logStreams"]
    assert len(streams) == 1


def test_an_asynchronous_call_is_tried_three_times(function: Function) -> None:
    response = function.invoke({"do": "raise"}, InvocationType="Event")
    assert (response["StatusCode"], response["Answer"]) == (202, None)
    wait_until(lambda: _count(function, "START") == 3)


def test_an_asynchronous_call_that_works_is_made_once(function: Function) -> None:
    function.invoke({"do": "print"}, InvocationType="Event")
    wait_until(lambda: _count(function, "END") == 1)
    assert function.answer()["calls"] == 2


def _count(function: Function, prefix: str) -> int:
    try:
        return sum(line.startswith(prefix) for line in function.log())
    except ClientError:  # no log group yet
        return 0


def test_a_dry_run_runs_nothing(function: Function) -> None:
    assert function.invoke(InvocationType="DryRun")["StatusCode"] == 204
    assert function.answer()["calls"] == 1


def test_the_client_context_arrives(function: Function) -> None:
    context = base64.b64encode(json.dumps({"custom": {"a": 1}}).encode()).decode()
    assert function.answer(ClientContext=context)["client"] == {"a": 1}


def test_a_payload_that_is_not_json_is_refused(function: Function) -> None:
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        function.client.invoke(FunctionName=function.name, Payload=b"{")


def test_a_payload_that_is_too_large_is_refused(function: Function) -> None:
    with pytest.raises(ClientError, match="RequestTooLargeException"):
        function.client.invoke(FunctionName=function.name, Payload=json.dumps("x" * 6_300_000))


def test_a_function_that_cannot_run_here_says_why(local_aws: LocalAws) -> None:
    function = Function(local_aws, "node", Runtime="nodejs22.x")
    with pytest.raises(ClientError, match=r"its runtime is nodejs22\.x, not Python"):
        function.invoke()


def test_the_aws_cli_invokes_it(function: Function, local_aws: LocalAws) -> None:
    pytest.importorskip("awscli", reason="needs the aws CLI in this environment")
    argv = [
        sys.executable,
        "-m",
        "awscli",
        "lambda",
        "invoke",
        "--function-name",
        function.name,
        "/dev/stdout",
    ]
    done = subprocess.run(
        argv, env={**os.environ, **local_aws.env}, capture_output=True, text=True, check=True, timeout=60
    )
    assert '"calls": 1' in done.stdout
