"""What a definition's values mean: variables, escapes, times of the context; and how tasks end and fail."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.local_aws import LocalAws, create_function, wait_until
from tests.support.machines import ROLE, Machines, task


def run_in_jsonpath(machines: Machines, states: dict[str, Any], value: Any = None) -> dict[str, Any]:
    definition = {"StartAt": next(iter(states)), "States": states}
    machine = machines.api.create_state_machine(
        name=f"m-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=ROLE
    )["stateMachineArn"]
    return machines.wait(machines.start(machine, value))


class TestVariables:
    """https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html"""

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("$all", {"a": [1, {"b": 'x"y'}], "none": None}),
            ("$all.a[1].b", 'x"y'),
            ("$all.a", [1, {"b": 'x"y'}]),
            ("$all.none", None),
            ("$größe", 7),
            ("States.Format('{}-{}', $n, $all.a[1].b)", '7-x"y'),
            ("States.ArrayGetItem($all.a, 0)", 1),
        ],
    )
    def test_jsonpath_reads_them(self, machines: Machines, path: str, expected: Any) -> None:
        states = {
            "Set": {"Type": "Pass", "Assign": {"all.$": "$", "größe": 7, "n": 7}, "Next": "Get"},
            "Get": {"Type": "Pass", "Parameters": {"got.$": path}, "End": True},
        }

        ended = run_in_jsonpath(machines, states, {"a": [1, {"b": 'x"y'}], "none": None})

        assert ended["status"] == "SUCCEEDED", ended.get("cause")
        assert json.loads(ended["output"]) == {"got": expected}

    def test_they_choose_wait_and_are_iterated_in_jsonpath(self, machines: Machines) -> None:
        states = {
            "Set": {"Type": "Pass", "Assign": {"n": 0, "rows.$": "$"}, "Next": "Choose"},
            "Choose": {
                "Type": "Choice",
                "Choices": [{"Variable": "$n", "NumericEquals": 0, "Next": "Wait"}],
                "Default": "Wrong",
            },
            "Wrong": {"Type": "Fail"},
            "Wait": {"Type": "Wait", "SecondsPath": "$n", "Next": "Map"},
            "Map": {
                "Type": "Map",
                "ItemsPath": "$rows",
                "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}},
                "End": True,
            },
        }

        ended = run_in_jsonpath(machines, states, ["a", "b"])

        assert ended["status"] == "SUCCEEDED", ended.get("cause")
        assert json.loads(ended["output"]) == ["a", "b"]

    def test_a_rule_of_a_choice_assigns_in_jsonpath(self, machines: Machines) -> None:
        rule = {"Variable": "$.n", "NumericEquals": 1, "Assign": {"n.$": "$.n", "w": "a\nb"}, "Next": "Get"}
        states = {
            "Choose": {
                "Type": "Choice",
                "Choices": [rule],
                "Assign": {"n": "none", "w": "no"},
                "Default": "Get",
            },
            "Get": {"Type": "Pass", "Parameters": {"n.$": "$n", "w.$": "$w"}, "End": True},
        }
        assert json.loads(run_in_jsonpath(machines, states, {"n": 1})["output"]) == {"n": 1, "w": "a\nb"}
        assert json.loads(run_in_jsonpath(machines, states, {"n": 2})["output"]) == {"n": "none", "w": "no"}

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("$.rows[0].name", "a"),
            ("$['rows'][1]['name']", "b"),
            ("$.rows[0]", {"name": "a"}),
            ("$.rows[*].name", ["a", "b"]),
            ("$.rows[:1].name", ["a"]),
            ("$.rows[?(@.name=='b')].name", ["b"]),
            ("$.rows[5:].name", []),
            ("$..name", ["a", "b"]),
        ],
    )
    def test_a_path_gives_one_value_or_an_array(self, machines: Machines, path: str, expected: Any) -> None:
        state = {"Type": "Pass", "Parameters": {"got.$": path}, "End": True}
        ended = run_in_jsonpath(machines, {"Get": state}, {"rows": [{"name": "a"}, {"name": "b"}]})
        assert json.loads(ended["output"]) == {"got": expected}

    def test_a_choice_compares_with_what_stands_in_an_array(self, machines: Machines) -> None:
        rules = [
            {"Variable": "$.rows[0].n", "NumericEqualsPath": "$.other[0].n", "Next": "Next"},
            {"Variable": "$.rows[0].n", "NumericEquals": 2, "Next": "Wrong"},
        ]
        states = {
            "Choose": {"Type": "Choice", "Choices": rules, "Default": "Wrong"},
            "Next": {"Type": "Succeed"},
            "Wrong": {"Type": "Fail"},
        }
        assert (
            run_in_jsonpath(machines, states, {"rows": [{"n": 1}], "other": [{"n": 1}]})["status"]
            == "SUCCEEDED"
        )

    @pytest.mark.parametrize("text", ["a\nb", 'say "so"', "back\\slash", "tab\t", "é😀", "a/b", "\u2028", ""])
    @pytest.mark.parametrize("language", ["JSONata", "JSONPath"])
    def test_a_constant_keeps_what_its_json_says(self, machines: Machines, text: str, language: str) -> None:
        values = {"text": text, "nested": {"list": [text]}}
        states: dict[str, Any] = {"Set": {"Type": "Pass", "Assign": values, "Next": "Get"}}
        if language == "JSONata":
            output = "{% {'text': $text, 'nested': $nested} %}"
            states["Get"] = {"Type": "Pass", "Output": output, "End": True}
            ended = machines.run(states)
        else:
            template = {"text.$": "$text", "nested.$": "$nested"}
            states["Get"] = {"Type": "Pass", "Parameters": template, "End": True}
            ended = run_in_jsonpath(machines, states)

        assert ended["status"] == "SUCCEEDED", ended.get("cause")
        assert json.loads(ended["output"]) == values

    def test_every_way_to_write_a_text_in_json_is_read(self, machines: Machines) -> None:
        written = r'"\/ \ud83d\ude00 \u00e9 \b"'
        definition = (
            '{"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "End": true, '
            f'"Output": {{"constant": {written}, "expression": "{{% \'\\/ \\ud83d\\ude00\' %}}"}}}}}}}}'
        )
        machine = machines.api.create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}", definition=definition, roleArn=ROLE
        )["stateMachineArn"]
        output = json.loads(machines.wait(machines.start(machine))["output"])
        assert output == {"constant": json.loads(written), "expression": "/ 😀"}

    def test_the_history_has_them_as_json(self, machines: Machines) -> None:
        execution = machines.start(
            machines.make({"A": {"Type": "Pass", "Assign": {"text": 'a"\nb', "n": [1]}, "End": True}})
        )
        machines.wait(execution)
        events = machines.api.get_execution_history(executionArn=execution)["events"]
        assigned = next(e for e in events if e["type"] == "PassStateExited")["stateExitedEventDetails"]
        assert {name: json.loads(text) for name, text in assigned["assignedVariables"].items()} == {
            "text": 'a"\nb',
            "n": [1],
        }


class TestContext:
    """https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html"""

    TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

    def test_times_have_milliseconds_and_a_z(self, machines: Machines) -> None:
        times = "{% [$states.context.Execution.StartTime, $states.context.State.EnteredTime] %}"
        started, entered = json.loads(
            machines.run({"A": {"Type": "Pass", "Output": times, "End": True}})["output"]
        )
        assert self.TIME.fullmatch(started)
        assert self.TIME.fullmatch(entered)

        template = {"started.$": "$$.Execution.StartTime", "entered.$": "$$.State.EnteredTime"}
        state = {"Type": "Pass", "Parameters": template, "End": True}
        output = json.loads(run_in_jsonpath(machines, {"A": state})["output"])
        assert all(self.TIME.fullmatch(text) for text in output.values())

    def test_the_start_is_what_the_api_says(self, machines: Machines) -> None:
        started = "{% $toMillis($states.context.Execution.StartTime) %}"
        ended = machines.run({"A": {"Type": "Pass", "Output": started, "End": True}})
        assert json.loads(ended["output"]) == int(ended["startDate"].timestamp() * 1000)

    def test_an_execution_was_not_redriven(self, machines: Machines) -> None:
        count = {"Type": "Pass", "Output": "{% $states.context.Execution.RedriveCount %}", "End": True}
        assert machines.run({"A": count})["output"] == "0"


class TestDataLimit:
    """States.ALL was recorded to catch a task's result that is too long, and documented not to catch the rest.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """

    @pytest.mark.parametrize("caught_as", ["States.ALL", "States.TaskFailed", "States.DataLimitExceeded"])
    def test_of_a_result(self, machines: Machines, local_aws: LocalAws, caught_as: str) -> None:
        function = create_function(
            local_aws, f"f-{uuid.uuid4().hex[:8]}", "def handler(event, context): return 'a' * 262_144"
        )
        catch = {"ErrorEquals": [caught_as], "Output": "{% $states.errorOutput %}", "Next": "End"}
        call = task("lambda:invoke", {"FunctionName": function, "Payload": {}}, Catch=[catch], Next="End")

        ended = machines.run({"A": call, "End": {"Type": "Succeed"}})

        assert json.loads(ended["output"]) == {
            "Error": "States.DataLimitExceeded",
            "Cause": "The state/task 'lambda' returned a result with a size exceeding the maximum number of "
            "bytes service limit.",
        }

    def test_of_a_states_output(self, machines: Machines) -> None:
        catch = {"ErrorEquals": ["States.ALL"], "Next": "End"}
        long = "{% $join($map([1..30000], function($v) { '123456789' })) %}"
        state = task("aws-sdk:s3:listBuckets", {}, Output=long, Catch=[catch], Next="End")

        ended = machines.run({"A": state, "End": {"Type": "Succeed"}})

        assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")


