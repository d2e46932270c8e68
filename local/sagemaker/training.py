"""Training jobs: channels in, a process, a model archive out."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from local import images, metrics
from local.sagemaker import storage
from local.sagemaker.checkpoints import Checkpoints, local_folder
from local.sagemaker.container import Container
from local.sagemaker.errors import JobFailed, refuse_unsupported, unsupported, validation
from local.sagemaker.jobs import (
    MAX_REASON,
    MAX_RUNTIME_SECONDS,
    Job,
    JobStopped,
    Run,
    read_failure,
    seconds_since,
)
from local.sagemaker.validation import (
    check_environment,
    check_hyperparameters,
    check_max_runtime,
    check_name,
)

UNSUPPORTED = (
    "DebugRuleConfigurations",
    "TensorBoardOutputConfig",
    "ProfilerRuleConfigurations",
    "RetryStrategy",
    "SessionChainingConfig",
    "ServerlessJobConfig",
    "ModelPackageConfig",
)
NAMESPACE = "/aws/sagemaker/TrainingJobs"
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Interrupted": "Spot capacity was taken back; the training job is started again",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
LAST = frozenset({"Completed", "Failed", "Stopped", "MaxRuntimeExceeded"})


class TrainingJob(Job):
    """A training job, from Starting to Completed, Failed, Stopped or MaxRuntimeExceeded."""

    kind = "training"
    prefix = "TrainingJob"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        specification = self.request["AlgorithmSpecification"]
        self._metrics = {
            definition["Name"]: re.compile(definition["Regex"])
            for definition in specification.get("MetricDefinitions") or []
        }
        self._metric_values: dict[str, dict[str, Any]] = {}
        self.on_metric: Callable[[TrainingJob, str, float], None] | None = None
        self._taken_back = threading.Event()
        output = self.request["OutputDataConfig"]["S3OutputPath"]
        self._output = storage.join_s3_uri(output, self.name, "output")
        # What SageMaker answers where nothing was said.
        defaults = (
            "EnableNetworkIsolation",
            "EnableInterContainerTrafficEncryption",
            "EnableManagedSpotTraining",
        )
        self.record = {**dict.fromkeys(defaults, False), **self.record}
        self.record["OutputDataConfig"] = {"KmsKeyId": "", **self.request["OutputDataConfig"]}
        self.record.setdefault("StoppingCondition", {"MaxRuntimeInSeconds": self.max_runtime_seconds})
        self.record["ProfilingStatus"] = "Disabled"
        self.record["SecondaryStatusTransitions"] = []
        self.transition("Starting")

    def transition(self, secondary: str, **fields: Any) -> None:
        """Enter a secondary status: close the transition before it, open this one."""
        now = datetime.now(UTC)
        transitions = [dict(entry) for entry in self.record["SecondaryStatusTransitions"]]
        if transitions:
            transitions[-1].setdefault("EndTime", now)
        entry: dict[str, Any] = {"Status": secondary, "StartTime": now, "StatusMessage": MESSAGES[secondary]}
        transitions.append({**entry, "EndTime": now} if secondary in LAST else entry)
        self.update(SecondaryStatus=secondary, SecondaryStatusTransitions=transitions, **fields)

    def stopping(self) -> None:
        self.transition("Stopping", TrainingJobStatus="Stopping")

    def work(self) -> None:
        self.emit_event("SageMaker Training Job State Change")
        specification = self.request["AlgorithmSpecification"]
        image = self.resolve_image(specification["TrainingImage"])
        s3 = self.context.client("s3", self.region)
        run = self._attempt(s3, image)
        while run.interrupted:
            # Another instance: of the one before nothing is left but what was copied to S3.
            shutil.rmtree(self.base)
            self._advance("Interrupted")
            self._taken_back.clear()
            self._advance("Starting")
            run = self._attempt(s3, image)
        self._conclude(s3, run)

    def interrupt(self) -> None:
        """Take the instance back, as EC2 does with spot instances; the job goes on elsewhere."""
        with self._lock:
            if not self.request.get("EnableManagedSpotTraining"):
                raise validation(f"The training job {self.name} does not run on spot instances.")
            if self.record["SecondaryStatus"] != "Training" or self._container is None:
                raise validation(
                    f"The training job {self.name} is {self.record['SecondaryStatus']}, not Training."
                )
            self._taken_back.set()
            self._container.interrupt()

    @property
    def is_interrupted(self) -> bool:
        return self._taken_back.is_set()

    def _attempt(self, s3: Any, image: images.Image) -> Run:
        """Run the container on a fresh instance."""
        specification = self.request["AlgorithmSpecification"]
        for folder in ("input/data", "model", "output/data"):
            (self.base / folder).mkdir(parents=True)
        self._configure()
        self._advance("Downloading")
        for channel in self.request.get("InputDataConfig") or []:
            self.check_stopped()
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            storage.download_prefix(s3, uri, self.base / "input" / "data" / channel["ChannelName"])
        checkpoints = Checkpoints(s3, self.request.get("CheckpointConfig"), self.base)
        checkpoints.restore()
        started = self.record.get("TrainingStartTime") or datetime.now(UTC)
        self._advance("Training", TrainingStartTime=started)
        container = Container(
            self.context,
            image,
            entrypoint=specification.get("ContainerEntrypoint"),
            arguments=specification.get("ContainerArguments") or ["train"],
            environment={
                **(self.request.get("Environment") or {}),
                "TRAINING_JOB_NAME": self.name,
                "TRAINING_JOB_ARN": self.arn,
            },
            root=self.root,
            log=self.open_log(),
            on_line=self._read_metrics if self._metrics else None,
        )
        used = (datetime.now(UTC) - started).total_seconds()
        with checkpoints:
            return self.run(container, max(0.0, self.max_runtime_seconds - used))

    def _advance(self, secondary: str, **fields: Any) -> None:
        with self._lock:  # not over a Stopping that came in between
            self.check_stopped()
            self.transition(secondary, **fields)
        self.emit_event("SageMaker Training Job State Change")

    def _conclude(self, s3: Any, run: Run) -> None:
        if any((self.base / "output" / "data").iterdir()):
            uri = f"{self._output}/output.tar.gz"
            storage.upload_archive(s3, self.base / "output" / "data", uri, self.root)
        if run.stopped or run.timed_out:
            # What the algorithm saved in its grace is not lost.
            artifacts = self._upload_model(s3) if any((self.base / "model").iterdir()) else {}
            if run.stopped:
                self.finish("Stopped", **artifacts)
            else:
                self.finish("Stopped", SecondaryStatus="MaxRuntimeExceeded", **artifacts)
            return
        if run.exit_code:
            failure = read_failure(self.base / "output" / "failure")
            suffix = f", exit code: {run.exit_code}"
            raise JobFailed(f"AlgorithmError: {failure}"[: MAX_REASON - len(suffix)] + suffix)
        try:
            self._advance("Uploading")
        except JobStopped:
            self.finish("Stopped", **self._upload_model(s3))
            return
        self.finish("Completed", **self._upload_model(s3))

    def _upload_model(self, s3: Any) -> dict[str, Any]:
        uri = f"{self._output}/model.tar.gz"
        storage.upload_archive(s3, self.base / "model", uri, self.root)
        return {"ModelArtifacts": {"S3ModelArtifacts": uri}}

    def finish(self, status: str, **fields: Any) -> None:
        secondary = fields.pop("SecondaryStatus", status)
        now = datetime.now(UTC)
        started = self.record.get("TrainingStartTime")
        if started:
            seconds = seconds_since(started)
            # Spot instances cost about a third. A second is the least that is billed.
            spot = bool(self.request.get("EnableManagedSpotTraining"))
            billable = max(1, seconds * 3 // 10) if spot else seconds
            fields = {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": billable, **fields}
        if self._metric_values:
            fields["FinalMetricDataList"] = list(self._metric_values.values())
        with self._lock:
            self.transition(secondary, TrainingJobStatus=status, TrainingEndTime=now, **fields)
        self.emit_event("SageMaker Training Job State Change")

    def _read_metrics(self, line: str) -> None:
        for name, pattern in self._metrics.items():
            match = pattern.search(line)
            if match is None:
                continue
            try:
                value = float(match[1] if pattern.groups else match[0])
            except (TypeError, ValueError):
                continue  # the pattern took something that is no number: no data point, as on AWS
            self._metric_values[name] = {"MetricName": name, "Value": value, "Timestamp": datetime.now(UTC)}
            metrics.put(
                *(self.account, self.region, NAMESPACE),
                {name: (value, "None")},
                {"TrainingJobName": self.name},
            )
            if self.on_metric is not None:
                self.on_metric(self, name, value)

    def _configure(self) -> None:
        channels = {
            channel["ChannelName"]: {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
                **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
            }
            for channel in self.request.get("InputDataConfig") or []
        }
        instance_type = self.request["ResourceConfig"].get("InstanceType", "")
        self.write_config(
            self.base / "input" / "config",
            {
                "hyperparameters.json": self.request.get("HyperParameters") or {},
                "inputdataconfig.json": channels,
                "resourceconfig.json": self.resource_config(instance_type),
            },
        )


def check_request(request: dict[str, Any]) -> None:
    """Refuse what SageMaker refuses, and by name what the local AWS cannot run."""
    check_name(request.get("TrainingJobName"), "trainingJobName")
    check_hyperparameters(request.get("HyperParameters") or {})
    check_environment(request.get("Environment") or {})
    check_max_runtime(request.get("StoppingCondition") or {})
    _check_spot(request)
    refuse_unsupported(request, UNSUPPORTED, "CreateTrainingJob")
    # SDKs send both for every job; only with these do they ask for anything.
    hook, profiler = request.get("DebugHookConfig") or {}, request.get("ProfilerConfig") or {}
    asked = ("CollectionConfigurations", "HookParameters")
    refuse_unsupported(hook, asked, "CreateTrainingJob's DebugHookConfig")
    refuse_unsupported(profiler, ("ProfilingParameters",), "CreateTrainingJob's ProfilerConfig")
    specification = request.get("AlgorithmSpecification") or {}
    if not specification.get("TrainingImage"):
        raise unsupported("CreateTrainingJob without AlgorithmSpecification.TrainingImage")
    modes = {specification.get("TrainingInputMode", "File")}
    for definition in specification.get("MetricDefinitions") or []:
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise validation(f"Invalid metric definition {definition['Name']}: {error}") from error
    resources = request.get("ResourceConfig") or {}
    request["ResourceConfig"] = resources
    if resources.get("InstanceGroups") or resources.get("InstanceCount", 1) != 1:
        raise unsupported("training on more than one instance", "Set ResourceConfig.InstanceCount to 1.")
    output = request.get("OutputDataConfig") or {}
    if output.get("CompressionType", "GZIP") != "GZIP":
        raise unsupported("OutputDataConfig.CompressionType NONE")
    _check_uri(output.get("S3OutputPath", ""), "outputDataConfig.s3OutputPath")
    for channel in request.get("InputDataConfig") or []:
        modes.add(channel.get("InputMode", "File"))
        source = (channel.get("DataSource") or {}).get("S3DataSource")
        where = f"channel {channel.get('ChannelName')}"
        if source is None:
            raise unsupported(f"a data source other than S3DataSource ({where})")
        if source.get("S3DataType") != "S3Prefix":
            raise unsupported(f"S3DataType {source.get('S3DataType')} ({where})", "Use S3Prefix.")
        if (
            channel.get("CompressionType", "None") != "None"
            or channel.get("RecordWrapperType", "None") != "None"
        ):
            raise unsupported(f"CompressionType and RecordWrapperType ({where})")
        _check_uri(source["S3Uri"], f"s3Uri of {where}")
    if modes != {"File"}:
        raise unsupported(f"input mode {', '.join(sorted(modes - {'File'}))}", "Use File.")


def _check_spot(request: dict[str, Any]) -> None:
    condition = request.get("StoppingCondition") or {}
    wait, run = (
        condition.get("MaxWaitTimeInSeconds"),
        condition.get("MaxRuntimeInSeconds", MAX_RUNTIME_SECONDS),
    )
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            raise validation("MaxWaitTimeInSeconds is for jobs with EnableManagedSpotTraining.")
    elif wait is None or wait < run:
        raise validation(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )
    config = request.get("CheckpointConfig")
    if config:
        local_folder(config)
        _check_uri(config.get("S3Uri", ""), "checkpointConfig.s3Uri")


def _check_uri(uri: str, member: str) -> None:
    try:
        storage.parse_s3_uri(uri)
    except ValueError as error:
        raise validation(f"1 validation error detected: {member}: {error}") from error
