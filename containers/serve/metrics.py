"""Counts what the workers do, in memory they share: one line a request, Prometheus text and EMF on demand."""

from __future__ import annotations

import json
import math
import mmap
import os
import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence

# Seconds; the upper bounds of the latency histogram. From what a compiled row takes to what SageMaker allows.
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0)
STATUSES = (200, 400, 404, 405, 406, 408, 409, 413, 415, 500, 503)
# What the protocol does to a connection without an invocation: its refusals by status, and ends without a word.
REFUSALS = ("400", "408", "431", "503", "dropped")
# What became of the entities that were asked for by id: their features were found, or what of them is missing.
ENTITIES = ("found", "unknown", "stale", "incomplete")
# What reading for them took.
_READS = ("store_reads", "store_keys", "store_retries", "store_failures")
_READS_HELP = (
    "BatchGetItem requests to the online store.",
    "Keys in them.",
    "Those that had to be followed by another: throttled, broken, or with keys left over.",
    "Invocations that were refused because the online store was not read.",
)
_QUICK = "quick"
_ENTITIES = tuple(f"entities_{what}" for what in ENTITIES)
_REFUSALS = tuple(f"refusal_{what}" for what in REFUSALS)
_NAMES = (
    *(f"status_{status}" for status in STATUSES),
    *_REFUSALS,
    *_ENTITIES,
    *_READS,
    _QUICK,
    "microseconds",
)
_WIDTH = len(_NAMES) + len(BUCKETS) + 1
# Behind these, as doubles: how many predictions, the sum of the numbers in them, and that of their squares.
_PREDICTED = 3
_ROW = _WIDTH + _PREDICTED
_PLACE = {name: position for position, name in enumerate(_NAMES)}
_STATUS_PLACE = {status: _PLACE[f"status_{status}"] for status in STATUSES}
_FIRST_BUCKET = len(_NAMES)


class Totals:
    """The counters of all workers; each writes a row of its own, so that no lock is needed."""

    def __init__(self, workers: int) -> None:
        self._memory = mmap.mmap(
            -1, workers * _ROW * 8
        )  # anonymous, shared with the processes forked from here
        self._cells = memoryview(self._memory).cast("Q", (workers, _ROW))
        self._doubles = memoryview(self._memory).cast("d", (workers, _ROW))
        self._workers = workers

    def counters(self, worker: int) -> Counters:
        row = memoryview(self._memory)[worker * _ROW * 8 : (worker + 1) * _ROW * 8]
        return Counters(row.cast("Q")[:_WIDTH], row.cast("d")[_WIDTH:], self)

    def sums(self) -> list[float]:
        return [
            sum(
                (self._cells if place < _WIDTH else self._doubles)[worker, place]
                for worker in range(self._workers)
            )
            for place in range(_ROW)
        ]


class Counters:
    """One worker's counters."""

    def __init__(self, row: memoryview, predicted: memoryview[float], totals: Totals) -> None:
        self._row = row
        self._predicted = predicted
        self._lock = threading.Lock()
        self.totals = totals

    def request(self, status: int, seconds: float, *, quick: bool = False) -> None:
        """Count an answered invocation; `quick` tells that the compiled path answered it from its bytes."""
        row = self._row
        row[_STATUS_PLACE[status]] += 1
        row[_FIRST_BUCKET + bisect_left(BUCKETS, seconds)] += 1
        row[_PLACE["microseconds"]] += int(seconds * 1e6)
        if quick:
            row[_PLACE[_QUICK]] += 1

    def predicted(self, count: int, total: float, squares: float) -> None:
        """Count predictions with the sum of the numbers in them, and that of their squares; from any thread."""
        row = self._predicted
        with self._lock:
            row[0] += count
            row[1] += total
            row[2] += squares

    def entities(self, *counts: int) -> None:
        """Count the entities of a request, as many of each of ENTITIES."""
        for name, count in zip(_ENTITIES, counts, strict=True):
            self._row[_PLACE[name]] += count

    def read(self, keys: int) -> None:
        """Count a BatchGetItem of so many keys."""
        self._row[_PLACE["store_reads"]] += 1
        self._row[_PLACE["store_keys"]] += keys

    def again(self) -> None:
        """Count one that did not give all that it was asked for, and is followed by another."""
        self._row[_PLACE["store_retries"]] += 1

    def store_failure(self) -> None:
        """Count a request that the online store was not read for."""
        self._row[_PLACE["store_failures"]] += 1

    def refusal(self, what: str) -> None:
        """Count what became of a connection, one of REFUSALS."""
        self._row[_PLACE[f"refusal_{what}"]] += 1