class TestBytes:
    """A text where an operation wants bytes is JSON on AWS: the ETag of its recorded objects is that of JSON."""

    @pytest.mark.parametrize(
        ("body", "etag"),
        [
            ("text data", "2b5df3712557f503a9977a8ea893b2c9"),
            ({"Dict": "Value"}, "49e31cee5aec8faf3345893addb14346"),
            (["List", "Data"], "6b23860357f6e63a0272b7f1143a663a"),
            (False, "68934a3e9455fa72420237eb05902327"),
        ],
    )
    def test_a_body_of_put_object(
        self, machines: Machines, local_aws: LocalAws, body: Any, etag: str
    ) -> None:
        bucket = f"bodies-{uuid.uuid4().hex[:8]}"
        local_aws.client("s3").create_bucket(Bucket=bucket)
        arguments = {"Bucket": bucket, "Key": "k", "Body": body}

        ended = machines.run({"Put": task("aws-sdk:s3:putObject", arguments)})

        assert json.loads(ended["output"])["ETag"] == f'"{etag}"'

    def test_a_text_for_a_function_is_a_text(self, machines: Machines, local_aws: LocalAws) -> None:
        function = create_function(
            local_aws, f"f-{uuid.uuid4().hex[:8]}", "def handler(event, context): return [event]"
        )
        call = task("lambda:invoke", {"FunctionName": function, "Payload": "text"})
        assert json.loads(machines.run({"A": call})["output"])["Payload"] == ["text"]


