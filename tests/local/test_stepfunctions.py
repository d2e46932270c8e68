"""State machines as the API shows them, and the language where moto's interpreter is not AWS."""

from __future__ import annotations

import datetime
import hashlib
import json
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import (
    ResourceARN,
    ServiceResource,
)

from local.stepfunctions import install_language, jsonata, task_errors, validation
from local.stepfunctions.executions import _fail_on_crash
from local.stepfunctions.interpreter import is_within_limit
from local.stepfunctions.jsonata import QueryEvaluationError, check_syntax, evaluate
from local.stepfunctions.sagemaker_task import JOBS, JobResolver, SageMakerTask
from local.stepfunctions.shapes import UnsupportedField, from_boto, operation_model, to_boto
from tests.support.local_aws import LocalAws, create_function, wait_until
from tests.support.machines import ROLE, Machines, task

LIMIT = 262_144


class TestJsonata:
    """Expressions on their own."""

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("$none", None),
            ("$none = null", True),
            ("$none != null", False),
            ("$none ? 1 : 2", 2),
            ("$exists($none)", True),
            ("$exists($states.input.none)", True),
            ("$exists($states.input.missing)", False),
            ("{'a': $none, 'b': $states.input.missing}", {"a": None}),
            ("$string({'a': $none})", '{"a":null}'),
            ("[$none, 1]", [None, 1]),
            ("$text", 'it\'s "so"\n\\'),
            ("$split($states.input.key, '/')[-1]", "b.csv"),
            ("$replace('a b+c', /[^a-z]+/, '-')", "a-b-c"),
            ("$merge([{'a': 1}, $none ? {'b': 2} : {}])", {"a": 1}),
            ("($twice := function($x) { $x * 2 }; $append([$twice(1), $twice(2)], []))", [2, 4]),
            ("$states.input.items[name = 'b'].value", 2),
            ("'b' in ['a', 'b']", True),
            ("[1..3]", [1, 2, 3]),
            ("3600", 3600),
            ("7 / 2", 3.5),
            ("$partition([1, 2, 3], 2)", [[1, 2], [3]]),
            ("$range(1, 9, 4)", [1, 5, 9]),
            ("$range(3, 1, -1)", [3, 2, 1]),
            ("$hash('a', 'SHA-256')", hashlib.sha256(b"a").hexdigest()),
            ("$hash('a', 'MD5')", hashlib.md5(b"a").hexdigest()),
            ("$parse('{\"a\": [1, null]}')", {"a": [1, None]}),
            ("$random(7) = $random(7)", True),
            ("$uuid() = $uuid()", False),
        ],
    )
    def test_value(self, expression: str, expected: Any) -> None:
        variables = {
            "none": None,
            "text": 'it\'s "so"\n\\',
            "states": {
                "input": {
                    "none": None,
                    "key": "a/b.csv",
                    "items": [{"name": "a", "value": 1}, {"name": "b", "value": 2}],
                }
            },
        }

        assert evaluate(expression, variables) == expected

    @pytest.mark.parametrize(
        ("expression", "text"),
        [
            ("$missing", "returned nothing"),
            ("{'a': 1}.b", "returned nothing"),
            ("$none + 1", "threw an error"),
            ("$sum", "unsupported result type"),
            ("$hash('a', 'CRC')", "SHA-256"),
            ("$hash('a')", "threw an error"),
            ("$range(1, 5000, 1)", "1000"),
            ("($f := function($n) { 1 + $f($n) }; $f(1))", "threw an error"),
        ],
    )
    def test_error(self, expression: str, text: str) -> None:
        with pytest.raises(QueryEvaluationError, match=text):
            evaluate(expression, {"none": None})

    @pytest.mark.parametrize("expression", ["(", "$eval('1')", "a +"])
    def test_what_is_refused_when_the_machine_is_made(self, expression: str) -> None:
        with pytest.raises(QueryEvaluationError):
            check_syntax(expression)

    def test_an_endless_one_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jsonata, "TIMEOUT_MILLISECONDS", 100)

        with pytest.raises(QueryEvaluationError, match="threw an error"):
            evaluate("($f := function() { $f() }; $f())", {})

    def test_text_that_looks_like_a_function_is_text(self) -> None:
        check_syntax("'$eval(1)'")

    def test_a_value_given_in_is_not_changed(self) -> None:
        value = {"a": [None, {"b": None}]}

        evaluate("$x", {"x": value})

        assert value == {"a": [None, {"b": None}]}


