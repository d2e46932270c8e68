"""sluice drift: the last verdict in a few lines, with the columns that moved furthest first."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from cli import main
from sluice import keys
from sluice.contract import Feature, ModelContract, TargetContract
from sluice.monitoring.captures import Aside
from sluice.monitoring.drift import judge
from sluice.monitoring.model_reference import ModelReference
from sluice.monitoring.parts import PartCounts
from sluice.monitoring.verdict import Sensitivity
from sluice.monitoring.windows import DriftLedger, DriftWindow
from tests.support.deployed import ARTIFACTS, S3, Deployed

ARN = "arn:aws:states:eu-central-1:123456789012:stateMachine:drift"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTRACT = ModelContract(
    features=(
        Feature(name="age", kind="number", type="number", nullable=False),
        Feature(name="plan", kind="category", type="string", nullable=False),
    ),
    target=TargetContract(name="y", problem="regression"),
)


def rows(moved: float) -> pa.Table:
    values = [float(each) + moved for each in range(1000)]
    return pa.table({"age": values, "plan": ["basic", "plus"] * 500, "__prediction": [1.0, 2.0] * 500})


def verdict_of(moved: float, *, count: int = 1000) -> bytes:
    held_out = rows(0)
    model = ModelReference.of(
        "s3://artifacts/models/m-train/output/model.tar.gz",
        held_out,
        held_out["__prediction"].combine_chunks(),
        CONTRACT,
        None,
    )
    (batch,) = rows(moved).slice(0, count).to_batches()
    counted = PartCounts.nothing(model.reference).model_copy(
        update={
            "window": model.reference.count(batch),
            "records": count + 1,
            "unread": {"corrupt": 1},
            "aside": (Aside(key="captures/e/a.jsonl", line=7, reason="corrupt"),),
            "first": AT,
            "last": AT,
        }
    )
    window = DriftWindow(
        name="run-1",
        opened=AT,
        model_name="m",
        model_uri=model.model_uri,
        since=AT,
        parts=(("captures/e/a.jsonl",),),
    )
    return judge(window, counted, model, Sensitivity(), AT).body()


class States:
    """A machine whose executions end as said."""

    def __init__(self, end: dict[str, Any]) -> None:
        self.end = end
        self.started: list[str] = []

    def start_execution(self, **asked: Any) -> dict[str, str]:
        self.started.append(asked["stateMachineArn"])
        return {"executionArn": "arn:execution"}

    def describe_execution(self, **_: Any) -> dict[str, Any]:
        return self.end

    def get_paginator(self, _name: str) -> States:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"events": []}]

    def get_execution_history(self, **_: Any) -> dict[str, Any]:
        return {"events": []}


def run(
    monkeypatch: pytest.MonkeyPatch,
    *arguments: str,
    body: bytes | None = None,
    states: States | None = None,
    captures: bool = True,
) -> int:
    s3 = S3()
    if body is not None:
        s3.buckets[ARTIFACTS][keys.drift_ledger()] = DriftLedger(last="run-1", closed=1).body()
        s3.buckets[ARTIFACTS][keys.drift_verdict("run-1")] = body
    deployed = Deployed.of(s3)
    if captures:
        deployed.outputs["DriftArn"] = ARN
    monkeypatch.setattr("cli.stack.current", lambda _name: deployed)
    monkeypatch.setattr(
        Deployed, "client", lambda _self, service: {"s3": s3, "stepfunctions": states}[service]
    )
    return main.main(["drift", *arguments])


def test_what_moved_stands_first_with_its_effect_and_where_the_report_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, body=verdict_of(400)) == 5

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Drifted: 1 of 3 columns moved: age.")
    assert "1 lines that are no capture record" in lines[0]
    assert lines[1] == "  1,000 rows of m, answered from 2026-03-01 12:00 to 2026-03-01 12:00 UTC"
    assert lines[2].split() == ["column", "moved", "effect", "visible", "importance"]
    assert [line.split()[:2] for line in lines[3:5]] == [["age", "yes"], ["plan", "no"]]
    assert lines[5].startswith("  what it answers")
    assert lines[6] == "  not read: captures/e/a.jsonl, line 7: corrupt"
    assert lines[7] == "report: s3://artifacts/drift/windows/run-1/report.html"


def test_where_nothing_moved_the_command_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--json", body=verdict_of(0)) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "Stable"


def test_too_few_rows_are_told_and_no_table_is_made_of_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, body=verdict_of(0, count=50)) == 0
    told = capsys.readouterr().out
    assert told.startswith("TooFew: 50 rows came, and fewer than 300 are not judged. They wait")
    assert "column" not in told


def test_a_run_is_followed_and_its_verdict_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = States({"status": "SUCCEEDED", "output": '{"outcome": "Stable"}'})
    assert run(monkeypatch, "--run", body=verdict_of(0), states=states) == 0
    assert states.started == [ARN]
    assert capsys.readouterr().out.startswith("Stable: None of 3 columns moved")


def test_where_another_run_is_at_it_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = States({"status": "SUCCEEDED", "output": '{"outcome": "AlreadyRunning"}'})
    assert run(monkeypatch, "--run", body=verdict_of(0), states=states) == 0
    assert "another run looks at the traffic just now" in capsys.readouterr().err


def test_a_run_that_fails_says_of_what(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = States({"status": "FAILED", "error": "NoReference", "cause": "train again"})
    assert run(monkeypatch, "--run", body=verdict_of(0), states=states) == 1
    told = capsys.readouterr().err
    assert "captured traffic could not be looked at" in told
    assert "NoReference: train again" in told


def test_a_stack_that_captures_nothing_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, captures=False) == 1
    told = capsys.readouterr().err
    assert "this stack keeps nothing of its traffic" in told
    assert "capture.percent in project.toml is 0" in told


def test_before_the_first_window_it_says_how_to_look(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch) == 1
    assert "sluice drift --run" in capsys.readouterr().err
