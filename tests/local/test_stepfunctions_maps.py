"""Distributed Map: children that fail, batches, results in S3, counts; and errors out of Map and Parallel."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.local_aws import LocalAws, wait_until
from tests.support.machines import ROLE, Machines, task

EXCEEDED = "States.ExceedToleratedFailureThreshold"
# Fails where the item is "bad", otherwise gives the item.
CHECK = {
    "StartAt": "Check",
    "States": {
        "Check": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% 'bad' in $states.input.* %}", "Next": "Fail"}],
            "Default": "Good",
        },
        "Fail": {"Type": "Fail", "Error": "Broken", "Cause": "it is bad"},
        "Good": {"Type": "Succeed"},
    },
}
BROKEN = {"Status": "FAILED", "Error": "Broken", "Cause": "it is bad"}


def distributed(processor: dict[str, Any], **fields: Any) -> dict[str, Any]:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    state = {"Type": "Map", "ItemProcessor": {"ProcessorConfig": config, **processor}, **fields}
    return state if "Next" in fields else {**state, "End": True}


def items(*kinds: str) -> list[dict[str, str]]:
    return [{"kind": kind} for kind in kinds]


class Runs:
    """Runs one Map state, and reads its Map Run."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.api = machines.api

    def run(self, state: dict[str, Any], value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        ended = self.machines.run({"Map": state}, value)
        listed = self.api.list_map_runs(executionArn=ended["executionArn"])["mapRuns"]
        assert len(listed) == 1
        return ended, self.api.describe_map_run(mapRunArn=listed[0]["mapRunArn"])


@pytest.fixture
def runs(machines: Machines) -> Runs:
    return Runs(machines)


@pytest.fixture
def bucket(local_aws: LocalAws) -> str:
    name = f"maps-{uuid.uuid4().hex[:8]}"
    local_aws.client("s3").create_bucket(Bucket=name)
    return name


def child_that_asks(runs: Runs, local_aws: LocalAws) -> tuple[str, str]:
    """Start a Distributed Map of one child that waits for its token; give the execution and the token."""
    sqs = local_aws.client("sqs")
    queue = sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    ask = task(
        "sqs:sendMessage.waitForTaskToken",
        {"QueueUrl": queue, "MessageBody": "{% $states.context.Task.Token %}"},
    )
    state = distributed({"StartAt": "Ask", "States": {"Ask": ask}})
    execution = runs.machines.start(runs.machines.make({"Map": state}), [1])
    message = wait_until(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))[0]
    return execution, message["Body"]


