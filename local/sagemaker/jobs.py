"""What all jobs share: the record Describe answers from, the run, the stop, the end."""

from __future__ import annotations

import json
import logging
import math
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local import images
from local.sagemaker.container import Container
from local.sagemaker.errors import JobFailed, validation
from local.sagemaker.logs import LogStream

if TYPE_CHECKING:
    from local.context import Context

logger = logging.getLogger(__name__)

MAX_REASON = 1024
MAX_MESSAGE_BYTES = 1024
MAX_RUNTIME_SECONDS = 86_400  # SageMaker's default
# SageMaker: a stopped job's container has 120 seconds between SIGTERM and SIGKILL.
STOP_GRACE_SECONDS = 120.0
ENDED = frozenset({"Completed", "Failed", "Stopped"})


class JobStopped(Exception):
    """Stop…Job was called."""


@dataclass(frozen=True)
class Run:
    """How a container ended: by itself, or asked to, or its time was over, or its instance was taken back."""

    exit_code: int
    stopped: bool = False
    timed_out: bool = False
    interrupted: bool = False


class Job:
    """One job: a record in AWS's own member names, and the thread that moves it from state to state.

    The record is replaced as a whole and never changed in place, so Describe always sees a consistent one.
    """

    kind: str  # "training", "processing", "transform", "hyper-parameter-tuning": the ARN, the folder
    prefix: str  # what AWS's members of this kind begin with: "TrainingJob" and so on

    def __init__(self, context: Context, region: str, account: str, request: dict[str, Any]) -> None:
        self.context = context
        self.region = region
        self.account = account
        self.request = request
        self.name: str = request[f"{self.prefix}Name"]
        self.arn = f"arn:aws:sagemaker:{region}:{account}:{self.kind}-job/{self.name}"
        self.tags: list[dict[str, str]] = list(request.get("Tags") or [])
        self.root: Path = context.state_dir / "sagemaker" / f"{self.kind}-jobs" / region / self.name
        self.base = self.root / "opt" / "ml"
        self.stop_grace_seconds = STOP_GRACE_SECONDS
        condition = request.get("StoppingCondition") or {}
        self.max_runtime_seconds: int = condition.get("MaxRuntimeInSeconds", MAX_RUNTIME_SECONDS)
        now = datetime.now(UTC)
        self.record: dict[str, Any] = {
            **{key: value for key, value in request.items() if key != "Tags" and value is not None},
            f"{self.prefix}Arn": self.arn,
            f"{self.prefix}Status": "InProgress",
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        self.on_end: Callable[[Job], None] | None = None
        self._stop_requested = threading.Event()
        self._container: Container | None = None
        self._lock = threading.Lock()

    # --- what the API sees

    @property
    def status(self) -> str:
        return str(self.record[f"{self.prefix}Status"])

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def start(self) -> None:
        threading.Thread(target=self._run, name=self.arn, daemon=True).start()

    def request_stop(self) -> None:
        """Stop as StopTrainingJob and its like do: Stopping at once, Stopped when it has ended."""
        if not self.stop_if_running():
            raise validation(
                f"The request was rejected because the {self.kind} job is in status {self.status}."
            )

    def stop_if_running(self) -> bool:
        """Stop the job; False where it has ended already."""
        with self._lock:
            if self.ended:
                return False
            self.stopping()
            self._stop_requested.set()
            if self._container is not None:
                self._container.interrupt()
        return True

    @property
    def is_interrupted(self) -> bool:
        """Whether the instance under the container was taken back."""
        return False

    # --- what a kind of job does

    def work(self) -> None:
        """Do the job up to its end, through `finish`; raise JobFailed or JobStopped to end it otherwise."""
        raise NotImplementedError

    def stopping(self) -> None:
        """Record that a stop was asked for."""
        self.update(**{f"{self.prefix}Status": "Stopping"})

    def finish(self, status: str, **fields: Any) -> None:
        """Record the end of the job, in one step."""
        raise NotImplementedError

    # --- what all kinds use

    def update(self, **fields: Any) -> None:
        self.record = {**self.record, "LastModifiedTime": datetime.now(UTC), **fields}

    def check_stopped(self) -> None:
        if self._stop_requested.is_set():
            raise JobStopped

    def resolve_image(self, uri: str) -> images.Image:
        try:
            return images.resolve(self.context.state_dir, uri)
        except (images.ImageNotFound, images.ImageNotRunnable) as error:
            raise JobFailed(f"ClientError: {error}") from error

    def open_log(self, instance: int = 1) -> LogStream:
        group = f"/aws/sagemaker/{self.prefix}s"
        return LogStream(self.context, self.region, group, f"{self.name}/algo-{instance}-{int(time.time())}")

    def run(self, container: Container, seconds: float | None = None) -> Run:
        """Wait for the container's end; stop it on demand, and when MaxRuntimeInSeconds, or what is left, is over."""
        with self._lock:
            self._container = container
            if self._stop_requested.is_set():
                container.interrupt()
        exit_code = container.wait(self.max_runtime_seconds if seconds is None else seconds)
        stopped = timed_out = interrupted = False
        if exit_code is None:
            stopped = self._stop_requested.is_set()
            interrupted = self.is_interrupted and not stopped
            timed_out = not stopped and not interrupted
            exit_code = container.stop(self.stop_grace_seconds)
        container.drain()
        return Run(exit_code, stopped=stopped, timed_out=timed_out, interrupted=interrupted)

    def write_config(self, folder: Path, files: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content, indent=2, default=str), encoding="utf-8")

    def resource_config(self, instance_type: str) -> dict[str, Any]:
        """resourceconfig.json of a job on one instance."""
        return {
            "current_host": "algo-1",
            "current_instance_type": instance_type,
            "current_group_name": "homogeneousCluster",
            "hosts": ["algo-1"],
            "instance_groups": [
                {
                    "instance_group_name": "homogeneousCluster",
                    "instance_type": instance_type,
                    "hosts": ["algo-1"],
                }
            ],
            "network_interface_name": "lo",
        }

    def emit_event(self, detail_type: str) -> None:
        """Tell EventBridge what the record now says."""
        detail = json.dumps(self.record, default=_epoch_milliseconds)
        entry = {
            "Source": "aws.sagemaker",
            "DetailType": detail_type,
            "Resources": [self.arn],
            "Detail": detail,
        }
        try:
            self.context.client("events", self.region).put_events(Entries=[entry])
        except (ClientError, BotoCoreError) as error:
            if not self.context.stopping.is_set():
                logger.error("%s: the event of its state change is lost: %s", self.arn, error)

    def _run(self) -> None:
        self._to_the_end()
        if self.on_end is not None:
            self.on_end(self)

    def _to_the_end(self) -> None:
        try:
            if self.root.exists():  # a namesake of an earlier run of the server
                shutil.rmtree(self.root)
            self.root.mkdir(parents=True)
            self.work()
        except JobStopped:
            self.finish("Stopped")
        except JobFailed as error:
            self.finish("Failed", FailureReason=str(error)[:MAX_REASON])
        except Exception as error:
            if self.context.stopping.is_set():
                return  # the server goes down and its services with it
            # A fault of the local AWS itself must not leave a job InProgress for ever.
            logger.exception("%s failed inside the local AWS", self.arn)
            reason = f"InternalServerError: the local AWS failed: {type(error).__name__}: {error}"
            self.finish("Failed", FailureReason=reason[:MAX_REASON])
        else:
            if self.status == "Completed":
                shutil.rmtree(self.root, ignore_errors=True)  # kept where there is something to look into


def read_failure(path: Path) -> str:
    """The first 1,024 characters of a training container's failure file; empty without one."""
    return path.read_text("utf-8", "replace")[:MAX_REASON].strip() if path.is_file() else ""


def read_message(path: Path) -> str:
    """The first kilobyte of a processing container's message file, as text; empty without one.

    https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
    """
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        beginning = file.read(MAX_MESSAGE_BYTES)
    # Of a character that the limit cuts in two nothing is left.
    return beginning.decode("utf-8", "ignore" if len(beginning) == MAX_MESSAGE_BYTES else "replace").strip()


def seconds_since(start: datetime) -> int:
    return max(1, math.ceil((datetime.now(UTC) - start).total_seconds()))


def _epoch_milliseconds(value: Any) -> int:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} has no place in an event")
    return int(value.timestamp() * 1000)