def prometheus(sums: Sequence[float]) -> bytes:
    """Write the counters in Prometheus' text format."""
    lines = [
        "# HELP sluice_invocations_total Answered invocations by status.",
        "# TYPE sluice_invocations_total counter",
        *(
            f'sluice_invocations_total{{status="{status}"}} {sums[place]}'
            for status, place in _STATUS_PLACE.items()
        ),
        "# HELP sluice_refused_connections_total Connections refused by their status, or dropped.",
        "# TYPE sluice_refused_connections_total counter",
        *(
            f'sluice_refused_connections_total{{what="{what}"}} {sums[_PLACE[name]]}'
            for what, name in zip(REFUSALS, _REFUSALS, strict=True)
        ),
        "# HELP sluice_quick_invocations_total Invocations that the compiled path answered from their bytes.",
        "# TYPE sluice_quick_invocations_total counter",
        f"sluice_quick_invocations_total {sums[_PLACE[_QUICK]]}",
        "# HELP sluice_entities_total Entities asked for by id, by what the online store had of their features.",
        "# TYPE sluice_entities_total counter",
        *(
            f'sluice_entities_total{{features="{what}"}} {sums[_PLACE[name]]}'
            for what, name in zip(ENTITIES, _ENTITIES, strict=True)
        ),
        *(
            line
            for name, what in zip(_READS, _READS_HELP, strict=True)
            for line in (
                f"# HELP sluice_{name}_total {what}",
                f"# TYPE sluice_{name}_total counter",
                f"sluice_{name}_total {sums[_PLACE[name]]}",
            )
        ),
        "# HELP sluice_predicted Predictions, and the sum of the numbers that they say.",
        "# TYPE sluice_predicted summary",
        f"sluice_predicted_count {int(sums[_WIDTH])}",
        f"sluice_predicted_sum {sums[_WIDTH + 1]}",
        "# HELP sluice_invocation_seconds Time from an invocation's head to its answer.",
        "# TYPE sluice_invocation_seconds histogram",
    ]
    below = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), sums[_FIRST_BUCKET:_WIDTH], strict=True):
        below += int(count)
        lines.append(f'sluice_invocation_seconds_bucket{{le="{bound}"}} {below}')
    lines.append(f"sluice_invocation_seconds_sum {sums[_PLACE['microseconds']] / 1e6}")
    lines.append(f"sluice_invocation_seconds_count {below}")
    return ("\n".join(lines) + "\n").encode()


_CONFIG = "EndpointConfigName"


def dimensions_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Give whose metrics a process writes, by the names of SageMaker's own: what the model's environment says.

    Nobody's in a batch transform job, which has the environment of its model: what it is asked is no traffic of the
    endpoint, and no alarm on that is to hear of it.
    """
    if environment.get("SAGEMAKER_BATCH") == "true":
        return {}
    found = {
        "EndpointName": environment.get("SLUICE_ENDPOINT"),
        "VariantName": environment.get("SLUICE_VARIANT"),
        _CONFIG: environment.get("SLUICE_MODEL"),
    }
    return {name: value for name, value in found.items() if value}


def embedded_metrics(
    now: Sequence[float],
    before: Sequence[float],
    milliseconds: int,
    dimensions: Mapping[str, str] | None = None,
) -> str | None:
    """Write what happened between two readings as one line that CloudWatch Logs makes metrics of; None if nothing.

    Args:
        now: the counters.
        before: what they were.
        milliseconds: since 1970.
        dimensions: whose metrics these are; those of the process, where they are not given.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    change = [later - earlier for later, earlier in zip(now, before, strict=True)]
    requests = sum(change[place] for place in _STATUS_PLACE.values())
    refused = sum(change[_PLACE[name]] for name in _REFUSALS)
    if not requests and not refused:
        return None
    values: dict[str, float] = {
        "Requests": requests,
        "QuickRequests": change[_PLACE[_QUICK]],
        "Refused": sum(change[place] for status, place in _STATUS_PLACE.items() if 400 <= status < 500),
        "Failed": change[_STATUS_PLACE[500]],
        "Overloaded": change[_STATUS_PLACE[503]],
        "RefusedConnections": refused,
    }
    entities = sum(change[_PLACE[name]] for name in _ENTITIES)
    if entities or change[_PLACE["store_failures"]]:
        values |= {
            "Entities": entities,
            "UnknownEntities": change[_PLACE["entities_unknown"]],
            "StaleEntities": change[_PLACE["entities_stale"]],
            "IncompleteEntities": change[_PLACE["entities_incomplete"]],
            "StoreReads": change[_PLACE["store_reads"]],
            "StoreRetries": change[_PLACE["store_retries"]],
            "StoreFailures": change[_PLACE["store_failures"]],
        }
    predictions, total, squares = change[_WIDTH:]
    # Of numbers whose squares no double holds there is no spread to be told.
    if predictions and math.isfinite(squares):
        values |= {"Predictions": predictions, "PredictedSum": total, "PredictedSquares": squares}
    if requests:
        values["MeanLatency"] = round(change[_PLACE["microseconds"]] / requests, 1)
    units = {"MeanLatency": "Microseconds", "PredictedSum": "None", "PredictedSquares": "None"}
    whose = dimensions_of(os.environ) if dimensions is None else dimensions
    definition = {
        "Namespace": "Sluice/Serving",
        "Dimensions": _sets(list(whose)),
        "Metrics": [{"Name": name, "Unit": units.get(name, "Count")} for name in values],
    }
    return json.dumps(
        {"_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [definition]}, **whose, **values}
    )


def _sets(names: list[str]) -> list[list[str]]:
    """By endpoint and variant, as ever; where the configuration is known by it too, which tells two fleets apart."""
    return [[name for name in names if name != _CONFIG], names] if _CONFIG in names else [names]
