"""CloudWatch of the local AWS: alarms follow their metrics, and a change of state does as the alarm says."""

from __future__ import annotations

import datetime
import functools
import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import botocore.session
from moto.cloudwatch import models
from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.utilities.arns import parse_arn

from local import alarm_history, alarm_values, alarms, embedded_metrics, metric_math, metric_queries, metrics
from local.alarms import Criteria
from local.queue_metrics import QueueMetrics

if TYPE_CHECKING:
    from local.context import Context

_LOG = logging.getLogger(__name__)
_TICK_SECONDS = 0.5
_ACTION_SERVICES = ("lambda", "sns")
_FILTERS = {
    "statistic": "Statistic",
    "extended_statistic": "ExtendedStatistic",
    "period": "Period",
    "unit": "Unit",
}
_STATE_FIELDS = ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp")


def install(context: Context) -> None:
    """Evaluate alarms twice a second and act on each change of state, SetAlarmState's as well."""
    metric_queries.install()
    alarm_history.install()
    embedded_metrics.install()
    _check_and_keep_state()
    CloudWatchResponse.describe_alarms_for_metric = _describe_alarms_for_metric
    update_state = models.Alarm.update_state

    def _update_state(self: Any, reason: str, reason_data: str, state_value: str) -> None:
        previous = {"value": self.state_value, "reason": self.state_reason, "timestamp": _iso_now()}
        before = alarm_history.state_of(self)
        update_state(self, reason, reason_data, state_value)
        if previous["value"] != state_value:
            alarm_history.note_state(self, before)
            threading.Thread(target=_act, args=(context, self, previous), name="alarm", daemon=True).start()

    models.Alarm.update_state = _update_state
    threading.Thread(target=_watch, args=(context,), name="alarms", daemon=True).start()


def _check_and_keep_state() -> None:
    """A new alarm has no data yet, an updated one keeps its state; what we cannot evaluate is refused."""
    put_metric_alarm = models.CloudWatchBackend.put_metric_alarm

    def _put_metric_alarm(self: Any, name: str, **settings: Any) -> Any:
        _check(name, settings)
        previous = self.alarms.get(name)
        alarm = put_metric_alarm(self, name, **settings)
        alarm_history.note_configuration(alarm, "created" if previous is None else "updated")
        if previous is None:
            alarm.state_value = "INSUFFICIENT_DATA"
        else:
            for field in _STATE_FIELDS:
                setattr(alarm, field, getattr(previous, field))
        return alarm

    models.CloudWatchBackend.put_metric_alarm = _put_metric_alarm


def _describe_alarms_for_metric(self: Any) -> ActionResult:
    """A metric is one of these dimensions and no others; moto looks at its name alone."""
    asked = {(each["Name"], each["Value"]) for each in self._get_param("Dimensions", [])}
    wanted = {
        "metric_name": self._get_param("MetricName"),
        "namespace": self._get_param("Namespace"),
        **{
            field: value
            for field, parameter in _FILTERS.items()
            if (value := self._get_param(parameter)) is not None
        },
    }
    found = [
        alarm
        for alarm in self.cloudwatch_backend.describe_alarms()
        if all(getattr(alarm, field) == value for field, value in wanted.items())
        and {(each.name, each.value) for each in alarm.dimensions} == asked
    ]
    return ActionResult({"MetricAlarms": found})


def _check(name: str, settings: dict[str, Any]) -> None:
    """Raise ValidationError for an alarm that would never do what it says."""
    for field in ("alarm_actions", "ok_actions", "insufficient_data_actions"):
        for action in settings.get(field) or []:
            if parse_arn(action).service not in _ACTION_SERVICES:
                raise ValidationError(
                    f"{name}: the local AWS has no alarm action {action}, only SNS and Lambda."
                )
    if settings.get("rule"):
        try:
            alarms.rule_holds(settings["rule"], lambda _name: "OK")
        except alarms.InvalidRule as error:
            raise ValidationError(f"{name}: {error}") from error
        return
    if settings.get("comparison_operator") not in alarms.COMPARISONS:
        raise ValidationError(
            f"{name}: the local AWS compares by {', '.join(alarms.COMPARISONS)}, "
            f"not by {settings.get('comparison_operator')}."
        )
    missing = settings.get("treat_missing_data") or "missing"
    if missing not in alarms.MISSING_DATA:
        raise ValidationError(
            f"{name}: TreatMissingData is one of {', '.join(alarms.MISSING_DATA)}, not {missing}."
        )
    if settings.get("metric_data_queries"):
        try:
            alarm_values.check(settings["metric_data_queries"])
        except metric_math.InvalidExpression as error:
            raise ValidationError(f"{name}: {error}") from error
        return
    asked = settings.get("statistic") or settings.get("extended_statistic") or ""
    if not metrics.is_statistic(asked):
        raise ValidationError(f"{name}: a Statistic or a percentile as ExtendedStatistic is needed.")


