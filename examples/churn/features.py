"""Point-in-time features: what was known of each customer at each start of month, and who left after it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

DAY = 86_400  # seconds
HISTORY_DAYS = 60  # the first cut-off: a window of 30 days, and time before it
ACTIVE_DAYS = 60  # silent for longer than this: gone already, nothing left to predict
HORIZON_DAYS = 30  # churned: no purchase in so many days after the cut-off

Integers = npt.NDArray[np.int64]


def build_features(table: pd.DataFrame) -> pd.DataFrame:
    """Make one row per customer and monthly cut-off from the transaction log.

    A purchase belongs to the features of a cut-off if it lies before it, and to the label if it lies within
    the 30 days from it on: no feature knows anything of the label's time. The last cut-offs, whose 30 days
    the log does not cover, are left out.

    Args:
        table: customer_id, event_timestamp, amount, category, channel; in any order.

    Returns:
        customer_id, event_timestamp (the cut-off), the features of project.toml, churned ("yes" or "no").
    """
    log = _Log(table)
    frames = [_at(log, cutoff) for cutoff in _cutoffs(int(log.seconds.min()), int(log.seconds.max()))]
    if not frames:
        raise ValueError(
            f"the log is too short: it has to reach {HORIZON_DAYS} days beyond a start of month that lies"
            f" {HISTORY_DAYS} days or more after its first purchase"
        )
    return pd.concat(frames, ignore_index=True)


class _Log:
    """The log ordered by customer and time, with running totals: a window is a difference of two of them."""

    def __init__(self, table: pd.DataFrame) -> None:
        moments = pd.to_datetime(table["event_timestamp"], utc=True).dt.as_unit("s")
        codes, customers = pd.factorize(table["customer_id"], sort=True)
        seconds = moments.to_numpy(dtype="datetime64[s]").astype(np.int64)
        order = np.lexsort((seconds, codes))
        self.customers = np.asarray(customers, dtype=object)
        self.codes: Integers = codes[order].astype(np.int64)
        self.seconds: Integers = seconds[order]
        self.channel = table["channel"].to_numpy(dtype=object)[order]
        self.category = table["category"].to_numpy(dtype=object)[order]
        # In cents: whole numbers add up exactly, so that a total does not depend on the rows after it.
        cents = np.rint(table["amount"].to_numpy(dtype=np.float64)[order] * 100).astype(np.int64)
        self.spent: Integers = np.concatenate([[0], np.cumsum(cents)])
        self.in_app: Integers = np.concatenate([[0], np.cumsum(self.channel == "app")])
        self._span = int(self.seconds.max()) + 1
        self._moments = self.codes * self._span + self.seconds

    def position(self, second: int) -> Integers:
        """For each customer, the position of the first purchase at `second` or later."""
        bounded = min(max(second, 0), self._span)
        everyone = np.arange(len(self.customers), dtype=np.int64)
        return np.searchsorted(self._moments, everyone * self._span + bounded)


def _cutoffs(first: int, last: int) -> list[int]:
    """Starts of months (UTC, in seconds) with enough log before and after them."""
    months = pd.date_range(
        pd.Timestamp(first, unit="s").normalize(), pd.Timestamp(last, unit="s"), freq="MS", unit="s"
    )
    starts = [int(month) for month in months.to_numpy(dtype="datetime64[s]").astype(np.int64)]
    first_day = first - first % DAY
    return [start for start in starts if first_day + HISTORY_DAYS * DAY <= start <= last - HORIZON_DAYS * DAY]


def _at(log: _Log, cutoff: int) -> pd.DataFrame:
    """Describe every customer who was active at `cutoff`."""
    first, end = log.position(0), log.position(cutoff)
    active = end > log.position(cutoff - ACTIVE_DAYS * DAY)
    first, end = first[active], end[active]
    windows = {days: log.position(cutoff - days * DAY)[active] for days in (7, 30, 90)}
    count_30d = end - windows[30]
    spent_30d = (log.spent[end] - log.spent[windows[30]]) / 100
    purchases = end - first
    last_second = log.seconds[end - 1]
    age_days = (cutoff - log.seconds[first]) / DAY
    silent_days = (cutoff - last_second) / DAY
    # The usual distance between two purchases; a single purchase has none.
    pace_days = np.where(purchases > 1, (age_days - silent_days) / np.maximum(purchases - 1, 1), np.nan)
    later = log.position(cutoff + HORIZON_DAYS * DAY)[active]
    return pd.DataFrame(
        {
            "customer_id": log.customers[active],
            "event_timestamp": pd.Timestamp(cutoff, unit="s", tz="UTC"),
            "transaction_count_7d": end - windows[7],
            "transaction_count_30d": count_30d,
            "transaction_count_90d": end - windows[90],
            "avg_transaction_30d": np.where(count_30d > 0, spent_30d / np.maximum(count_30d, 1), np.nan),
            "days_since_last_purchase": silent_days,
            "days_between_purchases": pace_days,
            "lifetime_value": (log.spent[end] - log.spent[first]) / 100,
            "lifetime_days": age_days,
            "app_share": (log.in_app[end] - log.in_app[first]) / purchases,
            "last_channel": log.channel[end - 1],
            "last_category": log.category[end - 1],
            "churned": np.where(later > end, "no", "yes").astype(object),
        }
    )
