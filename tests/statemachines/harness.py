"""Runs a state machine in this process: the local interpreter, with each task's outcomes scripted in order.

Nothing waits: the seconds that Wait states and Retry would have spent are written down instead.
"""

from __future__ import annotations

import datetime
import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import (
    AWSExecutionDetails,
    EvaluationDetails,
    ExecutionDetails,
    StateMachineDetails,
)
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.backend.execution_worker import SyncExecutionWorker

from infra.asl import load
from local.stepfunctions import failures, install_language, interpreter
from sluice.payloads.training import StateFailure

ACCOUNT, REGION, ROLE = "123456789012", "us-east-1", "arn:aws:iam::123456789012:role/machine"
EXECUTION_NAME = "bank-csv-0123456789abcdef"
_FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function"
_IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
# Written down here, and not made by infra/settings.py: what the machines are given is part of what is tested.
SETTINGS: dict[str, Any] = {
    "project": "bank",
    "online_store": "bank_dev",
    "environment": "dev",
    "endpoint_name": "sluice-bank-dev",
    "deployment_alarms": "sluice-bank-dev-bank-dev-",
    "job_prefix": "bank-dev-",
    "artifacts_bucket": "artifacts",
    "releases_table": "releases",
    "topic_arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:outcomes",
    "sagemaker_role_arn": f"arn:aws:iam::{ACCOUNT}:role/sagemaker",
    "images": {name: f"{_IMAGE}/{name}:1" for name in ("training_set", "process", "train", "serve")},
    "missing_features": "error",
    "offline": {},
    "own_image": False,
    "approval": None,
    "guard": None,
    "capture": {
        "EnableCapture": True,
        "InitialSamplingPercentage": 20,
        "DestinationS3Uri": "s3://artifacts/captures",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    },
    "code_source": "assets/code.zip",
    "places": {
        name: f"s3://artifacts/{key}"
        for name, key in {
            "code_file": "training-sets/{execution}/code/project.zip",
            "train": "training-sets/{execution}/train",
            "held_out": "training-sets/{execution}/held_out",
            "held_out_rows_file": "training-sets/{execution}/held_out/held_out.csv",
            "summary": "training-sets/{execution}/summary",
            "models": "models",
            "trials": "searches/{job}",
            "checkpoints": "checkpoints/{job}",
            "model": "models/{job}-train/output",
            "evaluation": "reports/{execution}/evaluation",
            "evaluation_file": "reports/{execution}/evaluation/evaluation.json",
            "predictions": "reports/{execution}/predictions",
            "again": "reports/{execution}/judgement-{judgement}/evaluation",
            "again_file": "reports/{execution}/judgement-{judgement}/evaluation/evaluation.json",
        }.items()
    },
    "hyperparameters": {"max_iter": "150", "loss": 'log "loss"'},
    "max_runtime_seconds": 3600,
    "spot": False,
    "training_condition": {"MaxRuntimeInSeconds": 3600},
    "max_wait_seconds": 3600,
    "instance_types": {
        "processing": "ml.t3.large",
        "training": "ml.m5.xlarge",
        "transform": "ml.m5.large",
        "serving": "ml.t2.medium",
    },
    "serving_instance_count": 2,
    "poll_seconds": 15,
    "metrics_seconds": "10",
    "events_prefix": "incoming/events/",
    "batch_prefix": "incoming/batch/",
    "batch": {"instance_mb": 64, "max_instances": 4, "limit_seconds": 86400},
    "log_retention_days": 30,
    "tracking": {"on_failure": "fail", "feature_plan": "0123456789abcdef", "commit": None},
    "functions": {
        name: f"{_FUNCTION}:{name}:7"
        for name in (
            "ValidateDataset",
            "DecideGate",
            "RequestApproval",
            "OpenRun",
            "RegisterModel",
            "MoveAlias",
            "VerifyModel",
            "ReportOutcome",
            "PlanMaterialization",
            "MaterializeView",
            "MeasureSkew",
            "PrepareBatch",
            "JoinPredictions",
            "PlanDrift",
            "CountCaptures",
            "JudgeDrift",
        )
    },
    "machines": {
        name: f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"
        for name in ("training", "events", "batch", "deployment")
    },
}


