"""Traffic that goes over to a new fleet: in steps, watched by alarms, without a lost request; and back."""

from __future__ import annotations

import itertools
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.sagemaker.deployment_policy import Policy, policy
from local.sagemaker.errors import JobFailed
from local.sagemaker.instance import Instance
from local.sagemaker.rollout import RolledBack, Traffic, shift
from tests.support.in_process import InProcessContext, error_of, put_model, wait_for

ALARM = {"Namespace": "AWS/SageMaker", "MetricName": "Invocation5XXErrors", "Statistic": "Sum"}


class Client:
    """Sends one request after the other, and counts which model answered, and what failed."""

    def __init__(self, aws: InProcessContext, endpoint: str) -> None:
        self.answered: Counter[str] = Counter()
        self.failed: list[str] = []
        self._runtime = aws.client("sagemaker-runtime")
        self._endpoint = endpoint
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._stop.is_set():
            try:
                answer = self._runtime.invoke_endpoint(EndpointName=self._endpoint, Body=b"{}")
                self.answered[json.load(answer["Body"])["model"]] += 1
            except ClientError as error:
                self.failed.append(str(error))

    def saw(self, model: str, times: int = 5) -> None:
        """Wait until the model has answered so many more requests."""
        before = self.answered[model]
        wait_for(lambda: self.answered[model] >= before + times, 60)


def describe(aws: InProcessContext, name: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.client("sagemaker").describe_endpoint(EndpointName=name)
    return found


def in_service(aws: InProcessContext, name: str) -> dict[str, Any]:
    wait_for(lambda: describe(aws, name)["EndpointStatus"] == "InService", 60)
    return describe(aws, name)


@pytest.fixture(scope="module", autouse=True)
def models(aws: InProcessContext) -> None:
    for name in ("blue", "green"):
        put_model(aws, name)


@pytest.fixture
def endpoint(aws: InProcessContext) -> Iterator[str]:
    name = f"e-{uuid.uuid4().hex[:8]}"
    aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName="blue")
    in_service(aws, name)
    yield name
    aws.client("sagemaker").delete_endpoint(EndpointName=name)


@pytest.fixture
def pair(aws: InProcessContext) -> Iterator[str]:
    """An endpoint of two instances."""
    for name in ("blue", "green"):
        two_of(aws, name)
    name = f"p-{uuid.uuid4().hex[:8]}"
    aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName="blue-two")
    in_service(aws, name)
    yield name
    aws.client("sagemaker").delete_endpoint(EndpointName=name)


def two_of(aws: InProcessContext, model: str) -> None:
    client = aws.client("sagemaker")
    if client.list_endpoint_configs(NameContains=f"{model}-two")["EndpointConfigs"]:
        return
    variant = {"VariantName": "AllTraffic", "ModelName": model, "InstanceType": "ml.m5.large"}
    client.create_endpoint_config(
        EndpointConfigName=f"{model}-two", ProductionVariants=[{**variant, "InitialInstanceCount": 2}]
    )


@pytest.fixture
def alarm(aws: InProcessContext) -> Iterator[str]:
    name = f"a-{uuid.uuid4().hex[:8]}"
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        **ALARM,
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    yield name
    aws.client("cloudwatch").delete_alarms(AlarmNames=[name])


def canary(percent: int, wait: int, *alarms: str, **more: Any) -> dict[str, Any]:
    return blue_green("CANARY", wait, *alarms, CanarySize=of_capacity(percent), **more)


def of_capacity(percent: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": percent}


def blue_green(kind: str, wait: int, *alarms: str, **sizes: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **sizes}
    config: dict[str, Any] = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    if alarms:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in alarms]}
    return config


def update(aws: InProcessContext, name: str, config: str, policy: dict[str, Any] | None, **more: Any) -> None:
    deployment = {} if policy is None else {"DeploymentConfig": policy}
    aws.client("sagemaker").update_endpoint(
        EndpointName=name, EndpointConfigName=config, **deployment, **more
    )


def pending_stage(aws: InProcessContext, name: str) -> tuple[str, float] | None:
    summary = describe(aws, name).get("PendingDeploymentSummary")
    if summary is None:
        return None
    [variant] = summary["ProductionVariants"]
    return variant["VariantStatus"][0]["Status"], variant["CurrentWeight"]


