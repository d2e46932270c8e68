"""Hyperparameter tuning jobs: training jobs, as many at once as may be, until the best is known."""

from __future__ import annotations

import math
import os
import queue
import secrets
import threading
from datetime import UTC, datetime
from typing import Any, TypeAlias

from local.sagemaker.early_stopping import is_hopeless
from local.sagemaker.errors import JobFailed
from local.sagemaker.jobs import Job, JobStopped
from local.sagemaker.strategies import Values, strategy_of
from local.sagemaker.training import TrainingJob

# What a definition of a tuning job and a training job call alike.
_SHARED = (
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "VpcConfig",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "Environment",
)
# So many failures without a success end a tuning job.
_PATIENCE = 5

_Event: TypeAlias = "tuple[TrainingJob, float | None]"


class Trial:
    """A training job of a tuning job, with what it tells of its objective."""

    def __init__(self, job: TrainingJob, values: Values) -> None:
        self.job = job
        self.values = values
        self.series: list[float] = []
        self.stopped_early = False

    @property
    def objective(self) -> float | None:
        """The last value; None of a job that failed, or told none."""
        return self.series[-1] if self.series and self.job.status != "Failed" else None


class TuningJob(Job):
    """A tuning job, from InProgress to Completed, Failed or Stopped."""

    kind = "hyper-parameter-tuning"
    prefix = "HyperParameterTuningJob"

    def __init__(self, *args: Any, training_jobs: dict[str, Any]) -> None:
        super().__init__(*args)
        self._training_jobs = training_jobs
        self._config = self.request["HyperParameterTuningJobConfig"]
        self._definition = self.request["TrainingJobDefinition"]
        objective = self._config["HyperParameterTuningJobObjective"]
        self._metric: str = objective["MetricName"]
        self._maximize = objective["Type"] == "Maximize"
        self._trials: list[Trial] = []
        self._events: queue.SimpleQueue[_Event | None] = queue.SimpleQueue()
        self._trials_lock = threading.Lock()
        static = {
            **(self._definition.get("StaticHyperParameters") or {}),
            "_tuning_objective_metric": self._metric,
        }
        definition = {**self._definition, "StaticHyperParameters": static}
        self.record = {**self.record, **self._told(), "TrainingJobDefinition": definition}

    @property
    def trials(self) -> list[dict[str, Any]]:
        """The training jobs as ListTrainingJobsForHyperParameterTuningJob tells of them."""
        with self._trials_lock:
            return [self._summary(trial) for trial in self._trials]

    def stopping(self) -> None:
        super().stopping()
        self._events.put(None)

    def finish(self, status: str, **fields: Any) -> None:
        with self._lock:
            told = {**self._told(), f"{self.prefix}Status": status}
            self.update(**told, HyperParameterTuningEndTime=datetime.now(UTC), **fields)
        self.emit_event("SageMaker HyperParameter Tuning Job State Change")

    def work(self) -> None:
        self.emit_event("SageMaker HyperParameter Tuning Job State Change")
        strategy = strategy_of(self._config)
        limits = self._config["ResourceLimits"]
        most = limits.get("MaxNumberOfTrainingJobs") or math.inf
        # On AWS each has an instance of its own; here they share the cores.
        at_once = min(limits["MaxParallelTrainingJobs"], os.cpu_count() or 1)
        running: dict[str, Trial] = {}
        exhausted = False
        while True:
            while not exhausted and len(running) < at_once and len(self._trials) < most:
                self._end_if_stopped(running)
                values = strategy.ask()
                if values is None:
                    exhausted = True
                else:
                    trial = self._begin(values)
                    running[trial.job.name] = trial
            if not running:
                break
            event = self._events.get()
            self._end_if_stopped(running)
            if event is None:
                continue
            job, value = event
            if value is not None:
                if job.name in running:
                    self._hear(running[job.name], value)
                continue
            ended = running.pop(job.name)
            strategy.tell(ended.values, ended.objective)
            self.update(**self._told())
            self._give_up_in_time(running)
        self._conclude()

    def _end_if_stopped(self, running: dict[str, Trial]) -> None:
        """Where a stop was asked for, stop the training jobs, wait for their end, and end this one."""
        try:
            self.check_stopped()
        except JobStopped:
            self._stop_all(running)
            raise

    def _begin(self, values: Values) -> Trial:
        number = len(self._trials) + 1
        name = f"{self.name}-{number:03d}-{secrets.token_hex(4)}"
        specification = dict(self._definition["AlgorithmSpecification"])
        request = {
            **{key: self._definition[key] for key in _SHARED if self._definition.get(key) is not None},
            "TrainingJobName": name,
            "AlgorithmSpecification": specification,
            "HyperParameters": {
                **(self._definition.get("StaticHyperParameters") or {}),
                "_tuning_objective_metric": self._metric,
                **values,
            },
            "Tags": list(self.tags),
        }
        job = TrainingJob(self.context, self.region, self.account, request)
        job.record = {**job.record, "TuningJobArn": self.arn}
        trial = Trial(job, values)
        job.on_end = lambda _: self._events.put((job, None))
        job.on_metric = lambda _, metric, value: self._listen(job, metric, value)
        with self._trials_lock:
            self._trials.append(trial)
        self._training_jobs[name] = job
        self.update(**self._told())
        job.start()
        return trial

    def _listen(self, job: TrainingJob, metric: str, value: float) -> None:
        if metric == self._metric:
            self._events.put((job, value))

    def _hear(self, trial: Trial, value: float) -> None:
        trial.series.append(value)
        if self._config.get("TrainingJobEarlyStoppingType") != "Auto" or trial.stopped_early:
            return
        others = [each.series for each in self._trials if each.job.status in ("Completed", "Stopped")]
        if is_hopeless(trial.series, others, maximize=self._maximize) and trial.job.stop_if_running():
            trial.stopped_early = True

    def _give_up_in_time(self, running: dict[str, Trial]) -> None:
        ended = [trial for trial in self._trials if trial.job.name not in running]
        failed = [trial for trial in ended if trial.job.status == "Failed"]
        if len(failed) == len(ended) >= _PATIENCE:
            self._stop_all(running)
            raise JobFailed(
                f"No training job succeeded after {_PATIENCE} attempts. Please take a look at the training job "
                "failures to get more details."
            )
        if not any(trial.series for trial in ended) and len(ended) - len(failed) >= _PATIENCE:
            self._stop_all(running)
            raise JobFailed(_no_metric(_PATIENCE))

    def _stop_all(self, running: dict[str, Trial]) -> None:
        for trial in running.values():
            trial.job.stop_if_running()
        while running:
            event = self._events.get()
            if event is None:
                continue
            job, value = event
            if value is None:
                del running[job.name]
            elif job.name in running:
                running[job.name].series.append(value)

    def _conclude(self) -> None:
        if all(trial.job.status == "Failed" for trial in self._trials):
            raise JobFailed(
                "All training jobs failed. Please take a look at the training job failures to get more details."
            )
        if self._best() is None:
            raise JobFailed(_no_metric(len(self._trials)))
        self.finish("Completed")

    def _best(self) -> Trial | None:
        judged = [trial for trial in self._trials if trial.objective is not None and trial.job.ended]
        if not judged:
            return None
        sign = 1 if self._maximize else -1
        return max(judged, key=lambda trial: sign * (trial.objective or 0.0))

    def _told(self) -> dict[str, Any]:
        """What Describe says of the training jobs so far."""
        with self._trials_lock:
            trials = list(self._trials)
        statuses = [trial.job.status for trial in trials]
        objectives = [_objective_status(trial) for trial in trials]
        best = self._best()
        return {
            "TrainingJobStatusCounters": {
                "Completed": statuses.count("Completed"),
                "InProgress": statuses.count("InProgress") + statuses.count("Stopping"),
                "RetryableError": 0,
                "NonRetryableError": statuses.count("Failed"),
                "Stopped": statuses.count("Stopped"),
            },
            "ObjectiveStatusCounters": {
                status: objectives.count(status) for status in ("Succeeded", "Pending", "Failed")
            },
            **({} if best is None else {"BestTrainingJob": self._summary(best)}),
        }

    def _summary(self, trial: Trial) -> dict[str, Any]:
        told: dict[str, Any] = {
            name: trial.job.record[name]
            for name in (
                *(
                    "TrainingJobName",
                    "TrainingJobArn",
                    "CreationTime",
                    "TrainingStartTime",
                    "TrainingEndTime",
                ),
                *("TrainingJobStatus", "FailureReason"),
            )
            if name in trial.job.record
        }
        told |= {"TunedHyperParameters": trial.values, "ObjectiveStatus": _objective_status(trial)}
        if trial.objective is not None:
            told["FinalHyperParameterTuningJobObjectiveMetric"] = {
                "MetricName": self._metric,
                "Value": trial.objective,
            }
        return told


def _objective_status(trial: Trial) -> str:
    if not trial.job.ended:
        return "Pending"
    return "Failed" if trial.objective is None else "Succeeded"


def _no_metric(count: int) -> str:
    return (
        f"No objective metrics found after running {count} training jobs. Please ensure that the custom algorithm is "
        "emitting the objective metric as defined by the regular expression provided."
    )
