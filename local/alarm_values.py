"""What an alarm looks at: the values of its metric, or of its metric math, by period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moto.cloudwatch.models import Metric, MetricDataQuery, MetricStat

from local import metrics
from local.metric_math import Expression, InvalidExpression
from local.metrics import Sample


def queries(alarm: Any) -> list[MetricDataQuery]:
    """Give the queries of an alarm; one that names a metric has just that one."""
    if alarm.metric_data_queries:
        return list(alarm.metric_data_queries)
    metric = Metric(alarm.metric_name, alarm.namespace, alarm.dimensions)
    name = alarm.statistic or alarm.extended_statistic
    stat = MetricStat(metric, alarm.period, name, alarm.unit)
    return [MetricDataQuery("m1", None, alarm.period, True, metric_stat=stat)]


def length_of(alarm: Any) -> int:
    """The period in seconds, which all metrics of an alarm have in common here."""
    return next(int(query.metric_stat.period) for query in queries(alarm) if query.metric_stat)


def check(asked: Sequence[Any]) -> None:
    """Raise InvalidExpression for metric math that cannot be followed here."""
    returned = [query for query in asked if query.return_data is not False]
    if len(returned) != 1:
        raise InvalidExpression(f"exactly one element of Metrics must return data; {len(returned)} do.")
    if len({int(query.metric_stat.period) for query in asked if query.metric_stat}) != 1:
        raise InvalidExpression("the metrics of the local AWS's alarms have one period in common.")
    for query in asked:
        if query.metric_stat is not None and not metrics.is_statistic(query.metric_stat.stat):
            raise InvalidExpression(f"{query.id}: a Statistic or a percentile is needed.")
    _in_order(asked)


def period_values(backend: Any, alarm: Any, periods: int, now: float) -> list[tuple[float, float | None]]:
    """The last periods, the newest last: the second of the epoch each begins at, and the value in it.

    Periods begin at multiples of their length. The one that is not over counts as soon as it has data.
    """
    asked, length = queries(alarm), length_of(alarm)
    current = int(now // length)
    by_id = {
        query.id: _values(backend, query.metric_stat, current - periods, current, length)
        for query in asked
        if query.metric_stat
    }
    numbers = {number for found in by_id.values() for number in found}
    for name, expression in _in_order(asked):
        by_id[name] = {
            number: value
            for number in numbers
            if (value := expression.value({id_: found.get(number) for id_, found in by_id.items()}))
            is not None
        }
    found = next(by_id[query.id] for query in asked if query.return_data is not False)
    last = current if current in numbers else current - 1
    return [(number * length, found.get(number)) for number in range(last - periods + 1, last + 1)]


def _in_order(asked: Sequence[Any]) -> list[tuple[str, Expression]]:
    """Give the expressions, each after those that it stands on."""
    names = {query.id for query in asked}
    waiting = {
        query.id: Expression(query.expression or "", names) for query in asked if not query.metric_stat
    }
    ordered: list[tuple[str, Expression]] = []
    while waiting:
        ready = [name for name, expression in waiting.items() if not expression.names & waiting.keys()]
        if not ready:
            raise InvalidExpression(f"the expressions {', '.join(waiting)} go in a circle")
        ordered += [(name, waiting.pop(name)) for name in ready]
    return ordered


def _values(backend: Any, asked: MetricStat, first: int, last: int, length: int) -> Mapping[int, float]:
    """Give a metric's values by the number of their period."""
    dimensions = {dimension.name: dimension.value for dimension in asked.metric.dimensions}
    samples: dict[int, list[Sample]] = {}
    for unit, series in metrics.series_of(
        backend, asked.metric.namespace, asked.metric.metric_name, dimensions
    ).items():
        if asked.unit in (None, unit):
            for number, some in series.periods(first * length, (last + 1) * length, length).items():
                samples.setdefault(number, []).extend(some)
    return {
        number: value
        for number, some in samples.items()
        if (value := metrics.statistic(asked.stat, some)) is not None
    }