def test_a_canary_is_watched_and_then_has_it_all(aws: InProcessContext, endpoint: str, alarm: str) -> None:
    with Client(aws, endpoint) as client:
        client.saw("blue")
        update(aws, endpoint, "green", canary(50, 2, alarm))
        wait_for(lambda: pending_stage(aws, endpoint) == ("Baking", 0.5))
        found = describe(aws, endpoint)
        assert found["EndpointStatus"] == "Updating"
        # What serves is the old configuration until the end.
        assert found["EndpointConfigName"] == "blue"
        assert found["ProductionVariants"][0]["CurrentWeight"] == 0.5
        assert found["PendingDeploymentSummary"]["EndpointConfigName"] == "green"
        client.saw("green")
        client.saw("blue")
        wait_for(lambda: pending_stage(aws, endpoint) == ("Baking", 1.0))
        found = in_service(aws, endpoint)
        client.saw("green", 20)
    assert client.failed == []
    assert found["EndpointConfigName"] == "green"
    assert "FailureReason" not in found
    assert "PendingDeploymentSummary" not in found
    assert found["LastDeploymentConfig"] == canary(50, 2, alarm)


def test_an_alarm_brings_everything_back_and_says_so(
    aws: InProcessContext, endpoint: str, alarm: str
) -> None:
    with Client(aws, endpoint) as client:
        update(aws, endpoint, "green", canary(50, 60, alarm))
        client.saw("green")
        aws.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
        found = in_service(aws, endpoint)
        # In service, as tools report it; on the old configuration, as they do not.
        assert found["EndpointConfigName"] == "blue"
        assert alarm in found["FailureReason"]
        before = client.answered["green"]
        client.saw("blue", 30)
        assert client.answered["green"] == before
    assert client.failed == []
    update(aws, endpoint, "green", None)
    assert "FailureReason" not in in_service(aws, endpoint)
    assert describe(aws, endpoint)["EndpointConfigName"] == "green"


@pytest.mark.parametrize("how", ["was raised before", "is deleted meanwhile"])
def test_an_alarm_that_cannot_watch_is_no_leave(
    aws: InProcessContext, endpoint: str, alarm: str, how: str
) -> None:
    cloudwatch = aws.client("cloudwatch")
    if how == "was raised before":
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
        update(aws, endpoint, "green", canary(50, 60, alarm))
    else:
        update(aws, endpoint, "green", canary(50, 60, alarm))
        wait_for(lambda: pending_stage(aws, endpoint) == ("Baking", 0.5))
        cloudwatch.delete_alarms(AlarmNames=[alarm])
    found = in_service(aws, endpoint)
    assert found["EndpointConfigName"] == "blue"
    assert alarm in found["FailureReason"]


def test_linear_steps_follow_each_other(aws: InProcessContext, endpoint: str) -> None:
    update(aws, endpoint, "green", blue_green("LINEAR", 1, LinearStepSize=of_capacity(40)))
    seen: list[tuple[str, float] | None] = []

    def ended() -> bool:
        seen.append(pending_stage(aws, endpoint))
        return bool(describe(aws, endpoint)["EndpointStatus"] == "InService")

    wait_for(ended, 60)
    baking = [round(each[1], 2) for each in seen if each is not None and each[0] == "Baking"]
    assert [share for share, _ in itertools.groupby(baking)] == [0.4, 0.8, 1.0]
    assert describe(aws, endpoint)["EndpointConfigName"] == "green"


def test_a_rolling_update_replaces_instance_by_instance(aws: InProcessContext, pair: str) -> None:
    before = {process.pid for process in aws.processes if process.poll() is None}
    with Client(aws, pair) as client:
        client.saw("blue")
        rolling = {
            "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
            "WaitIntervalInSeconds": 2,
        }
        update(aws, pair, "green-two", {"RollingUpdatePolicy": rolling})
        wait_for(lambda: pending_stage(aws, pair) == ("Baking", 0.5))
        [coming] = describe(aws, pair)["PendingDeploymentSummary"]["ProductionVariants"]
        assert (coming["CurrentInstanceCount"], coming["DesiredInstanceCount"]) == (1, 2)
        client.saw("green")
        # Never more than one instance above the two.
        running = [process for process in aws.processes if process.poll() is None]
        assert len([each for each in running if each.pid not in before]) == 1
        found = in_service(aws, pair)
    assert client.failed == []
    assert found["EndpointConfigName"] == "green-two"
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_a_rolled_back_rolling_update_has_its_old_instances_again(
    aws: InProcessContext, pair: str, alarm: str
) -> None:
    rolling = {"MaximumBatchSize": of_capacity(50), "WaitIntervalInSeconds": 2}
    config = {
        "RollingUpdatePolicy": rolling,
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]},
    }
    with Client(aws, pair) as client:
        update(aws, pair, "green-two", config)
        wait_for(lambda: pending_stage(aws, pair) == ("Baking", 1.0))
        assert describe(aws, pair)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
        aws.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
        found = in_service(aws, pair)
    assert client.failed == []
    assert found["EndpointConfigName"] == "blue-two"
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def rolling_by_half(*alarms: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "RollingUpdatePolicy": {"MaximumBatchSize": of_capacity(50), "WaitIntervalInSeconds": 1}
    }
    if alarms:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in alarms]}
    return config


