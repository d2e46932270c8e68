from __future__ import annotations

import pytest

from tests.infra.conftest import Synthesized

FUNCTIONS = ["ValidateDataset", "DecideGate", "ReportOutcome"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_told_where_things_are(prod: Synthesized, name: str) -> None:
    variables = prod.properties(f"Functions/{name}")["Environment"]["Variables"]
    artifacts = prod.stack.node.find_child("Storage").node.find_child("ArtifactsBucket").node.default_child
    assert variables == {
        "ARTIFACTS_BUCKET": {"Ref": prod.logical_id(artifacts)},
        "PROJECT_FILE": "project/project.toml",
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_writes_to_its_own_log_group_and_no_other(prod: Synthesized, name: str) -> None:
    group = prod.stack.node.find_child("Functions").node.find_child(f"{name}Logs").node.default_child
    group_id = prod.logical_id(group)
    assert prod.properties(f"Functions/{name}")["LoggingConfig"]["LogGroup"] == {"Ref": group_id}
    assert prod.properties(f"Functions/{name}Logs")["RetentionInDays"] == 365
    (logs,) = (
        each
        for each in prod.statements(f"Functions/{name}Role")
        if any(action.startswith("logs:") for action in each["Action"])
    )
    assert logs["Resource"] == [{"Fn::GetAtt": [group_id, "Arn"]}]


def test_all_functions_run_one_asset(prod: Synthesized) -> None:
    codes = [prod.properties(f"Functions/{name}")["Code"] for name in FUNCTIONS]
    assert codes[0] == codes[1] == codes[2]


def test_validation_has_lambdas_limits(prod: Synthesized) -> None:
    properties = prod.properties("Functions/ValidateDataset")
    assert properties["Timeout"] == 900
    assert properties["EphemeralStorage"] == {"Size": 10240}
