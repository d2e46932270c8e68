"""Dataset versions and the real DVC: what the pipeline stored is pulled to the byte, what was pushed is taken."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import executions, main, stack
from sluice import keys
from sluice.payloads.documents import Lineage, Manifest
from tests.support.bank import HEADER, Bank, bank_rows, write_csv, write_project
from tests.support.local_aws import ROOT

DVC = ROOT / "build" / "sdk" / "dvc" / "bin" / "dvc"
COLUMNS = [*HEADER, "at"]
SECONDS = 300
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def depot(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A project whose rows have a time, beside the bank; its table has two parts."""
    folder = tmp_path_factory.mktemp("depot")
    write_project(folder / "project", "depot")
    file = folder / "project" / "project.toml"
    text = file.read_text().replace('key = "id"', 'key = "id"\ntimestamp = "at"')
    file.write_text(text + '\n[columns.at]\ntype = "timestamp"\n')
    made = bank.beside(folder / "project", folder)
    for day, count in ((1, 300), (2, 200)):
        name = f"{day}.csv"
        done = made.train(rows(folder / name, count, day), f"{keys.INCOMING_EVENTS}{name}")
        assert done["outcome"] == "Appended", done
    return made


def rows(file: Path, count: int, day: int) -> Path:
    return write_csv(file, [[*row, f"2026-01-{day:02d}"] for row in bank_rows(count, seed=day)], COLUMNS)


