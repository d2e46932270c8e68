"""sluice feast: the file that it writes for a stack, what it says to do next, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from cli import main, stack

OUTPUTS = {
    "Project": "corner-shop",
    "Environment": "dev",
    "ArtifactsBucketName": "artifacts-1",
    "MaterializationArn": "arn:aws:states:eu-central-1:1:stateMachine:sluice-corner-shop-dev-materialization",
}
LOCAL = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:4599",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


class Aws:
    """What the command asks of AWS, answered."""

    def __init__(self, *, published: bool, tables: Iterable[str], owned: Iterable[str]) -> None:
        self.published = published
        self.tables = list(tables)
        self.owned = list(owned)
        self.meta = SimpleNamespace(region_name="eu-central-1", endpoint_url=LOCAL["AWS_ENDPOINT_URL"])
        self.asked: list[dict[str, Any]] = []

    def list_objects_v2(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        return {"Contents": [{"Key": asked["Prefix"]}]} if self.published else {}

    def get_paginator(self, name: str) -> Any:
        def paginate(**asked: Any) -> list[dict[str, Any]]:
            self.asked.append(asked)
            if name == "list_tables":
                return [{"TableNames": [each]} for each in self.tables]
            return [
                {
                    "StackResourceSummaries": [
                        {
                            "PhysicalResourceId": each,
                            "ResourceType": "AWS::DynamoDB::Table",
                            "ResourceStatus": "UPDATE_COMPLETE",
                        },
                        {
                            "PhysicalResourceId": "corner_shop_dev.bucket",
                            "ResourceType": "AWS::S3::Bucket",
                            "ResourceStatus": "CREATE_COMPLETE",
                        },
                    ]
                }
                for each in self.owned
            ]

        return SimpleNamespace(paginate=paginate)


def run(
    monkeypatch: pytest.MonkeyPatch,
    *arguments: str,
    outputs: dict[str, str] = OUTPUTS,
    aws_env: dict[str, str] | None = None,
    published: bool = True,
    tables: Iterable[str] = ("corner_shop_dev.activity", "releases"),
    owned: Iterable[str] = ("corner_shop_dev.activity", "releases"),
) -> int:
    deployed = stack.Stack(outputs=outputs, aws_env=aws_env or {}, name="sluice-corner-shop-dev")
    aws = Aws(published=published, tables=tables, owned=owned)
    monkeypatch.setattr(stack.Stack, "client", lambda _self, _service: aws)
    monkeypatch.setattr(stack, "current", lambda _name: deployed)
    return main.main(["feast", *arguments])


def test_the_file_names_the_registry_and_the_tables_of_the_stack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, str(tmp_path / "new")) == 0
    text = (tmp_path / "new" / "feature_store.yaml").read_text()
    assert yaml.safe_load(text) == {
        "project": "corner_shop_dev",
        "provider": "local",
        "registry": {"path": "s3://artifacts-1/feast/registry.db", "cache_ttl_seconds": 60},
        "online_store": {
            "type": "dynamodb",
            "region": "eu-central-1",
            "table_name_template": "{project}.{table_name}",
        },
        "offline_store": {"type": "duckdb"},
        "entity_key_serialization_version": 3,
    }
    assert (
        "Not `feast apply`: it deletes the table of a view that left, and the registry has one writer" in text
    )
    said = capsys.readouterr().err
    assert f"wrote {tmp_path / 'new' / 'feature_store.yaml'}" in said
    assert f"-c {tmp_path / 'new'} feature-views list`" in said
    assert f"-c {tmp_path / 'new'} ui --host 127.0.0.1`" in said
    assert "first" not in said
    assert "note" not in said


def test_of_the_local_aws_it_names_the_address_and_what_a_shell_exports(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, str(tmp_path), aws_env=LOCAL) == 0
    made = yaml.safe_load((tmp_path / "feature_store.yaml").read_text())
    assert made["online_store"]["endpoint_url"] == "http://127.0.0.1:4599"
    assert (
        "export AWS_ENDPOINT_URL=http://127.0.0.1:4599 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test"
        " AWS_DEFAULT_REGION=eu-central-1" in capsys.readouterr().err
    )


def test_before_anything_was_materialized_it_says_how_the_registry_comes_about(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, str(tmp_path), published=False) == 0
    assert "there is no registry yet: `sluice materialize --wait`" in capsys.readouterr().err


def test_a_file_of_its_own_is_written_anew_and_one_of_somebody_else_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "feature_store.yaml"
    assert run(monkeypatch, str(tmp_path)) == 0
    ours = file.read_text()
    file.write_text(ours + "# of another stack\n")
    assert run(monkeypatch, str(tmp_path)) == 0
    assert file.read_text() == ours
    file.write_text("project: mine\n")
    capsys.readouterr()

    assert run(monkeypatch, str(tmp_path)) == 1

    assert file.read_text() == "project: mine\n"
    said = capsys.readouterr().err
    assert "there is a feature_store.yaml that `sluice feast` did not write" in said
    assert str(file) in said
    assert "--force to overwrite it" in said
    assert run(monkeypatch, str(tmp_path), "--force") == 0
    assert file.read_text() == ours


def test_a_stack_without_features_has_nothing_for_feast(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != "MaterializationArn"}
    assert run(monkeypatch, str(tmp_path), outputs=outputs) == 1
    assert not (tmp_path / "feature_store.yaml").exists()
    said = capsys.readouterr().err
    assert "this project has no online store" in said
    assert "docs/features.md" in said


def test_a_folder_that_is_a_file_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    assert run(monkeypatch, str(tmp_path / "taken")) == 1
    said = capsys.readouterr().err
    assert "taken" in said
    assert "Traceback" not in said


def test_a_table_that_no_view_has_is_told_with_the_command_that_drops_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = (
        "corner_shop_dev.activity",
        "corner_shop_dev.visits",
        "corner_shop_development.x",
        "corner_shop_prod.visits",
    )
    assert run(monkeypatch, str(tmp_path), tables=tables, owned=("corner_shop_dev.activity",)) == 0
    said = capsys.readouterr().err
    assert "no view 'visits' is in features.py, and its table corner_shop_dev.visits is there still" in said
    assert "aws dynamodb delete-table --table-name corner_shop_dev.visits" in said
    assert said.count("note:") == 1