def test_where_the_second_batch_does_not_come_up_the_old_instances_are_there_again(
    aws: InProcessContext, pair: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Instance] = []
    start = Instance.start

    def start_all_but_the_second(instance: Instance) -> None:
        started.append(instance)
        if len(started) == 2:
            raise JobFailed("There is no capacity.")
        start(instance)

    monkeypatch.setattr(Instance, "start", start_all_but_the_second)
    with Client(aws, pair) as client:
        update(aws, pair, "green-two", rolling_by_half())
        found = in_service(aws, pair)
        client.saw("blue")
    assert client.failed == []
    assert found["EndpointConfigName"] == "blue-two"
    assert found["FailureReason"] == "There is no capacity."
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_where_an_old_instance_does_not_come_back_the_others_serve_on_and_it_is_said(
    aws: InProcessContext, pair: str, alarm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_instance: Instance) -> None:
        raise JobFailed("There is no capacity.")

    with Client(aws, pair) as client:
        update(aws, pair, "green-two", rolling_by_half(alarm))
        wait_for(lambda: pending_stage(aws, pair) == ("Baking", 1.0))
        monkeypatch.setattr(Instance, "start", start)
        aws.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
        wait_for(lambda: describe(aws, pair)["EndpointStatus"] == "UpdateRollbackFailed")
        client.saw("blue")
    assert client.failed == []
    found = describe(aws, pair)
    assert found["EndpointConfigName"] == "blue-two"
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert alarm in found["FailureReason"]
    assert found["FailureReason"].endswith("did not come back whole: There is no capacity.")


def config_of(aws: InProcessContext, model: str, **more: Any) -> str:
    name = f"c-{uuid.uuid4().hex[:8]}"
    variant = {"VariantName": "AllTraffic", "ModelName": model, "InstanceType": "ml.m5.large"}
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[{**variant, "InitialInstanceCount": 1}], **more
    )
    return name


def test_an_endpoint_goes_back_to_a_configuration_that_was_deleted_meanwhile(
    aws: InProcessContext, endpoint: str, alarm: str
) -> None:
    old = config_of(aws, "blue")
    update(aws, endpoint, old, None)
    in_service(aws, endpoint)
    update(aws, endpoint, "green", canary(50, 60, alarm))
    wait_for(lambda: pending_stage(aws, endpoint) == ("Baking", 0.5))
    aws.client("sagemaker").delete_endpoint_config(EndpointConfigName=old)
    aws.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
    assert in_service(aws, endpoint)["EndpointConfigName"] == old


def test_an_update_that_is_refused_leaves_nothing_running(aws: InProcessContext, endpoint: str) -> None:
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://bucket/captures",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    config = config_of(aws, "green", DataCaptureConfig=capture)
    error_of(
        aws.client("sagemaker").update_endpoint,
        EndpointName=endpoint,
        EndpointConfigName=config,
        DeploymentConfig=canary(51, 0),
    )
    assert f"capture-{endpoint}" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("whose", ["blue", "green"])
def test_what_dies_in_the_middle_of_a_shift_costs_no_answer(
    aws: InProcessContext, endpoint: str, whose: str
) -> None:
    blue = aws.processes[-1]
    with Client(aws, endpoint) as client:
        # Time enough for a process to come again before the step is over.
        update(aws, endpoint, "green", canary(50, 6))
        client.saw("green")
        green = aws.processes[-1]
        (blue if whose == "blue" else green).kill()
        client.saw("green", 10)
        assert in_service(aws, endpoint)["EndpointConfigName"] == "green"
    assert client.failed == []