class TestInvalidArguments:
    """What the service would refuse is its error, as recorded, and can be caught."""

    @pytest.mark.parametrize(
        ("resource", "arguments", "error", "cause"),
        [
            (
                "dynamodb:putItem",
                {"TableName": "t", "Item": None},
                "DynamoDB.AmazonDynamoDBException",
                "1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must "
                "not be null (Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ValidationException; ",
            ),
            (
                "dynamodb:getItem",
                {"TableName": "t"},
                "DynamoDB.AmazonDynamoDBException",
                "Value null at 'key'",
            ),
            (
                "aws-sdk:dynamodb:putItem",
                {"TableName": "t", "Item": None},
                "DynamoDb.DynamoDbException",
                "Member must not be null (Service: DynamoDb, Status Code: 400, Request ID: ",
            ),
            (
                "sqs:sendMessage",
                {"QueueUrl": "http://127.0.0.1/1/q", "MessageBody": None},
                "SQS.AmazonSQSException",
                "The request must contain the parameter MessageBody. (Service: AmazonSQS; Status Code: 400; "
                "Error Code: MissingParameter; ",
            ),
            (
                "sqs:sendMessage",
                {"QueueUrl": "no-such-queue", "MessageBody": "m"},
                "SQS.SdkClientException",
                "Unable to execute HTTP request: no-such-queue: Name or service not known",
            ),
            (
                "aws-sdk:sqs:sendMessage",
                {"QueueUrl": "http://127.0.0.1/1/q", "MessageBody": "m", "DelaySeconds": "soon"},
                "Sqs.SqsException",
                "Invalid type for parameter DelaySeconds",
            ),
        ],
    )
    def test_name_and_cause(
        self, machines: Machines, resource: str, arguments: dict[str, Any], error: str, cause: str
    ) -> None:
        catch = {"ErrorEquals": [error], "Output": "{% $states.errorOutput.Cause %}", "Next": "End"}
        states = {"A": task(resource, arguments, Catch=[catch], Next="End"), "End": {"Type": "Succeed"}}

        ended = machines.run(states)

        assert ended["status"] == "SUCCEEDED", ended.get("error")
        assert cause in json.loads(ended["output"])

    def test_events_that_are_not_taken(self, machines: Machines) -> None:
        entries = [
            {"Detail": {"a": 1}, "DetailType": "d", "Source": "s"},
            {"Detail": {"a": 1}, "DetailType": "d"},
        ]

        ended = machines.run({"Put": task("events:putEvents", {"Entries": entries})})

        assert ended["error"] == "EventBridge.FailedEntry"
        cause = json.loads(ended["cause"])
        assert cause["FailedEntryCount"] == 1
        assert cause["Entries"][0].keys() == {"EventId"}
        assert cause["Entries"][1] == {
            "ErrorCode": "InvalidArgument",
            "ErrorMessage": "Parameter Source is not valid. Reason: Source is a required argument.",
        }


