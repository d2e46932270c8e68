"""Two stacks by lifetime: exports and who uses them, policies that keep resources, names from the stack's id."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.local_aws import LocalAws
from tests.support.stacks import Deploy, Deployed, resource


def exporting(
    deploy: Deploy,
    value: str = "one",
    *,
    to: Deployed | None = None,
    export: str = "kept-value",
    **sections: Any,
) -> Deployed:
    """A stack that exports an SSM parameter's value under `export`."""
    output = {"Value": {"Fn::GetAtt": ["P", "Value"]}, "Export": {"Name": export}}
    parameter = resource("AWS::SSM::Parameter", Type="String", Value=value)
    return deploy({"P": parameter}, to=to, Outputs={"Out": output}, **sections)


def importing(deploy: Deploy, export: Any, **settings: Any) -> Deployed:
    parameter = resource("AWS::SSM::Parameter", Type="String", Value={"Fn::ImportValue": export})
    return deploy({"P": parameter}, **settings)


def value_of(server: LocalAws, stack: Deployed) -> str:
    parameter = server.client("ssm").get_parameter(Name=stack.physical_id("P"))["Parameter"]
    return str(parameter["Value"])


def exports(server: LocalAws) -> dict[str, str]:
    pages = server.client("cloudformation").get_paginator("list_exports").paginate()
    return {export["Name"]: export["Value"] for page in pages for export in page["Exports"]}