class TestShapes:
    """Arguments and results."""

    def test_arguments_take_the_names_that_boto3_uses(self) -> None:
        shape = operation_model("stepfunctions", "startExecution").input_shape

        assert to_boto({"StateMachineArn": "a", "Input": {"b": 1}}, shape) == {
            "stateMachineArn": "a",
            "input": '{"b":1}',
        }

    def test_an_unknown_argument_is_named_with_its_path(self) -> None:
        shape = operation_model("sagemaker", "createModel").input_shape

        with pytest.raises(UnsupportedField, match=r"PrimaryContainer\.Img"):
            to_boto({"PrimaryContainer": {"Img": "x"}}, shape)

    def test_times_are_milliseconds_or_iso(self) -> None:
        shape = operation_model("stepfunctions", "describeExecution").output_shape
        answer = {"startDate": datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)}

        assert from_boto(answer, shape, "milliseconds") == {"StartDate": 1769860800000}
        assert from_boto(answer, shape, "iso") == {"StartDate": "2026-01-31T12:00:00.000Z"}


class TestErrorNames:
    """What Retry and Catch see."""

    @pytest.mark.parametrize(
        ("service", "code", "optimized", "sdk"),
        [
            ("sagemaker", "ValidationException", "AmazonSageMakerException", "SageMaker.SageMakerException"),
            ("sagemaker", "ThrottlingException", "AmazonSageMakerException", "SageMaker.SageMakerException"),
            ("sagemaker", "ResourceInUse", "ResourceInUseException", "SageMaker.ResourceInUseException"),
            ("dynamodb", "ValidationException", "AmazonDynamoDBException", "DynamoDb.DynamoDbException"),
            ("sns", "NotFound", "NotFoundException", "Sns.NotFoundException"),
            ("sns", "Throttling", "AmazonSNSException", "Sns.SnsException"),
            ("lambda", "ServiceException", "ServiceException", "Lambda.ServiceException"),
            ("lambda", "AccessDenied", "AWSLambdaException", "Lambda.LambdaException"),
            (
                "stepfunctions",
                "ExecutionAlreadyExists",
                "ExecutionAlreadyExistsException",
                "Sfn.ExecutionAlreadyExistsException",
            ),
            ("stepfunctions", "Throttling", "AWSStepFunctionsException", "Sfn.SfnException"),
        ],
    )
    def test_name(self, service: str, code: str, optimized: str, sdk: str) -> None:
        error = ClientError({"Error": {"Code": code, "Message": "why"}}, "Operation")

        assert task_errors.optimized(service, error)[0].split(".")[1] == optimized
        assert task_errors.sdk(service, error)[0] == sdk
        assert "why" in task_errors.sdk(service, error)[1]


