"""What each deployment policy takes: its time by SageMaker's rules, and the instances beside the old ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from sluice.costing import prices
from sluice.costing.assumptions import HOURS_A_MONTH, Assumptions
from sluice.costing.prices import PriceList
from sluice.deployment_table import Deployment
from sluice.instances import Use
from sluice.project import Project
from sluice.tables import Environment

Strategy = Literal["all_at_once", "canary", "linear", "rolling"]
STRATEGIES: tuple[Strategy, ...] = ("all_at_once", "canary", "linear", "rolling")
_USUAL_SHARES = {"canary": 10, "linear": 25, "rolling": 25}
_MOST_SHARE = 50

ALARM_METRICS = {"errors": 2, "refused": 4, "latency": 2, "latency-ratio": 4, "answers": 6}
"""How many metrics the alarm on each limit looks at, which is what CloudWatch charges for (infra/guard.py)."""


@dataclass(frozen=True)
class Policy:
    """One policy for a project's fleet.

    Attributes:
        minutes: a deployment takes, where nothing goes wrong.
        extra_hours: instance-hours that a deployment costs beside the fleet's own.
        usd: a deployment costs; None where the instance's price is not known.
        impossible: why the fleet cannot be deployed so; then nothing else is said.
    """

    strategy: Strategy
    share: int | None
    chosen: bool
    minutes: float = 0.0
    extra_hours: float = 0.0
    usd: float | None = None
    impossible: str = ""


def policies(
    project: Project, environment: Environment, given: Assumptions, known: PriceList
) -> list[Policy]:
    """Give all policies for the project's fleet; its own one is `chosen`."""
    asked = project.deployment
    guarded = environment in asked.environments
    chosen: Strategy = asked.strategy if guarded else "all_at_once"
    found = []
    for strategy in STRATEGIES:
        if strategy == chosen and not guarded:
            found.append(_unwatched(project, given, known))
            continue
        share = (
            asked.share if strategy == asked.strategy else _share(strategy, project.serving.instance_count)
        )
        keep = 0 if strategy == "rolling" else asked.keep_old_seconds
        try:
            table = Deployment(
                strategy=strategy,
                share=share,
                wait_seconds=asked.wait_seconds,
                keep_old_seconds=keep,
                environments=asked.environments,
                alarms=asked.alarms,
            )
            table.check_fleet(project.serving.instance_count)
        except ValidationError as error:
            why = error.errors()[0]["msg"].removeprefix("Value error, ")
            found.append(Policy(strategy, share, strategy == chosen, impossible=why))
            continue
        except ValueError as error:
            found.append(Policy(strategy, share, strategy == chosen, impossible=str(error)))
            continue
        found.append(_policy(table, project, given, known, chosen=strategy == chosen))
    return found


def _share(strategy: Strategy, instances: int) -> int | None:
    """Give the usual share, or the least that is an instance, as far as SageMaker takes it."""
    usual = _USUAL_SHARES.get(strategy)
    return None if usual is None else min(_MOST_SHARE, max(usual, math.ceil(100 / instances)))


def _policy(
    table: Deployment, project: Project, given: Assumptions, known: PriceList, *, chosen: bool
) -> Policy:
    """Blue/green brings up a whole second fleet; rolling, a batch at a time, each with its own start.

    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-rolling.html
    """
    instances = project.serving.instance_count
    start, waits = given.start_minutes, table.waits / 60
    if table.strategy == "rolling" and table.share is not None:
        batch = math.floor(instances * table.share / 100)
        batches = math.ceil(instances / batch)
        minutes = batches * (start + table.wait_seconds / 60)
        beside = batch
    else:
        minutes = start + waits
        beside = instances
    hours = beside * minutes / 60
    hourly = known.hourly(Use.ENDPOINT, project.serving.instance_type)
    watching = table.alarms.watching(table.strategy)
    metrics = sum(ALARM_METRICS[name] for name in watching)
    # Alarms are charged by the hour that they are there.
    alarms = metrics * prices.ALARM_METRIC.usd * math.ceil(minutes / 60) / HOURS_A_MONTH
    usd = None if hourly is None else hours * hourly + alarms
    return Policy(table.strategy, table.share, chosen, minutes, hours, usd)


def _unwatched(project: Project, given: Assumptions, known: PriceList) -> Policy:
    """All at once without a policy: a second fleet until it is up."""
    hours = project.serving.instance_count * given.start_minutes / 60
    hourly = known.hourly(Use.ENDPOINT, project.serving.instance_type)
    return Policy(
        "all_at_once", None, True, given.start_minutes, hours, None if hourly is None else hours * hourly
    )
