"""What a month of a project's pipeline costs, part by part, each with the sum that it comes from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sluice.costing import prices
from sluice.costing.assumptions import HOURS_A_MONTH, Assumptions
from sluice.costing.policies import policies
from sluice.costing.prices import PriceList
from sluice.instances import PROCESSING, TRANSFORM, Use
from sluice.project import Project
from sluice.tables import Environment

# States that an execution enters at the most, where nothing is tried again; tests/statemachines counts them.
INTAKE_STATES = 4
TRAINING_STATES = 40
DEPLOYMENT_STATES = 40
POLL_STATES = 3
RECONCILIATION_STATES = 17
MATERIALIZATION_STATES = 8
_POLL_SECONDS = 15
_RECONCILIATIONS = HOURS_A_MONTH
_SKEW_LOOKS = HOURS_A_MONTH / 6
_MOVES = {"run": math.inf, "hour": HOURS_A_MONTH, "day": HOURS_A_MONTH / 24}

FUNCTIONS = {"small": (512, 512), "streaming": (3008, 10240)}
"""Memory and scratch space in MB of the functions that a training calls; there are two sizes (infra/functions.py)."""
_SMALL_SECONDS = 3
_GB = 1024

SERVING_METRICS = 10
"""What a serving container tells of full rows (containers/serve/metrics.py), by endpoint and by configuration."""
ENTITY_METRICS = 7
"""And of predictions by id."""
_METRIC_SETS = 2
# A line of embedded metrics is about as long; it is written by each instance, while there are requests.
_LINE_KB, _LINES_AN_HOUR = 1.0, 360
_JOB_LOG_GB = 0.001
# Those of a deployment's history, record, lock and model, and what a training reads.
_TABLE_WRITES, _TABLE_READS = 10, 10
_CAPTURE_FILES_AN_HOUR = 60


@dataclass(frozen=True)
class Item:
    """A line of the bill; `usd` is None where a price is not known."""

    part: str
    usd: float | None
    sum: str


def alarms(project: Project, environment: Environment, *, features: bool) -> int:
    """Count the alarms that stand all the time, each on one metric (infra/observability.py)."""
    captures, api = project.capture.percent > 0, project.api is not None
    machines = 5 + features + captures
    asks = environment in project.approval.environments
    functions = 5 + 3 * project.tracking.enabled + asks + 3 * features + 3 * captures + api
    # Events that were lost, endings that nobody was told, a rollback; the online store's skew, drift, the API.
    return 3 * machines + functions + 3 + features + 2 * captures + api


def total(items: list[Item]) -> tuple[float, bool]:
    """Add up what is known, and say whether that is everything."""
    return sum(item.usd or 0.0 for item in items), all(item.usd is not None for item in items)


def month(
    project: Project, environment: Environment, given: Assumptions, known: PriceList, *, features: bool
) -> list[Item]:
    """Give the bill of a month. `features`: features.py declares some in Feast's objects."""
    return [
        _endpoint(project, known),
        _endpoint_data(given),
        *_deployments(project, environment, given, known),
        *_jobs(project, environment, given, known),
        _functions(project, given, features=features),
        _machines(project, environment, given, known, features=features),
        *_dynamodb(project, given, features=features),
        *_s3(project, given),
        *_cloudwatch(project, environment, given, features=features),
    ]


def _endpoint(project: Project, known: PriceList) -> Item:
    serving = project.serving
    hourly = known.hourly(Use.ENDPOINT, serving.instance_type)
    return Item(
        "SageMaker endpoint",
        None if hourly is None else serving.instance_count * HOURS_A_MONTH * hourly,
        f"{serving.instance_count} × {serving.instance_type} × {HOURS_A_MONTH} h{_at(hourly)}",
    )


def _endpoint_data(given: Assumptions) -> Item:
    gb = given.predictions * given.request_kb / 1e6
    return Item(
        "SageMaker endpoint, data",
        gb * prices.ENDPOINT_GB.usd,
        f"{given.predictions:,.0f} requests × {given.request_kb:g} kB",
    )


def _deployments(
    project: Project, environment: Environment, given: Assumptions, known: PriceList
) -> Iterator[Item]:
    for policy in policies(project, environment, given, known):
        if policy.chosen:
            yield Item(
                "deployments, second fleet",
                None if policy.usd is None else given.trainings * policy.usd,
                f"{given.trainings:g} × {policy.strategy}, {policy.extra_hours:.2f} instance-hours each",
            )


def _jobs(project: Project, environment: Environment, given: Assumptions, known: PriceList) -> Iterator[Item]:
    model = project.model
    spot = project.training.spot_in(environment)
    trials = 0 if project.search is None else project.search.trials
    jobs = [
        ("processing jobs", Use.PROCESSING, PROCESSING, 2),
        ("training jobs", Use.SPOT_TRAINING if spot else Use.TRAINING, model.instance_type, 1 + trials),
    ]
    if model.image is not None:
        jobs.append(("transform jobs", Use.TRANSFORM, TRANSFORM, 2))
    for name, use, instance_type, count in jobs:
        hourly = known.hourly(use, instance_type)
        number = given.trainings * count
        yield Item(
            f"SageMaker {name}",
            None if hourly is None else number * given.job_minutes / 60 * hourly,
            f"{number:g} × {given.job_minutes:g} min of {instance_type}{_at(hourly)}{' or less' if spot else ''}",
        )


