"""A shop's transaction log over time, from a seed: customers join, buy at their own pace, and some leave.

    python generate.py --out transactions.csv [--customers 2000] [--months 12] [--seed 7] [--drift]

The same arguments give the same bytes. With --drift the last quarter of the time is another world: prices are
40 % higher, purchases move from the shop to the app, and three times as many customers leave.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

START = np.datetime64("2024-01-01T00:00:00", "s")
CATEGORIES = ("books", "clothing", "electronics", "groceries", "household")
TYPICAL_AMOUNT = np.array([18.0, 45.0, 160.0, 32.0, 26.0])
CHANNELS = ("app", "shop", "web")
CHANNEL_SHARES = np.array([0.35, 0.30, 0.35])
DRIFTED_CHANNEL_SHARES = np.array([0.70, 0.10, 0.20])
DAYS_PER_MONTH = 30.4375
# Nobody leaves from one day to the next: purchases thin out over these days before the last one.
FADING_DAYS = 60.0
MEAN_DAYS_TO_LEAVING = 420.0

Floats = npt.NDArray[np.float64]


def generate(*, customers: int = 2000, months: int = 12, seed: int = 7, drift: bool = False) -> pa.Table:
    """Make the log: customer_id, event_timestamp (unique for each customer), amount, category, channel."""
    if customers < 1 or months < 1:
        raise ValueError("a log needs at least one customer and one month")
    random = np.random.default_rng(seed)
    days = months * DAYS_PER_MONTH
    drift_from = days * 0.75 if drift else np.inf

    joined = np.where(random.random(customers) < 0.6, 0.0, random.uniform(0, days * 0.7, customers))
    left = joined + random.exponential(MEAN_DAYS_TO_LEAVING, customers)
    if drift:
        left = np.where(left > drift_from, drift_from + (left - drift_from) / 3, left)
    pace = random.gamma(shape=1.6, scale=0.14, size=customers) + 0.03  # purchases a day

    customer, day = _purchases(random, joined, left, pace, days)
    category = _pick(random, random.dirichlet(np.full(len(CATEGORIES), 0.8), customers)[customer])
    drifted = day >= drift_from
    taste = random.dirichlet(CHANNEL_SHARES * 6, customers)[customer]
    channel = _pick(random, np.where(drifted[:, None], DRIFTED_CHANNEL_SHARES, taste))
    wealth = random.lognormal(0.0, 0.35, customers)[customer]
    amount = TYPICAL_AMOUNT[category] * wealth * random.lognormal(0.0, 0.45, len(day))
    amount *= np.where(drifted, 1.4, 1.0) * (0.6 + 0.4 * _presence(day, left[customer]))

    order, seconds = _unique_seconds(customer, day)
    table = pa.table(
        {
            "customer_id": pa.array([f"C{number:05d}" for number in customer[order] + 1]),
            "event_timestamp": pa.array(START + seconds.astype("timedelta64[s]")),
            "amount": pa.array(np.maximum(np.round(amount[order], 2), 0.5)),
            "category": pa.array(np.array(CATEGORIES)[category[order]]),
            "channel": pa.array(np.array(CHANNELS)[channel[order]]),
        }
    )
    return table.sort_by([("event_timestamp", "ascending"), ("customer_id", "ascending")])


def _purchases(
    random: np.random.Generator, joined: Floats, left: Floats, pace: Floats, days: float
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Draw each customer's purchases: a Poisson process, thinned where the customer fades (Lewis-Shedler)."""
    end = np.minimum(left, days)
    counts = random.poisson(pace * (end - joined))
    customer = np.repeat(np.arange(len(joined)), counts)
    day = random.uniform(joined[customer], end[customer])
    kept = random.random(len(day)) < _presence(day, left[customer])
    return customer[kept], day[kept]


def _presence(day: Floats, left: Floats) -> Floats:
    """Give how much of the usual pace is left: 1, falling to 0 over the days before leaving."""
    return np.clip((left - day) / FADING_DAYS, 0.0, 1.0)


def _pick(random: np.random.Generator, shares: Floats) -> npt.NDArray[np.int64]:
    """Draw one index for each row of `shares`, whose rows add up to 1."""
    below = random.random(len(shares))[:, None] >= np.cumsum(shares, axis=1)
    picked: npt.NDArray[np.int64] = np.minimum(below.sum(axis=1), shares.shape[1] - 1)
    return picked


def _unique_seconds(
    customer: npt.NDArray[np.int64], day: Floats
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Order by customer and time; a purchase in the same second as the one before moves to the next."""
    seconds = (day * 86_400).astype(np.int64)
    order = np.lexsort((seconds, customer))
    customer, seconds = customer[order], seconds[order]
    while (same := (customer[1:] == customer[:-1]) & (seconds[1:] <= seconds[:-1])).any():
        seconds[1:][same] = seconds[:-1][same] + 1
    return order, seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--drift", action="store_true", help="the last quarter of the time is another world")
    parser.add_argument("--out", type=Path, required=True, help="a .csv or .parquet file")
    arguments = parser.parse_args()
    table = generate(
        customers=arguments.customers, months=arguments.months, seed=arguments.seed, drift=arguments.drift
    )
    if arguments.out.suffix == ".parquet":
        pa.parquet.write_table(table, arguments.out)
    else:
        pa.csv.write_csv(table, arguments.out)
    print(f"{arguments.out}: {table.num_rows:,} transactions of {arguments.customers:,} customers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
