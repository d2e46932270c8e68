"""List… of models, endpoints, their configurations and jobs: filters, order and pages as the API documents them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult

from local.sagemaker import answers
from local.sagemaker.errors import unsupported, validation

Record = Mapping[str, Any]
Action = Callable[[Any], Any]
DEFAULT_RESULTS = 10
_OBJECTIVE = "FinalHyperParameterTuningJobObjectiveMetric"
# What the local AWS has none of: a filter for it would find nothing, and say nothing.
_UNSUPPORTED = ("WarmPoolStatusEquals", "TrainingPlanArnEquals")


@dataclass(frozen=True)
class Listing:
    """One List… operation. `records` gives the members of Describe… of all there are in moto's backend."""

    operation: str
    prefix: str
    records: Callable[[Any], Iterable[Record]]
    order: str = "Descending"

    def answer(self, response: Any) -> ActionResult:
        request = response.params
        self._check(request)
        found = [
            record for record in self.records(response.sagemaker_backend) if self._is_wanted(record, request)
        ]
        by = {"Name": f"{self.prefix}Name", "Status": f"{self.prefix}Status"}.get(
            request.get("SortBy") or "", "CreationTime"
        )
        descending = (request.get("SortOrder") or self.order) == "Descending"
        found.sort(key=lambda record: _comparable(record[by]), reverse=descending)
        page, token = paged(found, request)
        output = answers.operation(self.operation).output_shape
        assert output is not None
        key = next(name for name in output.members if name != "NextToken")
        summaries = [answers.summary(output.members[key], record) for record in page]
        return ActionResult({key: summaries, **({"NextToken": token} if token else {})})

    def _is_wanted(self, record: Record, request: Mapping[str, Any]) -> bool:
        def at(member: str) -> datetime:
            return moment(record.get(member) or record["CreationTime"])

        tests: dict[str, Callable[[Any], bool]] = {
            "NameContains": lambda text: text in record[f"{self.prefix}Name"],
            "StatusEquals": lambda status: record[f"{self.prefix}Status"] == status,
            "CreationTimeAfter": lambda time: at("CreationTime") > moment(time),
            "CreationTimeBefore": lambda time: at("CreationTime") < moment(time),
            "LastModifiedTimeAfter": lambda time: at("LastModifiedTime") > moment(time),
            "LastModifiedTimeBefore": lambda time: at("LastModifiedTime") < moment(time),
        }
        return all(test(request[name]) for name, test in tests.items() if request.get(name) is not None)

    def _check(self, request: Mapping[str, Any]) -> None:
        for member in _UNSUPPORTED:
            if request.get(member):
                raise unsupported(f"{member} of {self.operation}")
        shape = answers.operation(self.operation).input_shape
        assert shape is not None
        for member in ("SortBy", "SortOrder", "StatusEquals"):
            value = request.get(member)
            if value is None:
                continue
            allowed: list[str] = (
                shape.members[member].metadata["enum"] if member in shape.members else [value]
            )
            if value not in allowed:
                raise validation(
                    f"1 validation error detected: Value '{value}' at '{member[0].lower()}{member[1:]}' failed to "
                    f"satisfy constraint: Member must satisfy enum value set: [{', '.join(allowed)}]"
                )


def list_trials(records: list[Record], request: Mapping[str, Any]) -> ActionResult:
    """Answer ListTrainingJobsForHyperParameterTuningJob; by the objective, those without one come last."""
    wanted, by = request.get("StatusEquals"), request.get("SortBy") or "Name"
    found = [record for record in records if wanted in (None, record["TrainingJobStatus"])]
    descending = request.get("SortOrder") == "Descending"
    if by == "FinalObjectiveMetricValue":
        judged = [record for record in found if _OBJECTIVE in record]
        judged.sort(key=lambda record: float(record[_OBJECTIVE]["Value"]), reverse=descending)
        found = [*judged, *(record for record in found if _OBJECTIVE not in record)]
    else:
        member = {"Name": "TrainingJobName", "Status": "TrainingJobStatus"}.get(by, "CreationTime")
        found.sort(key=lambda record: _comparable(record[member]), reverse=descending)
    page, token = paged(found, request)
    return ActionResult({"TrainingJobSummaries": page, **({"NextToken": token} if token else {})})


def paged(found: list[Any], request: Mapping[str, Any]) -> tuple[list[Any], str | None]:
    """The page that a request asks for, and the token of the next one; raises SageMaker's ValidationException."""
    token = request.get("NextToken") or "0"
    if not token.isdecimal() or int(token) > len(found):
        raise validation("Invalid pagination token.")
    size = int(request.get("MaxResults") or DEFAULT_RESULTS)
    if not 1 <= size <= 100:
        raise validation(
            f"1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy constraint: Member must "
            f"have value {'less than or equal to 100' if size > 100 else 'greater than or equal to 1'}"
        )
    end = int(token) + size
    return found[int(token) : end], str(end) if end < len(found) else None


def moment(value: Any) -> datetime:
    """A time that can be compared with others: in UTC even where moto keeps no zone, in milliseconds as answered."""
    time = value if isinstance(value, datetime) else datetime.fromtimestamp(float(value), UTC)
    time = time.replace(microsecond=time.microsecond // 1000 * 1000)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _comparable(value: Any) -> Any:
    return moment(value) if isinstance(value, datetime) else str(value)


_LISTINGS = {
    "list_models": Listing(
        "ListModels", "Model", lambda backend: [m.response_object for m in list(backend._models.values())]
    ),
    "list_endpoints": Listing(
        "ListEndpoints",
        "Endpoint",
        lambda backend: [e.response_object for e in list(backend.endpoints.values())],
    ),
    "list_endpoint_configs": Listing(
        "ListEndpointConfigs",
        "EndpointConfig",
        lambda backend: [c.response_object for c in list(backend.endpoint_configs.values())],
    ),
    "list_training_jobs": Listing(
        "ListTrainingJobs",
        "TrainingJob",
        lambda backend: [job.record for job in list(backend.training_jobs.values())],
        order="Ascending",
    ),
    "list_hyper_parameter_tuning_jobs": Listing(
        "ListHyperParameterTuningJobs",
        "HyperParameterTuningJob",
        lambda backend: [
            {
                **job.record,
                "Strategy": job.record["HyperParameterTuningJobConfig"]["Strategy"],
                "ResourceLimits": job.record["HyperParameterTuningJobConfig"]["ResourceLimits"],
            }
            for job in list(backend.hyper_parameter_tuning_jobs.values())
        ],
        order="Ascending",
    ),
    "list_processing_jobs": Listing(
        "ListProcessingJobs",
        "ProcessingJob",
        lambda backend: [job.record for job in list(backend.processing_jobs.values())],
        order="Ascending",
    ),
    "list_transform_jobs": Listing(
        "ListTransformJobs",
        "TransformJob",
        lambda backend: [job.record for job in list(backend.transform_jobs.values())],
    ),
}


def listing_actions() -> dict[str, Action]:
    """The actions by the names of moto's methods."""
    return {name: _bound(listing) for name, listing in _LISTINGS.items()}


def _bound(listing: Listing) -> Action:
    return lambda response: listing.answer(response)  # a method of moto's class has to be a function