def _at(hourly: float | None) -> str:
    return "" if hourly is None else f" at ${hourly:g}"


def _refreshes(project: Project) -> float:
    minutes = project.online.refresh_minutes
    return HOURS_A_MONTH * 60 / minutes if minutes else 0.0


def _functions(project: Project, given: Assumptions, *, features: bool) -> Item:
    small, streaming = given.trainings * (3 + 3 * project.tracking.enabled), given.trainings
    if features:
        runs = given.trainings + _refreshes(project)
        small += runs
        streaming += runs * (1 + given.views) + _SKEW_LOOKS
    usd = (small + streaming) * prices.LAMBDA_REQUEST.usd
    for calls, seconds, (memory, scratch) in (
        (small, _SMALL_SECONDS, FUNCTIONS["small"]),
        (streaming, given.stream_seconds, FUNCTIONS["streaming"]),
    ):
        usd += calls * seconds * memory / _GB * prices.LAMBDA_GB_SECOND.usd
        usd += calls * seconds * max(0, scratch - 512) / _GB * prices.LAMBDA_SCRATCH_GB_SECOND.usd
    return Item(
        "Lambda",
        usd,
        f"{small:,.0f} × {_SMALL_SECONDS} s at 512 MB, {streaming:,.0f} × {given.stream_seconds:g} s at 3,008 MB",
    )


def _machines(
    project: Project, environment: Environment, given: Assumptions, known: PriceList, *, features: bool
) -> Item:
    (chosen,) = [each for each in policies(project, environment, given, known) if each.chosen]
    polls = math.ceil(chosen.minutes * 60 / _POLL_SECONDS)
    each = INTAKE_STATES + TRAINING_STATES + DEPLOYMENT_STATES + POLL_STATES * polls
    states = given.trainings * each + _RECONCILIATIONS * RECONCILIATION_STATES
    said = f"{given.trainings:g} × {each:,} states, {_RECONCILIATIONS} hourly looks × {RECONCILIATION_STATES}"
    if features:
        refreshes = _refreshes(project)
        states += (given.trainings + refreshes) * (MATERIALIZATION_STATES + given.views)
        said += f", {refreshes:,.0f} refreshes"
    return Item("Step Functions", states * prices.STATE_TRANSITION.usd, said)


def _dynamodb(project: Project, given: Assumptions, *, features: bool) -> Iterator[Item]:
    writes = given.trainings * _TABLE_WRITES + _RECONCILIATIONS * 3
    reads = given.trainings * _TABLE_READS + _RECONCILIATIONS
    yield Item(
        "DynamoDB, releases",
        writes * prices.DYNAMODB_WRITE.usd + reads * prices.DYNAMODB_READ.usd,
        f"{writes:,.0f} writes, {reads:,.0f} reads",
    )
    if features:
        runs = given.trainings + min(_refreshes(project), _MOVES[project.online.move_windows])
        writes = runs * given.entities * given.views
        # BatchGetItem as the container asks it is eventually consistent: half a unit for an item of up to 4 KB.
        reads = given.predictions * given.views / 2
        yield Item(
            "DynamoDB, online store",
            writes * prices.DYNAMODB_WRITE.usd + reads * prices.DYNAMODB_READ.usd,
            f"at most {writes:,.0f} writes, {reads:,.0f} read units",
        )


def _s3(project: Project, given: Assumptions) -> Iterator[Item]:
    yield Item("S3", given.stored_gb * prices.S3_GB_MONTH.usd, f"{given.stored_gb:g} GB")
    if project.capture.percent:
        captured = given.predictions * project.capture.percent / 100
        gb = captured * given.request_kb / 1e6 * project.capture.days * 24 / HOURS_A_MONTH
        files = min(captured, project.serving.instance_count * HOURS_A_MONTH * _CAPTURE_FILES_AN_HOUR)
        yield Item(
            "S3, capture",
            gb * prices.S3_GB_MONTH.usd + files * prices.S3_PUT.usd,
            f"{project.capture.percent} % for {project.capture.days} days: {gb:.3g} GB, {files:,.0f} files",
        )


def _cloudwatch(
    project: Project, environment: Environment, given: Assumptions, *, features: bool
) -> Iterator[Item]:
    standing = alarms(project, environment, features=features)
    yield Item(
        "CloudWatch, alarms", standing * prices.ALARM_METRIC.usd, f"{standing} alarms of a metric each"
    )
    metrics = (SERVING_METRICS + ENTITY_METRICS * features) * _METRIC_SETS
    hours = min(HOURS_A_MONTH, given.predictions)
    yield Item(
        "CloudWatch, metrics",
        metrics * prices.CUSTOM_METRIC.usd * hours / HOURS_A_MONTH,
        f"{metrics} of the serving container, in {hours:,.0f} hours with requests",
    )
    yield Item("CloudWatch, dashboard", prices.DASHBOARD.usd, "1")
    lines = min(project.serving.instance_count * HOURS_A_MONTH * _LINES_AN_HOUR, given.predictions)
    gb = lines * _LINE_KB / 1e6 + given.trainings * 4 * _JOB_LOG_GB
    yield Item("CloudWatch, logs", gb * prices.LOG_GB.usd, f"{gb:.3g} GB, metrics' lines the most of it")
