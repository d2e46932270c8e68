"""A local AWS with two small images, and the SDKs' own environments that `make test-sdk` builds."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.docker_shim.build import build
from local.images import ImageStore
from tests.support.in_process import PROGRAMS as IMAGES
from tests.support.in_process import REGISTRY, ROLE
from tests.support.local_aws import ROOT, LocalAws

ENVIRONMENTS = ROOT / "build" / "sdk"
PROGRAMS = Path(__file__).parent / "programs"
SECONDS = 300
# The SDK 3 looks whether SageMaker may take the role on.
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """With the images train and serve, a bucket with training data and a model, and the role the SDKs ask for."""
    server = LocalAws(tmp_path_factory.mktemp("local-aws"))
    try:
        for name in ("train", "serve"):
            publish(server, name, tmp_path_factory.mktemp(name))
        s3 = server.client("s3")
        s3.create_bucket(Bucket="sdk")
        s3.put_object(Bucket="sdk", Key="train/rows.csv", Body=b"1,2\n")
        s3.put_object(Bucket="sdk", Key="model/model.tar.gz", Body=archive({"model": "of the SDK"}))
        server.client("iam").create_role(
            RoleName=ROLE.rsplit("/", 1)[-1], AssumeRolePolicyDocument=json.dumps(TRUST)
        )
        yield server
    finally:
        server.close()


def publish(server: LocalAws, name: str, context: Path) -> None:
    """Build a script of tests/support/images as an image, as the Docker shim would."""
    (context / "program.py").write_text((IMAGES / f"{name}.py").read_text())
    dockerfile = context / "Dockerfile"
    dockerfile.write_text(
        'FROM python:3.11-slim\nCOPY program.py /opt/\nENTRYPOINT ["python", "/opt/program.py"]\n'
    )
    store = ImageStore(server.state_dir)
    store.publish(build(store, context, dockerfile, {}, None), f"{REGISTRY}/{name}:1")


def archive(model: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        content = json.dumps(model).encode()
        entry = tarfile.TarInfo("model.json")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def run(local_aws: LocalAws, tmp_path: Path) -> Run:
    """Run a program of an environment against the local AWS, with nothing of this machine's AWS settings."""

    def run(environment: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        executable = ENVIRONMENTS / environment / "bin" / program
        if not executable.exists():
            pytest.skip(f"no environment {executable.parent.parent}: `make test-sdk` builds it")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        return subprocess.run(
            [str(executable), *arguments],
            env={
                **inherited,
                **local_aws.env,
                "HOME": str(tmp_path),
                "REGISTRY": REGISTRY,
                "ROLE": ROLE,
                "PYTHONWARNINGS": "ignore",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def seen(run: Run) -> Callable[[str], dict[str, Any]]:
    """Run a program of tests/sdk/programs in the environment of its name; what it says it saw."""

    def seen(name: str) -> dict[str, Any]:
        done = run(name, "python", str(PROGRAMS / f"{name}.py"))
        assert done.returncode == 0, done.stderr[-6000:]
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # SDK 2 logs to stdout
        found["log"] = done.stdout + done.stderr
        return found

    return seen
