"""What cannot go well is said at once, in one sentence with what to do, and nothing is started for it."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from cli import failures, local_aws, main, toolchain

TELCO = str(Path(__file__).parents[3] / "examples" / "telco")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
REGION = {"AWS_DEFAULT_REGION": "eu-central-1"}


def nothing() -> None:
    """Prepare nothing."""


def closed_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def session(**changes: Any) -> dict[str, Any]:
    env = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed_port()}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    outputs = {"UploadsBucketName": "uploads", "EndpointName": "bank", "TrainingArn": "arn"}
    return {"outputs": outputs, "aws_env": env, "project_folder": TELCO, "state_dir": ".sluice"} | changes


def write_session(content: str) -> None:
    Path(".sluice").mkdir()
    Path(".sluice/local.json").write_text(content)


def killed_server() -> None:
    write_session(json.dumps([session()]))
    # As kill -9 leaves it.
    Path(".sluice/ready.json").write_text("{}")


def cut_off_session() -> None:
    write_session(json.dumps([session()])[:40])


def session_of_another_version() -> None:
    write_session(json.dumps([session(something_new=1)]))


def killed_meanwhile() -> None:
    """The server answers the first look, and nothing after it."""
    killed_server()
    local_aws.answers = lambda endpoint_url: True  # put back by the fixture


def state_is_a_file() -> None:
    Path(".sluice").write_text("")


def pipe() -> None:
    os.mkfifo("pipe")


UNSIGNED = {"AWS_DEFAULT_REGION": "eu-central-1"}
UNREGIONED = CREDENTIALS
NOBODY = REGION | {"AWS_PROFILE": "nobody"}

Case = tuple[str, list[str], Callable[[], None], dict[str, str], list[str]]

FILES: list[Case] = [
    ("predict: no file", ["predict", "--file", "nope.csv"], nothing, {}, ["no such file", "nope.csv"]),
    ("predict: a folder", ["predict", "--file", "folder"], nothing, {}, ["folder is a folder", "name a CSV"]),
    ("predict: below a file", ["predict", "--file", "in.csv/x"], nothing, {}, ["is a file, not a folder"]),
    (
        "predict: an unknown format",
        ["predict", "--file", "in.csv", "--output", "out.xlsx"],
        nothing,
        {},
        ["predictions cannot be written as .xlsx", ".parquet"],
    ),
    (
        "predict: into a folder",
        ["predict", "--file", "in.csv", "--output", "folder.csv"],
        nothing,
        {},
        ["this is a folder", "folder.csv"],
    ),
    (
        "predict: into no folder",
        ["predict", "--file", "in.csv", "--output", "nowhere/out.csv"],
        nothing,
        {},
        ["there is no such folder", "mkdir -p nowhere"],
    ),
    (
        "predict: over its own input",
        ["predict", "--file", "in.csv", "--output", "./in.csv"],
        nothing,
        {},
        ["would replace the file they are made from"],
    ),
    (
        "predict: a pipe",
        ["predict", "--file", "pipe"],
        pipe,
        {},
        ["pipe is a pipe", "write it to a file first"],
    ),
    ("upload: a pipe", ["upload", "pipe"], pipe, {}, ["pipe is a pipe", "write it to a file first"]),
    *(
        (f"upload: the key {key!r}", ["upload", "in.csv", "--key", key], nothing, {}, ["names no object"])
        for key in ("", "incoming/training/")
    ),
    ("upload: no file", ["upload", "nope.csv"], nothing, {}, ["no such file", "nope.csv"]),
    ("upload: a folder", ["upload", "folder", "--wait"], nothing, {}, ["folder is a folder", "Parquet"]),
    ("run: no file", ["run", TELCO, "--data", "nope.csv"], nothing, {}, ["no such file", "nope.csv"]),
    ("run: a folder", ["run", TELCO, "--data", "folder"], nothing, {}, ["folder is a folder"]),
    ("run: no project", ["run", "nope", "--data", "in.csv"], nothing, {}, ["no project here", "sluice init"]),
    ("run: a file for one", ["run", "in.csv", "--data", "in.csv"], nothing, {}, ["in.csv is a file"]),
    (
        "run: reports into a file",
        ["run", TELCO, "--data", "in.csv", "--reports", "in.csv/reports"],
        nothing,
        {},
        ["nothing can be written to", "in.csv", "--reports"],
    ),
    ("up: no project", ["up", "nope"], nothing, {}, ["there is no project here", "sluice init"]),
    ("up: a file for one", ["up", "project.toml"], nothing, {}, ["name the project's folder: ."]),
    ("up: a file for the state", ["up", TELCO], state_is_a_file, {}, [".sluice", "a file, not a folder"]),
    ("init: no file", ["init", "p", "--from", "nope.csv", "--target", "y"], nothing, {}, ["no such file"]),
    ("init: a folder", ["init", "p", "--from", "folder", "--target", "y"], nothing, {}, ["is a folder"]),
]
TO_STACKS = {
    "predict": ["predict", "--file", "in.csv"],
    "upload": ["upload", "in.csv", "--wait"],
    "empty": ["empty", "--yes"],
}
STACKS: list[Case] = [
    case
    for name, argv in TO_STACKS.items()
    for case in (
        (f"{name}: no stack", argv, nothing, {}, ["no stack is running here", "sluice up PROJECT"]),
        (f"{name}: killed", argv, killed_server, {}, ["local AWS of this folder is gone", "sluice up"]),
        (f"{name}: cut off", argv, cut_off_session, {}, ["cannot be read", "delete this file"]),
        (f"{name}: another", argv, session_of_another_version, {}, ["cannot be read", "delete this file"]),
        (f"{name}: no name", [*argv, "--stack", ""], killed_server, {}, ["--stack names no stack"]),
        (f"{name}: no region", [*argv, "--stack", "s"], nothing, UNREGIONED, ["no AWS region is set"]),
        (
            f"{name}: no credentials",
            [*argv, "--stack", "s"],
            nothing,
            UNSIGNED,
            ["there are no AWS credentials", "aws configure"],
        ),
        (f"{name}: no profile", [*argv, "--stack", "s"], nothing, NOBODY, ["nobody", "aws configure"]),
    )
]
STACKS += [
    (
        "preflight: no project",
        ["preflight", "nope"],
        nothing,
        {},
        ["there is no project here", "sluice init"],
    ),
    ("preflight: a file", ["preflight", "in.csv"], nothing, {}, ["in.csv is a file", "the project's folder"]),
    ("preflight: no region", ["preflight", TELCO], nothing, UNREGIONED, ["no AWS region is set"]),
    ("preflight: no credentials", ["preflight", TELCO], nothing, UNSIGNED, ["there are no AWS credentials"]),
    ("preflight: no profile", ["preflight", TELCO], nothing, NOBODY, ["nobody", "aws configure"]),
    ("down: no stack", ["down"], nothing, {}, ["no stack is running here", "sluice up PROJECT"]),
    ("down: cut off", ["down"], cut_off_session, {}, ["cannot be read", "delete this file"]),
    *(
        (
            f"{name}: killed meanwhile",
            argv,
            killed_meanwhile,
            {},
            ["the local AWS does not answer", "sluice up"],
        )
        for name, argv in TO_STACKS.items()
        if name != "empty"  # it wants more outputs first
    ),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file and two folders; nothing can be started, and nobody is signed in."""

    def started(*_arguments: object, **_options: object) -> NoReturn:
        raise AssertionError("something was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(toolchain, "ensure_installed", lambda: None)
    monkeypatch.setattr(local_aws, "answers", local_aws.answers)
    for name in list(os.environ):
        if name.startswith("AWS_") or name == "SLUICE_STATE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("a,y\n1,2\n")
    (tmp_path / "project.toml").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.csv").mkdir()
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("argv", "prepare", "env", "told"), [pytest.param(*c[1:], id=c[0]) for c in FILES + STACKS]
)
def test_it_is_said_in_one_sentence_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    prepare: Callable[[], None],
    env: dict[str, str],
    told: list[str],
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    prepare()

    assert main.main(argv) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 5
    for text in told:
        assert text in err
    assert "  to do  " in err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("argv", TO_STACKS.values(), ids=TO_STACKS)
