"""Processing jobs: inputs in, a process, outputs out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from local.sagemaker import storage
from local.sagemaker.container import Container
from local.sagemaker.errors import JobFailed, refuse_unsupported, unsupported, validation
from local.sagemaker.jobs import Job, Run, read_message
from local.sagemaker.validation import check_environment, check_max_runtime, check_name

LOCAL_ROOT = "/opt/ml/processing/"
# All that the reason of a failed container says, whatever its exit code; its own text is the ExitMessage.
# https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
FAILED = "AlgorithmError: See job logs for more information"


class ProcessingJob(Job):
    """A processing job, from InProgress to Completed, Failed or Stopped."""

    kind = "processing"
    prefix = "ProcessingJob"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "ProcessingOutputConfig" in self.record:
            self.record["ProcessingOutputConfig"] = {"KmsKeyId": "", **self.record["ProcessingOutputConfig"]}

    def work(self) -> None:
        self.emit_event("SageMaker Processing Job State Change")
        specification = self.request["AppSpecification"]
        image = self.resolve_image(specification["ImageUri"])
        (self.base / "output").mkdir(parents=True)
        cluster = self.request["ProcessingResources"]["ClusterConfig"]
        self.write_config(
            self.base / "config",
            {
                "processingjobconfig.json": {
                    **{key: value for key, value in self.request.items() if key != "Tags"},
                    "ProcessingJobArn": self.arn,
                },
                "resourceconfig.json": self.resource_config(cluster.get("InstanceType", "")),
            },
        )
        s3 = self.context.client("s3", self.region)
        for source in self._inputs():
            self.check_stopped()
            download = (
                storage.download_manifest
                if source["S3DataType"] == "ManifestFile"
                else storage.download_prefix
            )
            download(s3, source["S3Uri"], self._path(source["LocalPath"]))
        for output in self._outputs():
            self._path(output["LocalPath"]).mkdir(parents=True, exist_ok=True)
        self.check_stopped()
        self.update(ProcessingStartTime=datetime.now(UTC))
        container = Container(
            self.context,
            image,
            entrypoint=specification.get("ContainerEntrypoint"),
            arguments=specification.get("ContainerArguments") or [],
            environment=self.request.get("Environment") or {},
            root=self.root,
            log=self.open_log(),
        )
        self._conclude(s3, self.run(container))

    def _conclude(self, s3: Any, run: Run) -> None:
        message = read_message(self.base / "output" / "message")
        fields = {"ExitMessage": message} if message else {}
        if run.timed_out or run.stopped:
            # ProcessingStoppingCondition: "After the condition is met, the processing job is stopped."
            self.finish("Stopped", **fields)
        elif run.exit_code:
            self.update(**fields)
            raise JobFailed(FAILED)
        else:
            for output in self._outputs():
                storage.upload_folder(s3, self._path(output["LocalPath"]), output["S3Uri"])
            self.finish("Completed", **fields)

    def finish(self, status: str, **fields: Any) -> None:
        with self._lock:
            self.update(ProcessingJobStatus=status, ProcessingEndTime=datetime.now(UTC), **fields)
        self.emit_event("SageMaker Processing Job State Change")

    def _inputs(self) -> list[dict[str, Any]]:
        return [source["S3Input"] for source in self.request.get("ProcessingInputs") or []]

    def _outputs(self) -> list[dict[str, Any]]:
        config = self.request.get("ProcessingOutputConfig") or {}
        return [output["S3Output"] for output in config.get("Outputs") or []]

    def _path(self, local_path: str) -> Path:
        return self.root / local_path.lstrip("/")


def check_request(request: dict[str, Any]) -> None:
    """Refuse what SageMaker refuses, and by name what the local AWS cannot run."""
    check_name(request.get("ProcessingJobName"), "processingJobName")
    check_environment(request.get("Environment") or {})
    check_max_runtime(request.get("StoppingCondition") or {})
    refuse_unsupported(request, ("ExperimentConfig",), "CreateProcessingJob")
    cluster = (request.get("ProcessingResources") or {}).get("ClusterConfig")
    if not cluster:
        raise validation("ProcessingResources.ClusterConfig must not be null")
    if cluster.get("InstanceCount", 1) != 1:
        raise unsupported("processing on more than one instance", "Set ClusterConfig.InstanceCount to 1.")
    for source in request.get("ProcessingInputs") or []:
        where = f"input {source.get('InputName')}"
        s3_input = source.get("S3Input")
        if s3_input is None or source.get("AppManaged"):
            raise unsupported(f"anything but a platform-managed S3Input ({where})")
        if s3_input.get("S3DataType") not in ("S3Prefix", "ManifestFile"):
            raise unsupported(
                f"S3DataType {s3_input.get('S3DataType')} ({where})", "Use S3Prefix or ManifestFile."
            )
        if (
            s3_input.get("S3InputMode", "File") != "File"
            or s3_input.get("S3CompressionType", "None") != "None"
        ):
            raise unsupported(f"S3InputMode Pipe and S3CompressionType Gzip ({where})")
        _check_location(s3_input, where)
    for output in (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []:
        where = f"output {output.get('OutputName')}"
        s3_output = output.get("S3Output")
        if s3_output is None or output.get("AppManaged"):
            raise unsupported(f"anything but a platform-managed S3Output ({where})")
        if s3_output.get("S3UploadMode") != "EndOfJob":
            raise unsupported(f"S3UploadMode {s3_output.get('S3UploadMode')} ({where})", "Use EndOfJob.")
        _check_location(s3_output, where)


def _check_location(location: dict[str, Any], where: str) -> None:
    try:
        storage.parse_s3_uri(location.get("S3Uri", ""))
    except ValueError as error:
        raise validation(f"1 validation error detected: s3Uri of {where}: {error}") from error
    path = location.get("LocalPath") or ""
    if not path.startswith(LOCAL_ROOT) or ".." in PurePosixPath(path).parts:
        raise validation(f"LocalPath of {where} must be below {LOCAL_ROOT}, not {path!r}")
