"""Each resource type, asserted through its service's own API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.machines import Machines
from tests.support.stacks import ROLE, ROLE_ARN, Deploy, resource


def function(**properties: Any) -> dict[str, Any]:
    code = {"ZipFile": "def handler(event, context): return event"}
    settings = {"Runtime": "python3.12", "Handler": "index.handler", "Role": ROLE_ARN, "Code": code}
    return resource("AWS::Lambda::Function", **{**settings, **properties})


class TestTypes:
    def test_bucket_has_every_part_of_its_configuration(self, local_aws: Any, deploy: Deploy) -> None:
        versioned = {
            "VersioningConfiguration": {"Status": "Enabled"},
            "Tags": [{"Key": "team", "Value": "churn"}],
        }
        bucket = resource(
            "AWS::S3::Bucket",
            **versioned,
            BucketEncryption={
                "ServerSideEncryptionConfiguration": [
                    {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
                ]
            },
            PublicAccessBlockConfiguration={"BlockPublicAcls": True, "BlockPublicPolicy": "true"},
            LifecycleConfiguration={
                "Rules": [
                    {
                        "Id": "old",
                        "Status": "Enabled",
                        "ExpirationInDays": 30,
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
                    }
                ]
            },
            NotificationConfiguration={"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
        )
        stack = deploy({"Uploads": bucket})
        name, s3 = {"Bucket": stack.physical_id("Uploads")}, local_aws.client("s3")
        assert s3.get_bucket_versioning(**name)["Status"] == "Enabled"
        rules = s3.get_bucket_encryption(**name)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        block = s3.get_public_access_block(**name)["PublicAccessBlockConfiguration"]
        assert (block["BlockPublicAcls"], block["BlockPublicPolicy"]) == (True, True)
        rule = s3.get_bucket_lifecycle_configuration(**name)["Rules"][0]
        assert (rule["ID"], rule["Expiration"]) == ("old", {"Days": 30})
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
        assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(**name)
        assert s3.get_bucket_tagging(**name)["TagSet"] == [{"Key": "team", "Value": "churn"}]

        deploy({"Uploads": resource("AWS::S3::Bucket", **versioned)}, to=stack)
        assert stack.physical_id("Uploads") == name["Bucket"]
        assert "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(**name)
        with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
            s3.get_bucket_lifecycle_configuration(**name)

    def test_bucket_policy_is_answered_and_locks_nobody_out(self, local_aws: Any, deploy: Deploy) -> None:
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": {"Fn::Sub": "${Bucket.Arn}/*"},
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
        stack = deploy(
            {
                "Bucket": resource("AWS::S3::Bucket"),
                "Policy": resource("AWS::S3::BucketPolicy", Bucket={"Ref": "Bucket"}, PolicyDocument=policy),
            }
        )
        name, s3 = stack.physical_id("Bucket"), local_aws.client("s3")
        stored = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
        assert stored["Statement"][0]["Resource"] == f"arn:aws:s3:::{name}/*"
        s3.put_object(Bucket=name, Key="k", Body=b"v")
        assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"v"
        s3.delete_object(Bucket=name, Key="k")

    def test_table_with_ttl_and_recovery(self, local_aws: Any, deploy: Deploy) -> None:
        keys: dict[str, Any] = {
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        }
        extras = {
            "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "Tags": [{"Key": "a", "Value": "1"}],
        }
        stack = deploy({"Table": resource("AWS::DynamoDB::Table", **keys, **extras)})
        name, client = {"TableName": stack.physical_id("Table")}, local_aws.client("dynamodb")
        ttl = client.describe_time_to_live(**name)["TimeToLiveDescription"]
        assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expires")

        def recovery() -> str:
            backups = client.describe_continuous_backups(**name)["ContinuousBackupsDescription"]
            return str(backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"])

        assert recovery() == "ENABLED"
        client.put_item(**name, Item={"pk": {"S": "kept"}})
        deploy({"Table": resource("AWS::DynamoDB::Table", **keys)}, to=stack)
        assert recovery() == "DISABLED"
        assert client.describe_time_to_live(**name)["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"
        assert client.get_item(**name, Key={"pk": {"S": "kept"}})["Item"]

    def test_function_with_alias_and_permission(self, local_aws: Any, deploy: Deploy) -> None:
        def resources(seconds: int) -> dict[str, Any]:
            return {
                "Role": ROLE,
                "Fn": function(
                    Timeout=seconds,
                    MemorySize="512",
                    EphemeralStorage={"Size": 1024},
                    LoggingConfig={"LogFormat": "JSON", "LogGroup": {"Ref": "Logs"}},
                    Environment={"Variables": {"SECONDS": seconds}},
                    Tags=[{"Key": "seconds", "Value": str(seconds)}],
                ),
                "Logs": resource("AWS::Logs::LogGroup", RetentionInDays=7),
                "Version": resource("AWS::Lambda::Version", FunctionName={"Ref": "Fn"}),
                "Alias": resource(
                    "AWS::Lambda::Alias",
                    Name="live",
                    FunctionName={"Ref": "Fn"},
                    FunctionVersion={"Fn::GetAtt": ["Version", "Version"]},
                ),
                "Permission": resource(
                    "AWS::Lambda::Permission",
                    FunctionName={"Fn::GetAtt": ["Fn", "Arn"]},
                    Action="lambda:InvokeFunction",
                    Principal="events.amazonaws.com",
                ),
            }

        stack = deploy(resources(30))
        assert stack.status == "CREATE_COMPLETE", stack.description
        name, client = {"FunctionName": stack.physical_id("Fn")}, local_aws.client("lambda")
        configuration = client.get_function_configuration(**name)
        assert (configuration["Timeout"], configuration["MemorySize"]) == (30, 512)
        assert configuration["EphemeralStorage"] == {"Size": 1024}
        expected = {"LogFormat": "JSON", "LogGroup": stack.physical_id("Logs")}
        assert expected.items() <= configuration["LoggingConfig"].items()
        assert client.get_alias(**name, Name="live")["FunctionVersion"] == "1"
        statement = json.loads(client.get_policy(**name)["Policy"])["Statement"][0]
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}

        deploy(resources(60), to=stack)
        assert stack.status == "UPDATE_COMPLETE", stack.description
        updated = client.get_function_configuration(**name)
        assert (updated["Timeout"], updated["Environment"]["Variables"]) == (60, {"SECONDS": "60"})
        assert client.list_tags(Resource=updated["FunctionArn"])["Tags"] == {"seconds": "60"}

    def test_state_machine_gets_its_substitutions_and_logging(self, local_aws: Any, deploy: Deploy) -> None:
        definition = {
            "StartAt": "Done",
            "States": {"Done": {"Type": "Pass", "Result": "${What}", "End": True}},
        }

        def resources(what: Any) -> dict[str, Any]:
            destination = {"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": ["Logs", "Arn"]}}}
            machine = resource(
                "AWS::StepFunctions::StateMachine",
                RoleArn=ROLE_ARN,
                DefinitionString=json.dumps(definition),
                DefinitionSubstitutions={"What": what},
                LoggingConfiguration={
                    "Level": "ALL",
                    "IncludeExecutionData": True,
                    "Destinations": [destination],
                },
            )
            return {"Role": ROLE, "Logs": resource("AWS::Logs::LogGroup"), "Machine": machine}

        stack = deploy(resources({"Ref": "Logs"}))
        arn, client = stack.physical_id("Machine"), local_aws.client("stepfunctions")
        machine = client.describe_state_machine(stateMachineArn=arn)
        assert json.loads(machine["definition"])["States"]["Done"]["Result"] == stack.physical_id("Logs")
        assert machine["loggingConfiguration"]["level"] == "ALL"

        deploy(resources("other"), to=stack)
        assert stack.physical_id("Machine") == arn
        assert '"other"' in client.describe_state_machine(stateMachineArn=arn)["definition"]

    def test_state_machine_without_a_substitution_is_refused(self, deploy: Deploy) -> None:
        machine = resource(
            "AWS::StepFunctions::StateMachine",
            RoleArn=ROLE_ARN,
            DefinitionString="${Missing}",
            DefinitionSubstitutions={"Other": "x"},
        )
        stack = deploy({"Role": ROLE, "Machine": machine})
        assert stack.status == "ROLLBACK_COMPLETE"
        assert "${Missing}" in stack.reason("CREATE_FAILED")

    def test_rule_and_schedule(self, local_aws: Any, deploy: Deploy) -> None:
        def resources(*targets: str) -> dict[str, Any]:
            rule = resource(
                "AWS::Events::Rule",
                EventPattern={"source": ["aws.s3"]},
                State="ENABLED",
                Targets=[
                    {"Id": target, "Arn": {"Fn::GetAtt": ["Topic", "TopicArn"]}, "Input": "{}"}
                    for target in targets
                ],
            )
            schedule = resource(
                "AWS::Scheduler::Schedule",
                ScheduleExpression="rate(1 day)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={"Arn": {"Ref": "Topic"}, "RoleArn": ROLE_ARN},
            )
            return {"Role": ROLE, "Topic": resource("AWS::SNS::Topic"), "Rule": rule, "Daily": schedule}

        stack = deploy(resources("a", "b"))
        name, events = stack.physical_id("Rule"), local_aws.client("events")
        assert json.loads(events.describe_rule(Name=name)["EventPattern"]) == {"source": ["aws.s3"]}
        assert {t["Id"] for t in events.list_targets_by_rule(Rule=name)["Targets"]} == {"a", "b"}
        schedule = local_aws.client("scheduler").get_schedule(Name=stack.physical_id("Daily"))
        assert schedule["ScheduleExpression"] == "rate(1 day)"
        deploy(resources("b"), to=stack)
        assert [t["Id"] for t in events.list_targets_by_rule(Rule=name)["Targets"]] == ["b"]

    def test_topics_queues_and_their_policies(self, local_aws: Any, deploy: Deploy) -> None:
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "publish",
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Action": "sns:Publish",
                    "Resource": "*",
                }
            ],
        }
        queue_policy = {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"},
        }
        subscription = resource(
            "AWS::SNS::Subscription",
            TopicArn={"Ref": "Topic"},
            Protocol="sqs",
            Endpoint={"Fn::GetAtt": ["Queue", "Arn"]},
            RawMessageDelivery=True,
        )
        stack = deploy(
            {
                "Topic": resource("AWS::SNS::Topic", DisplayName="Outcomes"),
                "Queue": resource("AWS::SQS::Queue", VisibilityTimeout=90),
                "Subscription": subscription,
                "TopicPolicy": resource(
                    "AWS::SNS::TopicPolicy", Topics=[{"Ref": "Topic"}], PolicyDocument=policy
                ),
                "QueuePolicy": resource(
                    "AWS::SQS::QueuePolicy", Queues=[{"Ref": "Queue"}], PolicyDocument=queue_policy
                ),
            }
        )
        assert stack.status == "CREATE_COMPLETE", stack.description
        sns, sqs = local_aws.client("sns"), local_aws.client("sqs")
        topic, queue = stack.physical_id("Topic"), stack.physical_id("Queue")
        attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
        assert attributes["DisplayName"] == "Outcomes"
        assert json.loads(attributes["Policy"])["Statement"][0]["Sid"] == "publish"
        found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        assert found["VisibilityTimeout"] == "90"
        assert "sqs:SendMessage" in found["Policy"]
        sns.publish(TopicArn=topic, Message="hello")
        messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)["Messages"]
        assert messages[0]["Body"] == "hello"

    def test_alarms_and_dashboard(self, local_aws: Any, deploy: Deploy) -> None:
        def resources(threshold: int) -> dict[str, Any]:
            alarm = resource(
                "AWS::CloudWatch::Alarm",
                Namespace="Sluice",
                MetricName="Drift",
                Statistic="Maximum",
                Period=60,
                EvaluationPeriods=1,
                Threshold=threshold,
                ComparisonOperator="GreaterThanThreshold",
                TreatMissingData="notBreaching",
            )
            composite = resource(
                "AWS::CloudWatch::CompositeAlarm", AlarmRule={"Fn::Sub": 'ALARM("${Alarm.Arn}")'}
            )
            board = resource("AWS::CloudWatch::Dashboard", DashboardBody={"Fn::Sub": '{"widgets": []}'})
            return {"Alarm": alarm, "Any": composite, "Board": board}

        stack = deploy(resources(1))
        assert stack.status == "CREATE_COMPLETE", stack.description
        name, client = stack.physical_id("Alarm"), local_aws.client("cloudwatch")
        deploy(resources(2), to=stack)
        assert stack.physical_id("Alarm") == name
        assert client.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["Threshold"] == 2
        found = client.describe_alarms(AlarmNames=[stack.physical_id("Any")], AlarmTypes=["CompositeAlarm"])
        assert found["CompositeAlarms"][0]["AlarmRule"].endswith(f':alarm:{name}")')
        board = client.get_dashboard(DashboardName=stack.physical_id("Board"))
        assert json.loads(board["DashboardBody"]) == {"widgets": []}

    def test_log_group_retention(self, local_aws: Any, deploy: Deploy) -> None:
        stack = deploy({"Logs": resource("AWS::Logs::LogGroup", RetentionInDays=7)})
        name, client = stack.physical_id("Logs"), local_aws.client("logs")

        def retention() -> int | None:
            groups = client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
            found: int | None = groups[0].get("retentionInDays")
            return found

        assert retention() == 7
        deploy({"Logs": resource("AWS::Logs::LogGroup")}, to=stack)
        assert retention() is None

    def test_model_package_group_tags_change_in_place(self, local_aws: Any, deploy: Deploy) -> None:
        def group(value: str) -> dict[str, Any]:
            tags = [{"Key": "stage", "Value": value}]
            return resource(
                "AWS::SageMaker::ModelPackageGroup", ModelPackageGroupName="group-of-stack", Tags=tags
            )

        stack = deploy({"Group": group("one")})
        deploy({"Group": group("two")}, to=stack)
        client = local_aws.client("sagemaker")
        assert stack.status == "UPDATE_COMPLETE"
        assert client.list_tags(ResourceArn=stack.physical_id("Group"))["Tags"] == [
            {"Key": "stage", "Value": "two"}
        ]

    def test_role_policies_repository_and_parameter(self, local_aws: Any, deploy: Deploy) -> None:
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
        }
        role = {
            **ROLE,
            "Properties": {
                **ROLE["Properties"],
                "ManagedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
                "Policies": [{"PolicyName": "inline", "PolicyDocument": document}],
            },
        }
        stack = deploy(
            {
                "Role": role,
                "Policy": resource(
                    "AWS::IAM::Policy",
                    PolicyName="extra",
                    PolicyDocument=document,
                    Roles=[{"Ref": "Role"}],
                ),
                "Managed": resource(
                    "AWS::IAM::ManagedPolicy", PolicyDocument=document, Roles=[{"Ref": "Role"}]
                ),
                "Repository": resource("AWS::ECR::Repository", ImageTagMutability="IMMUTABLE"),
                "Parameter": resource(
                    "AWS::SSM::Parameter", Type="String", Value={"Fn::GetAtt": ["Repository", "Arn"]}
                ),
            }
        )
        assert stack.status == "CREATE_COMPLETE", stack.description
        iam, name = local_aws.client("iam"), stack.physical_id("Role")
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        assert "ReadOnlyAccess" in [policy["PolicyName"] for policy in attached]
        assert stack.physical_id("Managed") in [policy["PolicyArn"] for policy in attached]
        assert sorted(iam.list_role_policies(RoleName=name)["PolicyNames"]) == ["extra", "inline"]
        repositories = local_aws.client("ecr").describe_repositories(
            repositoryNames=[stack.physical_id("Repository")]
        )["repositories"]
        assert repositories[0]["imageTagMutability"] == "IMMUTABLE"
        value = local_aws.client("ssm").get_parameter(Name=stack.physical_id("Parameter"))["Parameter"]
        assert value["Value"] == repositories[0]["repositoryArn"]

    def test_table_with_a_sort_key_keeps_items_of_one_hash_apart(
        self, local_aws: Any, deploy: Deploy
    ) -> None:
        def releases(**settings: Any) -> dict[str, Any]:
            keys = [("endpoint_name", "HASH"), ("item", "RANGE")]
            return resource(
                "AWS::DynamoDB::Table",
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
                **settings,
            )

        stack = deploy({"Releases": releases()})
        name, client = stack.physical_id("Releases"), local_aws.client("dynamodb")
        schema = client.describe_table(TableName=name)["Table"]["KeySchema"]
        assert schema == [
            {"AttributeName": "endpoint_name", "KeyType": "HASH"},
            {"AttributeName": "item", "KeyType": "RANGE"},
        ]
        release, lock = (
            {"endpoint_name": {"S": "bank-prod"}, "item": {"S": item}} for item in ("release", "lock")
        )
        client.put_item(TableName=name, Item={**release, "model_name": {"S": "first"}})
        client.put_item(
            TableName=name,
            Item={**lock, "owner": {"S": "me"}},
            ConditionExpression="attribute_not_exists(endpoint_name)",
        )
        with pytest.raises(ClientError, match="ConditionalCheckFailed"):
            client.put_item(
                TableName=name,
                Item={**lock, "owner": {"S": "you"}},
                ConditionExpression="attribute_not_exists(endpoint_name)",
            )
        client.update_item(
            TableName=name,
            Key=release,
            UpdateExpression="SET model_name = :m",
            ExpressionAttributeValues={":m": {"S": "second"}},
        )
        with pytest.raises(ClientError, match="ValidationException"):
            client.get_item(TableName=name, Key={"endpoint_name": {"S": "bank-prod"}})
        deploy({"Releases": releases(DeletionProtectionEnabled=False)}, to=stack)
        assert client.get_item(TableName=name, Key=release)["Item"]["model_name"] == {"S": "second"}
        assert client.get_item(TableName=name, Key=lock)["Item"]["owner"] == {"S": "me"}
        found = client.query(
            TableName=name,
            KeyConditionExpression="endpoint_name = :e",
            ExpressionAttributeValues={":e": {"S": "bank-prod"}},
        )["Items"]
        assert [item["item"]["S"] for item in found] == ["lock", "release"]

    def test_role_trusts_under_a_condition(self, local_aws: Any, deploy: Deploy) -> None:
        trusted = {
            "Effect": "Allow",
            "Principal": {"Service": "states.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
                "ArnLike": {"aws:SourceArn": {"Fn::Sub": "arn:${AWS::Partition}:states:${AWS::Region}:*"}},
            },
        }
        document = {"Version": "2012-10-17", "Statement": [trusted]}
        stack = deploy({"Role": resource("AWS::IAM::Role", AssumeRolePolicyDocument=document)})
        role = local_aws.client("iam").get_role(RoleName=stack.physical_id("Role"))["Role"]
        assert role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "123456789012"},
            "ArnLike": {"aws:SourceArn": "arn:aws:states:us-east-1:*"},
        }

    def test_dashboard_is_named_for_its_region(self, local_aws: Any, deploy: Deploy) -> None:
        name = {"Fn::Join": ["-", ["bank-prod", {"Ref": "AWS::Region"}]]}
        body = {
            "Fn::Join": ["", ['{"widgets": [{"properties": {"region": "', {"Ref": "AWS::Region"}, '"}}]}']]
        }
        board = resource("AWS::CloudWatch::Dashboard", DashboardName=name, DashboardBody=body)
        stack = deploy({"Board": board})
        assert stack.physical_id("Board") == "bank-prod-us-east-1"
        found = local_aws.client("cloudwatch").get_dashboard(DashboardName="bank-prod-us-east-1")
        assert json.loads(found["DashboardBody"])["widgets"][0]["properties"]["region"] == "us-east-1"

    def test_state_machine_takes_a_large_document_inside_its_expressions(
        self, local_aws: Any, deploy: Deploy
    ) -> None:
        settings = {"places": {f"place-{n}": f's3://bucket/"{n}"/\\{{execution}}' for n in range(250)}}
        assert len(json.dumps(settings)) > 10_000
        escaped = json.dumps(json.dumps(settings))[1:-1]
        begin = {
            "Type": "Pass",
            "Assign": {"settings": "{% ${Settings} %}"},
            "Output": "{% ($s := ${Settings}; $s.places) %}",
            "End": True,
        }
        definition = {"QueryLanguage": "JSONata", "StartAt": "Begin", "States": {"Begin": begin}}
        machine = resource(
            "AWS::StepFunctions::StateMachine",
            RoleArn=ROLE_ARN,
            DefinitionString=json.dumps(definition),
            DefinitionSubstitutions={"Settings": escaped, "Partition": {"Ref": "AWS::Partition"}},
        )
        stack = deploy({"Role": ROLE, "Machine": machine})
        assert stack.status == "CREATE_COMPLETE", stack.description
        run = Machines(local_aws)
        ended = run.wait(run.start(stack.physical_id("Machine")))
        assert ended["status"] == "SUCCEEDED", ended
        assert json.loads(ended["output"]) == settings["places"]
