"""`sluice preflight` against answers of Service Quotas, each call of it checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cli import main

PROCESSING, TRAINING, TRANSFORM, ENDPOINT = (
    "ml.t3.large for processing job usage",
    "ml.m5.large for training job usage",
    "ml.m5.large for transform job usage",
    "ml.t2.medium for endpoint usage",
)
CODES = {
    TRAINING: "L-611FA074",
    TRANSFORM: "L-236AE59F",
    ENDPOINT: "L-29C181D7",
    "ml.m5.large for processing job usage": "L-8541302D",
}
PROJECT = """\
[project]
name = "bank"
[target]
column = "y"
problem = "regression"
[columns.age]
type = "integer"
[columns.y]
type = "number"
[features]
numeric = ["age"]
[serving]
instance_count = {count}
[model]
"""


class Account:
    """Service Quotas of an account, as a script: an unexpected call, or a missing one, fails the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        session = boto3.Session("testing", "testing", region_name="eu-west-1")
        clients = {name: session.client(name) for name in ("service-quotas", "sts")}
        self.quotas, self.sts = (Stubber(client) for client in clients.values())
        monkeypatch.setattr(boto3, "client", clients.__getitem__)
        self.sts.add_response("get_caller_identity", {"Account": "123456789012"}, {})
        self.quotas.activate()
        self.sts.activate()

    def applied(self, name: str, value: float, *, called: str | None = None) -> None:
        answer = {"Quota": {"QuotaName": called or name, "QuotaCode": CODES[name], "Value": value}}
        self.quotas.add_response("get_service_quota", answer, self._code(name))

    def not_applied(self, name: str) -> None:
        self.quotas.add_client_error(
            "get_service_quota", "NoSuchResourceException", expected_params=self._code(name)
        )

    def default(self, name: str, value: float) -> None:
        answer = {"Quota": {"QuotaName": name, "QuotaCode": CODES[name], "Value": value}}
        self.quotas.add_response("get_aws_default_service_quota", answer, self._code(name))

    def listed(self, *pages: dict[str, float], defaults: bool = False) -> None:
        operation = "list_aws_default_service_quotas" if defaults else "list_service_quotas"
        for number, page in enumerate(pages):
            answer: dict[str, Any] = {
                "Quotas": [
                    {"QuotaName": name, "QuotaCode": "L-" + name[:10], "Value": value}
                    for name, value in page.items()
                ]
            }
            wanted = {"ServiceCode": "sagemaker", **({"NextToken": f"page {number}"} if number else {})}
            if number + 1 < len(pages):
                answer["NextToken"] = f"page {number + 1}"
            self.quotas.add_response(operation, answer, wanted)

    @staticmethod
    def _code(name: str) -> dict[str, str]:
        return {"ServiceCode": "sagemaker", "QuotaCode": CODES[name]}

    def assert_all_was_asked(self) -> None:
        self.quotas.assert_no_pending_responses()
        self.sts.assert_no_pending_responses()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    made = Account(monkeypatch)
    yield made
    made.assert_all_was_asked()


def project(folder: Path, *, count: int = 1, image: str | None = None) -> Path:
    text = PROJECT.format(count=count) + (f'image = "{image}"\n' if image else "")
    (folder / "project.toml").write_text(text)
    (folder / "train.py").write_text("")
    return folder


