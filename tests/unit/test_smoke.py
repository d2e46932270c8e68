"""`make smoke-aws` leaves alone an account that was not named to it. What it does is tried by `make smoke-local`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from tests.smoke import __main__ as smoke

ACCOUNT = "210987654321"


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account that answers who it is, and fails the test that asks anything else."""
    session = boto3.Session("testing", "testing", region_name="eu-west-1")
    sts = session.client("sts")
    stub = Stubber(sts)
    identity = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/somebody", "UserId": "AIDA"}
    stub.add_response("get_caller_identity", identity, {})
    stub.activate()

    def client(service: str) -> Any:
        made = sts if service == "sts" else session.client(service)  # type: ignore[call-overload]
        if service != "sts":
            Stubber(made).activate()
        return made

    monkeypatch.setattr(boto3, "client", client)
    for name in ("AWS_ENDPOINT_URL", smoke.CONFIRMATION):
        monkeypatch.delenv(name, raising=False)
    yield
    stub.assert_no_pending_responses()


@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize("named", [None, "", "yes", "123456789012"])
@pytest.mark.parametrize("argument", [[], ["--clean-up-only"]])
def test_it_says_which_account_it_is_and_leaves_it_alone(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    named: str | None,
    argument: list[str],
) -> None:
    if named is not None:
        monkeypatch.setenv(smoke.CONFIRMATION, named)
    monkeypatch.setattr(sys, "argv", ["smoke", *argument])
    assert smoke.main() == 2
    said = capsys.readouterr().out
    assert f"account {ACCOUNT}, eu-west-1, as arn:aws:iam::{ACCOUNT}:user/somebody" in said
    assert "Nothing was done" in said
    assert f"SMOKE_ACCOUNT={ACCOUNT} make smoke-aws" in said


def test_an_endpoint_of_ones_own_is_no_account(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(sys, "argv", ["smoke"])
    assert smoke.main() == 2
    assert "AWS_ENDPOINT_URL" in capsys.readouterr().out