def test_a_stack_that_is_not_there_or_is_another_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    for name, value in (CREDENTIALS | REGION).items():
        monkeypatch.setenv(name, value)

    with mock_aws():
        assert main.main([*argv, "--stack", "sluice-bank-dev"]) == 1
        told = capsys.readouterr().err
        assert "there is no stack sluice-bank-dev\n" in told
        assert "eu-central-1" in told
        assert "sluice-<project>-<environment>" in told

        template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
        boto3.client("cloudformation").create_stack(StackName="another", TemplateBody=json.dumps(template))
        assert main.main([*argv, "--stack", "another"]) == 1
        told = capsys.readouterr().err
        assert "the stack has no output" in told
        assert "sluice-<project>-<environment>" in told


@pytest.mark.usefixtures("folder")
def test_json_tells_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["run", TELCO, "--data", "nope.csv", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["error"]) == ("Failed", "FileTrouble")
    assert "there is no such file" in told["cause"]


def test_the_session_lies_where_sluice_state_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_STATE", str(folder / "elsewhere" / "state"))

    assert main.main(["predict", "--file", "in.csv"]) == 1
    assert str(folder / "elsewhere" / "state" / "local.json") in capsys.readouterr().err

    from cli.stack import Stack, saved

    made = Stack(**session())
    made.save()
    assert (folder / "elsewhere" / "state" / "local.json").is_file()
    assert not (folder / ".sluice").exists()
    assert saved() == [made]


