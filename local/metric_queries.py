"""CloudWatch's data operations: PutMetricData, GetMetricData, GetMetricStatistics and ListMetrics.

moto's periods begin wherever a request does, its datapoints know no percentiles, and each look goes through all
data of the account.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch import models
from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from local import metrics
from local.metrics import Sample, Series

_DAY = 86_400


def install() -> None:
    backend = models.CloudWatchBackend
    backend.put_metric_data = _put_metric_data
    backend.get_metric_data = _get_metric_data
    backend.get_all_metrics = _get_all_metrics
    CloudWatchResponse.get_metric_statistics = _get_metric_statistics


def _put_metric_data(self: Any, namespace: str, metric_data: list[dict[str, Any]]) -> None:
    for number, datum in enumerate(metric_data, 1):
        self._validate_parameters_put_metric_data(datum, number)
    for datum in metric_data:
        for sample in _samples(datum):
            metrics.add(
                self,
                namespace,
                datum["MetricName"],
                sample,
                dimensions=_dimensions(datum),
                unit=datum.get("Unit"),
                at=_epoch(datum["Timestamp"]) if datum.get("Timestamp") else None,
            )


def _samples(datum: Mapping[str, Any]) -> Iterable[Sample]:
    values = datum.get("Values")
    if values:
        counts = datum.get("Counts") or [1] * len(values)
        return [Sample.of(float(value), float(count)) for value, count in zip(values, counts, strict=True)]
    statistics = datum.get("StatisticValues")
    if statistics:
        return [
            Sample.of_set(
                total=float(statistics["Sum"]),
                count=float(statistics["SampleCount"]),
                least=float(statistics["Minimum"]),
                most=float(statistics["Maximum"]),
            )
        ]
    return [Sample.of(float(datum.get("Value", 0)))]


def _get_metric_data(
    self: Any,
    queries: list[dict[str, Any]],
    start_time: datetime,
    end_time: datetime,
    scan_by: str = "TimestampDescending",
) -> list[dict[str, Any]]:
    """The queries' values. Periods begin at multiples of their length, wherever the request does."""
    start, end = _epoch(start_time), _epoch(end_time)
    if start >= end:
        raise ValidationError("The parameter EndTime must be greater than StartTime.")
    results = []
    for query in queries:
        if "MetricStat" not in query:
            raise ValidationError(
                f"{query.get('Id')}: the local AWS evaluates no metric math and no queries "
                f"({query.get('Expression')}); name one metric instead, as MetricStat."
            )
        if not query.get("ReturnData", True):
            continue
        wanted = query["MetricStat"]
        name, length = wanted["Stat"], int(wanted["Period"])
        _check(name, "Stat", length)
        found = _merged(_series(self, wanted["Metric"], wanted.get("Unit")), start, end, length)
        values = {
            number * length: value
            for number, samples in sorted(found.items())
            if (value := metrics.statistic(name, samples)) is not None
        }
        stamps = sorted(values, reverse=scan_by != "TimestampAscending")
        results.append(
            {
                "id": query["Id"],
                "label": query.get("Label") or wanted["Metric"]["MetricName"],
                "values": [values[stamp] for stamp in stamps],
                "timestamps": [datetime.fromtimestamp(stamp, UTC) for stamp in stamps],
                "status_code": "Complete",
            }
        )
    return results


def _merged(series: Mapping[str, Series], start: float, end: float, length: int) -> dict[int, list[Sample]]:
    first = _rounded(start, length) // length * length
    found: dict[int, list[Sample]] = {}
    for each in series.values():
        for number, samples in each.periods(first, end, length).items():
            found.setdefault(number, []).extend(samples)
    return found


def _get_metric_statistics(self: Any) -> ActionResult:
    """Datapoints with the statistics asked for; here the periods count from the start that was asked for."""
    request = self._get_params()
    wanted, extended = request.get("Statistics") or [], request.get("ExtendedStatistics") or []
    if not wanted and not extended:
        raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
    start, end, length = _epoch(request["StartTime"]), _epoch(request["EndTime"]), int(request["Period"])
    if start >= end:
        raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
    for name in (*wanted, *extended):
        _check(name, "Statistics" if name in wanted else "ExtendedStatistics", length)
    start = _rounded(start, length)
    datapoints = []
    for unit, series in _series(self.cloudwatch_backend, request, request.get("Unit")).items():
        for number, samples in series.periods(start, end, length, start).items():
            stamp = datetime.fromtimestamp(start + number * length, UTC)
            datapoint: dict[str, Any] = {"Timestamp": stamp, "Unit": unit}
            datapoint |= {name: metrics.statistic(name, samples) for name in wanted}
            values = {name: metrics.statistic(name, samples) for name in extended}
            if values:
                datapoint["ExtendedStatistics"] = {n: v for n, v in values.items() if v is not None}
            datapoints.append(datapoint)
    return ActionResult({"Label": request["MetricName"], "Datapoints": datapoints})


def _get_all_metrics(self: Any) -> list[Any]:
    """What ListMetrics looks through: each metric once."""
    kept = [
        models.MetricDatumBase(
            namespace, name, [{"Name": key, "Value": value} for key, value in sorted(dimensions)], None
        )
        for namespace, name, dimensions in metrics.keys(self)
    ]
    return [*kept, *self.aws_metric_data]


def _series(backend: Any, metric: Mapping[str, Any], unit: str | None) -> dict[str, Series]:
    found = metrics.series_of(backend, metric["Namespace"], metric["MetricName"], _dimensions(metric))
    # What moto works out at each look, the sizes of S3's buckets, is in no series.
    for datum in backend.aws_metric_data if metric["Namespace"] == "AWS/S3" else ():
        same = {item.name: item.value for item in datum.dimensions} == _dimensions(metric)
        if same and datum.name == metric["MetricName"]:
            found.setdefault(datum.unit, Series()).add(_epoch(datum.timestamp), Sample.of(datum.value))
    return {name: series for name, series in found.items() if unit in (None, name)}


def _dimensions(holder: Mapping[str, Any]) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in holder.get("Dimensions") or []}


def _check(statistic: str, member: str, length: int) -> None:
    if not metrics.is_statistic(statistic):
        raise InvalidParameterValue(
            f"The value {statistic} for parameter {member} is not supported. The local AWS knows "
            f"{', '.join(metrics.STATISTICS)} and percentiles."
        )
    if length not in (1, 5, 10, 20, 30) and (length < 60 or length % 60):
        raise InvalidParameterValue(
            "The parameter Period must be one of 1, 5, 10, 20, 30, or a multiple of 60."
        )


def _rounded(start: float, length: int) -> int:
    """A request's start as CloudWatch rounds it down, the further back the more.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    """
    age = time.time() - start
    unit = 60 if age < 15 * _DAY else 300 if age < 63 * _DAY else 3600
    return int(start // min(unit, length) * min(unit, length))


def _epoch(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