def _watch(context: Context) -> None:
    queues = QueueMetrics()
    while not context.stopping.wait(_TICK_SECONDS):
        queues.put()
        for _, _, backend in models.cloudwatch_backends.iter_backends():
            every = list(backend.alarms.values())
            for alarm in sorted(
                every, key=lambda alarm: alarm.rule is not None
            ):  # composites look at the others
                try:
                    evaluate(backend, alarm, time.time())
                except Exception:
                    # One alarm that cannot be evaluated must not blind the others.
                    _LOG.exception("the alarm %s cannot be evaluated", alarm.name)


def evaluate(backend: Any, alarm: Any, now: float) -> None:
    """Bring an alarm into the state that its metric, or its rule, asks for at `now` (epoch seconds)."""
    if alarm.rule is not None:
        holds = alarms.rule_holds(alarm.rule, lambda name: _state_of(backend, name))
        state: alarms.State = "ALARM" if holds else "OK"
        if state != alarm.state_value:
            alarm.update_state(*_composite_reason(backend, alarm), state)
        return
    criteria = _criteria(alarm)
    datapoints = alarm_values.period_values(backend, alarm, criteria.range, now)
    state = alarms.next_state([value for _, value in datapoints], criteria, alarm.state_value)
    if state != alarm.state_value:
        data = _reason_data(alarm, datapoints, criteria, now)
        alarm.update_state(alarms.reason(datapoints, criteria, state), json.dumps(data), state)


def _state_of(backend: Any, name: str) -> alarms.State:
    alarm = _named(backend, name)
    if alarm is None:
        return "INSUFFICIENT_DATA"
    state: alarms.State = alarm.state_value
    return state


def _named(backend: Any, name: str) -> Any:
    return backend.alarms.get(name.rsplit(":alarm:", 1)[-1])


def _composite_reason(backend: Any, alarm: Any) -> tuple[str, str]:
    """The reason and its data: which of the rule's alarms changed last."""
    children = [child for name in alarms.names_in(alarm.rule) if (child := _named(backend, name))]
    if not children:
        return f"{alarm.alarm_arn} was evaluated", "{}"
    last = max(children, key=lambda child: child.state_updated_timestamp)
    at = last.state_updated_timestamp.replace(tzinfo=datetime.UTC)
    reason = f"{last.alarm_arn} transitioned to {last.state_value} at {at:%A %d %B, %Y %H:%M:%S} UTC"
    trigger = {"arn": last.alarm_arn, "state": {"value": last.state_value, "timestamp": _iso(at)}}
    return reason, json.dumps({"triggeringAlarms": [trigger]})


def _criteria(alarm: Any) -> Criteria:
    periods = int(alarm.evaluation_periods)
    return Criteria(
        comparison=alarm.comparison_operator,
        threshold=float(alarm.threshold),
        evaluation_periods=periods,
        datapoints_to_alarm=int(alarm.datapoints_to_alarm or periods),
        missing_data=alarm.treat_missing_data or "missing",
    )


def _reason_data(
    alarm: Any, datapoints: list[tuple[float, float | None]], criteria: Criteria, now: float
) -> dict[str, Any]:
    evaluated = datapoints[-criteria.evaluation_periods :]
    present = [(start, value) for start, value in evaluated if value is not None]
    return {
        "version": "1.0",
        "queryDate": _iso_at(now),
        **({"startDate": _iso_at(present[0][0])} if present else {}),
        **({"statistic": alarm.statistic or alarm.extended_statistic} if alarm.metric_name else {}),
        "period": alarm_values.length_of(alarm),
        "recentDatapoints": [value for _, value in present],
        "threshold": criteria.threshold,
        "evaluatedDatapoints": [
            {"timestamp": _iso_at(start), **({} if value is None else {"value": value})}
            for start, value in reversed(evaluated)
        ],
    }


