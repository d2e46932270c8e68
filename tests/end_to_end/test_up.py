"""`sluice up`, `upload`, `predict`, `down` as a person types them, one process each, in one folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.toolchain import ROOT
from tests.support.bank import bank_rows, write_csv, write_project
from tests.support.local_aws import wait_until


@dataclass(frozen=True)
class Shell:
    """A folder to type commands in."""

    folder: Path

    def sluice(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
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
    write_project(made.folder / "bank")
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
        ("", "the file is empty"),
        ("age,balance,job,mode\n", "the file has a header and no rows"),
        ("age,balance,mode\n3,1,ok\n", "columns the model takes are missing: 'job'"),
        ("3,1,clerk,ok\n", "its first line has to be a header; it reads '3', '1', 'clerk', 'ok'"),
        ("age,balance,job,mode\n3,1,clerk,ok\n3,1\n", "row 2 has 2 fields, the header 4"),
    ],
)
def test_a_file_that_cannot_be_predicted_is_told_why(shell: Shell, content: str, told: str) -> None:
    (shell.folder / "odd.csv").write_text(content)
    done = shell.sluice("predict", "--file", "odd.csv")
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stdout == ""


def test_a_refused_row_is_told_in_the_containers_words(shell: Shell) -> None:
    (shell.folder / "bad.json").write_text('{"age": "old", "balance": 1, "job": "clerk", "mode": "ok"}')
    done = shell.sluice("predict", "--file", "bad.json")
    assert done.returncode == 1
    assert "column 'age': found the string 'old', expected a whole number" in done.stderr


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
