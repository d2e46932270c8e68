"""What `sluice up` says of a view that has left features.py: its table stays, or went with it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from cli import commands, failures, left_views, stack
from tests.unit.cli.test_feature_store import OUTPUTS, Aws

LEFT, KEPT = "corner_shop_dev.visits", "corner_shop_dev.activity"


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(*tables: str) -> stack.Stack:
        aws = Aws(published=True, tables=tables, owned=[KEPT])
        monkeypatch.setattr(stack.Stack, "client", lambda _self, _service: aws)
        return stack.Stack(outputs=OUTPUTS, aws_env={}, name="sluice-corner-shop-dev")

    return made


def test_a_table_that_went_with_its_view_is_told(deployed: Any) -> None:
    [note] = left_views.notes(deployed(KEPT), before={KEPT, LEFT})
    assert "the view 'visits' has left features.py, and its table corner_shop_dev.visits went with it" in note
    assert "answers 503 until the next training" in note


def test_a_table_that_stayed_is_told_once_whether_or_not_it_was_seen_before(deployed: Any) -> None:
    for before in (set(), {KEPT, LEFT}):
        [note] = left_views.notes(deployed(KEPT, LEFT), before)
        assert f"aws dynamodb delete-table --table-name {LEFT}" in note


def test_where_nothing_left_nothing_is_said(deployed: Any) -> None:
    assert not list(left_views.notes(deployed(KEPT), before={KEPT}))


def test_up_again_says_what_left(
    deployed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What there was before is looked at before anything is deployed."""
    monkeypatch.setenv("SLUICE_STATE", str(tmp_path / "state"))
    before, after = deployed(KEPT, LEFT), [KEPT]
    monkeypatch.setattr(stack, "running", lambda name: before if name == "sluice-corner-shop-local" else None)
    monkeypatch.setattr(failures, "load_project", lambda _folder: Namespace(name="corner-shop"))

    def deploy(_folder: Path, _local: Any, *, wake: bool) -> stack.Stack:
        return deployed(*after)  # type: ignore[no-any-return]

    monkeypatch.setattr(stack, "deploy", deploy)
    monkeypatch.setattr(stack.Stack, "save", lambda _self: None)
    assert commands.up(Namespace(project=tmp_path, detach=True)) == 0
    assert "its table corner_shop_dev.visits went with it" in capsys.readouterr().err


def test_a_session_that_cannot_be_read_is_no_stack_that_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLUICE_STATE", str(tmp_path))
    assert stack.running("sluice-corner-shop-local") is None
    (tmp_path / "local.json").write_text("{")
    assert stack.running("sluice-corner-shop-local") is None