def _act(context: Context, alarm: Any, previous: dict[str, str]) -> None:
    """Emit the event of a change of state, and do the alarm's actions for the new one."""
    region = alarm.region_name
    state = {"value": alarm.state_value, "reason": alarm.state_reason, "timestamp": _iso_now()}
    if alarm.state_reason_data:
        state["reasonData"] = alarm.state_reason_data
    detail = {
        "alarmName": alarm.name,
        "configuration": _configuration(alarm),
        "state": state,
        "previousState": previous,
    }
    entry = {
        "Source": "aws.cloudwatch",
        "DetailType": "CloudWatch Alarm State Change",
        "Resources": [alarm.alarm_arn],
        "Detail": json.dumps(detail),
    }
    context.client("events", region).put_events(Entries=[entry])
    actions = {
        "ALARM": alarm.alarm_actions,
        "OK": alarm.ok_actions,
        "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
    }[alarm.state_value]
    for action in (actions or []) if alarm.actions_enabled else []:
        try:
            if parse_arn(action).service == "sns":
                _notify(context, alarm, previous, action)
            else:
                _invoke(context, alarm, detail, action)
        except Exception as error:
            _LOG.exception("the alarm %s could not perform %s", alarm.name, action)
            alarm_history.note_action(alarm, action, str(error))
        else:
            alarm_history.note_action(alarm, action, None)


def _notify(context: Context, alarm: Any, previous: dict[str, str], topic: str) -> None:
    message = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": context.account_id,
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": _iso_now(),
        "Region": _region_title(alarm.region_name),
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": previous["value"],
        "OKActions": alarm.ok_actions or [],
        "AlarmActions": alarm.alarm_actions or [],
        "InsufficientDataActions": alarm.insufficient_data_actions or [],
    }
    if alarm.rule is None:
        message["Trigger"] = {
            "MetricName": alarm.metric_name,
            "Namespace": alarm.namespace,
            **_statistic(alarm),
            "Unit": alarm.unit,
            "Dimensions": [{"name": item.name, "value": item.value} for item in alarm.dimensions],
            "Period": int(alarm.period),
            "EvaluationPeriods": int(alarm.evaluation_periods),
            "DatapointsToAlarm": int(alarm.datapoints_to_alarm or alarm.evaluation_periods),
            "ComparisonOperator": alarm.comparison_operator,
            "Threshold": float(alarm.threshold),
            "TreatMissingData": alarm.treat_missing_data or "missing",
        }
    subject = f'{alarm.state_value}: "{alarm.name}" in {_region_title(alarm.region_name)}'[:100]
    client = context.client("sns", parse_arn(topic).region)
    client.publish(TopicArn=topic, Subject=subject, Message=json.dumps(message))


def _statistic(alarm: Any) -> dict[str, str]:
    if alarm.statistic:
        return {"StatisticType": "Statistic", "Statistic": str(alarm.statistic).upper()}
    return {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": alarm.extended_statistic}


@functools.cache
def _region_title(region: str) -> str:
    """A region as CloudWatch's messages call it: US East (N. Virginia)."""
    for partition in botocore.session.get_session().get_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return str(partition["regions"][region]["description"])
    return region


def _invoke(context: Context, alarm: Any, detail: dict[str, Any], function: str) -> None:
    event = {
        "source": "aws.cloudwatch",
        "alarmArn": alarm.alarm_arn,
        "accountId": context.account_id,
        "time": _iso_now(),
        "region": alarm.region_name,
        "alarmData": detail,
    }
    client = context.client("lambda", parse_arn(function).region)
    client.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode())


def _configuration(alarm: Any) -> dict[str, Any]:
    if alarm.rule is not None:
        return {"description": alarm.description, "alarmRule": alarm.rule}
    return {
        "description": alarm.description,
        "metrics": [_query(query) for query in alarm_values.queries(alarm)],
    }


def _query(query: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"id": query.id, "returnData": query.return_data is not False}
    if query.metric_stat is None:
        return {**told, "expression": query.expression}
    metric = query.metric_stat.metric
    stat = {
        "metric": {
            "namespace": metric.namespace,
            "name": metric.metric_name,
            "dimensions": {item.name: item.value for item in metric.dimensions},
        },
        "period": int(query.metric_stat.period),
        "stat": query.metric_stat.stat,
    }
    return {**told, "metricStat": stat}


def _iso_now() -> str:
    return _iso(datetime.datetime.now(datetime.UTC))


def _iso_at(second: float) -> str:
    return _iso(datetime.datetime.fromtimestamp(second, datetime.UTC))


def _iso(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"
