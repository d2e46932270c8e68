"""Create, Describe and Stop of SageMaker's jobs: one pattern for every kind of job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult

from local.sagemaker import processing, training, transform, tuning, tuning_requests
from local.sagemaker.answers import answer
from local.sagemaker.endpoints import model_container
from local.sagemaker.errors import not_found, resource_in_use, validation
from local.sagemaker.jobs import Job
from local.sagemaker.listings import list_trials

if TYPE_CHECKING:
    from local.context import Context

Action = Callable[[Any], Any]


@dataclass(frozen=True)
class _Kind:
    """A kind of job. `make` takes what a Job takes and moto's backend.

    `taken` begins the error of a used name, `missing` is the one of a name that no job has.
    """

    name: str
    check: Callable[[dict[str, Any]], None]
    make: Callable[[Context, str, str, dict[str, Any], Any], Job]
    taken: str = "Job name must be unique within an AWS account and region, and a job"
    missing: str = "Could not find requested job with name: {name}"
    lost: Callable[[str], Exception] = validation

    @property
    def prefix(self) -> str:
        return f"{self.name.title().replace('_', '')}Job"

    def jobs(self, response: Any) -> dict[str, Job]:
        """Those of the request's account and region, by name."""
        found: dict[str, Job] = getattr(response.sagemaker_backend, f"{self.name}_jobs")
        return found

    def find(self, response: Any) -> Job:
        """The job a request names. Raises SageMaker's ValidationException where there is none."""
        name = response.params.get(f"{self.prefix}Name")
        job = self.jobs(response).get(name)
        if job is None:
            raise self.lost(self.missing.format(name=name))
        return job


_KINDS = (
    _Kind(
        "training",
        training.check_request,
        lambda context, region, account, request, _: training.TrainingJob(context, region, account, request),
        taken="Training job names must be unique within an AWS account and region, and a training job",
        missing="Requested resource not found.",
    ),
    _Kind(
        "hyper_parameter_tuning",
        tuning_requests.check_request,
        lambda context, region, account, request, backend: tuning.TuningJob(
            context, region, account, request, training_jobs=backend.training_jobs
        ),
        taken=(
            "Hyperparameter tuning job names must be unique within an AWS account and region, and a hyperparameter "
            "tuning job"
        ),
        missing="Amazon SageMaker can't find a tuning job called {name}. Type another name.",
        lost=not_found,
    ),
    _Kind(
        "processing",
        processing.check_request,
        lambda context, region, account, request, _: processing.ProcessingJob(
            context, region, account, request
        ),
    ),
    _Kind(
        "transform",
        transform.check_request,
        lambda context, region, account, request, backend: transform.TransformJob(
            context, region, account, request, model_container(backend, request["ModelName"])
        ),
    ),
)


def job_actions(context: Context) -> dict[str, Action]:
    """The actions by the names of moto's methods."""
    actions = {
        f"{verb}_{kind.name}_job": action
        for kind in _KINDS
        for verb, action in (
            ("create", _create(context, kind)),
            ("describe", _describe(kind)),
            ("stop", _stop(kind)),
        )
    }
    return {**actions, "list_training_jobs_for_hyper_parameter_tuning_job": _list_trials}


def _create(context: Context, kind: _Kind) -> Action:
    def create(response: Any) -> Any:
        request = dict(response.params)
        kind.check(request)
        backend = response.sagemaker_backend
        job = kind.make(context, response.region, response.current_account, request, backend)
        # setdefault decides between two requests for one name that arrive together.
        if kind.jobs(response).setdefault(job.name, job) is not job:
            raise resource_in_use(f"{kind.taken} with this name already exists ({job.arn})")
        job.start()
        return ActionResult({f"{kind.prefix}Arn": job.arn})

    return create


def _describe(kind: _Kind) -> Action:
    return lambda response: ActionResult(answer(f"Describe{kind.prefix}", kind.find(response).record))


def _stop(kind: _Kind) -> Action:
    def stop(response: Any) -> Any:
        kind.find(response).request_stop()
        return EmptyResult()

    return stop


def _list_trials(response: Any) -> Any:
    (tuning_kind,) = (kind for kind in _KINDS if kind.name == "hyper_parameter_tuning")
    job: Any = tuning_kind.find(response)
    return list_trials(job.trials, response.params)
