"""Batch transform jobs: a model's own serving processes answer, batch by batch, for the objects of a prefix."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.sagemaker import storage
from local.sagemaker.connections import Answer, ModelTimeout, ModelUnreachable
from local.sagemaker.errors import JobFailed, refuse_unsupported, unsupported, validation
from local.sagemaker.fleet import HEALTH_CHECK_SECONDS
from local.sagemaker.instance import Instance, Serving
from local.sagemaker.jobs import Job
from local.sagemaker.logs import LogStream
from local.sagemaker.validation import check_enum, check_environment, check_name

if TYPE_CHECKING:
    from local.context import Context

MEGABYTE = 1024 * 1024
# What SageMaker takes where CreateTransformJob says nothing. It would first ask the container's optional
# /execution-parameters; here only the request counts.
MAX_PAYLOAD_MB = 6
MAX_RETRIES = 3
TIMEOUT_SECONDS = 600
SEE_LOGS = "See job logs for more information"


class JobGivenUp(JobFailed):
    """The job failed on another of its instances."""


class TransformJob(Job):
    """A batch transform job, from InProgress to Completed, Failed or Stopped."""

    kind = "transform"
    prefix = "TransformJob"

    def __init__(
        self, context: Context, region: str, account: str, request: dict[str, Any], model: dict[str, Any]
    ) -> None:
        """`model` is the PrimaryContainer of the request's model."""
        super().__init__(context, region, account, request)
        self._model = model
        self._input: dict[str, Any] = request["TransformInput"]
        self._output: dict[str, Any] = request["TransformOutput"]
        self._instances: list[Instance] = []
        self._failed = threading.Event()
        self.record["TransformOutput"] = {"KmsKeyId": "", "AssembleWith": "None", **self._output}

    def work(self) -> None:
        self.emit_event("SageMaker Transform Job State Change")
        image = self.resolve_image(self._model["Image"])
        s3 = self.context.client("s3", self.region)
        model = self.base / "model"
        model.mkdir(parents=True)
        if self._model.get("ModelDataUrl"):
            storage.download_model(s3, self._model["ModelDataUrl"], model)
        inputs, outputs = self.root / "input", self.root / "output"
        storage.download_prefix(s3, self._input["DataSource"]["S3DataSource"]["S3Uri"], inputs)
        serving = Serving(
            unhealthy=f"AlgorithmError: {SEE_LOGS}",
            image=image,
            environment=self._environment(),
            root=self.root,
            health_check_seconds=HEALTH_CHECK_SECONDS,
        )
        logs = [self.open_log(number) for number in range(1, self.instance_count + 1)]
        with self._lock:  # a stop from here on stops the instances
            self.check_stopped()
            self._instances = [Instance(self.context, serving, log) for log in logs]
            self.update(TransformStartTime=datetime.now(UTC))
        files = sorted(each for each in inputs.rglob("*") if each.is_file())
        with ThreadPoolExecutor(len(logs), thread_name_prefix=f"transform-{self.name}") as at_once:
            working = [
                at_once.submit(self._work_off, files[number :: len(logs)], instance, log, inputs, outputs)
                for number, (instance, log) in enumerate(zip(self._instances, logs, strict=True))
            ]
        self.check_stopped()  # then it was the stop that ended the processes
        for each in sorted(working, key=lambda each: isinstance(each.exception(), JobGivenUp)):
            each.result()
        storage.upload_folder(s3, outputs, self._output["S3OutputPath"])
        self.finish("Completed")

    @property
    def instance_count(self) -> int:
        count: int = self.request["TransformResources"].get("InstanceCount", 1)
        return count

    def stopping(self) -> None:
        super().stopping()
        for instance in self._instances:
            # In a thread: the process has its grace to end in, and StopTransformJob answers at once.
            threading.Thread(target=instance.stop, daemon=True).start()

    def _work_off(
        self, files: list[Path], instance: Instance, log: LogStream, inputs: Path, outputs: Path
    ) -> None:
        """Let an instance answer for its files.

        A file is one instance's: of fewer files than instances the others have nothing to do.
        https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
        """
        data_log = LogStream(self.context, self.region, log.group, f"{log.stream}/data-log")
        try:
            instance.start()
            for path in files:
                name = path.relative_to(inputs).as_posix()
                self._transform(instance, path, outputs / f"{name}.out", data_log)
        except BaseException:
            self._failed.set()
            raise
        finally:
            instance.stop()

    def finish(self, status: str, **fields: Any) -> None:
        with self._lock:
            self.update(TransformJobStatus=status, TransformEndTime=datetime.now(UTC), **fields)
        self.emit_event("SageMaker Transform Job State Change")

    def _environment(self) -> dict[str, str]:
        """https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html."""
        platform = {"SAGEMAKER_BATCH": "true"}
        if "MaxPayloadInMB" in self.request:
            platform["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(self.request["MaxPayloadInMB"])
        if "MaxConcurrentTransforms" in self.request:
            platform["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(self.request["MaxConcurrentTransforms"])
        if "BatchStrategy" in self.request:
            single = self.request["BatchStrategy"] == "SingleRecord"
            platform["SAGEMAKER_BATCH_STRATEGY"] = "SINGLE_RECORD" if single else "MULTI_RECORD"
        own = {**(self._model.get("Environment") or {}), **(self.request.get("Environment") or {})}
        return {**own, **platform}

    def _transform(self, instance: Instance, source: Path, target: Path, log: LogStream) -> None:
        end = b"\n" if self._output.get("AssembleWith") == "Line" else b""
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as sink:
            for body in self._bodies(source, log):
                self.check_stopped()
                if self._failed.is_set():
                    raise JobGivenUp("another instance failed")
                # As AWS says it: a newline "at the end of every transformed record", whatever it ends in.
                sink.write(self._invoke(instance, body, source.name, log) + end)

    def _bodies(self, source: Path, log: LogStream) -> Iterator[bytes]:
        limit = self.request.get("MaxPayloadInMB", MAX_PAYLOAD_MB) * MEGABYTE
        by_line = self._input.get("SplitType", "None") == "Line"
        single = self.request.get("BatchStrategy", "MultiRecord") == "SingleRecord"
        body = b""
        with source.open("rb") as file:
            for record in file if by_line else [file.read()]:
                if len(record) > limit:
                    text = f"a record of {len(record)} bytes is more than MaxPayloadInMB allows"
                    log.write([f"{source.name}: {text}"])
                    raise JobFailed(f"ClientError: {SEE_LOGS}")
                if body and (single or len(body) + len(record) > limit):
                    yield body
                    body = b""
                body += record
        if body:
            yield body

    def _invoke(self, instance: Instance, body: bytes, name: str, log: LogStream) -> bytes:
        client = self.request.get("ModelClientConfig") or {}
        attempts = client.get("InvocationsMaxRetries", MAX_RETRIES) + 1
        for _ in range(attempts):
            pool = instance.pool
            try:
                if pool is None:
                    raise ModelUnreachable("the serving process ended")
                answer = pool.request(
                    "POST",
                    "/invocations",
                    body=body,
                    headers=self._headers(body),
                    timeout=client.get("InvocationsTimeoutInSeconds", TIMEOUT_SECONDS),
                )
            except ModelTimeout as error:
                problem = f"Unable to get response from algorithm: {error}"
                log.write([f"{name}: {problem}"])
                continue
            except ModelUnreachable as error:
                problem = f"Unable to get response from algorithm: {error}"
                log.write([f"{name}: {problem}"])
                break
            if 200 <= answer.status < 300:
                return answer.body
            problem = _told(answer)
            log.write([f"{name}: {problem}"])
            if answer.status < 500:
                raise JobFailed(f"ClientError: {SEE_LOGS}")
        raise JobFailed(f"AlgorithmError: {SEE_LOGS}")

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Content-Length": str(len(body))}
        if self._input.get("ContentType"):
            headers["Content-Type"] = self._input["ContentType"]
        if self._output.get("Accept"):
            headers["Accept"] = self._output["Accept"]
        return headers


def _told(answer: Answer) -> str:
    message = answer.body.decode("utf-8", "replace").strip()
    return f"Bad HTTP status received from algorithm: {answer.status}: {message}"


def check_request(request: dict[str, Any]) -> None:
    """Refuse what SageMaker refuses, and by name what the local AWS cannot run."""
    operation = "CreateTransformJob"
    check_name(request.get("TransformJobName"), "transformJobName")
    check_environment(request.get("Environment") or {})
    refuse_unsupported(request, ("DataCaptureConfig", "DataProcessing", "ExperimentConfig"), operation)
    source = request.get("TransformInput") or {}
    output = request.get("TransformOutput") or {}
    resources = request.get("TransformResources") or {}
    location = (source.get("DataSource") or {}).get("S3DataSource") or {}
    refuse_unsupported(output, ("KmsKeyId",), f"{operation}'s TransformOutput")
    refuse_unsupported(
        resources, ("VolumeKmsKeyId", "TransformAmiVersion"), f"{operation}'s TransformResources"
    )
    check_enum(resources.get("InstanceType"), "transformResources.instanceType", "TransformInstanceType")
    if request.get("MaxConcurrentTransforms", 1) != 1:
        raise unsupported("MaxConcurrentTransforms other than 1")
    if request.get("MaxPayloadInMB") == 0:
        raise unsupported("MaxPayloadInMB 0, a payload without a limit", "Set it to at least 1.")
    if location.get("S3DataType") != "S3Prefix":
        raise unsupported(f"S3DataType {location.get('S3DataType')} of TransformInput", "Use S3Prefix.")
    if source.get("CompressionType", "None") != "None":
        raise unsupported("CompressionType Gzip of TransformInput")
    if source.get("SplitType", "None") not in {"None", "Line"}:
        raise unsupported(f"SplitType {source['SplitType']} of TransformInput", "Use Line or None.")
    check_enum(output.get("AssembleWith", "None"), "transformOutput.assembleWith", "AssemblyType")
    check_enum(request.get("BatchStrategy", "MultiRecord"), "batchStrategy", "BatchStrategy")
    for uri, member in (
        (location.get("S3Uri", ""), "transformInput.dataSource.s3DataSource.s3Uri"),
        (output.get("S3OutputPath", ""), "transformOutput.s3OutputPath"),
    ):
        try:
            storage.parse_s3_uri(uri)
        except ValueError as error:
            raise validation(f"1 validation error detected: {member}: {error}") from error