@pytest.mark.parametrize(("size", "expected"), [(LIMIT, True), (LIMIT + 1, False)])
def test_a_payload_may_have_as_many_bytes_as_aws_allows(size: int, expected: bool) -> None:
    quotes = 2
    assert is_within_limit("a" * (size - quotes)) is expected
    assert is_within_limit("ä" * ((size - quotes) // 2)) is True


class Jobs:
    """Takes the place of the SageMaker client: gives a job's Describe answers in order."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers = list(answers)
        self.stopped: list[dict[str, str]] = []

    def describe_training_job(self, **name: str) -> dict[str, Any]:
        return {**self._answers.pop(0), **name, "ResponseMetadata": {}}

    def stop_training_job(self, **name: str) -> None:
        self.stopped.append(name)


class TestSageMakerJobs:
    """What `.sync` waits for."""

    def resolver(self, jobs: Jobs) -> JobResolver:
        install_language()
        task = SageMakerTask()
        task.resource = ServiceResource(
            ResourceARN.from_arn("arn:aws:states:::sagemaker:createTrainingJob.sync")
        )
        env = SimpleNamespace(next_state_name="A", event_history_context=SimpleNamespace(source_event_id=1))
        return JobResolver(task, env, jobs, JOBS["createTrainingJob"], "job")

    def test_the_result_is_the_describe_answer_of_the_completed_job(self) -> None:
        ended = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
        resolver = self.resolver(
            Jobs(
                {"TrainingJobStatus": "InProgress"},
                {"TrainingJobStatus": "Completed", "TrainingEndTime": ended},
            )
        )

        assert resolver() is None
        assert resolver() == {
            "TrainingJobName": "job",
            "TrainingJobStatus": "Completed",
            "TrainingEndTime": 1769860800000,
        }

    @pytest.mark.parametrize("status", ["Failed", "Stopped"])
    def test_a_job_that_failed_or_was_stopped_is_a_failed_task(self, status: str) -> None:
        resolver = self.resolver(Jobs({"TrainingJobStatus": status, "FailureReason": "why"}))

        with pytest.raises(FailureEventException) as error:
            resolver()

        name, cause = error.value.extract_error_cause_pair()
        assert name == "States.TaskFailed"
        assert json.loads(cause) == {
            "TrainingJobName": "job",
            "TrainingJobStatus": status,
            "FailureReason": "why",
        }

    @pytest.mark.parametrize("action", sorted(JOBS))
    def test_the_api_has_what_is_asked_of_every_kind_of_job(self, action: str) -> None:
        job = JOBS[action]
        described: Any = operation_model("sagemaker", job.method("describe")).output_shape
        stopped: Any = operation_model("sagemaker", job.method("stop")).input_shape
        created: Any = operation_model("sagemaker", action).input_shape

        assert {job.name_field, job.status_field, "FailureReason"} <= described.members.keys()
        assert job.name_field in stopped.members
        assert "Tags" in created.members

    def test_a_stopped_execution_stops_its_job(self) -> None:
        jobs = Jobs()

        self.resolver(jobs).cancel()

        assert jobs.stopped == [{"TrainingJobName": "job"}]


PASS = {"Type": "Pass", "End": True}
TASK = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        (
            {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}},
            "'Next' target: B at /States/A/Next",
        ),
        ({"StartAt": "A", "States": {"A": PASS, "B": PASS}}, '"B" is not reachable'),
        ({"States": {"A": PASS}}, "'StartAt' is missing"),
        ({"StartAt": "B", "States": {"A": PASS}}, "'StartAt' target: B at /StartAt"),
        ({"StartAt": "A"}, "'States' is missing"),
        ({"StartAt": "A", "States": {"A": {"Type": "Pass"}}}, "either 'Next' or 'End'"),
        ({"StartAt": "A", "States": {"A": {"Type": "Pas", "End": True}}}, "'Pas'"),
        ({"StartAt": "A", "States": {"A": {"Type": "Choice"}}}, "'Choices' is missing"),
        (
            {
                "StartAt": "A",
                "States": {"A": {**TASK, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}]}},
            },
            "/States/A/Catch[0]/Next",
        ),
        (
            {"StartAt": "A", "States": {"A": {**TASK, "Retry": [{"ErrorEquals": ["States.ALL", "B"]}]}}},
            "States.ALL must stand alone",
        ),
        (
            {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {**PASS, "Output": "{% ( %}"}}},
            "/States/A/Output",
        ),
        (
            {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {**PASS, "InputPath": "$"}}},
            "'InputPath' is not supported with JSONata",
        ),
        (
            {
                "StartAt": "A",
                "States": {
                    "A": {
                        "Type": "Parallel",
                        "End": True,
                        "Branches": [{"StartAt": "B", "States": {"B": {"Type": "Pass", "Next": "A"}}}],
                    }
                },
            },
            "/States/A/Branches/States/B/Next",
        ),
        (
            {
                "StartAt": "A",
                "States": {"A": {**TASK, "Resource": "arn:aws:states:::sagemaker:createModel.sync"}},
            },
            "sagemaker:createModel.sync",
        ),
    ],
)
def test_a_broken_definition_is_refused_with_its_place(definition: dict[str, Any], text: str) -> None:
    install_language()  # SageMaker's tasks are checked by their own class
    with pytest.raises(validation.InvalidDefinition) as error:
        validation.check(json.dumps(definition))
    assert text in error.value.message


SLOW = {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}


class TestExecutions:
    """The API."""

    def test_an_unnamed_execution_gets_a_uuid(self, machines: Machines) -> None:
        result = machines.run({"A": PASS}, {"a": 1})

        assert uuid.UUID(result["name"])
        assert (result["status"], json.loads(result["output"])) == ("SUCCEEDED", {"a": 1})

    def test_a_text_as_output_is_json(self, machines: Machines) -> None:
        assert machines.run({"A": {**PASS, "Output": "text"}})["output"] == '"text"'

    def test_the_same_name_and_input_is_the_same_execution_while_it_runs(self, machines: Machines) -> None:
        machine = machines.make(SLOW)
        first = machines.start(machine, {"a": 1}, name="once")

        again = machines.api.start_execution(stateMachineArn=machine, name="once", input='{ "a":1 }')
        assert again["executionArn"] == first
        with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
            machines.start(machine, {"a": 2}, name="once")
        machines.api.stop_execution(executionArn=first)
        with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
            machines.start(machine, {"a": 1}, name="once")
        assert len(machines.api.list_executions(stateMachineArn=machine)["executions"]) == 1

    def test_an_input_that_is_too_long_is_refused(self, machines: Machines) -> None:
        with pytest.raises(ClientError, match="ValidationException"):
            machines.start(machines.make({"A": PASS}), "a" * LIMIT)

    def test_a_broken_definition_is_refused_by_the_api(self, machines: Machines) -> None:
        machine = machines.make({"A": PASS})

        with pytest.raises(ClientError, match=r"InvalidDefinition.*target: Nowhere"):
            machines.make({"A": {"Type": "Pass", "Next": "Nowhere"}})
        with pytest.raises(ClientError, match="InvalidDefinition"):
            machines.api.update_state_machine(stateMachineArn=machine, definition="{}")

    def test_the_same_name_with_another_definition_is_refused(self, machines: Machines) -> None:
        name = machines.make({"A": PASS}).rsplit(":", 1)[-1]

        with pytest.raises(ClientError, match="StateMachineAlreadyExists"):
            machines.api.create_state_machine(
                name=name, definition=json.dumps({"StartAt": "B", "States": {"B": PASS}}), roleArn=ROLE
            )

    def test_stopping_ends_it_at_once_with_its_reason(self, machines: Machines) -> None:
        execution = machines.start(machines.make(SLOW))

        machines.api.stop_execution(executionArn=execution, error="Enough", cause="a test")

        described = machines.api.describe_execution(executionArn=execution)
        assert (described["status"], described["error"], described["cause"]) == (
            "ABORTED",
            "Enough",
            "a test",
        )
        wait_until(lambda: machines.events(execution)[-1] == "ExecutionAborted")

    def test_what_is_stopped_as_it_begins_has_an_end_in_its_history(self) -> None:
        execution = SimpleNamespace(
            exec_status=ExecutionStatus.ABORTED, exec_arn="arn", error="Enough", cause="a test"
        )
        written: list[Any] = []
        manager = SimpleNamespace(add_event=lambda **event: written.append(event))
        context = SimpleNamespace(source_event_id=7)
        worker = SimpleNamespace(
            _execution_communication=SimpleNamespace(execution=execution),
            env=SimpleNamespace(event_manager=manager, event_history_context=context),
        )

        def began(_worker: Any) -> None:
            raise RuntimeError("Could not set NextState value when in state 'ProgramStopped'.")

        _fail_on_crash(began)(worker)

        [event] = written
        assert event["event_type"] == "ExecutionAborted"
        assert event["event_details"]["executionAbortedEventDetails"] == {
            "error": "Enough",
            "cause": "a test",
        }
        assert execution.exec_status == ExecutionStatus.ABORTED

    def test_stopping_interrupts_the_pause_before_a_retry(self, machines: Machines) -> None:
        retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 600}
        missing = task("dynamodb:getItem", {"TableName": "gone", "Key": {"k": {"S": "a"}}}, Retry=[retry])
        execution = machines.start(machines.make({"A": missing}))
        wait_until(lambda: "TaskFailed" in machines.events(execution))

        machines.api.stop_execution(executionArn=execution)

        wait_until(lambda: machines.events(execution)[-1] == "ExecutionAborted")

    def test_the_history_is_paged_and_can_be_reversed(self, machines: Machines) -> None:
        execution = machines.start(machines.make({"A": {"Type": "Pass", "Next": "B"}, "B": PASS}))
        machines.wait(execution)

        expected = [
            "ExecutionStarted",
            *("PassStateEntered", "PassStateExited") * 2,
            "ExecutionSucceeded",
        ]
        assert machines.events(execution) == expected
        page = machines.api.get_execution_history(executionArn=execution, maxResults=2, reverseOrder=True)
        assert [event["type"] for event in page["events"]] == expected[:-3:-1]
        assert page["nextToken"]

    def test_the_history_reaches_the_log_group(self, machines: Machines) -> None:
        logs, group = machines.server.client("logs"), f"/machines/{uuid.uuid4().hex[:8]}"
        logs.create_log_group(logGroupName=group)
        arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{group}:*"
        machine = machines.make(
            {"A": PASS},
            loggingConfiguration={
                "level": "ALL",
                "includeExecutionData": False,
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}],
            },
        )
        execution = machines.start(machine, {"secret": 1})
        machines.wait(execution)

        messages = [
            json.loads(event["message"]) for event in logs.filter_log_events(logGroupName=group)["events"]
        ]

        assert [message["type"] for message in messages] == machines.events(execution)
        assert all(message["execution_arn"] == execution for message in messages)
        assert "secret" not in json.dumps(messages)


class TestFailures:
    """What fails, how it is called, and what may catch it."""

    def test_an_undefined_result_is_a_query_evaluation_error_that_can_be_caught(
        self, machines: Machines
    ) -> None:
        catch = {"ErrorEquals": ["States.ALL"], "Next": "Caught", "Output": "{% $states.errorOutput.Error %}"}
        states = {
            "A": task("lambda:invoke", {"FunctionName": "{% $states.input.missing %}"}, Catch=[catch]),
            "Caught": {"Type": "Succeed"},
        }

        assert machines.run(states)["output"] == '"States.QueryEvaluationError"'

    def test_in_a_pass_state_it_ends_the_execution(self, machines: Machines) -> None:
        execution = machines.start(machines.make({"A": {**PASS, "Output": "{% $states.input.missing %}"}}))

        assert machines.wait(execution)["error"] == "States.QueryEvaluationError"
        assert "EvaluationFailed" in machines.events(execution)

    def test_a_fail_state_computes_its_error(self, machines: Machines) -> None:
        result = machines.run(
            {"A": {"Type": "Fail", "Error": "{% 'My' & 'Error' %}", "Cause": "{% $states.input.why %}"}},
            {"why": 'it\'s "so"\n'},
        )

        assert (result["error"], result["cause"]) == ("MyError", 'it\'s "so"\n')

    @pytest.mark.parametrize("error", ["States.DataLimitExceeded", "States.Runtime"])
    def test_what_states_all_cannot_catch(self, machines: Machines, error: str) -> None:
        big = {"FunctionName": "f", "Payload": "{% $join($map([1..30000], function($v) { '123456789' })) %}"}
        arguments = big if "Limit" in error else {"FunctionName": "f", "Bogus": 1}
        catch = {"ErrorEquals": ["States.ALL"], "Next": "Caught"}

        result = machines.run(
            {"A": task("lambda:invoke", arguments, Catch=[catch]), "Caught": {"Type": "Succeed"}}
        )

        assert (result["status"], result["error"]) == ("FAILED", error)

    def test_a_function_error_is_named_as_its_exception_with_its_payload_as_cause(
        self, machines: Machines, local_aws: LocalAws
    ) -> None:
        source = (
            "class DataRejected(Exception): pass\ndef handler(event, context): raise DataRejected('why')\n"
        )
        function = create_function(local_aws, f"f-{uuid.uuid4().hex[:8]}", source)

        result = machines.run({"A": task("lambda:invoke", {"FunctionName": function, "Payload": {}})})

        assert result["error"] == "DataRejected"
        cause = json.loads(result["cause"])
        assert (cause["errorType"], cause["errorMessage"]) == ("DataRejected", "why")

    def test_sagemaker_errors_are_named_after_their_integration(self, machines: Machines) -> None:
        config = {"EndpointName": "e", "EndpointConfigName": "gone"}

        assert machines.run({"A": task("sagemaker:createEndpoint", config)})["error"] in (
            "SageMaker.AmazonSageMakerException",
            "SageMaker.ResourceNotFoundException",
        )
        described = machines.run({"A": task("aws-sdk:sagemaker:describeEndpoint", {"EndpointName": "gone"})})
        assert described["error"] == "SageMaker.SageMakerException"

    def test_a_choice_takes_its_own_assign_only_by_default(self, machines: Machines) -> None:
        states = {
            "A": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.n = null %}", "Next": "B"}],
                "Assign": {"by_default": True},
                "Default": "B",
            },
            "B": {"Type": "Succeed", "Output": "{% $exists($by_default) %}"},
        }

        assert machines.run(states, {"n": None})["output"] == "false"
        assert machines.run(states, {"n": 1})["output"] == "true"


class TestIntegrations:
    """Service tasks in JSONata."""

    def test_dynamodb_and_sns(self, machines: Machines, local_aws: LocalAws) -> None:
        table = f"t-{uuid.uuid4().hex[:8]}"
        local_aws.client("dynamodb").create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        topic = local_aws.client("sns").create_topic(Name=table)["TopicArn"]
        key = {"TableName": table, "Key": {"k": {"S": "a"}}}
        conflict = {
            **key,
            "UpdateExpression": "SET n = :n",
            "ConditionExpression": "attribute_not_exists(n)",
            "ExpressionAttributeValues": {":n": {"N": "{% $string(2) %}"}},
        }
        catch = {
            "ErrorEquals": ["DynamoDB.ConditionalCheckFailedException"],
            "Next": "Publish",
            "Assign": {"caught": "{% $states.errorOutput.Error %}"},
        }
        item = {"TableName": table, "Item": {"k": {"S": "a"}, "n": {"N": "1"}}}
        message = {
            "TopicArn": topic,
            "Subject": "a test",
            "Message": "{% $caught %}",
            "MessageAttributes": {"outcome": {"DataType": "String", "StringValue": "{% $n %}"}},
        }

        result = machines.run(
            {
                "Put": task("dynamodb:putItem", item, Next="Get"),
                "Get": task(
                    "dynamodb:getItem", key, Next="Update", Assign={"n": "{% $states.result.Item.n.N %}"}
                ),
                "Update": task("dynamodb:updateItem", conflict, Catch=[catch], Next="Publish"),
                "Publish": task("sns:publish", message, Output="{% [$n, $caught] %}"),
            }
        )

        assert json.loads(result["output"]) == ["1", "DynamoDB.ConditionalCheckFailedException"]

    def child(
        self, machines: Machines, suffix: str, states: dict[str, Any], **arguments: Any
    ) -> dict[str, Any]:
        return task(f"states:startExecution{suffix}", {"StateMachineArn": machines.make(states), **arguments})

    def test_a_child_gives_its_output_parsed_with_sync_2(self, machines: Machines) -> None:
        child = self.child(machines, ".sync:2", {"A": PASS}, Input={"a": None, "b": "{% 1 + 1 %}"})

        output = json.loads(machines.run({"Run": child})["output"])

        assert output["Status"] == "SUCCEEDED"
        assert output["Output"] == {"a": None, "b": 2}

    def test_and_as_text_with_sync(self, machines: Machines) -> None:
        output = json.loads(machines.run({"Run": self.child(machines, ".sync", {"A": PASS})})["output"])

        assert output["Output"] == "{}"

    def test_without_sync_it_only_starts(self, machines: Machines) -> None:
        output = json.loads(machines.run({"Run": self.child(machines, "", SLOW, Name="kid")})["output"])

        assert set(output) == {"ExecutionArn", "StartDate"}
        machines.api.stop_execution(executionArn=output["ExecutionArn"])

    @pytest.mark.parametrize("suffix", [".sync", ".sync:2"])
    def test_a_failed_child_is_a_failed_task_with_its_error_in_the_cause(
        self, machines: Machines, suffix: str
    ) -> None:
        fail = {"A": {"Type": "Fail", "Error": "ChildBroke", "Cause": "why"}}
        execution = machines.start(machines.make({"Run": self.child(machines, suffix, fail)}))

        result = machines.wait(execution)

        assert result["error"] == "States.TaskFailed"
        cause = json.loads(result["cause"])
        assert (cause["Status"], cause["Error"], cause["Cause"]) == ("FAILED", "ChildBroke", "why")
        assert machines.events(execution)[-3:] == ["TaskSubmitted", "TaskFailed", "ExecutionFailed"]

    def test_a_name_that_was_used_is_an_error_of_its_own(self, machines: Machines) -> None:
        child = self.child(machines, "", {"A": PASS}, Name="kid")
        states = {
            "First": {**child, "Next": "Second"},
            "Second": {**child, "Arguments": dict(child["Arguments"])},
        }
        states["First"].pop("End")
        states["Second"]["Arguments"]["Input"] = {"another": "input"}

        assert machines.run(states)["error"] == "StepFunctions.ExecutionAlreadyExistsException"

    def test_a_stopped_parent_stops_its_child(self, machines: Machines) -> None:
        child = self.child(machines, ".sync:2", SLOW, Name="kid")
        execution = machines.start(machines.make({"Run": child}))
        wait_until(lambda: "TaskSubmitted" in machines.events(execution))

        machines.api.stop_execution(executionArn=execution)

        machine = child["Arguments"]["StateMachineArn"]
        kid = machine.replace(":stateMachine:", ":execution:") + ":kid"
        assert machines.wait(kid)["status"] == "ABORTED"

    def test_a_task_that_takes_too_long_times_out_and_stops_its_child(self, machines: Machines) -> None:
        child = self.child(machines, ".sync:2", SLOW, Name="kid")

        result = machines.run({"Run": {**child, "TimeoutSeconds": 1}})

        assert result["error"] == "States.Timeout"
        machine = child["Arguments"]["StateMachineArn"]
        assert machines.wait(machine.replace(":stateMachine:", ":execution:") + ":kid")["status"] == "ABORTED"