class TestTolerance:
    """https://docs.aws.amazon.com/step-functions/latest/dg/maprun-fail-threshold.html"""

    def test_one_failed_child_fails_the_map(self, runs: Runs, machines: Machines) -> None:
        ended, run = runs.run(distributed(CHECK), items("good", "bad", "good"))

        assert (ended["status"], ended["error"]) == ("FAILED", EXCEEDED)
        assert ended["cause"] == "The specified tolerated failure threshold was exceeded"
        assert run["status"] == "FAILED"
        assert run["itemCounts"]["failed"] == run["executionCounts"]["failed"] == 1
        assert run["itemCounts"]["total"] == 3
        assert machines.events(ended["executionArn"])[-3:] == [
            "MapRunFailed",
            "MapStateFailed",
            "ExecutionFailed",
        ]

    @pytest.mark.parametrize(
        ("tolerance", "status"),
        [
            ({"ToleratedFailureCount": 1}, "FAILED"),
            ({"ToleratedFailureCount": 2}, "SUCCEEDED"),
            ({"ToleratedFailurePercentage": 49}, "FAILED"),
            ({"ToleratedFailurePercentage": 49.5}, "FAILED"),
            ({"ToleratedFailurePercentage": 50}, "SUCCEEDED"),
            ({"ToleratedFailurePercentage": 100}, "SUCCEEDED"),
            ({"ToleratedFailureCount": 2, "ToleratedFailurePercentage": 10}, "FAILED"),
            ({"ToleratedFailureCount": 1, "ToleratedFailurePercentage": 100}, "FAILED"),
            ({"ToleratedFailureCount": 0, "ToleratedFailurePercentage": 50}, "SUCCEEDED"),
            ({"ToleratedFailureCount": 0, "ToleratedFailurePercentage": 0}, "FAILED"),
            ({"ToleratedFailureCount": "{% 1 + 1 %}"}, "SUCCEEDED"),
            ({"ToleratedFailurePercentage": "{% 100 / 2 %}"}, "SUCCEEDED"),
            ({"ToleratedFailurePercentage": "{% 99 / 2 %}"}, "FAILED"),
        ],
    )
    def test_how_many_may_fail(self, machines: Machines, tolerance: dict[str, Any], status: str) -> None:
        ended = machines.run({"Map": distributed(CHECK, **tolerance)}, items("good", "bad", "bad", "good"))

        assert ended["status"] == status, ended.get("cause")
        if status == "SUCCEEDED":
            good = {"kind": "good"}
            assert json.loads(ended["output"]) == [good, BROKEN, BROKEN, good]
        else:
            assert ended["error"] == EXCEEDED

    @pytest.mark.parametrize(
        ("field", "given", "status"),
        [
            ("ToleratedFailureCountPath", 1, "SUCCEEDED"),
            ("ToleratedFailureCountPath", 0, "FAILED"),
            ("ToleratedFailurePercentagePath", 50, "SUCCEEDED"),
            ("ToleratedFailurePercentagePath", 20, "FAILED"),
        ],
    )
    def test_a_path_gives_it_in_jsonpath(
        self, machines: Machines, field: str, given: int, status: str
    ) -> None:
        rule = {"Variable": "$", "StringEquals": "bad", "Next": "Bad"}
        fail: dict[str, Any] = {
            "StartAt": "Check",
            "States": {
                "Check": {"Type": "Choice", "Choices": [rule], "Default": "Ok"},
                "Bad": {"Type": "Fail", "Error": "Broken"},
                "Ok": {"Type": "Succeed"},
            },
        }
        state = distributed(fail, ItemsPath="$.items", **{field: "$.given"})
        ended = run_in_jsonpath(machines, {"Map": state}, {"items": ["bad", "good"], "given": given})

        assert ended["status"] == status, ended.get("cause")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("ToleratedFailureCount", "{% 'one' %}"),
            ("ToleratedFailureCount", "{% -1 %}"),
            ("ToleratedFailureCount", "{% 1.5 %}"),
            ("ToleratedFailurePercentage", "{% 101 %}"),
            ("ToleratedFailurePercentage", "{% true %}"),
            ("MaxConcurrency", "{% 'many' %}"),
        ],
    )
    def test_one_that_is_no_such_number_fails(self, machines: Machines, field: str, value: str) -> None:
        ended = machines.run({"Map": distributed(CHECK, **{field: value})}, items("good"))

        assert (ended["status"], ended["error"]) == ("FAILED", "States.QueryEvaluationError")
        assert field in ended["cause"]

    def test_the_error_can_be_caught_and_tried_again(self, machines: Machines) -> None:
        catch = {"ErrorEquals": [EXCEEDED], "Output": "{% $states.errorOutput.Error %}", "Next": "End"}
        retry = {"ErrorEquals": [EXCEEDED], "MaxAttempts": 1, "IntervalSeconds": 1}
        state = distributed(CHECK, Retry=[retry], Catch=[catch], Next="End")

        ended = machines.run({"Map": state, "End": {"Type": "Succeed"}}, items("bad"))

        assert json.loads(ended["output"]) == EXCEEDED
        assert len(machines.api.list_map_runs(executionArn=ended["executionArn"])["mapRuns"]) == 2

    def test_what_was_not_started_stays_pending(self, runs: Runs) -> None:
        _, run = runs.run(distributed(CHECK, MaxConcurrency=1), items("bad", "good", "good"))

        counts = run["itemCounts"]
        assert (counts["failed"], counts["pending"], counts["succeeded"]) == (1, 2, 0)

    def test_a_stopped_child_counts_as_failed(self, runs: Runs) -> None:
        slow = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}
        state = distributed(slow, ToleratedFailureCount=1)
        execution = runs.machines.start(runs.machines.make({"Map": state}), ["a"])
        child = wait_until(lambda: children_of(runs, execution))[0]

        runs.api.stop_execution(executionArn=child["executionArn"])

        ended = runs.machines.wait(execution)
        assert json.loads(ended["output"]) == [{"Status": "ABORTED"}]


