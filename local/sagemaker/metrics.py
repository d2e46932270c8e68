"""The AWS/SageMaker metrics of endpoints, one value a request: so there are percentiles of their latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local import metrics

if TYPE_CHECKING:
    from local.context import Context

NAMESPACE = "AWS/SageMaker"
MICROSECONDS = frozenset({"ModelLatency", "OverheadLatency"})


class EndpointMetrics:
    """Puts what became of requests: by endpoint and variant, and by configuration too, which tells fleets apart."""

    def __init__(self, context: Context) -> None:
        self._account = context.account_id

    def record(self, region: str, endpoint: str, variant: str, config: str, values: dict[str, float]) -> None:
        """Note one request's values, by metric name. Costs the request a few microseconds."""
        whose = {"EndpointName": endpoint, "VariantName": variant}
        metrics.put(
            self._account,
            region,
            NAMESPACE,
            {
                name: (value, "Microseconds" if name in MICROSECONDS else "None")
                for name, value in values.items()
            },
            whose,
            {**whose, "EndpointConfigName": config},
        )
