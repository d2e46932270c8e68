"""What functions and jobs are told of a tracking server, and what they may ask it."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
import pytest

from infra.config import DeployConfig
from infra.data_stack import DataStack
from infra.tracking import Tracking
from tests.infra.synthesized import plain
from tests.infra.test_searching import project

URL = "https://mlflow.example.com"


def tracking(folder: Path, **table: str) -> Tracking:
    config = DeployConfig.from_context({"project": str(folder), "environment": "prod"})
    data = DataStack(cdk.App(), "data", config=config, project="bank", plan=None)
    return Tracking.of(project(None, tracking={"uri": URL, **table}), config, data)


@pytest.mark.parametrize(
    ("secret", "resource"),
    [
        (
            "team/mlflow",
            "arn:<Partition>:secretsmanager:<Region>:<AccountId>:secret:team/mlflow-??????",
        ),
        ("arn:aws:secretsmanager:eu-central-1:123456789012:secret:a-b", None),
    ],
)
def test_a_login_is_that_one_secret(project_folder: Path, secret: str, resource: str | None) -> None:
    found = tracking(project_folder, secret=secret)
    [grant] = found.grants
    assert grant.actions == ("secretsmanager:GetSecretValue",)
    assert plain(cdk.Stack().resolve(grant.resources[0])) == (resource or secret)
    assert found.told["TRACKING_SECRET"] == secret


def test_a_server_without_a_login_needs_no_grant(project_folder: Path) -> None:
    found = tracking(project_folder)
    assert found.grants == ()
    assert "TRACKING_SECRET" not in found.told
