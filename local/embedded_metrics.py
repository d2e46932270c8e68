"""Metrics in log lines, in CloudWatch's embedded metric format: whoever writes such a line has put its metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from moto.cloudwatch import models as cloudwatch
from moto.logs.models import LogsBackend

from local import metrics
from local.metrics import Sample

_MOST_METRICS = 100
_MOST_DIMENSIONS = 30


class Datum(NamedTuple):
    """A metric's values under one set of dimensions; `at` is seconds of the epoch."""

    namespace: str
    name: str
    values: tuple[float, ...]
    unit: str | None
    dimensions: dict[str, str]
    at: float


def install() -> None:
    """Have PutLogEvents take the metrics out of the lines that it takes."""
    put_log_events = LogsBackend.put_log_events

    def _put_log_events(
        self: Any, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
    ) -> Any:
        answer = put_log_events(self, log_group_name, log_stream_name, log_events)
        backend = cloudwatch.cloudwatch_backends[self.account_id][self.region_name]
        for datum in data_of(event["message"] for event in log_events):
            for value in datum.values:
                metrics.add(
                    backend,
                    datum.namespace,
                    datum.name,
                    Sample.of(value),
                    dimensions=datum.dimensions,
                    unit=datum.unit,
                    at=datum.at,
                )
        return answer

    LogsBackend.put_log_events = _put_log_events


def data_of(lines: Iterable[str]) -> Iterator[Datum]:
    """Give the metrics in those lines that hold some; what is no such document is a line like any other."""
    for line in lines:
        if '"_aws"' not in line:
            continue
        try:
            document = json.loads(line)
        except ValueError:
            continue
        about = document.get("_aws") if isinstance(document, dict) else None
        if not isinstance(about, dict) or not isinstance(about.get("Timestamp"), int):
            continue
        for directive in about.get("CloudWatchMetrics") or ():
            yield from _data(document, directive, about["Timestamp"] / 1000)


def _data(document: Mapping[str, Any], directive: Mapping[str, Any], at: float) -> Iterator[Datum]:
    sets = [names for names in directive.get("Dimensions") or [[]] if len(names) <= _MOST_DIMENSIONS]
    for metric in (directive.get("Metrics") or ())[:_MOST_METRICS]:
        found = document.get(metric["Name"])
        asked = found if isinstance(found, list) else [found]
        values = tuple(
            float(each) for each in asked if isinstance(each, int | float) and not isinstance(each, bool)
        )
        for names in sets if values else ():
            # A set that names what the document does not hold is none.
            if all(isinstance(document.get(name), str) for name in names):
                whose = {name: document[name] for name in names}
                yield Datum(directive["Namespace"], metric["Name"], values, metric.get("Unit"), whose, at)
