"""`sluice up`, `upload`, `predict`, `down` as a person types them, one process each, in one folder."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from cli.local_aws import LocalAws
from cli.toolchain import ROOT
from tests.support.bank import bank_rows, write_csv, write_project
from tests.support.local_aws import wait_until


@dataclass(frozen=True)
class Shell:
    """A folder to type commands in."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def sluice(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **self.env},
            capture_output=True,
            text=True,
            check=False,
        )

    def endpoint(self) -> tuple[str, int]:
        ready = json.loads((self.folder / ".sluice" / "local" / "ready.json").read_text())
        address = urlsplit(ready["endpoint_url"])
        assert address.hostname
        assert address.port
        return address.hostname, address.port


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    made = Shell(tmp_path_factory.mktemp("shell"))
    write_project(made.folder / "bank", lenient=False)
    write_csv(made.folder / "bank.csv", bank_rows(400))
    up = made.sluice("up", "bank", "--detach")
    assert up.returncode == 0, up.stderr
    yield made
    made.sluice("down")


def test_an_upload_is_followed_to_its_end(shell: Shell) -> None:
    done = shell.sluice("upload", "bank.csv", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "Deployed"


def test_an_upload_that_is_refused_ends_with_the_status_of_its_outcome(shell: Shell) -> None:
    write_csv(shell.folder / "noise.csv", bank_rows(400, seed=3, noise=1.0))
    done = shell.sluice("upload", "noise.csv", "--wait", "--json")
    assert json.loads(done.stdout)["outcome"] == "GateRejected"
    assert done.returncode == 3, done.stderr


def test_the_same_file_again_is_not_promoted(shell: Shell) -> None:
    done = shell.sluice("upload", "bank.csv", "--wait", "--json")
    summary = json.loads(done.stdout)
    assert summary["outcome"] == "GateRejected", done.stderr
    assert any("an equal model takes nobody's place" in reason for reason in summary["reasons"])
    assert done.returncode == 3


def test_up_again_deploys_to_what_runs(shell: Shell) -> None:
    before = shell.endpoint()
    again = shell.sluice("up", "bank")
    assert again.returncode == 0, again.stderr
    assert shell.endpoint() == before


def test_rows_of_a_file_are_predicted(shell: Shell) -> None:
    write_csv(shell.folder / "rows.csv", bank_rows(1200, seed=9))
    done = shell.sluice("predict", "--file", "rows.csv")
    assert done.returncode == 0, done.stderr
    header, *lines = done.stdout.splitlines()
    assert header == "label,probability"
    assert len(lines) == 1200
    assert "left out, being no features of the model: id, y" in done.stderr
    (shell.folder / "one.json").write_text('{"age": 3, "balance": null, "job": "clerk", "mode": "ok"}')
    (answer,) = map(json.loads, shell.sluice("predict", "--file", "one.json", "--json").stdout.splitlines())
    assert answer.keys() == {"label", "probability"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "the file holds 0 bytes"),
        ("age,balance,job,mode\n", "the file has a header and no rows"),
        ("age,balance,mode\n3,1,ok\n", "columns the model takes are missing: 'job'"),
        ("3,1,clerk,ok\n", "its first line has to be a header; it reads '3', '1', 'clerk', 'ok'"),
    ],
)
def test_a_file_that_cannot_be_predicted_is_told_why(shell: Shell, content: str, told: str) -> None:
    (shell.folder / "odd.csv").write_text(content)
    done = shell.sluice("predict", "--file", "odd.csv")
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stdout == ""


def test_refused_rows_are_told_in_the_containers_words_and_the_others_predicted(shell: Shell) -> None:
    rows = ["age,balance,job,mode", "3,1,clerk,ok", "old,1,clerk,ok", "3,1", "3,1,clerk,ok"]
    (shell.folder / "bad.csv").write_text("\n".join(rows))

    done = shell.sluice("predict", "--file", "bad.csv", "--output", "answers.jsonl")

    assert done.returncode == 1
    assert "row 2: column 'age': found the string 'old', expected a whole number" in done.stderr
    assert "row 3: it has 2 fields, the header 4" in done.stderr
    first, second, third, fourth = map(json.loads, (shell.folder / "answers.jsonl").read_text().splitlines())
    assert second == third == {"label": None, "probability": None}
    assert first == fourth
    assert 0 < first["probability"] < 1


