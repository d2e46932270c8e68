"""Each function: told where things are, logging to a group of its own, called by version."""

from __future__ import annotations

import pytest

from infra.functions import FUNCTIONS
from tests.infra.synthesized import Stacks, plain

STATES = [
    "ValidateDataset",
    "PrepareBatch",
    "JoinPredictions",
    "DecideGate",
    "ReportOutcome",
    "OpenRun",
    "RegisterModel",
    "VerifyModel",
    "MoveAlias",
]
TRACKING = ["ReportOutcome", "OpenRun", "RegisterModel", "MoveAlias", "ReportEnding"]
NAMES = [*STATES, "ReportEnding"]
OF_FEATURES = ["PlanMaterialization", "MaterializeView", "MeasureSkew"]
OF_DRIFT = ["PlanDrift", "CountCaptures", "JudgeDrift"]


def test_these_are_the_functions() -> None:
    assert [spec.name for spec in FUNCTIONS] == [
        *STATES,
        "RequestApproval",
        *OF_FEATURES,
        *OF_DRIFT,
        "ReportEnding",
        "AnswerRequest",
    ]
    assert [spec.dependency_group for spec in FUNCTIONS] == [
        "validate-dataset",
        "prepare-batch",
        "join-predictions",
        "decide-gate",
        "report-outcome",
        "open-run",
        "register-model",
        "verify-model",
        "move-alias",
        "request-approval",
        "plan-materialization",
        "materialize-view",
        "measure-skew",
        "plan-drift",
        "count-captures",
        "judge-drift",
        "report-ending",
        "answer-request",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_told_where_things_are(prod: Stacks, name: str) -> None:
    variables = prod.pipeline.properties(f"Functions/{name}")["Environment"]["Variables"]
    assert {key: plain(value) for key, value in variables.items()} == {
        "ARTIFACTS_BUCKET": "<ArtifactsBucket>",
        "PROJECT_FILE": "project/project.toml",
        **(
            {"TOPIC_ARN": "<Outcomes>", "ENDPOINT_NAME": "sluice-bank-prod"} if name == "ReportEnding" else {}
        ),
        **(
            {
                "TRACKING_URI": "<MlflowAppArn>",
                "TRACKING_EXPERIMENT": "bank-prod",
                "TRACKING_ENVIRONMENT": "prod",
                "TRACKING_ARTIFACTS": "s3://<ArtifactsBucket>/mlflow",
            }
            if name in TRACKING
            else {}
        ),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_function_writes_json_to_its_own_log_group(prod: Stacks, name: str) -> None:
    logging = prod.pipeline.properties(f"Functions/{name}")["LoggingConfig"]
    assert logging == {"LogFormat": "JSON", "LogGroup": {"Ref": prod.pipeline.id(f"Functions/{name}Logs")}}
    group = prod.pipeline.properties(f"Functions/{name}Logs")
    assert group["RetentionInDays"] == 365
    assert plain(group["LogGroupName"]) == (
        f"/aws/lambda/sluice-bank-prod-{name}-<piece 0 of <piece 2 of <StackId>>>"
    )


@pytest.mark.parametrize("name", STATES)
def test_machines_call_a_version_that_is_kept_when_the_next_one_comes(prod: Stacks, name: str) -> None:
    called = prod.pipeline.settings("Training")["functions"][name]
    (version,) = (
        each
        for each in prod.pipeline.of_type("AWS::Lambda::Version")
        if each["Properties"]["FunctionName"] == {"Ref": prod.pipeline.id(f"Functions/{name}")}
    )
    assert called.startswith(f"<Functions{name}CurrentVersion")
    assert version["DeletionPolicy"] == "Retain"
    assert version["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", ["ValidateDataset", "PrepareBatch", "JoinPredictions"])
def test_what_reads_files_of_any_size_has_lambdas_limits(prod: Stacks, name: str) -> None:
    properties = prod.pipeline.properties(f"Functions/{name}")
    assert properties["Timeout"] == 900
    assert properties["EphemeralStorage"] == {"Size": 10240}
