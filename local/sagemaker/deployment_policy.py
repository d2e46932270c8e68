"""A DeploymentConfig as steps: which share of the traffic when, how long each is watched, and by which alarms.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeploymentConfig.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from local.sagemaker.errors import unsupported, validation
from local.sagemaker.validation import check_enum

Kind = Literal["ALL_AT_ONCE", "CANARY", "LINEAR", "ROLLING"]
_WAIT = (0, 3600)
_TIMEOUT = (600, 28_800)
_MOST_ALARMS = 10
_MOST_CANARY = 0.5
_LINEAR = (0.1, 0.5)
_ROLLING = (0.05, 0.5)


@dataclass(frozen=True)
class Policy:
    """How traffic goes over to a new fleet.

    Attributes:
        shares: what of the traffic the new fleet has after each step, the last one 1.
        wait_seconds: for how long each step is watched before the next one.
        termination_seconds: for how long the old fleet stays, without traffic, after the last one.
        timeout_seconds: for the whole; then it is rolled back.
        alarms: names; any of them in ALARM rolls back.
        replaces: the old fleet's instances go step by step, as the new ones come.
    """

    kind: Kind = "ALL_AT_ONCE"
    shares: tuple[float, ...] = (1.0,)
    wait_seconds: float = 0.0
    termination_seconds: float = 0.0
    timeout_seconds: float = 28_800.0
    alarms: tuple[str, ...] = ()

    @property
    def replaces(self) -> bool:
        return self.kind == "ROLLING"


def policy(config: Mapping[str, Any] | None, instances: int) -> Policy:
    """Read a DeploymentConfig for a new fleet of so many instances; without one all goes over at once.

    Raises the API's ValidationException where AWS refuses it.
    """
    if not config:
        return Policy()
    alarms = _alarms(config.get("AutoRollbackConfiguration") or {})
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise validation("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified.")
    if rolling:
        return _rolling(rolling, instances, alarms)
    return _blue_green(blue_green, instances, alarms) if blue_green else Policy(alarms=alarms)


def _blue_green(asked: Mapping[str, Any], instances: int, alarms: tuple[str, ...]) -> Policy:
    routing = asked.get("TrafficRoutingConfiguration") or {}
    kind: Any = routing.get("Type")
    check_enum(
        kind,
        "deploymentConfig.blueGreenUpdatePolicy.trafficRoutingConfiguration.type",
        "TrafficRoutingConfigType",
    )
    where = "BlueGreenUpdatePolicy.TrafficRoutingConfiguration"
    if "WaitIntervalInSeconds" not in routing:
        raise validation(f"{where}.WaitIntervalInSeconds is required.")
    sizes = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}
    for other in sizes.values():
        if routing.get(other) and sizes.get(kind) != other:
            raise validation(f"{where}.{other} cannot be specified with Type {kind}.")
    shares: tuple[float, ...] = (1.0,)
    if kind in sizes:
        name = sizes[kind]
        if not routing.get(name):
            raise validation(f"{where}.{name} is required with Type {kind}.")
        share = _share(routing[name], instances, f"{where}.{name}")
        if kind == "CANARY":
            if share > _MOST_CANARY:
                raise validation(f"{where}.CanarySize must be at most 50% of the new fleet's capacity.")
            shares = (share, 1.0)
        else:
            _check_between(share, _LINEAR, f"{where}.LinearStepSize")
            shares = _steps(share)
    wait = _number(routing, "WaitIntervalInSeconds", _WAIT, where, 0)
    termination = _number(asked, "TerminationWaitInSeconds", _WAIT, "BlueGreenUpdatePolicy", 0)
    timeout = _timeout(asked, "BlueGreenUpdatePolicy", len(shares) * wait + termination)
    return Policy(kind, shares, wait, termination, timeout, alarms)


def _rolling(asked: Mapping[str, Any], instances: int, alarms: tuple[str, ...]) -> Policy:
    where = "RollingUpdatePolicy"
    if asked.get("RollbackMaximumBatchSize"):
        raise unsupported(
            f"{where}.RollbackMaximumBatchSize", "A rollback brings all of the old fleet back at once."
        )
    for name in ("MaximumBatchSize", "WaitIntervalInSeconds"):
        if name not in asked:
            raise validation(f"{where}.{name} is required.")
    share = _share(asked["MaximumBatchSize"], instances, f"{where}.MaximumBatchSize")
    _check_between(share, _ROLLING, f"{where}.MaximumBatchSize")
    wait = _number(asked, "WaitIntervalInSeconds", _WAIT, where, 0)
    shares = _steps(share)
    return Policy("ROLLING", shares, wait, 0.0, _timeout(asked, where, len(shares) * wait), alarms)


def _alarms(asked: Mapping[str, Any]) -> tuple[str, ...]:
    names = tuple(each.get("AlarmName", "") for each in asked.get("Alarms") or ())
    if asked and not 1 <= len(names) <= _MOST_ALARMS:
        raise validation(f"AutoRollbackConfiguration.Alarms must have 1 to {_MOST_ALARMS} members.")
    if not all(names):
        raise validation("AutoRollbackConfiguration.Alarms.AlarmName is required.")
    return names


def _share(size: Mapping[str, Any], instances: int, where: str) -> float:
    check_enum(size.get("Type"), f"{where}.type", "CapacitySizeType")
    value = size.get("Value")
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise validation(f"{where}.Value must be a whole number of at least 1.")
    share = value / 100 if size["Type"] == "CAPACITY_PERCENT" else value / instances
    if share > 1:
        raise validation(f"{where}.Value is more than the whole fleet.")
    return share


def _steps(share: float) -> tuple[float, ...]:
    """Cut the way to 1 into steps of `share`; the last one may be smaller."""
    shares = [share]
    while shares[-1] < 1 - 1e-9:
        shares.append(min(1.0, shares[-1] + share))
    return (*shares[:-1], 1.0)


def _check_between(share: float, limits: tuple[float, float], where: str) -> None:
    low, high = limits
    if not low - 1e-9 <= share <= high + 1e-9:
        raise validation(f"{where} must be {low:.0%} to {high:.0%} of the fleet's capacity.")


def _number(
    asked: Mapping[str, Any], name: str, limits: tuple[int, int], where: str, default: float
) -> float:
    value = asked.get(name, default)
    low, high = limits
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise validation(f"{where}.{name} must be a whole number from {low} to {high}.")
    return float(value)


def _timeout(asked: Mapping[str, Any], where: str, waits: float) -> float:
    name = "MaximumExecutionTimeoutInSeconds"
    timeout = _number(asked, name, _TIMEOUT, where, _TIMEOUT[1])
    if timeout < waits:
        raise validation(f"{where}.{name} must be above the total wait time ({waits:g} s).")
    return timeout
