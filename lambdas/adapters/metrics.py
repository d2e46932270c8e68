"""A figure of ours in CloudWatch."""

from __future__ import annotations

from collections.abc import Mapping


def put_metric(namespace: str, name: str, value: float, dimensions: Mapping[str, str]) -> None:
    """Publish one value, without a unit."""
    put_metrics(namespace, {name: value}, dimensions)


def put_metrics(namespace: str, values: Mapping[str, float], dimensions: Mapping[str, str]) -> None:
    """Publish values by name, without a unit, in one call."""
    import boto3

    boto3.client("cloudwatch").put_metric_data(
        Namespace=namespace,
        MetricData=[
            {
                "MetricName": name,
                "Value": value,
                "Dimensions": [{"Name": each, "Value": of} for each, of in dimensions.items()],
            }
            for name, value in values.items()
        ],
    )
