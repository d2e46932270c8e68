"""The server process: where it listens, and that nothing of it outlives it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
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


# --- who may ask


def ask(server: LocalAws, method: str, path: str, **headers: str) -> tuple[int, str]:
    """One request with the headers given (underscores are hyphens); its status and its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.endpoint_url).port or 0, timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): v for name, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example:80"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": ""},
    ],
)
def test_a_web_page_is_refused_and_changes_nothing(local_aws: LocalAws, headers: dict[str, str]) -> None:
    name = f"kept-{uuid.uuid4().hex[:8]}"
    local_aws.client("s3").create_bucket(Bucket=name)

    status, answer = ask(local_aws, "POST", "/moto-api/reset", **headers)
    assert (status, "The local AWS" in answer) == (403, True), answer
    status, _ = ask(local_aws, "DELETE", f"/{name}", **headers)
    assert status == 403

    local_aws.client("s3").head_bucket(Bucket=name)


def test_what_is_no_web_page_is_answered(local_aws: LocalAws) -> None:
    own = local_aws.endpoint_url
    for headers in (
        {},
        {"Origin": own},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin", "Origin": own},
        {"Host": "localhost:1234"},
        {"Host": "LOCALHOST"},
        {"Host": "[::1]:1"},
    ):
        assert ask(local_aws, "GET", "/", **headers)[0] == 200, headers


@pytest.mark.parametrize("suffix", ["localhost", "s3.localhost", "s3.us-east-1.localhost"])
def test_a_bucket_may_be_named_by_the_host(local_aws: LocalAws, suffix: str) -> None:
    local_aws.client("s3").create_bucket(Bucket="in-the-host")
    local_aws.client("s3").put_object(Bucket="in-the-host", Key="a", Body=b"found")
    host = f"in-the-host.{suffix}:{urlsplit(local_aws.endpoint_url).port}"
    request = AWSRequest("GET", f"http://{host}/a")
    key = Credentials(local_aws.env["AWS_ACCESS_KEY_ID"], local_aws.env["AWS_SECRET_ACCESS_KEY"])
    S3SigV4Auth(key, "s3", "us-east-1").add_auth(request)

    assert ask(local_aws, "GET", "/a", **{**dict(request.headers), "Host": host}) == (200, "found")


def test_an_sdk_hears_why_it_is_refused(local_aws: LocalAws) -> None:
    def send(request: Any, **_: Any) -> None:
        request.headers["Origin"] = "https://evil.example"

    for service, call in (("s3", "list_buckets"), ("sqs", "list_queues"), ("sns", "list_topics")):
        client = boto3.session.Session().client(
            service,  # type: ignore[call-overload]
            region_name="us-east-1",
            endpoint_url=local_aws.endpoint_url,
            aws_access_key_id=local_aws.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=local_aws.env["AWS_SECRET_ACCESS_KEY"],
        )
        client.meta.events.register("before-send", send)
        with pytest.raises(ClientError, match="no requests from web pages") as caught:
            getattr(client, call)()
        assert caught.value.response["Error"]["Code"] == "AccessDenied"
        client.close()


def test_the_access_key_is_no_other_local_clouds(local_aws: LocalAws) -> None:
    """Tools remember the account of an access key for good, and LocalStack's `test` is of another account."""
    key = local_aws.env["AWS_ACCESS_KEY_ID"]
    assert key not in {"test", "testing", "dummy", "local", "fake"}
    assert re.fullmatch(r"\w{16,128}", key), "what the API of IAM and STS allows"
    assert not key.startswith(("AKIA", "ASIA")), "or scanners for secrets would report it"
    sts = local_aws.client("sts")
    assert sts.get_access_key_info(AccessKeyId=key)["Account"] == local_aws.account_id


def test_nobody_may_simulate_policies(local_aws: LocalAws) -> None:
    """SDKs try, to warn of what a role lacks, and go on where they may not."""
    with pytest.raises(ClientError, match="not authorized to perform: iam:SimulatePrincipalPolicy") as caught:
        local_aws.client("iam").simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::123456789012:role/r", ActionNames=["s3:GetObject"]
        )
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
