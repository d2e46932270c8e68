from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.config import DeployConfig, DeployConfigError


def test_environments_differ_by_their_name_alone(project_folder: Path) -> None:
    local, prod = (
        DeployConfig.from_context({"project": str(project_folder), "environment": environment})
        for environment in ("local", "prod")
    )
    assert (local.profile.keep_data, local.profile.lambda_wheels) == (False, False)
    assert (prod.profile.keep_data, prod.profile.lambda_wheels) == (True, True)
    assert local.poll_seconds < prod.poll_seconds


def test_numbers_come_as_text_from_the_command_line(project_folder: Path) -> None:
    config = DeployConfig.from_context({"project": str(project_folder), "poll_seconds": "7"})
    assert config.poll_seconds == 7


@pytest.mark.parametrize(
    ("key", "found", "allowed"),
    [
        ("environment", "staging", "local, dev, prod"),
        ("environment", "", "local, dev, prod"),
        ("project", "", "a folder that holds a project.toml"),
        ("project", "/nowhere", "a folder that holds a project.toml"),
        ("poll_seconds", "soon", "a whole number from 1 to 300"),
        ("poll_seconds", "0", "a whole number from 1 to 300"),
        ("processing_instance_type", "m5.large", "a SageMaker instance type"),
        ("transform_instance_type", "large", "a SageMaker instance type"),
        ("alarm_email", "nobody", "an e-mail address"),
        ("outcome_email", "a b@c.de", "an e-mail address"),
    ],
)
def test_an_error_names_key_found_and_allowed(
    project_folder: Path, key: str, found: str, allowed: str
) -> None:
    with pytest.raises(DeployConfigError) as caught:
        DeployConfig.from_context({"project": str(project_folder), key: found})
    text = str(caught.value)
    assert repr(key) in text
    assert repr(found) in text
    assert allowed in text


def test_it_is_frozen(project_folder: Path) -> None:
    config = DeployConfig.from_context({"project": str(project_folder)})
    with pytest.raises(ValidationError):
        config.poll_seconds = 1
