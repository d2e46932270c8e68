"""The server process: where it listens, and that nothing of it outlives it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.support.local_aws import ROOT, LocalAws, create_function, is_running, wait_until

StartServer = Callable[[], LocalAws]

FORKING_HANDLER = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def handler(event, context):
    return [os.getpid(), child.pid]
"""


def children_of(server: LocalAws) -> list[int]:
    """The pids of a worker and of a process that the worker has started."""
    create_function(server, "forks", FORKING_HANDLER, Timeout=30)
    pids: list[int] = json.load(server.client("lambda").invoke(FunctionName="forks")["Payload"])
    assert all(is_running(pid) for pid in pids)
    return pids


def local(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "local", *arguments]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_listens_on_the_loopback_interface_only(local_aws: LocalAws) -> None:
    port = int(local_aws.endpoint_url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Another loopback address: a server on 0.0.0.0 answers there, one on 127.0.0.1 does not.
        probe.settimeout(5)
        with pytest.raises(OSError):  # noqa: PT011  # refused on Linux, unreachable on macOS
            probe.connect(("127.0.0.2", port))


def test_the_ready_file_makes_a_client(local_aws: LocalAws) -> None:
    assert local_aws.env["AWS_ENDPOINT_URL"] == local_aws.endpoint_url
    assert local_aws.env["SLUICE_LOCAL_STATE"] == str(local_aws.state_dir)
    assert Path(local_aws.env["CDK_DOCKER"]).stat().st_mode & 0o100
    assert local_aws.client("sts").get_caller_identity()["Account"] == local_aws.env["CDK_DEFAULT_ACCOUNT"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_and_is_a_success(start_local_aws: StartServer, number: signal.Signals) -> None:
    server = start_local_aws()
    pids = children_of(server)
    assert server.stop(number) == 0
    assert not [pid for pid in pids if is_running(pid)]
    assert not (server.state_dir / "ready.json").exists()


def test_a_killed_server_leaves_no_child(start_local_aws: StartServer) -> None:
    server = start_local_aws()
    pids = children_of(server)
    server.kill()
    wait_until(lambda: not [pid for pid in pids if is_running(pid)])


def test_the_end_of_the_parent_is_the_end_of_the_server(start_local_aws: StartServer) -> None:
    server = start_local_aws()
    pids = children_of(server)
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.process.wait(30) == 0
    assert not [pid for pid in pids if is_running(pid)]


def test_two_servers_do_not_meet(start_local_aws: StartServer) -> None:
    one, two = start_local_aws(), start_local_aws()
    one.client("s3").create_bucket(Bucket="only-in-one")
    assert one.endpoint_url != two.endpoint_url
    assert not two.client("s3").list_buckets()["Buckets"]


def test_a_state_folder_has_one_server(local_aws: LocalAws) -> None:
    second = local("serve", "--state-dir", str(local_aws.state_dir))
    assert second.returncode == 1
    assert "already" in second.stderr
    assert str(local_aws.state_dir) in second.stderr


def test_stop_ends_the_server_of_the_folder(start_local_aws: StartServer) -> None:
    server = start_local_aws()
    stopped = local("stop", "--state-dir", str(server.state_dir))
    assert (stopped.returncode, stopped.stdout) == (0, "stopped\n")
    assert server.process.wait(10) == 0


def test_stop_leaves_other_processes_alone(tmp_path: Path) -> None:
    # What a killed server leaves behind: its pid may be anybody's by now.
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / "server.lock").write_text(str(other.pid))
        (tmp_path / "ready.json").write_text(json.dumps({"pid": other.pid}))
        stopped = local("stop", "--state-dir", str(tmp_path))
        assert "no local AWS is running" in stopped.stdout
        assert other.poll() is None
        other.communicate(b"\n")


def test_help_says_that_the_state_is_in_memory() -> None:
    assert "in memory" in local("serve", "--help").stdout


def test_connections_stay_open(local_aws: LocalAws) -> None:
    port = int(local_aws.endpoint_url.rsplit(":", 1)[1])
    request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(request)
            with connection.makefile("rb") as answer:
                assert b"200" in answer.readline()
                headers = dict(iter(lambda: answer.readline().strip().partition(b": ")[::2], (b"", b"")))
                answer.read(int(headers[b"Content-Length"]))


def test_a_body_that_nobody_read_is_not_the_next_request(local_aws: LocalAws) -> None:
    s3 = local_aws.client("s3")
    for _ in range(2):
        with pytest.raises(ClientError, match="NoSuchBucket"):
            s3.put_object(Bucket="no-such-bucket", Key="k", Body=b"x" * 300_000)


def test_s3_objects_come_back_as_they_went(local_aws: LocalAws) -> None:
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="objects")
    body = bytes(range(256)) * 40_000
    s3.put_object(Bucket="objects", Key="a folder/ü", Body=body)
    assert s3.get_object(Bucket="objects", Key="a folder/ü")["Body"].read() == body
    assert s3.head_object(Bucket="objects", Key="a folder/ü")["ContentLength"] == len(body)
    assert s3.get_object(Bucket="objects", Key="a folder/ü", Range="bytes=1-2")["Body"].read() == b"\1\2"
