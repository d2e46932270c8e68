"""What statemachines/*.asl.yaml stand on: the context in Catch and arguments, time limits, copying in S3."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.support.local_aws import LocalAws, create_function, wait_until
from tests.support.machines import Machines, task

COPY = "aws-sdk:s3:copyObject"


def output_of(machines: Machines, states: dict[str, Any], value: Any = None) -> Any:
    ended = machines.run(states, value)
    assert ended["status"] == "SUCCEEDED", ended
    return json.loads(ended["output"])


class TestContext:
    def test_one_catch_serves_every_state(self, machines: Machines) -> None:
        catch = {
            "ErrorEquals": ["States.ALL"],
            "Assign": {
                "failed_state": "{% $states.context.State.Name %}",
                "error": "{% $states.errorOutput %}",
            },
            "Next": "Report",
        }
        missing = {"Bucket": "no-such-bucket", "Key": "k"}
        states = {
            "First": task("aws-sdk:s3:listBuckets", {}, Catch=[catch], Next="Second"),
            "Second": task("aws-sdk:s3:getObject", missing, Catch=[catch], Next="Report"),
            "Report": {"Type": "Pass", "Output": "{% [$failed_state, $error.Error] %}", "End": True},
        }
        assert output_of(machines, states) == ["Second", "S3.NoSuchBucketException"]

    def test_a_catch_inside_a_branch_names_the_state_of_the_branch(self, machines: Machines) -> None:
        catch = {
            "ErrorEquals": ["States.ALL"],
            "Assign": {"failed_state": "{% $states.context.State.Name %}"},
            "Next": "Say",
        }
        read = task(
            "aws-sdk:s3:getObject", {"Bucket": "no-such-bucket", "Key": "k"}, Catch=[catch], Next="Say"
        )
        say = {"Type": "Pass", "Output": "{% $failed_state %}", "End": True}
        branch = {"StartAt": "Inner", "States": {"Inner": read, "Say": say}}
        states = {"Outer": {"Type": "Parallel", "Branches": [branch], "End": True}}
        assert output_of(machines, states) == ["Inner"]

    def test_a_task_gets_it_among_its_arguments(self, local_aws: LocalAws, machines: Machines) -> None:
        name = f"echo-{uuid.uuid4().hex[:8]}"
        create_function(local_aws, name, "def handler(event, context): return event", Timeout=30)
        payload = {
            "state": "{% $states.context.State.Name %}",
            "execution": "{% $states.context.Execution.Name %}",
            "machine": "{% $states.context.StateMachine.Name %}",
        }
        call = task(
            "lambda:invoke", {"FunctionName": name, "Payload": payload}, Output="{% $states.result.Payload %}"
        )
        machine = machines.make({"CallEcho": call})
        ended = machines.wait(machines.start(machine, name="the-name"))
        assert json.loads(ended["output"]) == {
            "state": "CallEcho",
            "execution": "the-name",
            "machine": machine.rsplit(":", 1)[1],
        }


class TestTimeLimit:
    def test_it_may_be_an_expression(self, local_aws: LocalAws, machines: Machines) -> None:
        name = f"sleeps-{uuid.uuid4().hex[:8]}"
        create_function(
            local_aws, name, "import time\ndef handler(event, context): time.sleep(event)", Timeout=60
        )
        catch = {
            "ErrorEquals": ["States.Timeout"],
            "Output": "{% [$states.errorOutput.Error, $states.context.State.Name] %}",
            "Next": "End",
        }
        call = task(
            "lambda:invoke",
            {"FunctionName": name, "Payload": "{% $states.input.sleep %}"},
            TimeoutSeconds="{% $states.input.limit + 1 %}",
            Output="in time",
            Catch=[catch],
            Next="End",
        )
        states = {"Call": call, "End": {"Type": "Succeed"}}
        assert output_of(machines, states, {"sleep": 30, "limit": 0}) == ["States.Timeout", "Call"]
        assert output_of(machines, states, {"sleep": 0, "limit": 29}) == "in time"

    @pytest.mark.parametrize("limit", ["{% 'soon' %}", "{% -1 %}", "{% 0 %}", "{% $missing %}"])
    def test_one_that_is_no_positive_number_fails(self, machines: Machines, limit: str) -> None:
        ended = machines.run({"List": task("aws-sdk:s3:listBuckets", {}, TimeoutSeconds=limit)})
        assert (ended["status"], ended["error"]) == ("FAILED", "States.QueryEvaluationError")

    def test_a_machine_has_one_of_its_own(self, machines: Machines) -> None:
        definition = {
            "QueryLanguage": "JSONata",
            "TimeoutSeconds": 1,
            "StartAt": "Wait",
            "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}},
        }
        machine = machines.api.create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}",
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::123456789012:role/machine",
        )["stateMachineArn"]
        assert machines.wait(machines.start(machine))["status"] == "TIMED_OUT"


class TestCopyObject:
    @pytest.fixture
    def bucket(self, local_aws: LocalAws) -> str:
        name = f"copies-{uuid.uuid4().hex[:8]}"
        local_aws.client("s3").create_bucket(Bucket=name)
        return name

    def test_it_copies(self, local_aws: LocalAws, machines: Machines, bucket: str) -> None:
        s3 = local_aws.client("s3")
        body = bytes(range(256))
        put = s3.put_object(Bucket=bucket, Key="from/project.zip", Body=body, ContentType="application/zip")
        arguments = {
            "CopySource": "{% $states.input.source %}",
            "Bucket": bucket,
            "Key": "{% 'code/' & $states.context.Execution.Name & '/project.zip' %}",
        }
        machine = machines.make({"KeepCode": task(COPY, arguments, Output="{% $states.result %}")})
        execution = machines.start(machine, {"source": f"{bucket}/from/project.zip"}, name="run-1")
        ended = machines.wait(execution)
        assert ended["status"] == "SUCCEEDED", ended
        assert json.loads(ended["output"])["CopyObjectResult"]["ETag"] == put["ETag"]
        copied = s3.get_object(Bucket=bucket, Key="code/run-1/project.zip")
        assert (copied["Body"].read(), copied["ContentType"]) == (body, "application/zip")

    @pytest.mark.parametrize(
        ("source", "target", "error"),
        [
            ("{bucket}/absent", "{bucket}", "S3.NoSuchKeyException"),
            ("no-such-bucket/k", "{bucket}", "S3.NoSuchBucketException"),
            ("{bucket}/there", "no-such-bucket", "S3.NoSuchBucketException"),
        ],
    )
    def test_its_errors_have_the_sdks_names(
        self, local_aws: LocalAws, machines: Machines, bucket: str, source: str, target: str, error: str
    ) -> None:
        local_aws.client("s3").put_object(Bucket=bucket, Key="there", Body=b"x")
        arguments = {
            "CopySource": source.format(bucket=bucket),
            "Bucket": target.format(bucket=bucket),
            "Key": "copy",
        }
        catch = {"ErrorEquals": [error], "Output": "{% $states.errorOutput.Cause %}", "Next": "End"}
        states = {"Copy": task(COPY, arguments, Catch=[catch], Next="End"), "End": {"Type": "Succeed"}}
        cause = output_of(machines, states)
        assert "(Service: S3, Status Code: 404, Request ID: " in cause

    def test_an_argument_it_does_not_have_is_named(self, machines: Machines) -> None:
        ended = machines.run({"Copy": task(COPY, {"Source": "a/b", "Bucket": "b", "Key": "k"})})
        assert ended["status"] == "FAILED"
        assert 'The field "Source" is not supported' in ended["cause"]


class TestHeadObject:
    """A HEAD's answer has no body to name an error; of a key that is not there the SDK knows by the status."""

    def test_it_tells_which_object_it_is(self, local_aws: LocalAws, machines: Machines) -> None:
        s3, bucket = local_aws.client("s3"), f"heads-{uuid.uuid4().hex[:8]}"
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        versions = [s3.put_object(Bucket=bucket, Key="k", Body=body) for body in (b"1", b"2")]
        catch = {"ErrorEquals": ["S3.NoSuchKeyException"], "Output": "{% 'gone' %}", "Next": "End"}
        head = task(
            "aws-sdk:s3:headObject",
            {"Bucket": bucket, "Key": "k"},
            Output="{% [$states.result.VersionId, $states.result.ETag] %}",
            Catch=[catch],
            Next="End",
        )
        states = {"Head": head, "End": {"Type": "Succeed"}}

        assert output_of(machines, states) == [versions[1]["VersionId"], versions[1]["ETag"]]
        s3.delete_object(Bucket=bucket, Key="k")
        assert output_of(machines, states) == "gone"


