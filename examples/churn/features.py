"""What is known of a customer at a moment, declared once; and, for training, who left after it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
from feast import BatchFeatureView, Entity, Field, FileSource, ValueType
from feast.aggregation import Aggregation
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String

ACTIVE = pd.Timedelta(days=60)  # silent for longer than this: gone already, nothing left to predict
HISTORY = pd.Timedelta(days=60)  # the first cut-off: a window of 30 days, and time before it
HORIZON = pd.Timedelta(days=30)  # churned: no purchase in so long after the cut-off

customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
purchases = FileSource(name="purchases", path="dataset.parquet", timestamp_field="event_timestamp")


def _of(column: str, function: str, name: str, days: int | None = None) -> Aggregation:
    window = None if days is None else timedelta(days=days)
    return Aggregation(column=column, function=function, time_window=window, name=name)


activity = BatchFeatureView(
    name="activity",
    entities=[customer],
    source=purchases,
    schema=[
        Field(name="transaction_count_7d", dtype=Int64),
        Field(name="transaction_count_30d", dtype=Int64),
        Field(name="transaction_count_90d", dtype=Int64),
        Field(name="transaction_count", dtype=Int64),
        Field(name="avg_transaction_30d", dtype=Float64),
        Field(name="lifetime_value", dtype=Float64),
        Field(name="days_since_last_purchase", dtype=Float64),
        Field(name="lifetime_days", dtype=Float64),
        Field(name="app_share", dtype=Float64),
        Field(name="last_channel", dtype=String),
        Field(name="last_category", dtype=String),
    ],
    online=True,
    aggregations=[
        _of("amount", "count", "transaction_count_7d", days=7),
        _of("amount", "count", "transaction_count_30d", days=30),
        _of("amount", "count", "transaction_count_90d", days=90),
        _of("amount", "count", "transaction_count"),
        _of("amount", "mean", "avg_transaction_30d", days=30),
        _of("amount", "sum", "lifetime_value"),
        _of("event_timestamp", "days_since_last", "days_since_last_purchase"),
        _of("event_timestamp", "days_since_first", "lifetime_days"),
        _of("channel", "share:app", "app_share"),
        _of("channel", "last", "last_channel"),
        _of("category", "last", "last_category"),
    ],
)


@on_demand_feature_view(
    sources=[activity[["lifetime_days", "days_since_last_purchase", "transaction_count"]]],
    schema=[Field(name="days_between_purchases", dtype=Float64)],
    mode="python",
)
def pace(inputs):  # type: ignore[no-untyped-def]
    """Give the usual distance between two purchases; a single purchase has none."""
    known = zip(
        inputs["lifetime_days"], inputs["days_since_last_purchase"], inputs["transaction_count"], strict=True
    )
    return {
        "days_between_purchases": [
            (age - silent) / (count - 1) if count is not None and count > 1 else float("nan")
            for age, silent, count in known
        ]
    }


def build_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Say at each start of month of each customer who was active whether a purchase followed within 30 days.

    A purchase at the cut-off itself belongs to the features, those of (cut-off, cut-off + 30 days] to the label. The
    last cut-offs, whose 30 days the log does not cover, are left out.

    Args:
        table: customer_id, event_timestamp, amount, category, channel; in any order.

    Returns:
        customer_id, event_timestamp (the cut-off), churned ("yes" or "no").
    """
    log = table[["customer_id", "event_timestamp"]].sort_values("event_timestamp")
    first, last = log["event_timestamp"].iloc[0].normalize(), log["event_timestamp"].iloc[-1]
    cutoffs = pd.date_range(first + HISTORY, last - HORIZON, freq="MS", inclusive="both")
    if cutoffs.empty:
        raise ValueError(
            f"the log is too short: it has to reach {HORIZON.days} days beyond a start of month that lies"
            f" {HISTORY.days} days or more after its first purchase"
        )
    return pd.concat([_at(log, cutoff) for cutoff in cutoffs], ignore_index=True)


def _at(log: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    moment = log["event_timestamp"]
    active = log.loc[(moment > cutoff - ACTIVE) & (moment <= cutoff), "customer_id"].unique()
    staying = log.loc[(moment > cutoff) & (moment <= cutoff + HORIZON), "customer_id"].unique()
    churned = np.where(np.isin(active, staying), "no", "yes").astype(object)
    return pd.DataFrame({"customer_id": active, "event_timestamp": cutoff, "churned": churned})
