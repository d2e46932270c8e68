"""SageMaker of the local AWS in this process: its images are the scripts of tests/support/images."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.sagemaker.models import FakeEndpointConfig, SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse
from moto.server import ThreadedMotoServer

from local import images, metric_queries, sagemaker
from local.context import Context

PROGRAMS = Path(__file__).parent / "images"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
ADDED = (
    *("update_endpoint", "stop_training_job", "stop_transform_job", "stop_hyper_parameter_tuning_job"),
    "list_training_jobs_for_hyper_parameter_tuning_job",
)
PATCHED = (
    *(SageMakerResponse, SageMakerRuntimeResponse, SageMakerModelBackend, FakeEndpointConfig),
    *(CloudWatchBackend, CloudWatchResponse),
)


class InProcessContext(Context):
    """The context of a moto server in this process: images can be plain scripts, processes can be watched."""

    def __init__(self, *, port: int, state_dir: Path) -> None:
        super().__init__(port=port, state_dir=state_dir)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.own_clients: dict[str, Any] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        """A client that lets the server judge a request, not botocore."""
        assert region in {None, self.region}
        create: Any = boto3.client  # its overloads want a literal
        if service not in self.own_clients:
            self.own_clients[service] = create(
                service,
                region_name=self.region,
                endpoint_url=self.endpoint_url,
                aws_access_key_id=self.aws_env()["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=self.aws_env()["AWS_SECRET_ACCESS_KEY"],
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
            )
        return self.own_clients[service]

    def spawn(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        process = super().spawn(argv, **options)
        self.processes.append(process)
        return process

    def end(self) -> None:
        self.stopping.set()
        self.children.close()
        for client in self.own_clients.values():
            client.close()


def resolve(_state_dir: Path, uri: str) -> images.Image:
    program = PROGRAMS / f"{uri.partition('/')[2]}.py"
    if not program.exists():
        raise images.ImageNotFound(f"no image {uri} was ever pushed here")
    return images.Image(argv=[sys.executable, str(program)], env={"FROM_IMAGE": "1"}, cwd=program.parent)


@contextlib.contextmanager
def running(state_dir: Path) -> Iterator[InProcessContext]:
    """A moto server in this process with the local AWS's SageMaker; the patches go when it ends."""
    with pytest.MonkeyPatch.context() as patch:
        for owner in PATCHED:
            for name, value in list(vars(owner).items()):
                if not name.startswith("__") and callable(value):
                    patch.setattr(owner, name, value)  # so that what install() replaces comes back
        patch.setattr(SageMakerRuntimeResponse, "use_raw_body", False)
        patch.setattr(images, "resolve", resolve)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        _, port = server.get_host_and_port()
        context = InProcessContext(port=port, state_dir=state_dir)
        metric_queries.install()
        sagemaker.install(context)
        context.client("s3").create_bucket(Bucket="data")
        yield context
        client = context.client("sagemaker")
        for page in client.get_paginator("list_endpoints").paginate():
            for summary in page["Endpoints"]:
                client.delete_endpoint(EndpointName=summary["EndpointName"])
        wait_for(lambda: not client.list_endpoints()["Endpoints"])
        context.end()
        server.stop()
        for name in ADDED:
            delattr(SageMakerResponse, name)


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)
    return value


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def log_lines(aws: InProcessContext, group: str, prefix: str) -> list[str]:
    logs = aws.client("logs")
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
    return [
        event["message"]
        for stream in streams
        for event in logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    ]


def group_exists(aws: InProcessContext, group: str) -> bool:
    return bool(aws.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"])


def put_model(aws: InProcessContext, name: str, **environment: str) -> None:
    """A model, its archive and an endpoint configuration, all of one name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        content = json.dumps({"model": name}).encode()
        entry = tarfile.TarInfo("model.json")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    aws.client("s3").put_object(Bucket="data", Key=f"{name}/model.tar.gz", Body=buffer.getvalue())
    put_config(aws, name, f"s3://data/{name}/model.tar.gz", **environment)


def put_config(aws: InProcessContext, name: str, url: str, image: str = "serve", **environment: str) -> None:
    client = aws.client("sagemaker")
    container = {"Image": f"{REGISTRY}/{image}", "ModelDataUrl": url, "Environment": environment}
    client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m6i.large",  # not in moto's own list
        "InitialInstanceCount": 1,
        "ContainerStartupHealthCheckTimeoutInSeconds": 1 if environment.get("ACT") == "sick" else 30,
    }
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
