"""Versions, aliases, activities, validation, and what Step Functions' API refuses by name."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.local_aws import LocalAws, create_function, wait_until
from tests.support.machines import ROLE, Machines, task

END = {"Type": "Succeed"}
SLOW = {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}


def giving(value: str) -> dict[str, Any]:
    return {"A": {"Type": "Pass", "Output": value, "End": True}}


def definition(states: dict[str, Any]) -> str:
    return json.dumps({"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states})


class TestVersions:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-state-machine-version.html"""

    def publish(self, machines: Machines, machine: str, **settings: Any) -> str:
        answer = machines.api.publish_state_machine_version(stateMachineArn=machine, **settings)
        arn: str = answer["stateMachineVersionArn"]
        return arn

    def output(self, machines: Machines, arn: str) -> Any:
        return json.loads(machines.wait(machines.start(arn))["output"])

    def test_a_version_stays_what_it_was(self, machines: Machines) -> None:
        machine = machines.make(giving("one"))
        first = self.publish(machines, machine, description="the first")
        machines.api.update_state_machine(stateMachineArn=machine, definition=definition(giving("two")))
        second = self.publish(machines, machine)

        assert (first, second) == (f"{machine}:1", f"{machine}:2")
        assert self.publish(machines, machine) == second
        assert [self.output(machines, arn) for arn in (first, second, machine)] == ["one", "two", "two"]
        listed = machines.api.list_state_machine_versions(stateMachineArn=machine)["stateMachineVersions"]
        assert [item["stateMachineVersionArn"] for item in listed] == [second, first]
        described = machines.api.describe_state_machine(stateMachineArn=first)
        assert json.loads(described["definition"])["States"] == giving("one")
        assert described["description"] == "the first"

    def test_its_executions_are_the_machines(self, machines: Machines) -> None:
        machine = machines.make(giving("one"))
        version = self.publish(machines, machine)
        by_version, by_machine = machines.start(version, name="v"), machines.start(machine, name="m")
        described = machines.wait(by_version)
        machines.wait(by_machine)

        assert by_version == machine.replace(":stateMachine:", ":execution:") + ":v"
        assert (described["stateMachineArn"], described["stateMachineVersionArn"]) == (machine, version)
        assert "stateMachineVersionArn" not in machines.wait(by_machine)
        with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
            machines.start(machine, name="v")
        api = machines.api
        all_of_it = api.list_executions(stateMachineArn=machine)["executions"]
        assert {item["executionArn"] for item in all_of_it} == {by_version, by_machine}
        of_version = api.list_executions(stateMachineArn=version)["executions"]
        assert [item["executionArn"] for item in of_version] == [by_version]

    def test_creating_and_updating_may_publish(self, machines: Machines) -> None:
        created = machines.api.create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}", definition=definition(giving("one")), roleArn=ROLE, publish=True
        )
        machine = created["stateMachineArn"]
        assert created["stateMachineVersionArn"] == f"{machine}:1"
        updated = machines.api.update_state_machine(
            stateMachineArn=machine, definition=definition(giving("two")), publish=True
        )
        assert updated["stateMachineVersionArn"] == f"{machine}:2"

    def test_a_number_is_not_given_twice(self, machines: Machines) -> None:
        machine = machines.make(giving("one"))
        first = self.publish(machines, machine)

        machines.api.delete_state_machine_version(stateMachineVersionArn=first)

        with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
            machines.start(first)
        assert self.publish(machines, machine) == f"{machine}:2"

    def test_an_alias_routes_to_versions(self, machines: Machines) -> None:
        machine = machines.make(giving("one"))
        first = self.publish(machines, machine)
        machines.api.update_state_machine(stateMachineArn=machine, definition=definition(giving("two")))
        second = self.publish(machines, machine)
        route = [{"stateMachineVersionArn": first, "weight": 100}]
        create = machines.api.create_state_machine_alias

        alias = create(name="live", routingConfiguration=route)["stateMachineAliasArn"]

        assert alias == f"{machine}:live"
        assert create(name="live", routingConfiguration=route)["stateMachineAliasArn"] == alias
        with pytest.raises(ClientError, match="ConflictException"):
            create(name="live", routingConfiguration=[{"stateMachineVersionArn": second, "weight": 100}])
        described = machines.wait(machines.start(alias))
        assert json.loads(described["output"]) == "one"
        assert (described["stateMachineAliasArn"], described["stateMachineVersionArn"]) == (alias, first)
        with pytest.raises(ClientError, match="ConflictException"):
            machines.api.delete_state_machine_version(stateMachineVersionArn=first)

        both = [
            {"stateMachineVersionArn": arn, "weight": weight} for arn, weight in ((first, 0), (second, 100))
        ]
        machines.api.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=both)
        assert self.output(machines, alias) == "two"
        of_alias = machines.api.list_executions(stateMachineArn=alias)["executions"]
        assert len(of_alias) == 2

        machines.api.delete_state_machine_alias(stateMachineAliasArn=alias)
        with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
            machines.start(alias)

    def test_the_machine_of_an_execution_is_what_it_was(self, machines: Machines) -> None:
        machine = machines.make(giving("one"))
        execution = machines.start(machine)
        machines.api.update_state_machine(stateMachineArn=machine, definition=definition(giving("two")))

        described = machines.api.describe_state_machine_for_execution(executionArn=execution)

        assert json.loads(described["definition"])["States"] == giving("one")


