"""Published versions: an old one keeps its code and configuration, and runs in a process of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.local_aws import LocalAws, create_function, is_running, wait_until, zip_of
from tests.support.machines import Machines, task
from tests.support.stacks import ROLE, ROLE_ARN, Deploy, resource

SOURCE = """
import os
def handler(event, context):
    return {
        "code": "%s", "color": os.environ["COLOR"], "pid": os.getpid(), "event": event,
        "version": context.function_version, "arn": context.invoked_function_arn,
    }
"""


def invoke(server: LocalAws, function: str, **options: Any) -> dict[str, Any]:
    answer = server.client("lambda").invoke(FunctionName=function, Payload=b'{"a": 1}', **options)
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload


def kept(function: str = "Fn", **properties: Any) -> dict[str, Any]:
    """A version as the CDK makes it with RemovalPolicy.RETAIN."""
    version = resource("AWS::Lambda::Version", FunctionName={"Ref": function}, **properties)
    return {**version, "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


def template(code: str, color: str, version: str, **properties: Any) -> dict[str, Any]:
    """A function and its version, whose logical id the CDK derives from what the function is."""
    function = resource(
        "AWS::Lambda::Function",
        Runtime="python3.12",
        Handler="index.handler",
        Role=ROLE_ARN,
        Timeout=30,
        Code={"ZipFile": SOURCE % code},
        Environment={"Variables": {"COLOR": color}},
    )
    return {"Role": ROLE, "Fn": function, version: kept(**properties)}


class TestVersions:
    def test_an_old_version_is_what_it_was(self, local_aws: LocalAws, deploy: Deploy) -> None:
        stack = deploy(template("old", "red", "VersionOne"))
        first = stack.physical_id("VersionOne")
        name, client = stack.physical_id("Fn"), local_aws.client("lambda")
        assert first == f"arn:aws:lambda:us-east-1:123456789012:function:{name}:1"
        before = client.get_function(FunctionName=name, Qualifier="1")

        deploy(template("new", "blue", "VersionTwo"), to=stack)
        assert stack.status == "UPDATE_COMPLETE", stack.description
        second = stack.physical_id("VersionTwo")
        assert second.endswith(":2")

        old, new, latest = (invoke(local_aws, function) for function in (first, second, name))
        assert (old["code"], old["color"], old["version"], old["arn"]) == ("old", "red", "1", first)
        assert (new["code"], new["color"], new["version"], new["arn"]) == ("new", "blue", "2", second)
        assert (latest["code"], latest["version"]) == ("new", "$LATEST")
        assert len({old["pid"], new["pid"], latest["pid"]}) == 3
        assert invoke(local_aws, f"{name}:1")["pid"] == old["pid"], "the version's process stays warm"
        assert invoke(local_aws, name, Qualifier="2")["pid"] == new["pid"]

        after = client.get_function(FunctionName=name, Qualifier="1")
        assert after["Configuration"] == before["Configuration"]
        assert after["Code"] == before["Code"]
        assert after["Configuration"]["FunctionArn"] == first
        assert after["Configuration"]["Environment"]["Variables"] == {"COLOR": "red"}
        assert client.get_function(FunctionName=second)["Configuration"]["Environment"]["Variables"] == {
            "COLOR": "blue"
        }
        listed = client.list_versions_by_function(FunctionName=name)["Versions"]
        assert [version["Version"] for version in listed] == ["$LATEST", "1", "2"]
        assert stack.statuses("VersionOne")[-1] == "DELETE_SKIPPED"

    def test_a_number_is_never_given_again(self, local_aws: LocalAws) -> None:
        create_function(local_aws, "counted", SOURCE % "1", Environment={"Variables": {"COLOR": "red"}})
        client = local_aws.client("lambda")
        numbers = []
        for code in ("2", "3", "4"):
            client.update_function_code(FunctionName="counted", ZipFile=zip_of(SOURCE % code))
            numbers.append(client.publish_version(FunctionName="counted")["Version"])
            client.delete_function(FunctionName="counted", Qualifier=numbers[-1])
        assert numbers == ["1", "2", "3"]
        assert invoke(local_aws, "counted")["code"] == "4"

    def test_publishing_what_is_published_gives_the_same_version(self, local_aws: LocalAws) -> None:
        create_function(local_aws, "unchanged", SOURCE % "1")
        client = local_aws.client("lambda")
        client.update_function_configuration(FunctionName="unchanged", Timeout=9)
        first = client.publish_version(FunctionName="unchanged")
        again = client.publish_version(FunctionName="unchanged")
        assert (first["Version"], again["Version"]) == ("1", "1")
        with pytest.raises(ClientError, match="Cannot provide qualifier"):
            client.publish_version(FunctionName=first["FunctionArn"])

    def test_a_stack_cannot_publish_what_is_published(self, deploy: Deploy) -> None:
        stack = deploy(template("same", "red", "VersionOne"))
        deploy({**template("same", "red", "VersionOne"), "Again": kept()}, to=stack)
        assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
        reason = stack.reason("CREATE_FAILED")
        assert "A version for this Lambda function exists ( 1 )" in reason

    def test_other_code_than_expected_is_not_published(self, local_aws: LocalAws, deploy: Deploy) -> None:
        stack = deploy(template("a", "red", "VersionOne", CodeSha256="c29tZXRoaW5nIGVsc2U="))
        assert stack.status == "ROLLBACK_COMPLETE"
        assert "CodeSHA256 (c29tZXRoaW5nIGVsc2U=) is different" in stack.reason("CREATE_FAILED")

    def test_a_version_has_permissions_of_its_own(self, local_aws: LocalAws, deploy: Deploy) -> None:
        allowed = resource(
            "AWS::Lambda::Permission",
            FunctionName={"Ref": "VersionOne"},
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
        )
        stack = deploy({**template("a", "red", "VersionOne"), "Allowed": allowed})
        assert stack.status == "CREATE_COMPLETE", stack.description
        name, client = stack.physical_id("Fn"), local_aws.client("lambda")
        policy = json.loads(client.get_policy(FunctionName=name, Qualifier="1")["Policy"])
        assert [statement["Resource"] for statement in policy["Statement"]] == [
            stack.physical_id("VersionOne")
        ]
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            client.get_policy(FunctionName=name)
        deploy(template("a", "red", "VersionOne"), to=stack)
        assert stack.status == "UPDATE_COMPLETE", stack.description
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            client.get_policy(FunctionName=name, Qualifier="1")

    def test_deleting_one_function_leaves_the_processes_of_others(self, local_aws: LocalAws) -> None:
        for name in ("stays-warm", "goes"):
            create_function(local_aws, name, SOURCE % name, Environment={"Variables": {"COLOR": "red"}})
        stays, goes = invoke(local_aws, "stays-warm")["pid"], invoke(local_aws, "goes")["pid"]
        local_aws.client("lambda").delete_function(FunctionName="goes")
        wait_until(lambda: not is_running(goes))
        assert invoke(local_aws, "stays-warm")["pid"] == stays

    def test_a_version_that_is_not_there(self, local_aws: LocalAws) -> None:
        create_function(local_aws, "unpublished", SOURCE % "a")
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            invoke(local_aws, "unpublished", Qualifier="3")

    @pytest.mark.parametrize("by", ["arn", "name"])
    def test_a_state_machine_calls_the_version_it_names(
        self, local_aws: LocalAws, deploy: Deploy, machines: Machines, by: str
    ) -> None:
        stack = deploy(template("old", "red", "VersionOne"))
        name = stack.physical_id("VersionOne" if by == "arn" else "Fn")
        function = name if by == "arn" else f"{name}:1"
        call = task(
            "lambda:invoke", {"FunctionName": function, "Payload": {"b": 2}}, Output="{% $states.result %}"
        )
        machine = machines.make({"Call": call})
        deploy(template("new", "blue", "VersionTwo"), to=stack)
        ended = machines.wait(machines.start(machine))
        assert ended["status"] == "SUCCEEDED", ended
        result = json.loads(ended["output"])
        assert result["ExecutedVersion"] == "1"
        answer = result["Payload"]
        assert (answer["code"], answer["color"], answer["event"]) == ("old", "red", {"b": 2})
