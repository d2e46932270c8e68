"""How traffic goes over from the fleet that serves to a new one: step by step, watched, until an alarm says no."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from local.sagemaker.deployment_policy import Policy
from local.sagemaker.errors import JobFailed
from local.sagemaker.fleet import Fleet

_WATCH_SECONDS = 0.25

Stage = Literal["Creating", "ActivatingTraffic", "Baking", "Deleting"]
"""VariantStatus of the API."""


@dataclass
class Traffic:
    """Which fleets answer for one endpoint: the one in service, and beside it one that is coming or going.

    Attributes:
        share: the part of the requests that the pending fleet is sent.
        ended: the endpoint is being deleted.
    """

    serving: Fleet | None = None
    pending: Fleet | None = None
    share: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    def draw(self) -> list[Fleet]:
        """The fleets a request may go to, the one that it is sent to first: the others are for when that is dead."""
        serving, pending, share = self.serving, self.pending, self.share
        if self.ended.is_set() or serving is None:
            return []
        if pending is None or share <= 0:
            return [serving]
        drawn = random.random() < share  # noqa: S311 - routing, not secrecy
        return [pending, serving] if drawn else [serving, pending]


class RolledBack(Exception):
    """The new fleet is not to serve: the reason, as DescribeEndpoint gives it."""


def shift(
    traffic: Traffic,
    policy: Policy,
    alarms: Callable[[], Sequence[str]],
    tell: Callable[[Stage, str], None],
) -> None:
    """Bring up the pending fleet and give it all the traffic; the old fleet stands by until the end.

    Args:
        traffic: of the endpoint, with a pending fleet that has not been started.
        policy: in which steps.
        alarms: the names of the policy's alarms that are in ALARM, or are not there any more.
        tell: is told of each stage.

    Raises:
        JobFailed: the new fleet does not come up, or the endpoint is deleted.
        RolledBack: an alarm went off, or the time is over; where the traffic is then is as it was at that moment.
    """
    fleet, old = traffic.pending, traffic.serving
    assert fleet is not None
    assert old is not None
    until = time.monotonic() + policy.timeout_seconds
    tell("Creating", "The new fleet is coming up.")
    fleet.start(policy.shares[0] if policy.replaces else 1.0)
    _watch(traffic, alarms, 0.0, until)
    for share in policy.shares:
        if policy.replaces:
            fleet.start(share)
        traffic.share = share
        tell("ActivatingTraffic", f"{share:.0%} of the traffic goes to the new fleet.")
        tell("Baking", f"Baking for {policy.wait_seconds:g} seconds with {share:.0%} of the traffic.")
        _watch(traffic, alarms, policy.wait_seconds, until)
        if policy.replaces and share < 1:
            old.keep(1 - share)
    if policy.termination_seconds:
        tell("Deleting", f"The old fleet stays for {policy.termination_seconds:g} seconds.")
        if traffic.ended.wait(policy.termination_seconds):
            raise _deleted()


def _watch(traffic: Traffic, alarms: Callable[[], Sequence[str]], seconds: float, until: float) -> None:
    """Wait for so long, and look at the alarms meanwhile; at least once, at the end."""
    end = time.monotonic() + seconds
    while True:
        if raised := alarms():
            raise RolledBack(
                "Deployment was rolled back because one or more of the configured alarms went into the ALARM state: "
                + ", ".join(raised)
            )
        now = time.monotonic()
        if now > until:
            raise RolledBack(
                "Deployment was rolled back because it exceeded MaximumExecutionTimeoutInSeconds."
            )
        if now >= end:
            # Requests go to the old fleet meanwhile: no alarm would see that the new one is gone.
            if traffic.pending is not None and not traffic.pending.is_ready:
                raise RolledBack("Deployment was rolled back because the new fleet did not stay healthy.")
            return
        if traffic.ended.wait(min(_WATCH_SECONDS, end - now)):
            raise _deleted()


def _deleted() -> JobFailed:
    return JobFailed("The endpoint was deleted while it was updated.")