class TestExports:
    def test_another_stack_gets_the_value(self, local_aws: LocalAws, deploy: Deploy) -> None:
        exporting(deploy, export="given")
        by_name = importing(deploy, "given")
        by_parts = importing(
            deploy,
            {"Fn::Sub": "${Prefix}en"},
            Parameters={"Prefix": {"Type": "String", "Default": "giv"}},
        )
        assert value_of(local_aws, by_name) == "one"
        assert value_of(local_aws, by_parts) == "one"
        listed = local_aws.client("cloudformation").list_imports(ExportName="given")["Imports"]
        assert sorted(listed) == sorted([by_name.name, by_parts.name])

    def test_a_name_that_nobody_exports(self, deploy: Deploy) -> None:
        stack = importing(deploy, "never-exported")
        assert stack.status == "ROLLBACK_COMPLETE"
        assert "No export named never-exported found." in stack.description["StackStatusReason"]

    def test_a_name_that_another_stack_exports(self, deploy: Deploy) -> None:
        first = exporting(deploy, export="taken")
        second = exporting(deploy, export="taken")
        assert second.status == "ROLLBACK_COMPLETE"
        reason = second.description["StackStatusReason"]
        assert f"Export taken is already exported by stack {first.name}" in reason

    def test_an_export_without_its_condition_is_none(self, local_aws: LocalAws, deploy: Deploy) -> None:
        topic = {"Topic": resource("AWS::SNS::Topic")}
        conditions = {"Yes": {"Fn::Equals": ["a", "a"]}, "No": {"Fn::Equals": ["a", "b"]}}
        outputs = {
            condition: {"Condition": condition, "Value": "v", "Export": {"Name": f"condition-{condition}"}}
            for condition in conditions
        }
        stack = deploy(topic, Conditions=conditions, Outputs=outputs)
        assert stack.outputs == {"Yes": "v"}
        assert {"condition-Yes"} == {name for name in exports(local_aws) if name.startswith("condition-")}

    def test_a_stack_whose_export_is_used_is_not_deleted(self, local_aws: LocalAws, deploy: Deploy) -> None:
        stack = exporting(deploy, export="used")
        users = [importing(deploy, "used", name=f"user-{letter}") for letter in "ab"]
        client = local_aws.client("cloudformation")
        client.delete_stack(StackName=stack.name)
        # As on AWS: the stack is what it was, and says why.
        assert stack.status == "CREATE_COMPLETE"
        reason = stack.description["StackStatusReason"]
        assert reason == "Export used cannot be deleted as it is in use by user-a and user-b"
        assert value_of(local_aws, stack) == "one"
        client.delete_stack(StackName=users[0].name)
        client.delete_stack(StackName=stack.name)
        assert stack.description["StackStatusReason"].endswith("in use by user-b")
        client.delete_stack(StackName=users[1].name)
        client.delete_stack(StackName=stack.name)
        with pytest.raises(ClientError, match="does not exist"):
            client.describe_stacks(StackName=stack.name)

    def test_an_export_in_use_keeps_its_value(self, local_aws: LocalAws, deploy: Deploy) -> None:
        stack = exporting(deploy, "one", export="fixed")
        user = importing(deploy, "fixed")
        exporting(deploy, "two", to=stack, export="fixed")
        assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
        reason = stack.description["StackStatusReason"]
        assert reason == f"Export fixed cannot be updated as it is in use by {user.name}"
        assert (value_of(local_aws, stack), stack.outputs) == ("one", {"Out": "one"})
        exporting(deploy, "one", to=stack, export="renamed")
        reason = stack.description["StackStatusReason"]
        assert reason == f"Export fixed cannot be deleted as it is in use by {user.name}"
        assert "renamed" not in exports(local_aws)

    def test_a_name_that_a_resource_makes_is_refused(self, deploy: Deploy) -> None:
        topic = {"T": resource("AWS::SNS::Topic")}
        user = resource("AWS::SSM::Parameter", Type="String", Value={"Fn::ImportValue": {"Ref": "T"}})
        with pytest.raises(ClientError, match="Fn::ImportValue must not depend on any resource, as on T"):
            deploy({**topic, "P": user})

    def test_an_export_that_is_no_longer_used_may_go(self, local_aws: LocalAws, deploy: Deploy) -> None:
        stack = exporting(deploy, "one", export="free")
        user = importing(deploy, "free")
        deploy({"P": resource("AWS::SSM::Parameter", Type="String", Value="own")}, to=user)
        exporting(deploy, "two", to=stack, export="free")
        assert stack.status == "UPDATE_COMPLETE"
        assert exports(local_aws)["free"] == "two"
        with pytest.raises(ClientError, match="Export 'free' is not imported by any stack"):
            local_aws.client("cloudformation").list_imports(ExportName="free")

    def test_a_stack_that_failed_to_import_uses_nothing(self, local_aws: LocalAws, deploy: Deploy) -> None:
        stack = exporting(deploy, export="tried")
        failing = resource("AWS::SNS::Subscription", TopicArn={"Fn::ImportValue": "tried"}, Protocol="sqs")
        assert deploy({"S": failing}).status == "ROLLBACK_COMPLETE"
        local_aws.client("cloudformation").delete_stack(StackName=stack.name)
        assert "tried" not in exports(local_aws)