@pytest.fixture
def activity(machines: Machines) -> str:
    arn: str = machines.api.create_activity(name=f"a-{uuid.uuid4().hex[:8]}")["activityArn"]
    return arn


class TestActivities:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-activities.html"""

    def start(self, machines: Machines, activity: str, **fields: Any) -> str:
        state = {"Type": "Task", "Resource": activity, "Arguments": {"n": "{% $states.input.n %}"}, **fields}
        state |= {} if "Next" in fields else {"End": True}
        return machines.start(
            machines.make({"Work": state, **({"End": END} if "Next" in fields else {})}), {"n": 1}
        )

    def take(self, machines: Machines, activity: str) -> dict[str, Any]:
        taken: dict[str, Any] = machines.api.get_activity_task(activityArn=activity, workerName="worker")
        return taken

    def test_a_worker_takes_a_task_and_answers(self, machines: Machines, activity: str) -> None:
        execution = self.start(machines, activity)

        taken = self.take(machines, activity)
        machines.api.send_task_success(taskToken=taken["taskToken"], output='{"done": 2}')

        assert json.loads(taken["input"]) == {"n": 1}
        assert json.loads(machines.wait(execution)["output"]) == {"done": 2}
        assert machines.events(execution)[2:5] == [
            "ActivityScheduled",
            "ActivityStarted",
            "ActivitySucceeded",
        ]

    def test_a_worker_may_wait_first(self, machines: Machines, activity: str) -> None:
        taken: list[dict[str, Any]] = []
        worker = threading.Thread(target=lambda: taken.append(self.take(machines, activity)))
        worker.start()
        execution = self.start(machines, activity)
        worker.join()

        machines.api.send_task_failure(taskToken=taken[0]["taskToken"], error="Broken", cause="why")

        ended = machines.wait(execution)
        assert (ended["error"], ended["cause"]) == ("Broken", "why")

    def test_one_that_no_worker_takes_times_out(self, machines: Machines, activity: str) -> None:
        catch = {"ErrorEquals": ["States.Timeout"], "Output": "caught", "Next": "End"}
        execution = self.start(machines, activity, TimeoutSeconds=1, Catch=[catch], Next="End")

        assert json.loads(machines.wait(execution)["output"]) == "caught"
        assert "ActivityTimedOut" in machines.events(execution)

    def test_a_task_that_nobody_waits_for_is_not_given(self, machines: Machines, activity: str) -> None:
        stopped = self.start(machines, activity)
        wait_until(lambda: "ActivityScheduled" in machines.events(stopped))
        machines.api.stop_execution(executionArn=stopped)
        wait_until(lambda: machines.events(stopped)[-1] == "ExecutionAborted")
        running = self.start(machines, activity)

        taken = self.take(machines, activity)
        machines.api.send_task_success(taskToken=taken["taskToken"], output="3")

        assert machines.wait(running)["output"] == "3"

    def test_its_arguments_can_fail_and_be_caught(self, machines: Machines, activity: str) -> None:
        catch = {"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput.Error %}", "Next": "End"}
        execution = self.start(machines, activity, Arguments="{% $missing %}", Catch=[catch], Next="End")
        assert json.loads(machines.wait(execution)["output"]) == "States.QueryEvaluationError"

    def test_the_api(self, machines: Machines, activity: str) -> None:
        api, name = machines.api, activity.rsplit(":", 1)[-1]
        assert api.create_activity(name=name)["activityArn"] == activity
        assert api.describe_activity(activityArn=activity)["name"] == name
        assert activity in [item["activityArn"] for item in api.list_activities()["activities"]]
        api.delete_activity(activityArn=activity)
        with pytest.raises(ClientError, match="ActivityDoesNotExist"):
            api.get_activity_task(activityArn=activity)


def test_a_definition_is_validated_without_being_made(machines: Machines) -> None:
    validate = machines.api.validate_state_machine_definition

    assert validate(definition=definition(giving("one")))["result"] == "OK"
    answer = validate(definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}))
    assert answer["result"] == "FAIL"
    assert answer["diagnostics"] == [
        {
            "severity": "ERROR",
            "code": "MISSING_TRANSITION_TARGET",
            "message": "Missing 'Next' target: B",
            "location": "/States/A/Next",
        }
    ]
    assert validate(definition="{")["diagnostics"][0]["code"] == "INVALID_JSON_DESCRIPTION"


@pytest.mark.parametrize(
    "states",
    [
        [],
        {"A": []},
        {"A": "Pass"},
        {"A": {"Type": "Map", "ItemProcessor": [], "End": True}},
        {"A": {"Type": "Map", "ItemProcessor": {"ProcessorConfig": 1}, "End": True}},
        {"A": {"Type": "Map", "ItemProcessor": {"StartAt": "B", "States": {"B": 1}}, "End": True}},
        {"A": {"Type": "Parallel", "Branches": {"StartAt": "B"}, "End": True}},
        {"A": {"Type": "Parallel", "Branches": [1], "End": True}},
        {"A": {"Type": "Choice", "Choices": [None]}},
        {"A": {"Type": "Pass", "Catch": "B", "End": True}},
    ],
)
def test_what_has_no_shape_is_refused_with_its_place(machines: Machines, states: Any) -> None:
    with pytest.raises(ClientError, match=r"InvalidDefinition.* at /States"):
        machines.api.create_state_machine(
            name="m", definition=json.dumps({"StartAt": "A", "States": states}), roleArn=ROLE
        )


def test_stopping_ends_the_wait_for_a_token(machines: Machines, local_aws: LocalAws) -> None:
    queue = local_aws.client("sqs").create_queue(QueueName=f"q-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    message = {"QueueUrl": queue, "MessageBody": "{% $states.context.Task.Token %}"}
    ask = task("sqs:sendMessage.waitForTaskToken", message)
    execution = machines.start(machines.make({"Ask": ask}))
    wait_until(lambda: "TaskSubmitted" in machines.events(execution))

    machines.api.stop_execution(executionArn=execution)

    wait_until(lambda: machines.events(execution)[-1] == "ExecutionAborted")


def client_of_the_environment(local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client with no settings but the server's environment: some operations have a host name of their own."""
    for name, value in local_aws.env.items():
        monkeypatch.setenv(name, value)
    return boto3.session.Session().client("stepfunctions")


