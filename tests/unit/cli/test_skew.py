"""sluice skew: what the function found is told line by line, and what it failed of in its own words."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from cli import main, skew, stack
from sluice.errors import OnlineTableMissing, to_wire

FOUND: dict[str, Any] = {
    "dataset_version": "0123456789abcdef",
    "rate": 0.0015,
    "views": [
        {
            "view": "activity",
            "sampled": 2000,
            "missing": 1,
            "missing_shown": ["customer_id=C9"],
            "differing": 2,
            "features": {"visits_7d": 1, "spent": 2},
            "shown": [
                {"entity": "customer_id=C1", "feature": "spent", "stored": "1.0", "recomputed": "935.22"}
            ],
        }
    ],
}
CLEAN: dict[str, Any] = {
    "dataset_version": "0123456789abcdef",
    "rate": 0.0,
    "views": [
        {**FOUND["views"][0], "missing": 0, "missing_shown": [], "differing": 0, "features": {}, "shown": []}
    ],
}


class Functions:
    def __init__(self, answer: Any, error: str | None = None) -> None:
        self._answer = {"Payload": io.BytesIO(json.dumps(answer).encode())}
        if error:
            self._answer["FunctionError"] = error  # type: ignore[assignment]
        self.asked: list[dict[str, Any]] = []

    def invoke(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        return self._answer


def run(
    monkeypatch: pytest.MonkeyPatch,
    functions: Functions,
    *arguments: str,
    outputs: dict[str, str] | None = None,
) -> int:
    deployed = stack.Stack(
        outputs={"MeasureSkewFunction": "measure"} if outputs is None else outputs,
        aws_env={},
        name="sluice-x-dev",
    )
    monkeypatch.setattr(stack.Stack, "client", lambda _self, service: {"lambda": functions}[service])
    monkeypatch.setattr(stack, "current", lambda _name: deployed)
    return main.main(["skew", *arguments])


def test_differences_are_told_by_view_and_feature_with_both_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    functions = Functions(FOUND)
    assert run(monkeypatch, functions, "--sample", "300", "--seed", "7") == skew.FOUND
    assert capsys.readouterr().out.splitlines() == [
        "activity: 3 mismatches in 2,000 entities",
        "  1 are not in the store: customer_id=C9",
        "  spent: 2",
        "  visits_7d: 1",
        "    customer_id=C1  spent: stored 1.0, recomputed 935.22",
        "dataset version 0123456789abcdef, rate 0.0015",
    ]
    [asked] = functions.asked
    assert asked["FunctionName"] == "measure"
    assert json.loads(asked["Payload"]) == {"sample": 300, "seed": 7}


def test_without_a_difference_the_status_is_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, Functions(CLEAN)) == 0
    assert capsys.readouterr().out.startswith("activity: 0 mismatches in 2,000 entities\n")


def test_json_is_what_the_function_answered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, Functions(FOUND), "--json") == skew.FOUND
    assert json.loads(capsys.readouterr().out) == FOUND


def test_before_any_upload_there_is_nothing_to_compare(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, Functions({"dataset_version": None, "rate": 0.0, "views": []})) == 0
    assert capsys.readouterr().out == "nothing to compare: no upload has been accepted yet\n"


def test_what_the_function_failed_of_is_told_in_its_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = OnlineTableMissing("the table x_dev.activity is not there", fix="deploy both stacks again")
    answer = {"errorType": "OnlineTableMissing", "errorMessage": to_wire(error, most_bytes=8_000)}
    assert run(monkeypatch, Functions(answer, "Unhandled")) == 1
    said = capsys.readouterr().err
    assert "the table x_dev.activity is not there" in said
    assert "deploy both stacks again" in said
    assert "Traceback" not in said


def test_a_failure_without_words_of_ours_names_the_function(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, Functions({"errorMessage": "Task timed out"}, "Unhandled")) == 1
    said = capsys.readouterr().err
    assert "the skew could not be measured" in said
    assert "Task timed out" in said


def test_a_project_without_features_has_no_online_store(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, Functions({}), outputs={}) == 1
    assert "this project has no online store" in capsys.readouterr().err
