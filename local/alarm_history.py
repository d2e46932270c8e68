"""DescribeAlarmHistory: what was changed of an alarm, which states it had, and what its actions did."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch import models
from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

_VERSION = "1.0"
_MOST = 100
_CHANGES = {"created": "Create", "updated": "Update", "deleted": "Delete"}
State = Mapping[str, Any]


def install() -> None:
    delete_alarms = models.CloudWatchBackend.delete_alarms

    def _delete_alarms(self: Any, alarm_names: list[str]) -> None:
        for alarm in self.get_alarms_by_alarm_names(alarm_names):
            note_configuration(alarm, "deleted")
        delete_alarms(self, alarm_names)

    models.CloudWatchBackend.delete_alarms = _delete_alarms
    CloudWatchResponse.describe_alarm_history = _describe_alarm_history


def note_configuration(alarm: Any, what: str) -> None:
    """That an alarm was `created`, `updated` or `deleted`."""
    data = {"version": _VERSION, "type": _CHANGES[what]}
    _note(alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {what}', data)


def state_of(alarm: Any) -> State:
    """The state an alarm is in, as its history tells it."""
    state = {"stateValue": alarm.state_value, "stateReason": alarm.state_reason}
    reason_data = json.loads(alarm.state_reason_data or "{}")
    return {**state, "stateReasonData": reason_data} if reason_data else state


def note_state(alarm: Any, before: State) -> None:
    """That an alarm came from the state `before` into the one it is in."""
    now = state_of(alarm)
    data = {"version": _VERSION, "oldState": before, "newState": now}
    summary = f"Alarm updated from {before['stateValue']} to {now['stateValue']}"
    _note(alarm, "StateUpdate", summary, data)


def note_action(alarm: Any, action: str, error: str | None) -> None:
    """That an alarm's action was done, or failed with `error`."""
    data = {
        "actionState": "Failed" if error else "Succeeded",
        "stateUpdateTimestamp": int(alarm.state_updated_timestamp.replace(tzinfo=UTC).timestamp() * 1000),
        "notificationResource": action,
        "error": error,
    }
    summary = f"Failed to execute action {action}" if error else f"Successfully executed action {action}"
    _note(alarm, "Action", summary, data)


def _note(alarm: Any, kind: str, summary: str, data: Mapping[str, Any]) -> None:
    account = alarm.alarm_arn.split(":")[4]
    _items(models.cloudwatch_backends[account][alarm.region_name]).append(
        {
            "AlarmName": alarm.name,
            "AlarmType": "CompositeAlarm" if alarm.rule is not None else "MetricAlarm",
            "Timestamp": datetime.now(UTC),
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": json.dumps(data),
        }
    )


def _items(backend: Any) -> list[dict[str, Any]]:
    # An attribute of the backend, so that moto's reset forgets it; not of the alarm: it outlives the alarm.
    items: list[dict[str, Any]] = backend.__dict__.setdefault("local_alarm_history", [])
    return items


def _describe_alarm_history(self: Any) -> ActionResult:
    request = self._get_params()
    kinds = request.get("AlarmTypes") or ["MetricAlarm"]
    start, end = _moment(request.get("StartDate")), _moment(request.get("EndDate"))
    wanted: list[Callable[[dict[str, Any]], bool]] = [
        lambda item: item["AlarmType"] in kinds,
        lambda item: request.get("AlarmName") in (None, item["AlarmName"]),
        lambda item: request.get("HistoryItemType") in (None, item["HistoryItemType"]),
        lambda item: start is None or item["Timestamp"] >= start,
        lambda item: end is None or item["Timestamp"] <= end,
    ]
    items = [item for item in list(_items(self.cloudwatch_backend)) if all(test(item) for test in wanted)]
    if request.get("ScanBy") != "TimestampAscending":
        items.reverse()
    token = request.get("NextToken") or "0"
    if not token.isdecimal():
        raise InvalidParameterValue("Request parameter NextToken is invalid")
    first = int(token)
    last = first + int(request.get("MaxRecords") or _MOST)
    answer: dict[str, Any] = {"AlarmHistoryItems": items[first:last]}
    return ActionResult(answer | ({"NextToken": str(last)} if last < len(items) else {}))


def _moment(value: datetime | None) -> datetime | None:
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