def children_of(runs: Runs, execution: str) -> list[dict[str, Any]]:
    listed = runs.api.list_map_runs(executionArn=execution)["mapRuns"]
    if not listed:
        return []
    answer: list[dict[str, Any]] = runs.api.list_executions(mapRunArn=listed[0]["mapRunArn"])["executions"]
    return answer


def run_in_jsonpath(machines: Machines, states: dict[str, Any], value: Any) -> dict[str, Any]:
    definition = {"StartAt": next(iter(states)), "States": states}
    machine = machines.api.create_state_machine(
        name=f"m-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=ROLE
    )["stateMachineArn"]
    return machines.wait(machines.start(machine, value))


class TestChildren:
    """A child is an execution of its own."""

    def test_it_sees_nothing_but_its_input(self, machines: Machines) -> None:
        look = {
            "StartAt": "Look",
            "States": {
                "Look": {
                    "Type": "Pass",
                    "Output": "{% {'input': $states.context.Execution.Input, 'name': "
                    "$states.context.Execution.Name, 'id': $states.context.Execution.Id, "
                    "'machine': $states.context.StateMachine.Id, 'outer': $exists($outer)} %}",
                    "End": True,
                }
            },
        }
        states = {
            "Set": {"Type": "Pass", "Assign": {"outer": 1}, "Next": "Map"},
            "Map": distributed(
                look, Label="Each", ItemSelector={"n": "{% $states.context.Map.Item.Index %}"}
            ),
        }
        machine = machines.make(states)
        ended = machines.wait(machines.start(machine, ["a"], name="parent"))

        assert ended["status"] == "SUCCEEDED", ended.get("cause")
        (seen,) = json.loads(ended["output"])
        assert seen["input"] == {"n": 0}
        assert seen["outer"] is False
        assert seen["name"] != "parent"
        assert seen["machine"] == f"{machine}/Each"
        assert seen["id"] == f"{machine.replace(':stateMachine:', ':execution:')}/Each:{seen['name']}"

    def test_it_is_listed_and_described(self, runs: Runs) -> None:
        ended, run = runs.run(distributed(CHECK, ToleratedFailureCount=1), items("good", "bad"))

        children = children_of(runs, ended["executionArn"])
        assert sorted(child["status"] for child in children) == ["FAILED", "SUCCEEDED"]
        assert {child["mapRunArn"] for child in children} == {run["mapRunArn"]}
        failed = next(child for child in children if child["status"] == "FAILED")
        described = runs.api.describe_execution(executionArn=failed["executionArn"])
        assert (described["error"], described["cause"]) == ("Broken", "it is bad")
        assert json.loads(described["input"]) == {"kind": "bad"}
        assert runs.machines.events(failed["executionArn"])[-1] == "ExecutionFailed"
        only = runs.api.list_executions(mapRunArn=run["mapRunArn"], statusFilter="FAILED")["executions"]
        assert [item["executionArn"] for item in only] == [failed["executionArn"]]

    def test_a_stopped_parent_stops_its_children(self, runs: Runs) -> None:
        slow = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}
        execution = runs.machines.start(runs.machines.make({"Map": distributed(slow)}), [1, 2])
        wait_until(lambda: len(children_of(runs, execution)) == 2)

        runs.api.stop_execution(executionArn=execution)

        wait_until(lambda: {child["status"] for child in children_of(runs, execution)} == {"ABORTED"})
        arn = runs.api.list_map_runs(executionArn=execution)["mapRuns"][0]["mapRunArn"]
        described = wait_until(lambda: stopped(runs.api.describe_map_run(mapRunArn=arn)))
        assert described["status"] == "ABORTED"
        assert described["itemCounts"]["aborted"] == 2

    def test_a_token_of_a_child_is_taken(self, runs: Runs, local_aws: LocalAws) -> None:
        execution, token = child_that_asks(runs, local_aws)

        runs.api.send_task_success(taskToken=token, output='{"approved": true}')

        assert json.loads(runs.machines.wait(execution)["output"]) == [{"approved": True}]

    def test_the_tolerance_of_a_running_one_can_be_changed(self, runs: Runs, local_aws: LocalAws) -> None:
        execution, token = child_that_asks(runs, local_aws)
        arn = runs.api.list_map_runs(executionArn=execution)["mapRuns"][0]["mapRunArn"]

        runs.api.update_map_run(mapRunArn=arn, toleratedFailureCount=1)
        runs.api.send_task_failure(taskToken=token, error="Broken")

        ended = runs.machines.wait(execution)
        assert json.loads(ended["output"]) == [{"Status": "FAILED", "Error": "Broken"}]
        assert runs.api.describe_map_run(mapRunArn=arn)["toleratedFailureCount"] == 1

    def test_no_such_map_run(self, runs: Runs) -> None:
        arn = "arn:aws:states:us-east-1:123456789012:mapRun:none/Map:1"
        with pytest.raises(ClientError, match="ResourceNotFound"):
            runs.api.describe_map_run(mapRunArn=arn)
        with pytest.raises(ClientError, match="ResourceNotFound"):
            runs.api.list_executions(mapRunArn=arn)
        with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
            runs.api.describe_execution(executionArn=arn.replace(":mapRun:", ":execution:"))