class TestWaitForTaskToken:
    """A function is called for what it makes known; the state's result is what somebody sends by the token."""

    @staticmethod
    def states(local_aws: LocalAws, **fields: Any) -> dict[str, Any]:
        name = f"asks-{uuid.uuid4().hex[:8]}"
        create_function(local_aws, name, "def handler(event, context): return 'not this'", Timeout=30)
        payload = {"token": "{% $states.context.Task.Token %}"}
        catch = {
            "ErrorEquals": ["States.Timeout"],
            "Output": "{% $states.errorOutput.Error %}",
            "Next": "End",
        }
        call = task(
            "lambda:invoke.waitForTaskToken",
            {"FunctionName": name, "Payload": payload},
            Output="{% $states.result %}",
            Catch=[catch],
            Next="End",
            **fields,
        )
        return {"Ask": call, "End": {"Type": "Succeed"}}

    def test_it_goes_on_with_what_was_sent(self, local_aws: LocalAws, machines: Machines) -> None:
        execution = machines.start(machines.make(self.states(local_aws)))
        wait_until(lambda: "TaskSubmitted" in machines.events(execution))
        history = machines.api.get_execution_history(executionArn=execution)["events"]
        [asked] = [each["taskScheduledEventDetails"] for each in history if each["type"] == "TaskScheduled"]
        token = json.loads(asked["parameters"])["Payload"]["token"]
        assert machines.api.describe_execution(executionArn=execution)["status"] == "RUNNING"

        machines.api.send_task_success(taskToken=token, output='{"decision": "approved"}')

        assert json.loads(machines.wait(execution)["output"]) == {"decision": "approved"}

    def test_nobody_sends_anything(self, local_aws: LocalAws, machines: Machines) -> None:
        states = self.states(local_aws, TimeoutSeconds="{% 1 %}")
        assert output_of(machines, states) == "States.Timeout"
