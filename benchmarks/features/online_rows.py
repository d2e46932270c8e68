"""What both online benchmarks read: a view of 20 features, and its rows, as plan and as DynamoDB's items."""

from __future__ import annotations

import base64
import random
from typing import Any

from sluice.features.online_keys import EntityIds
from sluice.features.online_values import encode, event_text
from sluice.features.plan import FeaturePlan, Key, Value, View

STORE = "bench"
VIEW = "activity"
TABLE = f"{STORE}.{VIEW}"
KEY = Key(name="customer_id", type="string")
NUMBERS, INTEGERS = 15, 5
FEATURES = tuple(
    Value(name=f"f{place}", type="number" if place < NUMBERS else "integer")
    for place in range(NUMBERS + INTEGERS)
)
NAMES = tuple(value.name for value in FEATURES)
PLAN = FeaturePlan(
    timestamp="event_timestamp",
    views=(View(name=VIEW, keys=(KEY,), features=FEATURES),),
    model=tuple(f"{VIEW}:{name}" for name in NAMES),
)
EVENT = 1_767_225_600_000_000  # microseconds
MOST_CUSTOMERS = 1000


def customers() -> list[str]:
    return [f"c{number:05d}" for number in range(MOST_CUSTOMERS)]


def rows() -> dict[str, list[Any]]:
    """Give the features of each customer."""
    draw = random.Random(7)
    return {
        customer: [
            *(draw.gauss(0, 100) for _ in range(NUMBERS)),
            *(draw.randrange(0, 10**place) for place in range(1, INTEGERS + 1)),
        ]
        for customer in customers()
    }


def items() -> list[dict[str, Any]]:
    """Give the rows as Feast writes them, in DynamoDB's JSON."""
    ids = EntityIds([KEY])
    return [
        {
            "entity_id": {"S": ids.of([customer])},
            "event_ts": {"S": event_text(EVENT)},
            "values": {
                "M": {
                    value.name: {"B": base64.b64encode(encode(stored, value.type)).decode()}
                    for value, stored in zip(FEATURES, of_customer, strict=True)
                }
            },
        }
        for customer, of_customer in rows().items()
    ]