def stopped(described: dict[str, Any]) -> dict[str, Any] | None:
    return described if described["status"] != "RUNNING" else None


ECHO = {"StartAt": "Echo", "States": {"Echo": {"Type": "Succeed"}}}


class TestBatches:
    """https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itembatcher.html"""

    def test_items_come_in_batches_with_the_fixed_input(self, runs: Runs) -> None:
        batcher = {"MaxItemsPerBatch": "{% 1 + 1 %}", "BatchInput": {"run": "{% $states.input.name %}"}}
        state = distributed(ECHO, Items="{% $states.input.rows %}", ItemBatcher=batcher)

        ended, run = runs.run(state, {"rows": [1, 2, 3], "name": "r"})

        assert json.loads(ended["output"]) == [
            {"BatchInput": {"run": "r"}, "Items": [1, 2]},
            {"BatchInput": {"run": "r"}, "Items": [3]},
        ]
        assert (run["itemCounts"]["succeeded"], run["executionCounts"]["succeeded"]) == (3, 2)

    def test_selected_items_are_what_is_put_into_batches(self, machines: Machines) -> None:
        selector = {"value": "{% $states.context.Map.Item.Value %}"}
        state = distributed(ECHO, ItemSelector=selector, ItemBatcher={"MaxItemsPerBatch": 2})

        ended = machines.run({"Map": state}, ["a", "b"])

        assert json.loads(ended["output"]) == [{"Items": [{"value": "a"}, {"value": "b"}]}]

    def test_a_batch_has_at_most_so_many_bytes(self, machines: Machines) -> None:
        # {"Items":["aaaa","bbbb"]} has 25 bytes
        for most, batches in ((25, [2, 1]), (24, [1, 1, 1])):
            state = distributed(ECHO, ItemBatcher={"MaxInputBytesPerBatch": most})
            ended = machines.run({"Map": state}, ["aaaa", "bbbb", "cccc"])
            assert [len(batch["Items"]) for batch in json.loads(ended["output"])] == batches

    def test_paths_give_the_limits_in_jsonpath(self, machines: Machines) -> None:
        batcher = {"MaxItemsPerBatchPath": "$.most", "BatchInput": {"run.$": "$.name", "fixed": "a\nb"}}
        state = distributed(ECHO, ItemsPath="$.rows", ItemBatcher=batcher)
        ended = run_in_jsonpath(machines, {"Map": state}, {"rows": [1, 2, 3], "most": 2, "name": "r"})

        assert ended["status"] == "SUCCEEDED", ended.get("cause")
        fixed = {"run": "r", "fixed": "a\nb"}
        assert json.loads(ended["output"]) == [
            {"BatchInput": fixed, "Items": [1, 2]},
            {"BatchInput": fixed, "Items": [3]},
        ]

    def test_a_failed_batch_counts_each_of_its_items(self, runs: Runs) -> None:
        fail = {
            "StartAt": "Check",
            "States": {
                "Check": {
                    "Type": "Choice",
                    "Choices": [{"Condition": "{% 2 in $states.input.Items %}", "Next": "Fail"}],
                    "Default": "Good",
                },
                "Fail": {"Type": "Fail", "Error": "Broken"},
                "Good": {"Type": "Succeed"},
            },
        }
        batcher = {"MaxItemsPerBatch": 2}
        ended, run = runs.run(distributed(fail, ItemBatcher=batcher, ToleratedFailureCount=1), [1, 2, 3])
        assert ended["error"] == EXCEEDED
        assert (run["itemCounts"]["failed"], run["executionCounts"]["failed"]) == (2, 1)

        ended, _ = runs.run(distributed(fail, ItemBatcher=batcher, ToleratedFailurePercentage=67), [1, 2, 3])
        assert json.loads(ended["output"]) == [{"Status": "FAILED", "Error": "Broken"}, {"Items": [3]}]

    def test_an_item_that_is_longer_than_a_batch_fails(self, machines: Machines) -> None:
        state = distributed(ECHO, ItemBatcher={"MaxInputBytesPerBatch": 20})
        assert machines.run({"Map": state}, ["a" * 30])["error"] == "States.DataLimitExceeded"

    @pytest.mark.parametrize(
        "batcher", [{}, {"MaxItemsPerBatch": 0}, {"MaxItemsPerBatch": 1, "Size": 2}, {"BatchInput": {"a": 1}}]
    )
    def test_one_that_says_nothing_of_use_is_refused(
        self, machines: Machines, batcher: dict[str, Any]
    ) -> None:
        with pytest.raises(ClientError, match=r"InvalidDefinition.*/States/Map/ItemBatcher"):
            machines.make({"Map": distributed(ECHO, ItemBatcher=batcher)})

    def test_a_limit_that_is_no_positive_number_fails(self, machines: Machines) -> None:
        state = distributed(ECHO, ItemBatcher={"MaxItemsPerBatch": "{% 0 %}"})
        assert machines.run({"Map": state}, [1])["error"] == "States.QueryEvaluationError"

    @pytest.mark.parametrize("field", ["ItemBatcher", "ResultWriter"])
    def test_an_inline_map_has_none(self, machines: Machines, field: str) -> None:
        state = {"Type": "Map", "ItemProcessor": ECHO, "End": True}
        state[field] = {"MaxItemsPerBatch": 1} if field == "ItemBatcher" else {"WriterConfig": {}}
        with pytest.raises(ClientError, match=f"InvalidDefinition.*{field}"):
            machines.make({"Map": state})