@pytest.fixture
def sluice(depot: Bank, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on the depot; what it prints as JSON, or with `fails` what it says."""
    monkeypatch.setattr(stack, "current", lambda _name: depot.stack)

    def run(*arguments: str, fails: bool = False) -> Any:
        status = main.main(list(arguments))
        said = capsys.readouterr()
        assert status == (1 if fails else 0), said
        return said.err if fails else json.loads(said.out)

    return run


@pytest.fixture
def repository(depot: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC repository with the stack's remote, as `sluice dataset pointer` says to configure it."""
    if not DVC.exists():
        pytest.skip(f"no environment {DVC.parent.parent}: `make test-sdk` builds it")
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    dvc(depot, "init", "--no-scm")
    name, bucket = depot.stack.name, depot.stack.outputs["ArtifactsBucketName"]
    dvc(depot, "remote", "add", name, f"s3://{bucket}/{keys.DATASETS}")
    dvc(depot, "remote", "modify", "--local", name, "endpointurl", depot.stack.aws_env["AWS_ENDPOINT_URL"])
    return folder


def dvc(depot: Bank, *arguments: str, fails: bool = False) -> str:
    """Run the real DVC in this folder, with nothing of this machine's settings."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "DVC_"))}
    done = subprocess.run(
        [str(DVC), *arguments],
        env={**inherited, **depot.stack.aws_env, "HOME": str(Path.cwd().parent), "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def read(depot: Bank, key: str) -> bytes:
    bucket = depot.stack.outputs["ArtifactsBucketName"]
    body: bytes = depot.stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def manifest_of(depot: Bank, version: str) -> Manifest:
    return Manifest.model_validate_json(read(depot, keys.manifest(version)))


def test_versions_are_listed_shown_and_compared(depot: Bank, sluice: Run) -> None:
    newest, first = sluice("dataset", "list", "--json")
    assert [(each["rows"], each["parts"], each["current"]) for each in (newest, first)] == [
        (500, 2, True),
        (300, 1, False),
    ]
    told = sluice("dataset", "show", "current", "--json")
    assert told["missing"] == []
    assert [each["rows"] for each in told["lineage"]] == [300, 200]
    assert told["lineage"][0]["source"]["uri"].endswith("/incoming/events/1.csv")
    assert told["lineage"][0]["uploaded"]["at"] is not None
    differing = sluice("dataset", "diff", first["dataset_version"][:9], "current", "--json")
    assert differing["parts"]["both"] == 1
    # All of the new rows, two of five, are of a later day.
    assert differing["columns"]["at"]["shift"] == pytest.approx(0.4)
    assert differing["columns"]["at"]["noticeable"] is True
    assert differing["columns"]["job"]["noticeable"] is False


@pytest.mark.usefixtures("repository")
def test_dvc_pulls_the_bytes_that_are_recorded(depot: Bank, sluice: Run) -> None:
    version = sluice("dataset", "list", "--json")[0]["dataset_version"]
    told = sluice("dataset", "pointer", "current", "--json")
    assert told["remote"]["name"] == depot.stack.name
    dvc(depot, "pull", "depot.dvc")
    pulled = sorted(Path("depot").iterdir())
    assert [file.name for file in pulled] == ["part-00001.parquet", "part-00002.parquet"]
    assert [sha256(file) for file in pulled] == [part.sha256 for part in manifest_of(depot, version).parts], (
        "in the order in which they count"
    )
    assert "up to date" in dvc(depot, "status")
    # DVC itself names this folder like the list that the pipeline wrote.
    shutil.copytree("depot", "again")
    dvc(depot, "add", "again")
    assert told["outs"][0]["md5"] in Path("again.dvc").read_text()


@pytest.mark.usefixtures("repository")
def test_dvc_pulls_a_version_of_one_part_as_a_file(depot: Bank, sluice: Run) -> None:
    version = sluice("dataset", "list", "--json")[-1]["dataset_version"]
    sluice("dataset", "pointer", version, "--output", "first.parquet.dvc", "--json")
    dvc(depot, "pull", "first.parquet.dvc")
    assert sha256(Path("first.parquet"))[:16] == version


@pytest.mark.usefixtures("repository")
def test_what_dvc_pushed_becomes_a_version_without_being_sent_again(
    depot: Bank, sluice: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    md5 = hashlib.md5(rows(Path("raw.csv"), 40, 3).read_bytes()).hexdigest()
    dvc(depot, "add", "raw.csv")
    dvc(depot, "push", "--remote", depot.stack.name, "raw.csv.dvc")
    Path("raw.csv").unlink()

    def sent(*_: Any) -> None:
        raise AssertionError("its bytes were sent")

    monkeypatch.setattr(executions, "upload", sent)
    done = sluice("upload", "--dvc", "--events", "raw.csv.dvc", "--wait", "--json")
    assert (done["outcome"], done["rows"]) == ("Appended", 40)
    part = manifest_of(depot, done["dataset_version"]).parts[-1]
    lineage = Lineage.model_validate_json(read(depot, keys.lineage(part.name)))
    caller = depot.stack.client("sts").get_caller_identity()["Arn"]
    assert lineage.uploaded.model_dump(exclude={"at"}) == {
        "by": caller,
        "tracked_as": "raw.csv.dvc",
        "tracked_md5": md5,
    }


def test_a_version_whose_part_was_deleted_is_named_wherever_it_is_asked_for(
    depot: Bank, sluice: Run, repository: Path, tmp_path: Path
) -> None:
    file = rows(tmp_path / "lost.csv", 30, 9)
    done = depot.train(file, f"{keys.INCOMING_EVENTS}lost.csv")
    part = manifest_of(depot, done["dataset_version"]).parts[-1]
    sluice("dataset", "pointer", "current", "--json")
    depot.stack.client("s3").delete_object(Bucket=depot.stack.outputs["ArtifactsBucketName"], Key=part.key)

    assert part.md5 in dvc(depot, "pull", "depot.dvc", fails=True)
    named = f"the part {part.name} of the dataset version {done['dataset_version']} is not there any more"
    assert named in sluice("dataset", "pointer", "current", fails=True)
    started = depot.stack.client("stepfunctions").start_execution(
        stateMachineArn=depot.stack.outputs["TrainingArn"], name="on-what-is-lost", input="{}"
    )
    trained = executions.follow(depot.stack, started["executionArn"])
    assert (trained["outcome"], trained["error"]) == ("Failed", "PartMissing")
    assert named in trained["cause"]

    again = depot.train(file, f"{keys.INCOMING_EVENTS}lost-again.csv")
    assert again["dataset_version"] == done["dataset_version"]
    dvc(depot, "pull", "depot.dvc")
    assert sha256(sorted((repository / "depot").iterdir())[-1]) == part.sha256
