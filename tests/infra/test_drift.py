"""Drift: where traffic is captured it is looked at on a schedule, by roles that read it and write beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.asl import load
from tests.infra.synthesized import Stacks, plain, synthesize, write_shop
from tests.infra.test_permissions import ACCOUNT, ARTIFACTS, LOGS, MACHINE_LOGS, PUT, actions, granted, tasks

ENDPOINT = "sluice-corner-shop-prod"
REFERENCE = f"{ARTIFACTS}/models/*-train/output/reference.json"
WINDOW = f"{ARTIFACTS}/drift/windows/*/window.json"
ALLOWED: dict[str, dict[str, list[str]]] = {
    "Functions/PlanDriftRole": {
        "<FunctionsPlanDriftLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/drift/ledger.json": ["s3:GetObject", *PUT],
        WINDOW: ["s3:GetObject", *PUT],
        REFERENCE: ["s3:GetObject"],
    },
    "Functions/CountCapturesRole": {
        "<FunctionsCountCapturesLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/captures/*/*": ["s3:GetObject"],
        WINDOW: ["s3:GetObject"],
        REFERENCE: ["s3:GetObject"],
        f"{ARTIFACTS}/drift/windows/*/counts/*.json": PUT,
    },
    "Functions/JudgeDriftRole": {
        "<FunctionsJudgeDriftLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/drift/ledger.json": ["s3:GetObject", *PUT],
        WINDOW: ["s3:GetObject"],
        f"{ARTIFACTS}/drift/windows/*/counts/*.json": ["s3:GetObject"],
        REFERENCE: ["s3:GetObject"],
        f"{ARTIFACTS}/drift/windows/*/verdict.json": PUT,
        f"{ARTIFACTS}/drift/windows/*/report.html": PUT,
        "*": ["cloudwatch:PutMetricData"],
    },
    "Machines/DriftRole": {
        **MACHINE_LOGS,
        "<FunctionsPlanDrift>:*": ["lambda:InvokeFunction"],
        "<FunctionsCountCaptures>:*": ["lambda:InvokeFunction"],
        "<FunctionsJudgeDrift>:*": ["lambda:InvokeFunction"],
        "<ReleasesTable>": ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
        f"arn:<Partition>:states:{ACCOUNT}:execution:sluice-corner-shop-prod-drift:*": [
            "states:DescribeExecution"
        ],
    },
    "Machines/DriftRuleRole": {"<MachinesDrift>": ["states:StartExecution"]},
}


@pytest.mark.parametrize("role", sorted(ALLOWED))
def test_a_role_may_do_this_on_these_resources_and_nothing_else(shop: Stacks, role: str) -> None:
    # The table is in the other stack: its name is an import.
    found = {
        (
            "<ReleasesTable>"
            if "ReleasesTable" in name
            else name[name.index(ARTIFACTS) :]
            if ARTIFACTS in name
            else name
        ): may
        for name, may in granted(shop, role).items()
    }
    assert found == {resource: set(may) for resource, may in ALLOWED[role].items()}


def test_its_machine_may_do_what_its_states_ask_for_and_no_more(
    shop: Stacks, machines: dict[str, dict[str, Any]]
) -> None:
    wanted = {action for task in tasks(machines["Drift"]) for action in actions(*task)}
    assert wanted
    may = set().union(*granted(shop, "Machines/DriftRole").values()) - set(MACHINE_LOGS["*"])
    assert may == wanted


def test_figures_are_put_into_our_namespace_alone(shop: Stacks) -> None:
    (statement,) = (
        each
        for each in shop.pipeline.statements("Functions/JudgeDriftRole")
        if each["Action"] == ["cloudwatch:PutMetricData"]
    )
    assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Sluice/Drift"}}


def test_the_machine_is_deployed_as_it_is_written_and_told_of_its_functions(shop: Stacks) -> None:
    properties = shop.pipeline.properties("Machines/Drift")
    assert json.loads(properties["DefinitionString"]) == load.load(load.MACHINES / "drift.asl.yaml")
    called = shop.pipeline.settings("Drift")["functions"]
    for name in ("PlanDrift", "CountCaptures", "JudgeDrift"):
        assert called[name].startswith(f"<Functions{name}CurrentVersion")


@pytest.mark.parametrize("name", ["PlanDrift", "CountCaptures", "JudgeDrift"])
def test_what_looks_at_traffic_is_told_of_which_endpoint(shop: Stacks, name: str) -> None:
    variables = shop.pipeline.properties(f"Functions/{name}")["Environment"]["Variables"]
    assert {key: plain(value) for key, value in variables.items()} == {
        "ARTIFACTS_BUCKET": "<ArtifactsBucket>",
        "PROJECT_FILE": "project/project.toml",
        "ENDPOINT_NAME": ENDPOINT,
    }


def test_it_looks_once_a_day_where_nothing_else_is_said(shop: Stacks) -> None:
    rule = shop.pipeline.properties("Machines/DriftDue")
    assert rule["ScheduleExpression"] == "rate(1 day)"
    (target,) = rule["Targets"]
    assert plain(target["Arn"]) == "<MachinesDrift>"
    assert plain(target["RoleArn"]) == "<MachinesDriftRuleRole>"
    assert json.loads(target["Input"]) == {}


@pytest.mark.parametrize(("every", "schedule"), [("hour", "rate(1 hour)"), ("never", None)])
def test_it_looks_as_often_as_the_project_says(tmp_path: Path, every: str, schedule: str | None) -> None:
    write_shop(tmp_path / "shop", settings=f'\n[capture]\npercent = 5\n[drift]\nevery = "{every}"\n')
    stacks = synthesize(tmp_path / "out", project=str(tmp_path / "shop"), environment="local")
    rules = {
        name: each["Properties"]["ScheduleExpression"]
        for name, each in stacks.pipeline.template["Resources"].items()
        if each["Type"] == "AWS::Events::Rule" and "DriftDue" in name
    }
    assert list(rules.values()) == ([] if schedule is None else [schedule])
    assert "DriftArn" in stacks.pipeline.template["Outputs"]


def test_where_nothing_is_captured_there_is_nothing_of_it(prod: Stacks) -> None:
    assert "Drift" not in json.dumps(prod.pipeline.template)


@pytest.mark.parametrize(
    ("alarm", "metric"), [("DataDrifted", "DriftedColumns"), ("PredictionsDrifted", "PredictionDrifted")]
)
def test_a_verdict_stands_until_the_next_one(shop: Stacks, alarm: str, metric: str) -> None:
    """Between two windows there are no data points: taken for quiet, they would end an alarm after five minutes."""
    found = shop.pipeline.properties(f"Observability/{alarm}")
    assert (found["Namespace"], found["MetricName"]) == ("Sluice/Drift", metric)
    assert found["Dimensions"] == [{"Name": "EndpointName", "Value": ENDPOINT}]
    assert (found["Statistic"], found["Threshold"]) == ("Maximum", 1)
    assert found["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert found["TreatMissingData"] == "ignore"
    assert [plain(each).endswith("<Alarms>") for each in found["AlarmActions"]] == [True]


def test_a_run_that_fails_is_an_alarm(shop: Stacks) -> None:
    failed = shop.pipeline.properties("Observability/DriftFailed")
    assert plain(failed["Dimensions"][0]["Value"]) == "<MachinesDrift>"
    assert failed["TreatMissingData"] == "notBreaching"


def test_the_dashboard_shows_what_windows_showed(shop: Stacks) -> None:
    body = plain(shop.pipeline.properties("Observability/Dashboard")["DashboardBody"])
    for name in ("DriftedColumns", "PredictionDrift", "VisibleShift", "UnreadRecords"):
        assert name in body