def writer(bucket: str, **config: Any) -> dict[str, Any]:
    resource = "arn:aws:states:::s3:putObject"
    wrapped = {"WriterConfig": config} if config else {}
    return {"Resource": resource, "Arguments": {"Bucket": bucket, "Prefix": "results"}, **wrapped}


class TestResults:
    """https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html"""

    def read(self, runs: Runs, bucket: str, key: str) -> Any:
        s3 = runs.machines.server.client("s3")
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def test_files_in_s3(self, runs: Runs, bucket: str) -> None:
        state = distributed(CHECK, ToleratedFailureCount=1, ResultWriter=writer(bucket))

        ended, run = runs.run(state, items("good", "bad", "good"))

        output = json.loads(ended["output"])
        key = f"results/{run['mapRunArn'].rsplit(':', 1)[-1]}"
        details = {"Bucket": bucket, "Key": f"{key}/manifest.json"}
        assert output == {"MapRunArn": run["mapRunArn"], "ResultWriterDetails": details}
        manifest = self.read(runs, bucket, details["Key"])
        assert manifest.keys() == {"DestinationBucket", "MapRunArn", "ResultFiles"}
        assert (manifest["DestinationBucket"], manifest["MapRunArn"]) == (bucket, run["mapRunArn"])
        listed = runs.machines.server.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
        sizes = {entry["Key"]: entry["Size"] for entry in listed}
        assert manifest["ResultFiles"] == {
            "FAILED": [{"Key": f"{key}/FAILED_0.json", "Size": sizes[f"{key}/FAILED_0.json"]}],
            "PENDING": [],
            "SUCCEEDED": [{"Key": f"{key}/SUCCEEDED_0.json", "Size": sizes[f"{key}/SUCCEEDED_0.json"]}],
        }
        assert run["itemCounts"]["resultsWritten"] == run["executionCounts"]["resultsWritten"] == 3
        succeeded = self.read(runs, bucket, f"{key}/SUCCEEDED_0.json")
        assert [json.loads(entry["Output"]) for entry in succeeded] == items("good", "good")
        assert succeeded[0].keys() == {
            "ExecutionArn",
            "Input",
            "InputDetails",
            "Name",
            "Output",
            "OutputDetails",
            "RedriveCount",
            "RedriveStatus",
            "RedriveStatusReason",
            "StartDate",
            "StateMachineArn",
            "Status",
            "StopDate",
        }
        (failed,) = self.read(runs, bucket, f"{key}/FAILED_0.json")
        assert (failed["Status"], failed["Error"], failed["Cause"]) == ("FAILED", "Broken", "it is bad")
        assert failed["Input"] == '{"kind":"bad"}'
        described = runs.api.describe_execution(executionArn=failed["ExecutionArn"])
        assert failed["Name"] == described["name"]
        assert failed["StartDate"] == described["startDate"].strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def test_they_are_written_where_the_map_fails_too(self, runs: Runs, bucket: str) -> None:
        state = distributed(CHECK, MaxConcurrency=1, ResultWriter=writer(bucket))

        ended, run = runs.run(state, items("bad", "good"))

        assert ended["error"] == EXCEEDED
        key = f"results/{run['mapRunArn'].rsplit(':', 1)[-1]}"
        (pending,) = self.read(runs, bucket, f"{key}/PENDING_0.json")
        assert pending == {
            "Input": '{"kind":"good"}',
            "InputDetails": {"Included": True},
            "Status": "PENDING",
        }
        assert len(self.read(runs, bucket, f"{key}/FAILED_0.json")) == 1

    @pytest.mark.parametrize(
        ("transformation", "expected"),
        [("COMPACT", [[1, 2], [3]]), ("FLATTEN", [1, 2, 3])],
    )
    def test_outputs_alone(self, runs: Runs, bucket: str, transformation: str, expected: Any) -> None:
        into_s3 = writer(bucket, Transformation=transformation, OutputType="JSON")
        _, run = runs.run(distributed(ECHO, ResultWriter=into_s3), [[1, 2], [3]])
        key = f"results/{run['mapRunArn'].rsplit(':', 1)[-1]}/SUCCEEDED_0.json"
        assert self.read(runs, bucket, key) == expected

        into_state = {"WriterConfig": {"Transformation": transformation, "OutputType": "JSON"}}
        ended, run = runs.run(distributed(ECHO, ResultWriter=into_state), [[1, 2], [3]])
        assert json.loads(ended["output"]) == expected
        assert run["itemCounts"]["resultsWritten"] == 0

    def test_metadata_as_the_result_of_the_state(self, runs: Runs) -> None:
        into_state = {"WriterConfig": {"Transformation": "NONE", "OutputType": "JSON"}}
        ended, _ = runs.run(distributed(ECHO, ResultWriter=into_state), ["a"])
        (entry,) = json.loads(ended["output"])
        assert (entry["Status"], entry["Output"], entry["Input"]) == ("SUCCEEDED", '"a"', '"a"')

    def test_a_missing_bucket_can_be_caught(self, machines: Machines) -> None:
        catch = {"ErrorEquals": ["States.ResultWriterFailed"], "Output": "caught", "Next": "End"}
        state = distributed(ECHO, ResultWriter=writer("no-such-bucket"), Catch=[catch], Next="End")
        assert json.loads(machines.run({"Map": state, "End": {"Type": "Succeed"}}, [1])["output"]) == "caught"

    def test_json_lines_are_refused(self, machines: Machines, bucket: str) -> None:
        state = distributed(ECHO, ResultWriter=writer(bucket, Transformation="NONE", OutputType="JSONL"))
        with pytest.raises(ClientError, match=r"InvalidDefinition.*JSONL"):
            machines.make({"Map": state})