class TestKept:
    """CDK's RETAIN_ON_UPDATE_OR_DELETE."""

    @staticmethod
    def group(**properties: Any) -> dict[str, Any]:
        policies = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
        return {**resource("AWS::Logs::LogGroup", **properties), **policies}

    @staticmethod
    def groups(server: LocalAws, prefix: str) -> list[str]:
        found = server.client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
        return [group["logGroupName"] for group in found]

    def test_it_goes_when_the_creation_fails(self, local_aws: LocalAws, deploy: Deploy) -> None:
        late = {
            **resource("AWS::SNS::Subscription", TopicArn="arn:nowhere", Protocol="sqs"),
            "DependsOn": "G",
        }
        stack = deploy({"G": self.group(LogGroupName="unborn"), "Late": late})
        assert stack.status == "ROLLBACK_COMPLETE"
        assert self.groups(local_aws, "unborn") == []
        again = deploy({"G": self.group(LogGroupName="unborn")})
        assert again.status == "CREATE_COMPLETE"

    def test_what_an_update_added_goes_when_the_update_fails(
        self, local_aws: LocalAws, deploy: Deploy
    ) -> None:
        first = {"G": self.group(LogGroupName="elder-group")}
        stack = deploy(first)
        late = {
            **resource("AWS::SNS::Subscription", TopicArn="arn:nowhere", Protocol="sqs"),
            "DependsOn": "H",
        }
        deploy({**first, "H": self.group(LogGroupName="younger-group"), "Late": late}, to=stack)
        assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
        assert self.groups(local_aws, "elder-group") == ["elder-group"]
        assert self.groups(local_aws, "younger-group") == []

    def test_it_stays_when_the_stack_goes(self, local_aws: LocalAws, deploy: Deploy) -> None:
        stack = deploy({"G": self.group(LogGroupName="survivor")})
        stack_id = stack.description["StackId"]
        client = local_aws.client("cloudformation")
        client.delete_stack(StackName=stack.name)
        assert client.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
        assert self.groups(local_aws, "survivor") == ["survivor"]

    def test_it_stays_when_an_update_leaves_it_out(self, local_aws: LocalAws, deploy: Deploy) -> None:
        other = {"Topic": resource("AWS::SNS::Topic")}
        stack = deploy({**other, "G": self.group(LogGroupName="left-out")})
        deploy(other, to=stack)
        assert stack.status == "UPDATE_COMPLETE"
        assert self.groups(local_aws, "left-out") == ["left-out"]
        assert stack.statuses("G")[-1] == "DELETE_SKIPPED"

    def test_what_is_replaced_stays(self, local_aws: LocalAws, deploy: Deploy) -> None:
        stack = deploy({"G": self.group(LogGroupName="replaced-1")})
        deploy({"G": self.group(LogGroupName="replaced-2")}, to=stack)
        assert self.groups(local_aws, "replaced-") == ["replaced-1", "replaced-2"]

    @pytest.mark.parametrize(
        ("attribute", "policy"),
        [
            ("DeletionPolicy", "Snapshot"),
            ("UpdateReplacePolicy", "RetainExceptOnCreate"),
            ("DeletionPolicy", "retain"),
        ],
    )
    def test_a_policy_that_is_not_honoured_is_named(
        self, deploy: Deploy, attribute: str, policy: str
    ) -> None:
        with pytest.raises(ClientError, match=rf"G \(AWS::Logs::LogGroup\).*{attribute} {policy}"):
            deploy({"G": {**resource("AWS::Logs::LogGroup"), attribute: policy}})

    def test_a_request_to_keep_nothing_that_is_new_is_refused(self, local_aws: LocalAws) -> None:
        client = local_aws.client("cloudformation")
        template = "Resources: {G: {Type: AWS::Logs::LogGroup, DeletionPolicy: Retain}}"
        with pytest.raises(ClientError, match="RetainExceptOnCreate"):
            client.create_stack(StackName="retain-new", TemplateBody=template, RetainExceptOnCreate=True)


class TestStackId:
    def test_names_carry_a_piece_of_it(self, local_aws: LocalAws, deploy: Deploy) -> None:
        guid = {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}
        piece = {"Fn::Select": ["0", {"Fn::Split": ["-", guid]}]}
        name = {"Fn::Join": ["-", ["/sluice/machine", piece]]}
        logs = {"Logs": resource("AWS::Logs::LogGroup", LogGroupName=name)}
        stack = deploy(logs)
        group = stack.physical_id("Logs")
        assert re.fullmatch(r"/sluice/machine-[0-9a-f]{8}", group)
        assert stack.description["StackId"].split("/")[2].startswith(group[-8:])
        found = local_aws.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        assert [item["logGroupName"] for item in found] == [group]
        other = deploy(logs)
        assert other.physical_id("Logs") != group, "a stack of another id has other names"

    def test_a_piece_that_is_not_there_is_a_reason(self, deploy: Deploy) -> None:
        name = {"Fn::Select": [7, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}
        stack = deploy({"Logs": resource("AWS::Logs::LogGroup", LogGroupName=name)})
        assert stack.status == "ROLLBACK_COMPLETE"
        assert "Fn::Select cannot select nonexistent value at index 7" in stack.reason("CREATE_FAILED")
