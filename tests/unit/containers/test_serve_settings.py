from __future__ import annotations

from pathlib import Path

import pytest

from containers.serve.settings import SettingError, Settings


def test_in_a_container_it_listens_where_sagemaker_looks() -> None:
    settings = Settings.of({})
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)
    assert settings.model == Path("/opt/ml/model")
    assert settings.workers >= 1


def test_without_a_container_it_listens_on_this_machine_only() -> None:
    settings = Settings.of({"SAGEMAKER_BASE_DIR": "/somewhere", "SAGEMAKER_BIND_TO_PORT": "1234"})
    assert (settings.host, settings.port) == ("127.0.0.1", 1234)


def test_workers_and_time_go_by_sagemakers_own_names() -> None:
    settings = Settings.of({"SAGEMAKER_MODEL_SERVER_WORKERS": "3", "SAGEMAKER_MODEL_SERVER_TIMEOUT": "20"})
    assert (settings.workers, settings.seconds) == (3, 20)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("SAGEMAKER_BIND_TO_PORT", "70000"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0"),
        ("SLUICE_SERVE_QUEUE", "-1"),
        ("SLUICE_SERVE_CONNECTIONS", "0"),
    ],
)
def test_a_number_that_cannot_be_used_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings.of({name: text})
    assert f"{name} = {text!r}" in str(caught.value)
    assert "a number from" in str(caught.value)