def test_what_a_killed_server_left_is_tidied_up_by_down(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_server()
    asked: list[Path] = []
    monkeypatch.setattr(local_aws, "stop", asked.append)

    assert main.main(["down"]) == 0
    assert asked == [Path(".sluice")]
    assert main.main(["down"]) == 1
    assert "no stack is running here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("ExpiredToken", ["credentials have expired", "aws sso login"]),
        ("ExpiredTokenException", ["credentials have expired"]),
        ("InvalidClientTokenId", ["AWS does not know these credentials"]),
        ("UnrecognizedClientException", ["AWS does not know these credentials"]),
        ("SignatureDoesNotMatch", ["AWS does not know these credentials"]),
        ("AccessDenied", ["AWS does not allow it", "s3:PutObject", "permission"]),
        ("AccessDeniedException", ["AWS does not allow it"]),
        ("NoSuchBucket", ["AWS refused it", "deploy it again"]),
        ("ThrottlingException", ["AWS refused it", "wait a minute"]),
        ("SomethingElse", ["AWS refused it", "PutObject (SomethingElse)", "s3:PutObject"]),
    ],
)
def test_an_answer_of_aws_is_a_sentence(code: str, told: list[str]) -> None:
    response: Any = {"Error": {"Code": code, "Message": "you may not s3:PutObject"}}

    said = str(failures.explain(ClientError(response, "PutObject")))

    for text in told:
        assert text in said
    assert "to do" in said


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOENT, "there is no such file"),
        (errno.EACCES, "it may not be read or written"),
        (errno.EROFS, "SLUICE_STATE"),
        (errno.ENOSPC, "the disk is full"),
        (errno.ENOTDIR, "is a file, not a folder"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_an_error_of_the_file_system_is_a_sentence(number: int, told: str) -> None:
    said = str(failures.explain(OSError(number, os.strerror(number), "/data/in.csv")))
    assert told in said
    assert "/data/in.csv" in said
    assert "to do" in said


def test_a_mistake_of_ours_is_not_dressed_up() -> None:
    assert failures.explain(KeyError("rows")) is None
    assert failures.explain(AssertionError()) is None