class TestItemReader:
    """https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html"""

    def reader(self, action: str, arguments: dict[str, str], **config: Any) -> dict[str, Any]:
        reader = {"Resource": f"arn:aws:states:::s3:{action}", "Arguments": arguments}
        return {**reader, **({"ReaderConfig": config} if config else {})}

    def test_objects_of_a_prefix_whatever_their_number(
        self, machines: Machines, local_aws: LocalAws, bucket: str
    ) -> None:
        s3 = local_aws.client("s3")
        for index in range(3):
            s3.put_object(Bucket=bucket, Key=f"in/{index}", Body=b"x" * index)
        arguments = {"Bucket": bucket, "Prefix": "in/"}
        selector = {"key": "{% $states.context.Map.Item.Value.Key %}"}
        selector["size"] = "{% $states.context.Map.Item.Value.Size %}"
        state = distributed(ECHO, ItemReader=self.reader("listObjectsV2", arguments), ItemSelector=selector)
        ended = machines.run({"Map": state})
        assert json.loads(ended["output"]) == [{"key": f"in/{size}", "size": size} for size in range(3)]

        empty = self.reader("listObjectsV2", {"Bucket": bucket, "Prefix": "none/"})
        ended = machines.run({"Map": distributed(ECHO, ItemReader=empty)})
        assert json.loads(ended["output"]) == []

    @pytest.mark.parametrize(
        ("config", "body", "expected"),
        [
            ({"InputType": "JSON"}, '[{"n": 1}, 2]', [{"n": 1}, 2]),
            ({"InputType": "JSON", "MaxItems": 1}, "[1, 2]", [1]),
            ({"InputType": "JSONL"}, '{"n": 1}\n\n{"n": "a\\nb"}\n', [{"n": 1}, {"n": "a\nb"}]),
            ({"InputType": "JSONL", "MaxItems": 1}, "1\n2\n", [1]),
            (
                {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
                'a,b\n1,"x,y"\n2,z\n',
                [{"a": "1", "b": "x,y"}, {"a": "2", "b": "z"}],
            ),
            (
                {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["c"]},
                "1\n2\n",
                [{"c": "1"}, {"c": "2"}],
            ),
        ],
    )
    def test_an_object(
        self,
        machines: Machines,
        local_aws: LocalAws,
        bucket: str,
        config: dict[str, Any],
        body: str,
        expected: list[Any],
    ) -> None:
        local_aws.client("s3").put_object(Bucket=bucket, Key="items", Body=body.encode())
        reader = self.reader("getObject", {"Bucket": bucket, "Key": "items"}, **config)
        ended = machines.run({"Map": distributed(ECHO, ItemReader=reader)})
        assert json.loads(ended["output"]) == expected

    def test_what_cannot_be_read_can_be_caught(
        self, machines: Machines, local_aws: LocalAws, bucket: str
    ) -> None:
        local_aws.client("s3").put_object(Bucket=bucket, Key="broken", Body=b"{")
        catch = {
            "ErrorEquals": ["States.ItemReaderFailed"],
            "Output": "{% $states.errorOutput.Cause %}",
            "Next": "End",
        }
        for key in ("absent", "broken"):
            reader = self.reader("getObject", {"Bucket": bucket, "Key": key}, InputType="JSON")
            state = distributed(ECHO, ItemReader=reader, Catch=[catch], Next="End")
            ended = machines.run({"Map": state, "End": {"Type": "Succeed"}})
            assert ended["status"] == "SUCCEEDED", ended.get("cause")
            assert json.loads(ended["output"])


def test_an_inline_map_over_its_input_selects_too(machines: Machines) -> None:
    selector = {"item": "{% $states.context.Map.Item.Value %}", "of": "{% $count($states.input) %}"}
    state = {"Type": "Map", "ItemProcessor": ECHO, "ItemSelector": selector, "End": True}

    assert json.loads(machines.run({"Map": state}, ["a", "b"])["output"]) == [
        {"item": "a", "of": 2},
        {"item": "b", "of": 2},
    ]


def test_the_older_iterator_is_distributed_too(machines: Machines) -> None:
    iterator = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **ECHO}
    parameters = {"constant": "c", "item.$": "$$.Map.Item.Value", "all.$": "$"}
    state = {"Type": "Map", "Iterator": iterator, "Parameters": parameters, "End": True}

    ended = run_in_jsonpath(machines, {"Map": state}, ["a"])

    assert json.loads(ended["output"]) == [{"constant": "c", "item": "a", "all": ["a"]}]