class TestTokens:
    """https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token"""

    def test_an_output_that_is_no_json_is_refused(self, machines: Machines) -> None:
        with pytest.raises(ClientError, match="InvalidOutput"):
            machines.api.send_task_success(taskToken="any", output="{")
        with pytest.raises(ClientError, match="InvalidToken"):
            machines.api.send_task_success(taskToken="any", output="{}")

    @pytest.mark.parametrize("suffix", [".sync", ".sync:2"])
    @pytest.mark.parametrize("succeeds", [True, False])
    def test_a_sync_task_ends_by_its_token(self, machines: Machines, suffix: str, succeeds: bool) -> None:
        child = machines.make({"Wait": {"Type": "Wait", "Seconds": 600, "End": True}})
        arguments = {"StateMachineArn": child, "Input": {"token": "{% $states.context.Task.Token %}"}}
        parent = machines.start(machines.make({"Run": task(f"states:startExecution{suffix}", arguments)}))
        kid = wait_until(lambda: machines.api.list_executions(stateMachineArn=child)["executions"])[0]
        token = json.loads(machines.api.describe_execution(executionArn=kid["executionArn"])["input"])[
            "token"
        ]

        if succeeds:
            machines.api.send_task_success(taskToken=token, output='{"done": true}')
        else:
            machines.api.send_task_failure(taskToken=token, error="Refused", cause="why")

        ended = machines.wait(parent)
        if succeeds:
            assert json.loads(ended["output"]) == {"done": True}
        else:
            assert (ended["error"], ended["cause"]) == ("Refused", "why")
        described = machines.api.describe_execution(executionArn=kid["executionArn"])
        assert described["status"] == "RUNNING"
        machines.api.stop_execution(executionArn=kid["executionArn"])