@pytest.mark.parametrize("name", ["rows.tsv", "rows.csv.gz", "rows.parquet", "rows.jsonl"])
def test_a_file_is_predicted_in_whatever_format_it_comes(shell: Shell, name: str) -> None:
    write_csv(shell.folder / "same.csv", bank_rows(700, seed=5))
    table = pacsv.read_csv(shell.folder / "same.csv")
    file = shell.folder / name
    match file.suffix:
        case ".tsv":
            pacsv.write_csv(table, file, pacsv.WriteOptions(delimiter="\t"))
        case ".gz":
            file.write_bytes(gzip.compress((shell.folder / "same.csv").read_bytes()))
        case ".parquet":
            pq.write_table(table, file)
        case _:
            file.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))

    expected = shell.sluice("predict", "--file", "same.csv")
    done = shell.sluice("predict", "--file", name, "--output", "answers.parquet")

    assert done.returncode == 0, done.stderr
    answers = pq.read_table(shell.folder / "answers.parquet")
    assert answers.num_rows == 700
    lines = [f"{row['label']},{row['probability']}" for row in answers.to_pylist()]
    assert ["label,probability", *lines] == expected.stdout.splitlines()


def test_the_contract_of_the_model_in_service_says_what_is_sent(shell: Shell) -> None:
    """As on AWS, where there is no project folder: --stack finds all it needs there."""
    session, *_ = json.loads((shell.folder / ".sluice" / "local.json").read_text())
    env = session["aws_env"]
    elsewhere = Shell(shell.folder / "elsewhere", env)
    elsewhere.folder.mkdir()
    write_csv(elsewhere.folder / "rows.csv", bank_rows(20, seed=9))

    done = elsewhere.sluice("predict", "--file", "rows.csv", "--stack", "sluice-bank-local")

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 21
    assert "left out, being no features of the model: id, y" in done.stderr


def test_down_stops_it_and_says_so_when_there_is_nothing(shell: Shell) -> None:
    endpoint = shell.endpoint()
    assert shell.sluice("down").returncode == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(endpoint)
    again = shell.sluice("down")
    assert again.returncode == 1
    assert "sluice up PROJECT" in again.stderr


def processes_of(folder: Path) -> list[str]:
    """The processes that were told of the folder."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,stat,args"], capture_output=True, text=True, check=True)
    return [
        line for line in listed.stdout.splitlines() if str(folder) in line and line.split()[1][0] not in "Z"
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_ends_in_the_middle_of_a_deployment_leaves_nothing_running(
    tmp_path: Path, number: signal.Signals
) -> None:
    write_project(tmp_path / "bank")
    local = tmp_path / ".sluice" / "local"
    up = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "up", str(tmp_path / "bank"), "--detach"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: any(" deploy " in line for line in processes_of(local)), 60)
        assert (local / "ready.json").exists()
        up.send_signal(number)
        assert up.wait(30) == (143 if number == signal.SIGTERM else -9)
        # After SIGKILL nobody ends the CDK CLI; it ends by itself, as its server is gone.
        wait_until(lambda: not (local / "ready.json").exists(), 30)
        wait_until(
            lambda: (
                not [line for line in processes_of(local) if number == signal.SIGTERM or " local " in line]
            ),
            30,
        )
    finally:
        up.kill()
        up.wait()
        for line in processes_of(local):
            os.kill(int(line.split()[0]), signal.SIGKILL)


def test_a_killed_server_is_told_at_once_and_tidied_up_by_down(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    write_csv(tmp_path / "bank.csv", bank_rows(4))
    local = LocalAws(tmp_path / ".sluice" / "local")
    env = local.start()
    try:
        session = [{"outputs": {}, "aws_env": env, "state_dir": str(local.state_dir)}]
        (tmp_path / ".sluice" / "local.json").write_text(json.dumps(session))
        os.kill(json.loads((local.state_dir / "ready.json").read_text())["pid"], signal.SIGKILL)
        local.wait()

        for command in (["upload", "bank.csv"], ["predict", "--file", "bank.csv"], ["empty", "--yes"]):
            done = shell.sluice(*command)
            assert done.returncode == 1
            assert "the local AWS of this folder is gone" in done.stderr
            assert "start it again with `sluice up PROJECT`" in done.stderr
            assert "Traceback" not in done.stderr
        assert shell.sluice("down").returncode == 0
        assert "no stack is running here" in shell.sluice("predict", "--file", "bank.csv").stderr
    finally:
        local.stop()