# What `deployment` is told where traffic goes over step by step.
GUARD: dict[str, Any] = {
    "config": {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                "WaitIntervalInSeconds": 300,
            }
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "sluice-bank-dev-{model}-errors"}]},
    },
    "first_share": 0.5,
    "alarms": [
        {
            "AlarmName": "sluice-bank-dev-{model}-errors",
            "Metrics": [
                {
                    "Id": "bad",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "AWS/SageMaker",
                            "MetricName": "Invocation5XXErrors",
                            "Dimensions": [{"Name": "EndpointConfigName", "Value": "{model}"}],
                        },
                        "Period": 60,
                        "Stat": "Sum",
                    },
                }
            ],
            "EvaluationPeriods": 1,
            "Threshold": 0.01,
            "ComparisonOperator": "GreaterThanThreshold",
        }
    ],
    "figures": [
        {
            "Id": "old_requests",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SageMaker",
                    "MetricName": "Invocations",
                    "Dimensions": [{"Name": "EndpointConfigName", "Value": "{champion}"}],
                },
                "Period": 60,
                "Stat": "Sum",
            },
        }
    ],
}
# What `training` of a project with [search] is told of it.
SEARCH: dict[str, Any] = {
    "prefix": "bank-3fa9c1-",
    "metric": "roc_auc",
    "pattern": "search objective ([-+.0-9e]+) after fold",
    "config": {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "roc_auc"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {"Name": "rate", "MinValue": "0.01", "MaxValue": "1.0", "ScalingType": "Logarithmic"}
            ]
        },
        "TrainingJobEarlyStoppingType": "Auto",
        "RandomSeed": 0,
    },
    "condition": {"MaxRuntimeInSeconds": 600},
    "limit_seconds": 42000,
}
SPOT: dict[str, Any] = {
    "spot": True,
    "training_condition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
    "max_wait_seconds": 7200,
}
# Only `training` of a project with features is told of it.
MATERIALIZATION_MACHINE = {
    "materialization": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:materialization"
}


@dataclass(frozen=True)
class Failure:
    """A scripted outcome: the task fails with this error."""

    error: str
    cause: str = "scripted"


@dataclass(frozen=True)
class AsAsked:
    """A scripted result: the description of what another state's last call asked for, and what `more` says of it.

    `texts` are fields that the description holds as JSON texts; `of` names the state, where it is not the last one.
    """

    more: Mapping[str, Any]
    texts: tuple[str, ...] = ()
    of: str | None = None


