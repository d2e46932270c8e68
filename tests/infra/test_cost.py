"""What `sluice cost` counts is what is deployed: alarms, functions, the time between two looks, metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.config import DeployConfig
from infra.functions import FUNCTIONS
from sluice.costing import parts
from sluice.project import Project
from sluice.tables import Environment
from tests.infra.synthesized import PROJECT, Stacks, synthesize, write_project


def standing(stacks: Stacks) -> int:
    return len(stacks.pipeline.of_type("AWS::CloudWatch::Alarm"))


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_as_many_alarms_are_counted_as_there_are(
    synthesized: Callable[[str], Stacks], project_folder: Path, environment: Environment
) -> None:
    project = Project.load(project_folder)
    assert parts.alarms(project, environment, features=False) == standing(synthesized(environment))


def test_features_and_approval_have_alarms_of_their_own(shop: Stacks, shop_folder: Path) -> None:
    project = Project.load(shop_folder)
    assert parts.alarms(project, "prod", features=True) == standing(shop)


def test_the_functions_are_of_the_two_sizes_that_are_counted() -> None:
    # What the API and the looks at captured traffic call is in no bill: docs/cost.md says so.
    counted = [each for each in FUNCTIONS if not (each.answers_requests or each.watches_drift)]
    assert {(each.memory_mb, each.scratch_mb) for each in counted} == set(parts.FUNCTIONS.values())


def test_an_api_has_alarms_of_its_own(tmp_path: Path) -> None:
    write_project(tmp_path / "project", PROJECT + "\n[api]\n")
    project = Project.load(tmp_path / "project")
    made = synthesize(tmp_path / "out", project=str(tmp_path / "project"), environment="dev")
    assert parts.alarms(project, "dev", features=False) == standing(made)


def test_an_endpoint_is_looked_at_as_often_as_is_counted(project_folder: Path) -> None:
    config = DeployConfig.from_context({"environment": "prod", "project": project_folder})
    assert config.poll_seconds == parts._POLL_SECONDS


def test_there_is_one_dashboard(prod: Stacks) -> None:
    assert len(prod.pipeline.of_type("AWS::CloudWatch::Dashboard")) == 1
