"""Writes the AWS/SageMaker metrics of endpoints to CloudWatch, off the path of the request."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from local.context import Context

logger = logging.getLogger(__name__)

NAMESPACE = "AWS/SageMaker"
FLUSH_SECONDS = 1.0
MAX_DATA_PER_CALL = 500  # CloudWatch: 1,000
MICROSECONDS = frozenset({"ModelLatency", "OverheadLatency"})


@dataclass
class Statistics:
    """What CloudWatch calls a StatisticSet."""

    total: float = 0.0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        self.count += 1


class EndpointMetrics:
    """Collects a second of requests per endpoint and variant and puts their statistics."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str, str, str], Statistics] = {}
        self._waiting = threading.Event()
        threading.Thread(target=self._run, name="sagemaker-metrics", daemon=True).start()

    def record(self, region: str, endpoint: str, variant: str, values: dict[str, float]) -> None:
        """Note one request's values, by metric name. Costs the request a few microseconds."""
        with self._lock:
            for name, value in values.items():
                self._pending.setdefault((region, endpoint, variant, name), Statistics()).add(value)
        self._waiting.set()

    def _run(self) -> None:
        while not self._context.stopping.is_set():
            self._waiting.wait()
            self._waiting.clear()
            self.flush()
            self._context.stopping.wait(FLUSH_SECONDS)

    def flush(self) -> None:
        """Put everything noted so far."""
        with self._lock:
            pending, self._pending = self._pending, {}
        now = datetime.now(UTC)
        by_region: dict[str, list[dict[str, Any]]] = {}
        for (region, endpoint, variant, name), statistics in pending.items():
            by_region.setdefault(region, []).append(_datum(endpoint, variant, name, statistics, now))
        for region, data in by_region.items():
            for start in range(0, len(data), MAX_DATA_PER_CALL):
                self._put(region, data[start : start + MAX_DATA_PER_CALL])

    def _put(self, region: str, data: list[dict[str, Any]]) -> None:
        try:
            self._context.client("cloudwatch", region).put_metric_data(Namespace=NAMESPACE, MetricData=data)
        except (ClientError, BotoCoreError) as error:
            if not self._context.stopping.is_set():
                logger.error("%d endpoint metrics are lost: %s", len(data), error)


def _datum(endpoint: str, variant: str, name: str, statistics: Statistics, now: datetime) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Dimensions": [
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": variant},
        ],
        "Timestamp": now,
        "Unit": "Microseconds" if name in MICROSECONDS else "None",
        "StatisticValues": {
            "Sum": statistics.total,
            "Minimum": statistics.minimum,
            "Maximum": statistics.maximum,
            "SampleCount": statistics.count,
        },
    }
