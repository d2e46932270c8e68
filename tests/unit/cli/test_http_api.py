"""`sluice api`: what it prints of a stack on AWS, and each refusal in its words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import http_api, main, stack
from cli.serving import NotServed, Served
from cli.stack import Stack
from sluice.contract import Feature, ModelContract, TargetContract

URL = "https://abc123.execute-api.eu-central-1.amazonaws.com/prod"
OUTPUTS = {"Project": "bank", "EndpointName": "sluice-bank-prod", "ApiUrl": URL}
TOML = """\
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
"""


class OnAws(Stack):
    """A stack on AWS whose API has a key."""

    def client(self, service: str) -> Any:
        assert service == "apigateway"
        return self

    def get_api_key(self, **request: Any) -> dict[str, Any]:
        assert request == {"apiKey": "k1", "includeValue": True}
        return {"value": "s3cr3t"}


def deployed(monkeypatch: pytest.MonkeyPatch, *, model: bool = True, **outputs: str) -> None:
    """Have the commands see a stack with these outputs, and a model in service, or none."""
    made = OnAws(OUTPUTS | outputs, {}, name="sluice-bank-prod")
    contract = ModelContract(
        features=(Feature(name="age", kind="number", type="integer", nullable=False),),
        target=TargetContract(name="y", problem="regression"),
    )

    def by(_stack: Stack) -> Served:
        if not model:
            raise NotServed("there is no endpoint yet")
        return Served("sluice-bank-prod", None, contract, uri="s3://artifacts/models/a")

    monkeypatch.setattr(stack, "current", lambda _name: made)
    monkeypatch.setattr(Served, "by", by)
    monkeypatch.setattr(http_api, "_example", lambda _stack, _served: {"age": 41})


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main.main(["api", *arguments])
    told = capsys.readouterr()
    return status, told.out, told.err


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project.toml").write_text(TOML + "[api]\n")
    (tmp_path / "train.py").write_text("")
    return tmp_path


def test_on_aws_the_line_is_signed_as_the_role_that_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(monkeypatch, ApiCallersPolicyArn="arn:aws:iam::1:policy/sluice-bank-prod-api-callers")
    status, out, _ = run(capsys)
    assert status == 0
    assert out.splitlines() == [
        f"{URL}/invocations",
        "  whoever may by IAM: attach arn:aws:iam::1:policy/sluice-bank-prod-api-callers to the role that asks",
        "",
        f"curl {URL}/invocations \\",
        "  --aws-sigv4 aws:amz:eu-central-1:execute-api \\",
        '  --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\',
        '  -H "x-amz-security-token: $AWS_SESSION_TOKEN" \\',
        "  -H 'Content-Type: application/json' \\",
        "  -d '{\"age\": 41}'",
    ]


def test_a_key_is_printed_where_it_is_asked_for_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(monkeypatch, ApiKeyId="k1")
    assert run(capsys, "--key")[:2] == (0, "s3cr3t\n")
    _, out, err = run(capsys, "--stack", "sluice-bank-prod", "--json")
    assert "s3cr3t" not in out + err
    assert '-H "x-api-key: $(sluice api --key --stack sluice-bank-prod)"' in json.loads(out)["curl"]


def test_without_a_key_there_is_none_to_print(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(monkeypatch)
    status, out, err = run(capsys, "--key")
    assert (status, out) == (1, "")
    assert "there is no API key" in err
    assert 'set authorization = "api_key" under [api]' in err


def test_a_stack_without_an_api_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        stack, "current", lambda _name: Stack({"Project": "bank"}, {}, name="sluice-bank-prod")
    )
    status, _, err = run(capsys)
    assert status == 1
    assert "the stack has no HTTP API" in err
    assert "its project.toml has no [api] table" in err


def test_before_the_first_model_the_line_leaves_open_what_a_row_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    deployed(monkeypatch, model=False)
    status, out, err = run(capsys)
    assert (status, '{"column": "value"}' in out) == (0, True)
    assert "no model is in service" in err
    status, out, _ = run(capsys, "--openapi", "-", "--project", str(project))
    assert "No model is in service yet" in json.loads(out)["info"]["description"]


def test_the_document_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path, tmp_path: Path
) -> None:
    deployed(monkeypatch)
    file = tmp_path / "openapi.json"
    status, out, err = run(capsys, "--openapi", str(file), "--project", str(project))
    assert (status, out) == (0, "")
    assert f"{file} is written" in err
    made = json.loads(file.read_text())
    assert made["servers"] == [{"url": URL}]
    assert "iam" in made["components"]["securitySchemes"]


def test_the_document_needs_the_project_that_was_deployed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    deployed(monkeypatch)
    status, _, err = run(capsys, "--openapi", "-")
    assert (status, "name the folder: --project FOLDER" in err) == (1, True)

    (project / "project.toml").write_text(TOML)
    status, _, err = run(capsys, "--openapi", "-", "--project", str(project))
    assert (status, "this project has no [api] table" in err) == (1, True)

    (project / "project.toml").write_text(TOML.replace("bank", "shop") + "[api]\n")
    status, _, err = run(capsys, "--openapi", "-", "--project", str(project))
    assert status == 1
    assert "it says 'shop', and the stack is of 'bank'" in err


def test_a_file_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    deployed(monkeypatch)
    status, _, err = run(capsys, "--openapi", str(project / "no" / "file"), "--project", str(project))
    assert (status, "the document cannot be written" in err) == (1, True)


def test_a_local_api_is_a_path_of_the_local_aws() -> None:
    local = Stack(OUTPUTS, {"AWS_ENDPOINT_URL": "http://127.0.0.1:4000", "AWS_DEFAULT_REGION": "us-east-1"})
    assert stack.api_url(local) == "http://127.0.0.1:4000/_aws/execute-api/abc123/prod"
    assert stack.api_url(Stack(OUTPUTS, {})) == URL
    assert stack.api_url(Stack({}, {})) is None
