"""CloudWatch of the local AWS: alarms follow their metrics, and a change of state does as the alarm says."""

from __future__ import annotations

import datetime
import json
import logging
import re
import threading
import time
from typing import TYPE_CHECKING, Any

from moto.cloudwatch import models
from moto.cloudwatch.exceptions import ValidationError
from moto.utilities.arns import parse_arn

from local import alarms
from local.alarms import Criteria, Sample

if TYPE_CHECKING:
    from local.context import Context

_LOG = logging.getLogger(__name__)
_TICK_SECONDS = 0.5
_ACTION_SERVICES = ("lambda", "sns")
_STATE_FIELDS = ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history")


def install(context: Context) -> None:
    """Evaluate alarms twice a second and act on each change of state, SetAlarmState's as well."""
    _check_and_keep_state()
    update_state = models.Alarm.update_state

    def _update_state(self: Any, reason: str, reason_data: str, state_value: str) -> None:
        previous = {"value": self.state_value, "reason": self.state_reason, "timestamp": _iso_now()}
        update_state(self, reason, reason_data, state_value)
        if previous["value"] != state_value:
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
        if previous is None:
            alarm.state_value = "INSUFFICIENT_DATA"
        else:
            for field in _STATE_FIELDS:
                setattr(alarm, field, getattr(previous, field))
        return alarm

    models.CloudWatchBackend.put_metric_alarm = _put_metric_alarm


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
    if settings.get("metric_data_queries"):
        raise ValidationError(f"{name}: the local AWS evaluates no metric math; name one metric instead.")
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
    if not settings.get("statistic") and not re.fullmatch(
        r"p\d+(\.\d+)?", settings.get("extended_statistic") or ""
    ):
        raise ValidationError(f"{name}: a Statistic or a percentile as ExtendedStatistic is needed.")


def _watch(context: Context) -> None:
    while not context.stopping.wait(_TICK_SECONDS):
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
        state, reason, data = ("ALARM" if holds else "OK"), f"{alarm.rule} is {str(holds).lower()}", "{}"
    else:
        criteria = _criteria(alarm)
        values = period_values(backend, alarm, criteria.range, now)
        state = alarms.next_state(values, criteria, alarm.state_value)
        reason, data = _reason(values, criteria, state), json.dumps({"recentDatapoints": values})
    if state != alarm.state_value:
        alarm.update_state(reason, data, state)


def _state_of(backend: Any, name: str) -> alarms.State:
    alarm = backend.alarms.get(name.rsplit(":alarm:", 1)[-1])
    if alarm is None:
        return "INSUFFICIENT_DATA"
    state: alarms.State = alarm.state_value
    return state


def _criteria(alarm: Any) -> Criteria:
    periods = int(alarm.evaluation_periods)
    return Criteria(
        comparison=alarm.comparison_operator,
        threshold=float(alarm.threshold),
        evaluation_periods=periods,
        datapoints_to_alarm=int(alarm.datapoints_to_alarm or periods),
        missing_data=alarm.treat_missing_data or "missing",
    )


def period_values(backend: Any, alarm: Any, periods: int, now: float) -> list[float | None]:
    """The metric's values in the last periods, the newest last.

    Periods begin at multiples of their length. The one that is not over counts as soon as it has data.
    """
    length = int(alarm.period)
    current = int(now // length)
    wanted = {(dimension.name, dimension.value) for dimension in alarm.dimensions}
    samples: dict[int, list[Sample]] = {}
    for datum in list(backend.metric_data):
        period = int(_epoch(datum.timestamp) // length)
        if (
            current - periods <= period <= current
            and (datum.namespace, datum.name) == (alarm.namespace, alarm.metric_name)
            and {(dimension.name, dimension.value) for dimension in datum.dimensions} == wanted
            and alarm.unit in (None, datum.unit)
        ):
            samples.setdefault(period, []).append(_sample(datum))
    last = current if current in samples else current - 1
    name = alarm.statistic or alarm.extended_statistic
    return [alarms.statistic(name, samples.get(period, [])) for period in range(last - periods + 1, last + 1)]


def _sample(datum: Any) -> Sample:
    if isinstance(datum, models.MetricDatum):
        value = float(datum.value)
        return Sample(total=value, count=1, least=value, most=value, value=value)
    return Sample(total=datum.sum, count=datum.sample_count, least=datum.min, most=datum.max, value=None)


def _epoch(moment: datetime.datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _reason(values: list[float | None], criteria: Criteria, state: str) -> str:
    present = [value for value in values if value is not None][-criteria.evaluation_periods :]
    if not present:
        return f"no datapoints were received for {criteria.evaluation_periods} periods: {state}"
    breaching = sum(criteria.breaches(value) for value in present)
    return (
        f"Threshold Crossed: {breaching} of the last {len(present)} datapoints {present} breach "
        f"{criteria.comparison} {criteria.threshold} ({criteria.datapoints_to_alarm} of "
        f"{criteria.evaluation_periods} make an alarm; missing data is {criteria.missing_data})"
    )


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
        except Exception:
            _LOG.exception("the alarm %s could not perform %s", alarm.name, action)


def _notify(context: Context, alarm: Any, previous: dict[str, str], topic: str) -> None:
    message = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": context.account_id,
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": _iso_now(),
        "Region": alarm.region_name,
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
            "Statistic": alarm.statistic or alarm.extended_statistic,
            "Dimensions": [{"name": item.name, "value": item.value} for item in alarm.dimensions],
            "Period": int(alarm.period),
            "EvaluationPeriods": int(alarm.evaluation_periods),
            "ComparisonOperator": alarm.comparison_operator,
            "Threshold": float(alarm.threshold),
            "TreatMissingData": alarm.treat_missing_data or "missing",
        }
    subject = f'{alarm.state_value}: "{alarm.name}" in {alarm.region_name}'[:100]
    client = context.client("sns", parse_arn(topic).region)
    client.publish(TopicArn=topic, Subject=subject, Message=json.dumps(message))


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
    metric = {
        "namespace": alarm.namespace,
        "name": alarm.metric_name,
        "dimensions": {item.name: item.value for item in alarm.dimensions},
    }
    stat = {
        "metric": metric,
        "period": int(alarm.period),
        "stat": alarm.statistic or alarm.extended_statistic,
    }
    return {
        "description": alarm.description,
        "metrics": [{"id": "m1", "metricStat": stat, "returnData": True}],
    }


def _iso_now() -> str:
    now = datetime.datetime.now(datetime.UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}+0000"