class TestExpress:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-standard-vs-express.html"""

    def test_it_is_run_to_its_end(
        self, machines: Machines, local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api = client_of_the_environment(local_aws, monkeypatch)
        double = {"A": {"Type": "Pass", "Output": "{% $states.input.n * 2 %}", "End": True}}
        machine = machines.make(double, type="EXPRESS")

        ended = api.start_sync_execution(stateMachineArn=machine, name="twice", input='{"n": 2}')
        again = api.start_sync_execution(stateMachineArn=machine, name="twice", input='{"n": 3}')

        assert (ended["status"], ended["output"], ended["input"]) == ("SUCCEEDED", "4", '{"n": 2}')
        assert again["output"] == "6"
        assert ended["executionArn"].startswith(machine.replace(":stateMachine:", ":express:") + ":twice:")
        assert ended["billingDetails"]["billedDurationInMilliseconds"] % 100 == 0

    def test_how_it_fails(
        self, machines: Machines, local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api = client_of_the_environment(local_aws, monkeypatch)
        fail = machines.make({"A": {"Type": "Fail", "Error": "Broken", "Cause": "why"}}, type="EXPRESS")
        ended = api.start_sync_execution(stateMachineArn=fail)
        assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "Broken", "why")

        late = json.dumps({"TimeoutSeconds": 1, "StartAt": "Wait", "States": SLOW})
        machine = machines.api.create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}", definition=late, roleArn=ROLE, type="EXPRESS"
        )["stateMachineArn"]
        assert api.start_sync_execution(stateMachineArn=machine)["status"] == "TIMED_OUT"

    def test_started_it_is_seen_in_its_log_alone(self, machines: Machines, local_aws: LocalAws) -> None:
        logs, group = local_aws.client("logs"), f"/machines/{uuid.uuid4().hex[:8]}"
        logs.create_log_group(logGroupName=group)
        arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{group}:*"
        destinations = [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}]
        machine = machines.make(
            giving("one"),
            type="EXPRESS",
            loggingConfiguration={"level": "ALL", "includeExecutionData": True, "destinations": destinations},
        )

        execution = machines.start(machine)

        def types() -> list[str]:
            events = logs.filter_log_events(logGroupName=group)["events"]
            messages = [json.loads(event["message"]) for event in events]
            return [message["type"] for message in messages if message["execution_arn"] == execution]

        wait_until(lambda: "ExecutionSucceeded" in types())
        with pytest.raises(ClientError, match="StateMachineTypeNotSupported"):
            machines.api.list_executions(stateMachineArn=machine)
        with pytest.raises(ClientError, match="InvalidArn"):
            machines.api.describe_execution(executionArn=execution)

    def test_a_standard_machine_is_not_run_so(
        self, machines: Machines, local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api = client_of_the_environment(local_aws, monkeypatch)
        with pytest.raises(ClientError, match="StateMachineTypeNotSupported"):
            api.start_sync_execution(stateMachineArn=machines.make(giving("one")))

    @pytest.mark.parametrize(
        "state",
        [
            task("states:startExecution.sync:2", {}),
            task("sqs:sendMessage.waitForTaskToken", {}),
            {"Type": "Task", "Resource": "arn:aws:states:us-east-1:123456789012:activity:a", "End": True},
            {
                "Type": "Map",
                "ItemProcessor": {
                    "StartAt": "P",
                    "States": {"P": END},
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                },
                "End": True,
            },
        ],
    )
    def test_what_it_cannot_do_is_refused(self, machines: Machines, state: dict[str, Any]) -> None:
        with pytest.raises(ClientError, match=r"InvalidDefinition.*EXPRESS.*/States/A"):
            machines.make({"A": state}, type="EXPRESS")
        machine = machines.make(giving("one"), type="EXPRESS")
        with pytest.raises(ClientError, match=r"InvalidDefinition.*EXPRESS"):
            machines.api.update_state_machine(stateMachineArn=machine, definition=definition({"A": state}))
        answer = machines.api.validate_state_machine_definition(
            definition=definition({"A": state}), type="EXPRESS"
        )
        assert answer["result"] == "FAIL"
        machines.make({"A": state})


class TestRefusals:
    """What is not imitated says so by its name."""

    @pytest.mark.parametrize(
        ("states", "status", "reason"),
        [
            (giving("one"), "NOT_REDRIVABLE", "Execution is SUCCEEDED and cannot be redriven"),
            ({"A": {"Type": "Fail"}}, "REDRIVABLE", None),
        ],
    )
    def test_what_could_be_redriven(
        self, machines: Machines, states: dict[str, Any], status: str, reason: str | None
    ) -> None:
        ended = machines.run(states)
        assert (ended["redriveCount"], ended["redriveStatus"]) == (0, status)
        assert ended.get("redriveStatusReason") == reason

    def test_operations(
        self, machines: Machines, local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        execution = machines.start(machines.make({"A": {"Type": "Fail"}}))
        machines.wait(execution)
        with pytest.raises(ClientError, match=r"UnsupportedOperation.*RedriveExecution"):
            machines.api.redrive_execution(executionArn=execution)
        plain = client_of_the_environment(local_aws, monkeypatch)
        with pytest.raises(ClientError, match=r"UnsupportedOperation.*TestState"):
            plain.test_state(definition=json.dumps(giving("one")["A"]), roleArn=ROLE)

    def test_what_a_revision_is_called(self, machines: Machines) -> None:
        with pytest.raises(ClientError, match=r"ValidationException.*revisionId"):
            machines.api.publish_state_machine_version(
                stateMachineArn=machines.make(giving("one")), revisionId="r"
            )

    def test_credentials_of_another_account(self, machines: Machines, local_aws: LocalAws) -> None:
        function = create_function(
            local_aws, f"f-{uuid.uuid4().hex[:8]}", "def handler(event, context): return event"
        )
        call = task("lambda:invoke", {"FunctionName": function, "Payload": {}})
        call["Output"] = "{% $states.result.Payload %}"
        own = {"RoleArn": "arn:aws:iam::123456789012:role/other"}
        assert machines.run({"A": {**call, "Credentials": own}})["output"] == "{}"

        foreign = {"RoleArn": "{% 'arn:aws:iam::' & $states.input.account & ':role/other' %}"}
        ended = machines.run({"A": {**call, "Credentials": foreign}}, {"account": "999999999999"})
        assert ended["error"] == "States.Runtime"
        assert "arn:aws:iam::999999999999:role/other" in ended["cause"]

    @pytest.mark.parametrize("resource", ["states:startExecution.sync:2", "sqs:sendMessage.waitForTaskToken"])
    def test_waiting_in_an_express_child(self, machines: Machines, resource: str) -> None:
        config = {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
        processor = {"StartAt": "A", "States": {"A": task(resource, {})}, "ProcessorConfig": config}
        with pytest.raises(ClientError, match=r"InvalidDefinition.*EXPRESS"):
            machines.make({"Map": {"Type": "Map", "ItemProcessor": processor, "End": True}})

    def test_an_express_child_is_named_so(self, machines: Machines) -> None:
        config = {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
        look = {"Type": "Pass", "Output": "{% $states.context.Execution.Id %}", "End": True}
        processor = {"StartAt": "A", "States": {"A": look}, "ProcessorConfig": config}
        ended = machines.run({"Map": {"Type": "Map", "ItemProcessor": processor, "End": True}}, [1])
        (arn,) = json.loads(ended["output"])
        assert arn.split(":")[5] == "express"