Script = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Call:
    """What a task was asked: its state, resource and arguments."""

    state: str
    resource: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """How an execution went."""

    succeeded: bool
    output: Any
    error: str | None
    cause: str | None
    path: list[str]
    calls: list[Call]
    pauses: list[tuple[str, float]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def calls_of(self, state: str) -> list[dict[str, Any]]:
        return [call.arguments for call in self.calls if call.state == state]


@functools.cache
def definition(
    machine: str,
    *,
    own_image: bool = False,
    features: bool = False,
    approval: bool = False,
    offline: tuple[tuple[str, str], ...] = (),
    search: bool = False,
    spot: bool = False,
    guarded: bool = False,
    on_failure: str | None = "fail",
) -> str:
    """A machine's text, filled in as a deployment fills it in."""
    text = load.text(load.load(load.MACHINES / f"{machine}.asl.yaml"))
    machines = SETTINGS["machines"] | (MATERIALIZATION_MACHINE if features else {})
    tracking = None if on_failure is None else {**SETTINGS["tracking"], "on_failure": on_failure}
    filled = {
        "own_image": own_image,
        "machines": machines,
        "offline": dict(offline),
        "approval": {"expires_seconds": 3600} if approval else None,
        "tracking": tracking,
        "guard": GUARD if guarded else None,
    }
    filled |= ({"search": SEARCH} if search else {}) | (SPOT if spot else {})
    literal = json.dumps({**SETTINGS, **filled})
    return text.replace("${Partition}", "aws").replace("${Settings}", json.dumps(literal)[1:-1])


@functools.cache
def states(machine: str) -> dict[str, Any]:
    """All states of a machine by name, those of its maps' iterations among them."""
    return dict(_flat(json.loads(definition(machine))["States"]))


def _flat(found: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in found.items():
        yield name, state
        yield from _flat(state.get("ItemProcessor", {}).get("States", {}))


def failed(result: Run) -> tuple[str, str, str]:
    """The failure of a state that the cause hands on: its state, error and cause."""
    failure = StateFailure.model_validate_json(str(result.cause))
    return failure.state, failure.error, failure.cause


def payload(value: Any) -> dict[str, Any]:
    """What lambda:invoke gives for a function that returned `value`."""
    return {"ExecutedVersion": "$LATEST", "Payload": value, "StatusCode": 200}


class Harness:
    """Runs machines. Made by the `harness` fixture."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        install_language()
        self._script: Script = {}
        self._taken: Counter[str] = Counter()
        self._unscripted: list[str] = []
        self._pauses: list[tuple[str, float]] = []
        self._waits: list[float] = []
        monkeypatch.setattr(Environment, "is_mocked_mode", lambda _env: True)
        monkeypatch.setattr(Environment, "get_current_mocked_response", lambda env: env.next_state_name)
        monkeypatch.setattr(state_task_service, "eval_mocked_response", self._outcome)
        # What is scripted of a task that waits for a token is what it was answered by that: no answer of the API's.
        normalise = state_task_service.StateTaskService._normalise_response

        def answer(task: Any, response: Any, **named: Any) -> None:
            if task.resource.condition != ResourceCondition.WaitForTaskToken:
                normalise(task, response, **named)

        monkeypatch.setattr(state_task_service.StateTaskService, "_normalise_response", answer)
        monkeypatch.setattr(
            interpreter, "pause", lambda env, seconds: self._pauses.append((env.next_state_name, seconds))
        )
        monkeypatch.setattr(
            WaitFunction, "_wait_interval", lambda _self, env, wait_seconds: self._waits.append(wait_seconds)
        )

    def run(
        self,
        machine: str,
        execution_input: Any,
        script: Script,
        *,
        own_image: bool = False,
        features: bool = False,
        approval: bool = False,
        offline: Mapping[str, str] | None = None,
        search: bool = False,
        spot: bool = False,
        guarded: bool = False,
        on_failure: str | None = "fail",
    ) -> Run:
        """Run a machine to its end, as deployed for training code or an own image, for features or none.

        With `search`, hyperparameters are searched for first; with `spot`, models are trained on spot instances; with
        `approval` somebody is asked before a model is deployed; `guarded`, traffic goes over to it under alarms.

        `offline` is what a project's training set is told of its offline store, `on_failure` its policy of tracking;
        None of one that keeps no runs.

        `script` gives each task state's outcomes: results of the task, or `Failure`s. A state that is entered
        or retried more often than it has outcomes gets its last one again; one without any is an error.
        """
        self._script, self._taken = script, Counter()
        self._unscripted, self._pauses, self._waits = [], [], []
        worker = _Worker(
            evaluation_details=_details(
                machine,
                execution_input,
                definition(
                    machine,
                    own_image=own_image,
                    features=features,
                    approval=approval,
                    offline=tuple((offline or {}).items()),
                    search=search,
                    spot=spot,
                    guarded=guarded,
                    on_failure=on_failure,
                ),
            ),
            exec_comm=_NoApi(),
            cloud_watch_logging_session=None,
            activity_store={},
        )
        worker.start()
        assert not self._unscripted, f"no outcome is scripted for {self._unscripted}"
        env = worker.env
        assert env is not None
        return self._result(env)

    def _outcome(self, env: Any, mocked_response: str) -> None:
        state = mocked_response
        outcomes = self._script.get(state)
        if not outcomes:
            self._unscripted.append(state)
            raise AssertionError(f"no outcome is scripted for {state}")
        outcome = outcomes[min(self._taken[state], len(outcomes) - 1)]
        self._taken[state] += 1
        if isinstance(outcome, Failure):
            raise failures.raising(failures.task_failure(env, outcome.error, outcome.cause))
        if isinstance(outcome, AsAsked):
            calls = [
                call
                for call in _calls(env.event_manager.get_event_history())
                if (call.state == outcome.of if outcome.of else call.state != state)
            ]
            arguments = calls[-1].arguments
            as_text = {name: json.dumps(arguments[name]) for name in outcome.texts}
            outcome = {**arguments, **as_text, **outcome.more}
        env.stack.append(json.loads(json.dumps(outcome)))

    def _result(self, env: Any) -> Run:
        events = env.event_manager.get_event_history()
        state = env.program_state()
        ended = isinstance(state, ProgramEnded)
        error = {} if ended else state.error
        return Run(
            succeeded=ended,
            output=env.states.get_input() if ended else None,
            error=error.get("error"),
            cause=error.get("cause"),
            path=[name for kind, name in _steps(events) if kind == "entered"],
            calls=list(_calls(events)),
            pauses=self._pauses,
            waits=self._waits,
        )


class _Worker(SyncExecutionWorker):
    """Parses each definition once: hundreds of executions share a few of them."""

    def _get_evaluation_entrypoint(self) -> Any:
        return _program(self._evaluation_details.state_machine_details.definition)


@functools.cache
def _program(text: str) -> Any:
    return AmazonStateLanguageParser.parse(text)[0]


class _NoApi:
    """Takes the place of the API that would be told of the execution's end."""

    def terminated(self) -> None: ...


def _details(machine: str, execution_input: Any, text: str) -> Any:
    place = f"arn:aws:states:{REGION}:{ACCOUNT}"
    return EvaluationDetails(
        aws_execution_details=AWSExecutionDetails(account=ACCOUNT, region=REGION, role_arn=ROLE),
        execution_details=ExecutionDetails(
            arn=f"{place}:execution:{machine}:{EXECUTION_NAME}",
            name=EXECUTION_NAME,
            role_arn=ROLE,
            inpt=execution_input,
            start_time=datetime.datetime.now(tz=datetime.UTC),
        ),
        state_machine_details=StateMachineDetails(
            arn=f"{place}:stateMachine:{machine}",
            name=machine,
            typ="STANDARD",
            definition=text,
        ),
    )


def _steps(events: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for event in events:
        if "stateEnteredEventDetails" in event:
            yield "entered", event["stateEnteredEventDetails"]["name"]


def _calls(events: list[dict[str, Any]]) -> Iterator[Call]:
    state = ""
    for event in events:
        if "stateEnteredEventDetails" in event:
            state = event["stateEnteredEventDetails"]["name"]
        elif "taskScheduledEventDetails" in event:
            details = event["taskScheduledEventDetails"]
            resource = f"{details['resourceType']}:{details['resource']}"
            yield Call(state, resource, json.loads(details["parameters"]))
