"""The vocabulary of ends, word for word: scripts branch on the statuses, people filter on the words."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from cli import commands, executions
from cli import stack as stacks
from cli.stack import Stack
from sluice.outcomes import Outcome
from sluice.project import Project

PROJECT = Project.model_validate(
    {
        "project": {"name": "bank"},
        "target": {"column": "y", "problem": "regression"},
        "columns": {"a": {"type": "number"}, "y": {"type": "number"}},
        "features": {"numeric": ["a"]},
    }
)


def test_these_are_the_ends_and_their_exit_statuses() -> None:
    assert {str(outcome): outcome.exit_status for outcome in Outcome} == {
        "Deployed": 0,
        "Appended": 0,
        "Predicted": 0,
        "GateRejected": 3,
        "RolledBack": 4,
        "ApprovalRejected": 5,
        "ApprovalExpired": 6,
        "Failed": 1,
    }


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("Deployed", 0),
        ("Appended", 0),
        ("Predicted", 0),
        ("GateRejected", 3),
        ("RolledBack", 4),
        ("ApprovalRejected", 5),
        ("ApprovalExpired", 6),
        ("Failed", 1),
    ],
)
def test_run_and_upload_end_alike(
    monkeypatch: pytest.MonkeyPatch, outcome: str, status: int, tmp_path: Any
) -> None:
    summary = {"outcome": outcome, "execution_arn": "arn"}
    monkeypatch.setattr(stacks, "current", lambda _name: Stack({}, {}))
    monkeypatch.setattr(executions, "upload", lambda *_: executions.Upload("uploads", "key", "v1"))
    monkeypatch.setattr(executions, "caller", lambda _stack: {})
    monkeypatch.setattr(executions, "execution_arn", lambda *_: "arn")
    monkeypatch.setattr(executions, "follow", lambda *_: dict(summary))
    monkeypatch.setattr(Project, "load", lambda _folder: PROJECT)
    monkeypatch.setattr(stacks, "deploy", lambda *_, **__: Stack({}, {}))
    monkeypatch.setattr(commands, "_predict_held_out", lambda *_: [])

    file = tmp_path / "rows.csv"
    file.write_text("a,y\n1,yes\n")
    uploaded = commands.upload(
        argparse.Namespace(stack=None, file=file, dvc=False, key=None, events=False, wait=True, json=True)
    )
    ran = commands.run(argparse.Namespace(project=tmp_path, data=file, reports=tmp_path, json=True))

    assert (uploaded, ran) == (status, status)
