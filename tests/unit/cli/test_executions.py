"""Following an execution: each event told once, and no more of a long history read than is new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli import executions
from cli.stack import Stack

ARN = "arn:aws:states:us-east-1:123456789012:execution:training:bank"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class StepFunctions:
    """An execution whose history grows by `step` events with every look at its status."""

    def __init__(self, events: list[dict[str, Any]], step: int, status: str = "SUCCEEDED") -> None:
        self._events = events
        self._step = step
        self._status = status
        self._there = 0
        self.read: list[int] = []
        self.meanwhile = 0
        """How many events come between a look at the newest one and reading on."""

    def describe_execution(self, **request: Any) -> dict[str, Any]:
        assert request == {"executionArn": ARN}
        self._there = min(self._there + self._step, len(self._events))
        done = self._there == len(self._events)
        return {"status": self._status if done else "RUNNING"}

    def get_execution_history(self, **request: Any) -> dict[str, Any]:
        assert (request["executionArn"], request["reverseOrder"]) == (ARN, True)
        page = self._events[: self._there][::-1][: request["maxResults"]]
        self.read += [event["id"] for event in page]
        return {"events": page}

    def get_paginator(self, name: str) -> StepFunctions:
        assert name == "get_execution_history"
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        assert (request["executionArn"], request["reverseOrder"]) == (ARN, True)
        self._there = min(self._there + self.meanwhile, len(self._events))
        newest = self._events[: self._there][::-1]
        size = request["PaginationConfig"]["PageSize"]
        for start in range(0, len(newest), size):
            page = newest[start : start + size]
            self.read += [event["id"] for event in page]
            yield {"events": page}


def state(name: str, first: int, output: Any, seconds: float = 1) -> list[dict[str, Any]]:
    began = BEGAN + timedelta(seconds=first)
    entered = {"id": first, "type": "TaskStateEntered", "timestamp": began}
    exited = {"id": first + 1, "type": "TaskStateExited", "timestamp": began + timedelta(seconds=seconds)}
    return [
        {**entered, "stateEnteredEventDetails": {"name": name}},
        {**exited, "stateExitedEventDetails": {"name": name, "output": json.dumps(output)}},
    ]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "_POLL_SECONDS", 0)
    monkeypatch.setattr(executions, "_POLL_SECONDS_ON_AWS", 0)


def follow(monkeypatch: pytest.MonkeyPatch, fake: StepFunctions) -> dict[str, Any]:
    monkeypatch.setattr(Stack, "client", lambda _self, _service: fake)
    return executions.follow(Stack({}, {}), ARN)


@pytest.mark.parametrize("meanwhile", [0, 1, 5])
@pytest.mark.parametrize("step", [1, 2, 3, 7, 500])
def test_each_state_is_told_once_however_the_events_come(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: int, meanwhile: int
) -> None:
    events = [event for i in range(130) for event in state(f"State{i}", 1 + 2 * i, {"i": i})]
    fake = StepFunctions(events, step)
    fake.meanwhile = meanwhile

    summary = follow(monkeypatch, fake)

    told = [line.split()[1] for line in capsys.readouterr().err.splitlines()]
    assert told == [f"State{i}" for i in range(130)]
    assert list(summary["seconds"]) == told


def test_of_a_long_history_only_what_is_new_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [event for i in range(2_000) for event in state(f"State{i}", 1 + 2 * i, None)]
    fake = StepFunctions(events, step=4)

    follow(monkeypatch, fake)

    # Each event once, and the newest one with each of a thousand looks.
    assert len(fake.read) <= 4_000 + 1_001


def test_the_summary_is_what_the_report_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"summary": {"outcome": "GateRejected", "rows": 3}}

    summary = follow(monkeypatch, StepFunctions(state("ReportOutcome", 1, {"Payload": told}), 1))

    assert (summary["outcome"], summary["rows"], summary["execution_arn"]) == ("GateRejected", 3, ARN)


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_an_execution_that_did_not_succeed_has_failed_whatever_was_told_before(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    told = {"summary": {"outcome": "Deployed"}}
    events = state("ReportOutcome", 1, {"Payload": told})

    summary = follow(monkeypatch, StepFunctions(events, 1, status))

    assert (summary["outcome"], summary["error"]) == ("Failed", status)
    assert status in summary["cause"]


def test_that_it_waits_for_a_person_is_told_each_time_it_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(first: int) -> list[dict[str, Any]]:
        entered, exited = state("AwaitApproval", first, {"decision": "approved"})
        submitted = {"id": first + 1, "type": "TaskSubmitted", "timestamp": entered["timestamp"]}
        return [entered, submitted, {**exited, "id": first + 2}]

    deployed = state("DeployModel", 4, {})
    submitted = {"id": 5, "type": "TaskSubmitted", "timestamp": BEGAN}
    events = [*asked(1), deployed[0], submitted, {**deployed[1], "id": 6}, *asked(7)]

    follow(monkeypatch, StepFunctions(events, step=1))

    told = capsys.readouterr().err
    assert told.count("waits for an approval: `sluice approvals` says how to answer") == 2