def test_an_old_fleet_answers_what_it_was_asked_before_it_ends(aws: InProcessContext, endpoint: str) -> None:
    answers: list[Any] = []

    def ask() -> None:
        answer = aws.client("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=b"slow 3")
        answers.append(json.load(answer["Body"])["model"])

    thread = threading.Thread(target=ask)
    thread.start()
    update(aws, endpoint, "green", None)
    in_service(aws, endpoint)
    assert answers == []
    thread.join()
    assert answers == ["blue"]


def test_fleets_are_told_apart_by_their_configuration(aws: InProcessContext, endpoint: str) -> None:
    runtime = aws.client("sagemaker-runtime")
    runtime.invoke_endpoint(EndpointName=endpoint, Body=b"{}")
    update(aws, endpoint, "green", None)
    in_service(aws, endpoint)
    runtime.invoke_endpoint(EndpointName=endpoint, Body=b"{}")
    for body in (b"status 500", b"status 400"):
        code, _ = error_of(runtime.invoke_endpoint, EndpointName=endpoint, Body=body)
        assert code == "ModelError"

    def total(metric: str, **config: str) -> float:
        whose = {"EndpointName": endpoint, "VariantName": "AllTraffic", **config}
        points = aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in whose.items()],
            StartTime=time.time() - 600,
            EndTime=time.time() + 60,
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    assert total("Invocations") == 4
    assert total("Invocations", EndpointConfigName="blue") == 1
    assert total("Invocations", EndpointConfigName="green") == 3
    assert total("Invocation5XXErrors", EndpointConfigName="green") == 1
    assert total("Invocation4XXErrors", EndpointConfigName="green") == 1
    assert total("InvocationModelErrors", EndpointConfigName="green") == 2
    assert total("InvocationModelErrors", EndpointConfigName="blue") == 0


def test_weights_and_counts_change_without_a_new_configuration(aws: InProcessContext) -> None:
    client = aws.client("sagemaker")
    variant = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    config = f"ab-{uuid.uuid4().hex[:8]}"
    client.create_endpoint_config(
        EndpointConfigName=config,
        ProductionVariants=[
            {**variant, "VariantName": "one", "ModelName": "blue", "InitialVariantWeight": 1},
            {**variant, "VariantName": "two", "ModelName": "green", "InitialVariantWeight": 0},
        ],
    )
    client.create_endpoint(EndpointName=config, EndpointConfigName=config)
    in_service(aws, config)
    with Client(aws, config) as sender:
        sender.saw("blue", 20)
        assert sender.answered["green"] == 0
        targeted = aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=config, Body=b"{}", TargetVariant="two"
        )
        assert targeted["InvokedProductionVariant"] == "two"
        wanted = [
            {"VariantName": "one", "DesiredWeight": 0},
            {"VariantName": "two", "DesiredWeight": 3, "DesiredInstanceCount": 2},
        ]
        client.update_endpoint_weights_and_capacities(EndpointName=config, DesiredWeightsAndCapacities=wanted)
        found = in_service(aws, config)
        one, two = found["ProductionVariants"]
        assert (one["CurrentWeight"], two["CurrentWeight"], two["CurrentInstanceCount"]) == (0, 3, 2)
        before = sender.answered["blue"]
        sender.saw("green", 20)
        assert sender.answered["blue"] <= before + 1
        client.update_endpoint_weights_and_capacities(
            EndpointName=config,
            DesiredWeightsAndCapacities=[{"VariantName": "two", "DesiredInstanceCount": 1}],
        )
        assert in_service(aws, config)["ProductionVariants"][1]["CurrentInstanceCount"] == 1
        # An update with RetainAllVariantProperties keeps what was set meanwhile.
        update(aws, config, config, None, RetainAllVariantProperties=True)
        assert in_service(aws, config)["ProductionVariants"][1]["CurrentWeight"] == 3
    assert sender.failed == []
    _, message = error_of(
        client.update_endpoint_weights_and_capacities,
        EndpointName=config,
        DesiredWeightsAndCapacities=[{"VariantName": "three", "DesiredWeight": 1}],
    )
    assert 'Could not find variant "three"' in message
    client.delete_endpoint(EndpointName=config)