def run(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    status = main.main(["preflight", str(folder), "--json", *more])
    rows = json.loads(capsys.readouterr().out)
    assert (rows["account"], rows["region"]) == ("123456789012", "eu-west-1")
    return status, {row.pop("quota"): row for row in rows["quotas"]}


def test_a_fresh_account_lacks_training_alone(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.applied(TRAINING, 0.0)
    account.applied(ENDPOINT, 2.0)
    account.listed({"ml.t3.large for notebook instance usage": 6.0}, {PROCESSING: 4.0})
    status, rows = run(capsys, project(tmp_path))
    assert status == 1
    assert rows == {
        PROCESSING: {"needed": 1, "allowed": 4, "code": "L-ml.t3.larg", "verdict": "ok"},
        TRAINING: {"needed": 1, "allowed": 0, "code": "L-611FA074", "verdict": "short"},
        ENDPOINT: {"needed": 2, "allowed": 2, "code": "L-29C181D7", "verdict": "ok"},
    }


def test_a_batch_takes_as_many_instances_as_the_project_says(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.applied(TRAINING, 1.0)
    account.applied(TRANSFORM, 2.0)
    account.applied(ENDPOINT, 2.0)
    account.listed({PROCESSING: 4.0})
    folder = project(tmp_path)
    (folder / "project.toml").write_text(
        (folder / "project.toml").read_text() + "[batch]\nmax_instances = 3\n"
    )
    status, rows = run(capsys, folder, "--batch")
    assert status == 1
    assert rows[TRANSFORM] == {"needed": 3, "allowed": 2, "code": "L-236AE59F", "verdict": "short"}


def test_the_table_says_how_to_ask_and_where_to_choose_another_type(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.applied(TRAINING, 0.0)
    account.applied(ENDPOINT, 3.0)
    account.listed({PROCESSING: 4.0})
    assert main.main(["preflight", str(project(tmp_path, count=2))]) == 1
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert f"{PROCESSING} 1 4 ok" in lines
    assert f"{TRAINING} 1 0 short" in lines
    assert f"{ENDPOINT} 4 3 no update" in lines
    text = "\n".join(lines)
    assert "--service-code sagemaker --quota-code L-611FA074 --desired-value 1" in text
    assert "--service-code sagemaker --quota-code L-29C181D7 --desired-value 4" in text
    assert "instance_type under [model] in project.toml" in text
    assert "the first deployment works; each later one needs 2 more" in text
    assert "processing_instance_type" not in text


def test_all_is_well_where_everything_is_allowed(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.applied(TRAINING, 1.0)
    account.applied(ENDPOINT, 2.0)
    account.listed({PROCESSING: 1.0})
    assert main.main(["preflight", str(project(tmp_path))]) == 0
    assert "request-service-quota-increase" not in capsys.readouterr().out


def test_a_quota_never_applied_counts_as_aws_has_it_by_default(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.not_applied(TRAINING)
    account.default(TRAINING, 0.0)
    account.applied(ENDPOINT, 2.0)
    account.listed({})
    account.listed({PROCESSING: 4.0}, defaults=True)
    _, rows = run(capsys, project(tmp_path))
    assert rows[TRAINING]["allowed"] == 0
    assert rows[PROCESSING]["allowed"] == 4


def test_a_code_that_stands_for_another_quota_is_not_believed(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.applied(TRAINING, 99.0, called="ml.m5.large for spot training job usage")
    account.applied(ENDPOINT, 2.0)
    account.listed({PROCESSING: 4.0, TRAINING: 0.0})
    _, rows = run(capsys, project(tmp_path))
    assert rows[TRAINING]["allowed"] == 0


def test_batch_transform_is_wanted_for_an_image_of_ones_own_and_knows_no_t3(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.applied(TRAINING, 1.0)
    account.applied(ENDPOINT, 2.0)
    account.listed({PROCESSING: 4.0})
    account.listed({PROCESSING: 4.0}, defaults=True)
    folder = project(tmp_path, image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1")
    status, rows = run(capsys, folder, "-c", "transform_instance_type=ml.t3.large")
    assert status == 1
    assert rows["ml.t3.large for transform job usage"] == {
        "needed": 1,
        "allowed": None,
        "code": None,
        "verdict": "not offered",
    }


def test_a_type_on_the_command_line_goes_before_the_default(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.applied("ml.m5.large for processing job usage", 0.0)
    account.applied(TRAINING, 1.0)
    account.applied(ENDPOINT, 2.0)
    _, rows = run(capsys, project(tmp_path), "-c", "processing_instance_type=ml.m5.large")
    assert rows["ml.m5.large for processing job usage"]["verdict"] == "short"
    assert PROCESSING not in rows


def test_a_user_who_may_not_ask_hears_what_he_lacks(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.quotas.add_client_error("get_service_quota", "AccessDeniedException", "not authorized to perform")
    assert main.main(["preflight", str(project(tmp_path))]) == 1
    text = capsys.readouterr().err
    assert "GetServiceQuota (AccessDeniedException)" in text
    assert "permission" in text


def test_without_a_region_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert main.main(["preflight", str(project(tmp_path))]) == 1
    assert "AWS_DEFAULT_REGION" in capsys.readouterr().err


def test_context_without_a_value_is_not_understood(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["preflight", str(tmp_path), "-c", "processing_instance_type"])
    assert ended.value.code == 2


SEARCH = """
[training]
spot = true
environments = { prod = false }
[search]
parallel = 4
[search.ranges.rate]
type = "number"
min = 1
max = 2
"""


@pytest.mark.parametrize(
    ("context", "quota"),
    [
        ((), "ml.m5.large for spot training job usage"),
        (("-c", "environment=prod"), TRAINING),
    ],
)
def test_a_search_needs_an_instance_for_each_trial_at_a_time(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str], context: tuple[str, ...], quota: str
) -> None:
    folder = project(tmp_path)
    with (folder / "project.toml").open("a") as file:
        file.write(SEARCH)
    if quota == TRAINING:
        account.applied(TRAINING, 3.0)
    account.applied(ENDPOINT, 2.0)
    account.listed({PROCESSING: 4.0, **({} if quota == TRAINING else {quota: 3.0})})
    status, rows = run(capsys, folder, *context)
    assert status == 1
    assert (rows[quota]["needed"], rows[quota]["verdict"]) == (4, "short")


def test_an_environment_that_there_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boto3, "client", lambda _name: None)
    with pytest.raises(SystemExit, match="it is local, dev or prod"):
        main.main(["preflight", str(project(tmp_path)), "-c", "environment=staging"])
