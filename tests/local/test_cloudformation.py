"""What CloudFormation of the local AWS refuses, and how a stack lives, fails and ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.stacks import ROLE, Deploy, resource


class TestRefused:
    @pytest.mark.parametrize(
        ("refused", "named"),
        [
            (resource("AWS::Glue::Job", Name="x"), ["Thing", "AWS::Glue::Job"]),
            (resource("Custom::S3AutoDeleteObjects"), ["Thing", "Custom::S3AutoDeleteObjects"]),
            (resource("AWS::SNS::Topic", Colour="red"), ["Thing", "AWS::SNS::Topic", "Colour"]),
            (
                resource(
                    "AWS::S3::Bucket", NotificationConfiguration={"LambdaConfigurations": [{"Event": "x"}]}
                ),
                ["Thing", "AWS::S3::Bucket", "NotificationConfiguration.LambdaConfigurations"],
            ),
            ({**resource("AWS::SNS::Topic"), "CreationPolicy": {}}, ["Thing", "CreationPolicy"]),
            (resource("AWS::SNS::Topic", TopicName={"Ref": "Nobody"}), ["Thing", "Nobody"]),
        ],
    )
    def test_change_set_names_what_it_cannot_apply(
        self, local_aws: Any, deploy: Deploy, refused: dict[str, Any], named: list[str]
    ) -> None:
        with pytest.raises(ClientError) as error:
            deploy({"Fine": resource("AWS::SNS::Topic"), "Thing": refused}, name="refused")
        assert error.value.response["Error"]["Code"] == "ValidationError"
        assert all(word in error.value.response["Error"]["Message"] for word in named)
        names = [s["StackName"] for s in local_aws.client("cloudformation").describe_stacks()["Stacks"]]
        assert "refused" not in names

    def test_what_a_false_condition_leaves_out_is_not_looked_at(self, deploy: Deploy) -> None:
        conditional = {**resource("AWS::Glue::Job"), "Condition": "OnAws"}
        bucket = resource(
            "AWS::S3::Bucket",
            ReplicationConfiguration={"Fn::If": ["OnAws", {"Role": "r"}, {"Ref": "AWS::NoValue"}]},
        )
        stack = deploy(
            {"Job": conditional, "Bucket": bucket}, Conditions={"OnAws": {"Fn::Equals": ["a", "b"]}}
        )
        assert stack.status == "CREATE_COMPLETE"

    def test_template_section_that_would_be_ignored(self, deploy: Deploy) -> None:
        with pytest.raises(ClientError, match="Transform"):
            deploy({"T": resource("AWS::SNS::Topic")}, Transform="AWS::Serverless-2016-10-31")

    def test_nested_property_the_service_does_not_take(self, deploy: Deploy) -> None:
        target = {"Id": "a", "Arn": "arn:aws:sns:us-east-1:123456789012:t", "Shade": "blue"}
        stack = deploy({"Rule": resource("AWS::Events::Rule", EventPattern={}, Targets=[target])})
        assert stack.status == "ROLLBACK_COMPLETE"
        assert "Targets[0] has no Shade" in stack.reason("CREATE_FAILED")

    def test_action_that_is_not_implemented(self, local_aws: Any) -> None:
        with pytest.raises(ClientError, match="does not implement CloudFormation's ListStackSets"):
            local_aws.client("cloudformation").list_stack_sets()


class TestLifeCycle:
    def test_failed_create_rolls_back_with_the_reason(self, local_aws: Any, deploy: Deploy) -> None:
        permission = resource(
            "AWS::Lambda::Permission",
            FunctionName="nobody",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
        )
        stack = deploy({"Logs": resource("AWS::Logs::LogGroup"), "Late": {**permission, "DependsOn": "Logs"}})
        assert stack.status == "ROLLBACK_COMPLETE"
        assert "Function not found" in stack.reason("CREATE_FAILED")
        assert stack.statuses("Logs") == [
            "CREATE_IN_PROGRESS",
            "CREATE_COMPLETE",
            "DELETE_IN_PROGRESS",
            "DELETE_COMPLETE",
        ]
        groups = local_aws.client("logs").describe_log_groups(logGroupNamePrefix=stack.name)
        assert groups["logGroups"] == []

    def test_half_made_resource_is_removed(self, local_aws: Any, deploy: Deploy) -> None:
        role = {
            **ROLE,
            "Properties": {
                **ROLE["Properties"],
                "RoleName": "half",
                "ManagedPolicyArns": ["arn:aws:iam::no"],
            },
        }
        stack = deploy({"Role": role})
        assert stack.status == "ROLLBACK_COMPLETE"
        with pytest.raises(ClientError, match="NoSuchEntity"):
            local_aws.client("iam").get_role(RoleName="half")

    def test_failed_update_restores_what_was(self, local_aws: Any, deploy: Deploy) -> None:
        stack = deploy({"Logs": resource("AWS::Logs::LogGroup", RetentionInDays=7)})
        name = stack.physical_id("Logs")
        late = {
            **resource("AWS::SNS::Subscription", TopicArn="arn:nowhere", Protocol="sqs"),
            "DependsOn": "Logs",
        }
        deploy({"Logs": resource("AWS::Logs::LogGroup", RetentionInDays=30), "Late": late}, to=stack)
        assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
        assert "Late" in stack.description["StackStatusReason"]
        groups = local_aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        assert groups[0]["retentionInDays"] == 7

    def test_replacement_creates_first_and_deletes_after(self, local_aws: Any, deploy: Deploy) -> None:
        def resources(name: str) -> dict[str, Any]:
            topic = resource("AWS::SNS::Topic", TopicName=name)
            parameter = resource("AWS::SSM::Parameter", Type="String", Value={"Ref": "Topic"})
            return {"Topic": topic, "Parameter": parameter}

        outputs = {"Arn": {"Value": {"Ref": "Topic"}, "Export": {"Name": "topic-arn"}}}
        stack = deploy(resources("before"), Outputs=outputs)
        first = stack.physical_id("Topic")
        deploy(resources("after"), to=stack, Outputs=outputs)
        second = stack.physical_id("Topic")
        assert second.endswith(":after")
        assert stack.outputs == {"Arn": second}
        parameter = local_aws.client("ssm").get_parameter(Name=stack.physical_id("Parameter"))
        assert parameter["Parameter"]["Value"] == second
        topics = [topic["TopicArn"] for topic in local_aws.client("sns").list_topics()["Topics"]]
        assert second in topics
        assert first not in topics
        importing = deploy(
            {"P": resource("AWS::SSM::Parameter", Type="String", Value={"Fn::ImportValue": "topic-arn"})}
        )
        imported = local_aws.client("ssm").get_parameter(Name=importing.physical_id("P"))["Parameter"]
        assert imported["Value"] == second

    def test_replacement_under_the_same_name_is_refused(self, deploy: Deploy) -> None:
        def queue(fifo: bool) -> dict[str, Any]:
            return resource("AWS::SQS::Queue", QueueName="jobs.fifo", FifoQueue=True) | (
                {} if fifo else {"Properties": {"QueueName": "jobs.fifo", "FifoQueue": "true"}}
            )

        stack = deploy({"Queue": queue(True)})
        deploy({"Queue": queue(False)}, to=stack)
        assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
        assert "custom-named resource" in stack.reason("UPDATE_FAILED")

    def test_change_set_lists_what_will_happen(self, local_aws: Any, deploy: Deploy) -> None:
        stack = deploy(
            {
                "Gone": resource("AWS::SNS::Topic"),
                "Same": resource("AWS::SNS::Topic"),
                "Logs": resource("AWS::Logs::LogGroup", RetentionInDays=7),
            }
        )
        template = {
            "Resources": {
                "New": resource("AWS::SNS::Topic"),
                "Same": {**resource("AWS::SNS::Topic"), "Metadata": {"aws:asset:path": "elsewhere"}},
                "Logs": resource("AWS::Logs::LogGroup", RetentionInDays=30),
            }
        }
        client = local_aws.client("cloudformation")
        change_set = client.create_change_set(
            StackName=stack.name,
            ChangeSetName="look",
            ChangeSetType="UPDATE",
            TemplateBody=json.dumps(template),
        )
        changes = client.describe_change_set(ChangeSetName=change_set["Id"])["Changes"]
        assert {
            (c["ResourceChange"]["Action"], c["ResourceChange"]["LogicalResourceId"]) for c in changes
        } == {("Add", "New"), ("Modify", "Logs"), ("Remove", "Gone")}
        client.delete_change_set(ChangeSetName="look", StackName=stack.name)
        with pytest.raises(ClientError) as error:
            client.describe_change_set(ChangeSetName="look", StackName=stack.name)
        assert error.value.response["Error"]["Code"] == "ChangeSetNotFound"
        client.delete_change_set(ChangeSetName="never-was", StackName=stack.name)

    def test_change_set_without_changes(self, local_aws: Any, deploy: Deploy) -> None:
        resources = {"Topic": resource("AWS::SNS::Topic")}
        stack = deploy(resources)
        client = local_aws.client("cloudformation")
        change_set = client.create_change_set(
            StackName=stack.name,
            ChangeSetName="same",
            ChangeSetType="UPDATE",
            TemplateBody=json.dumps({"Resources": resources}),
        )
        described = client.describe_change_set(ChangeSetName=change_set["Id"])
        assert described["Status"] == "FAILED"
        assert described["StatusReason"].startswith("The submitted information didn't contain changes.")

    def test_delete_goes_backwards_keeps_what_is_retained_and_says_what_resists(
        self, local_aws: Any, deploy: Deploy
    ) -> None:
        bucket = resource("AWS::S3::Bucket")
        stack = deploy(
            {
                "Kept": {**resource("AWS::SNS::Topic"), "DeletionPolicy": "Retain"},
                "Full": bucket,
                "Parameter": resource("AWS::SSM::Parameter", Type="String", Value={"Ref": "Full"}),
            }
        )
        stack_id = stack.description["StackId"]
        kept, full = stack.physical_id("Kept"), stack.physical_id("Full")
        s3, client = local_aws.client("s3"), local_aws.client("cloudformation")
        s3.put_object(Bucket=full, Key="k", Body=b"")
        client.delete_stack(StackName=stack.name)
        assert stack.status == "DELETE_FAILED"
        assert "[Full]" in stack.description["StackStatusReason"]
        assert "BucketNotEmpty" in stack.reason("DELETE_FAILED")
        s3.delete_object(Bucket=full, Key="k")
        client.delete_stack(StackName=stack.name)
        gone = client.describe_stacks(StackName=stack_id)["Stacks"][0]
        assert gone["StackStatus"] == "DELETE_COMPLETE"
        with pytest.raises(ClientError, match=f"Stack with id {stack.name} does not exist"):
            client.describe_stacks(StackName=stack.name)
        assert kept in [topic["TopicArn"] for topic in local_aws.client("sns").list_topics()["Topics"]]

    def test_resource_deleted_by_hand_does_not_stop_the_stack_from_going(
        self, local_aws: Any, deploy: Deploy
    ) -> None:
        stack = deploy({"Logs": resource("AWS::Logs::LogGroup")})
        stack_id = stack.description["StackId"]
        local_aws.client("logs").delete_log_group(logGroupName=stack.physical_id("Logs"))
        client = local_aws.client("cloudformation")
        client.delete_stack(StackName=stack.name)
        assert client.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"

    def test_create_and_update_stack_directly_from_a_template_in_s3(self, local_aws: Any) -> None:
        client, s3 = local_aws.client("cloudformation"), local_aws.client("s3")
        s3.create_bucket(Bucket="templates")
        yaml = """
        Parameters: {Days: {Type: Number, Default: 7}}
        Resources:
          Logs:
            Type: AWS::Logs::LogGroup
            Properties: {LogGroupName: !Sub '${AWS::StackName}-logs', RetentionInDays: !Ref Days}
        Outputs: {Arn: {Value: !GetAtt Logs.Arn}}
        """
        s3.put_object(Bucket="templates", Key="a.yaml", Body=yaml.encode())
        url = f"{local_aws.endpoint_url}/templates/a.yaml"
        client.create_stack(StackName="from-s3", TemplateURL=url)
        client.get_waiter("stack_create_complete").wait(StackName="from-s3", WaiterConfig={"Delay": 1})
        client.update_stack(
            StackName="from-s3",
            TemplateURL="https://templates.s3.us-east-1.amazonaws.com/a.yaml",
            Parameters=[{"ParameterKey": "Days", "ParameterValue": "30"}],
        )
        groups = local_aws.client("logs").describe_log_groups(logGroupNamePrefix="from-s3-logs")["logGroups"]
        assert groups[0]["retentionInDays"] == 30
        kept = [{"ParameterKey": "Days", "UsePreviousValue": True}]
        with pytest.raises(ClientError, match="No updates are to be performed"):
            client.update_stack(StackName="from-s3", UsePreviousTemplate=True, Parameters=kept)
        client.update_termination_protection(StackName="from-s3", EnableTerminationProtection=True)
        with pytest.raises(ClientError, match="TerminationProtection"):
            client.delete_stack(StackName="from-s3")
        client.update_termination_protection(StackName="from-s3", EnableTerminationProtection=False)
        client.delete_stack(StackName="from-s3")


class TestParameters:
    SECTION: dict[str, Any] = {  # noqa: RUF012
        "Parameters": {"Size": {"Type": "String", "AllowedValues": ["s", "m"], "Default": "s"}}
    }

    def test_value_that_is_not_allowed(self, deploy: Deploy) -> None:
        with pytest.raises(ClientError, match=r"Size must be one of \[s, m\]"):
            deploy({"T": resource("AWS::SNS::Topic")}, **self.SECTION, given={"Size": "xl"})

    def test_parameter_the_template_does_not_have(self, deploy: Deploy) -> None:
        with pytest.raises(ClientError, match=r"\[Colour\] do not exist"):
            deploy({"T": resource("AWS::SNS::Topic")}, **self.SECTION, given={"Colour": "red"})

    def test_rule_over_a_parameter_in_ssm(self, local_aws: Any, deploy: Deploy) -> None:
        version = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/test/version"}
        assertion = {
            "Assert": {"Fn::Not": [{"Fn::Contains": [["1", "2"], {"Ref": "Version"}]}]},
            "AssertDescription": "bootstrap stack version 3 required",
        }
        sections = {"Parameters": {"Version": version}, "Rules": {"Check": {"Assertions": [assertion]}}}
        topic = {"Topic": resource("AWS::SNS::Topic")}
        with pytest.raises(ClientError, match="cdk bootstrap first"):
            deploy(topic, **sections)
        ssm = local_aws.client("ssm")
        ssm.put_parameter(Name=version["Default"], Type="String", Value="2")
        with pytest.raises(ClientError, match="bootstrap stack version 3 required"):
            deploy(topic, **sections)
        ssm.put_parameter(Name=version["Default"], Type="String", Value="3", Overwrite=True)
        stack = deploy(topic, **sections)
        assert stack.description["Parameters"] == [
            {"ParameterKey": "Version", "ParameterValue": version["Default"], "ResolvedValue": "3"}
        ]