def test_while_it_changes_an_endpoint_takes_no_other_change(aws: InProcessContext, endpoint: str) -> None:
    client = aws.client("sagemaker")
    update(aws, endpoint, "green", canary(50, 60))
    for call, arguments in (
        (client.update_endpoint, {"EndpointConfigName": "green"}),
        (
            client.update_endpoint_weights_and_capacities,
            {"DesiredWeightsAndCapacities": [{"VariantName": "AllTraffic", "DesiredWeight": 1}]},
        ),
    ):
        _, message = error_of(call, EndpointName=endpoint, **arguments)
        assert "Cannot update in-progress endpoint" in message


ROUTING = "BlueGreenUpdatePolicy.TrafficRoutingConfiguration"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (canary(51, 0), f"{ROUTING}.CanarySize must be at most 50%"),
        (blue_green("LINEAR", 0, LinearStepSize=of_capacity(9)), "LinearStepSize must be 10% to 50%"),
        (blue_green("LINEAR", 0, LinearStepSize=of_capacity(51)), "LinearStepSize must be 10% to 50%"),
        (blue_green("CANARY", 0), "CanarySize is required with Type CANARY"),
        (blue_green("ALL_AT_ONCE", 0, CanarySize=of_capacity(5)), "CanarySize cannot be specified"),
        (blue_green("SLOWLY", 0), "enum"),
        (canary(10, 3601), "WaitIntervalInSeconds must be a whole number from 0 to 3600"),
        (
            blue_green("CANARY", 0, CanarySize={"Type": "INSTANCE_COUNT", "Value": 2}),
            "more than the whole fleet",
        ),
        (
            {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE"}}},
            "WaitIntervalInSeconds is required",
        ),
        (
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 3600},
                    "MaximumExecutionTimeoutInSeconds": 600,
                }
            },
            "must be above the total wait time",
        ),
        (
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": of_capacity(4),
                    "WaitIntervalInSeconds": 0,
                }
            },
            "MaximumBatchSize must be 5% to 50%",
        ),
        (
            {
                **canary(10, 0),
                "RollingUpdatePolicy": {"MaximumBatchSize": of_capacity(50), "WaitIntervalInSeconds": 0},
            },
            "Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy",
        ),
        (canary(10, 0, "nobody"), "Could not find alarm(s): nobody"),
        (canary(10, 0, *map(str, range(11))), "must have 1 to 10 members"),
    ],
)
def test_what_no_deployment_can_be_is_refused(
    aws: InProcessContext, shared: str, config: dict[str, Any], says: str
) -> None:
    code, message = error_of(
        aws.client("sagemaker").update_endpoint,
        EndpointName=shared,
        EndpointConfigName="green",
        DeploymentConfig=config,
    )
    assert code == "ValidationException"
    assert says in message
    assert describe(aws, shared)["EndpointStatus"] == "InService"


@pytest.fixture(scope="module")
def shared(aws: InProcessContext, models: None) -> str:
    """An endpoint that nothing changes."""
    aws.client("sagemaker").create_endpoint(EndpointName="shared", EndpointConfigName="blue")
    in_service(aws, "shared")
    return "shared"


def test_a_fleet_that_is_down_when_its_time_is_over_gets_no_more_traffic() -> None:
    class Down:
        is_ready = False

        def start(self, _share: float = 1.0) -> None:
            self.is_ready = True

    fleet: Any = Down()
    traffic = Traffic(serving=fleet, pending=fleet)

    def tell(stage: str, _message: str) -> None:
        if stage == "Baking":
            fleet.is_ready = False

    with pytest.raises(RolledBack, match="did not stay healthy"):
        shift(traffic, policy(canary(50, 0), 1), list, tell)
    assert traffic.share == 0.5


def test_steps_end_with_everything() -> None:
    assert policy(None, 1) == Policy(shares=(1.0,))
    assert policy(canary(10, 5), 1).shares == (0.1, 1.0)
    third = blue_green("LINEAR", 5, LinearStepSize={"Type": "INSTANCE_COUNT", "Value": 1})
    assert policy(third, 3).shares == pytest.approx((1 / 3, 2 / 3, 1))
    assert policy(third, 3).shares[-1] == 1.0
    assert len(policy(blue_green("LINEAR", 5, LinearStepSize=of_capacity(10)), 1).shares) == 10
