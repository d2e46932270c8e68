"""A feature view as serving reads it: its table, and the part of an item that the model needs, as values."""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from struct import Struct
from typing import Any

import orjson

from containers.serve.online.failures import UnreadableFeatures
from sluice.features.online_keys import EntityIds
from sluice.features.online_values import StoredValue, decode, event_microseconds
from sluice.features.plan import FeaturePlan, View

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
_MOST_EXPRESSION_BYTES = 4096

_DOUBLE_TAG = 0x29
_DOUBLE_TEXT = 12
"""Characters of base64 that a double is written in: its nine bytes need no padding."""


# Not frozen: one is made for each entity, and to freeze it costs more than all else of its making.
@dataclass(slots=True)
class Row:
    """What the store holds of an entity.

    Attributes:
        values: in the order of the view's needed features; None for null and for what is absent.
        event: microseconds since 1970 in UTC.
        absent: features that the item does not have, not even as null: it was written before they were defined.
        is_finite: none of the view's numbers is null, NaN or infinite; False where nobody looked.
    """

    values: list[StoredValue]
    event: int
    absent: tuple[str, ...] = ()
    is_finite: bool = field(default=False, compare=False)


class StoredView:
    """One view of a plan, of which a model needs some features.

    Attributes:
        table: its name.
        features: those that are read, in order.
        ids: gives the name of an entity's item.
        projection: how the table's part of a BatchGetItem ends, behind its keys.
    """

    def __init__(self, view: View, features: tuple[str, ...], store: str) -> None:
        self.name = view.name
        self.keys = view.keys
        self.table = f"{store}.{view.name}"
        self.features = features
        self.ttl = view.ttl_microseconds
        self.ids = EntityIds(view.keys)
        types = {value.name: value.type for value in view.features}
        self._numbers = [name for name in features if types[name] == "number"]
        self._number_places = [place for place, name in enumerate(features) if types[name] == "number"]
        self._others = [(place, name) for place, name in enumerate(features) if types[name] != "number"]
        self._doubles = Struct("<" + "Bd" * len(self._numbers))
        self.projection = _projection(features)

    def row(self, item: Mapping[str, Any]) -> Row:
        """Read an item as it stands in DynamoDB's JSON.

        Raises:
            UnreadableFeatures: it is none of Feast's.
        """
        name = "event_ts"
        try:
            event = event_microseconds(item["event_ts"]["S"])
            stored = item["values"]["M"] if "values" in item else {}
            quick = self._quick_values(stored)
            if quick is not None:
                return Row(quick, event, is_finite=True)
            values: list[StoredValue] = []
            absent: tuple[str, ...] = ()
            for name in self.features:
                cell = stored.get(name)
                if cell is None:
                    absent += (name,)
                    values.append(None)
                else:
                    values.append(decode(a2b_base64(cell["B"])))
        except (KeyError, TypeError, ValueError, BinasciiError) as error:
            raise UnreadableFeatures(
                f"{name!r} of an item cannot be read",
                where=f"table {self.table}, item {item.get('entity_id')}",
                why=f"{type(error).__name__}: {error}",
                fix="let the materialization write it again",
            ) from error
        return Row(values, event, absent)

    def _quick_values(self, stored: Mapping[str, Any]) -> list[StoredValue] | None:
        """Read an item that has all features, its numbers all finite and in one go; None for any other."""
        try:
            texts = [stored[name]["B"] for name in self._numbers]
            others = [(place, a2b_base64(stored[name]["B"])) for place, name in self._others]
        except KeyError:
            return None
        # A double is nine bytes: a tag, and eight that are its own.
        if texts and (max(map(len, texts)) != _DOUBLE_TEXT or min(map(len, texts)) != _DOUBLE_TEXT):
            return None
        found = self._doubles.unpack(a2b_base64("".join(texts)))
        if found[::2].count(_DOUBLE_TAG) != len(texts) or not isfinite(sum(found[1::2])):
            return None
        values: list[StoredValue] = [None] * len(self.features)
        for place, value in zip(self._number_places, found[1::2], strict=True):
            values[place] = value
        for place, raw in others:
            values[place] = decode(raw)
        return values


def _projection(features: tuple[str, ...]) -> bytes:
    names = {"#v": "values"} | {f"#{place}": name for place, name in enumerate(features)}
    expression = ", ".join(("entity_id", "event_ts", *(f"#v.#{place}" for place in range(len(features)))))
    if len(expression) > _MOST_EXPRESSION_BYTES:
        # Of so many features the expression has no room for the names, however short: all are read.
        names, expression = {"#v": "values"}, "entity_id, event_ts, #v"
    ending = {"ProjectionExpression": expression, "ExpressionAttributeNames": names}
    return b"]," + orjson.dumps(ending)[1:]


def stored_views(plan: FeaturePlan, store: str) -> tuple[StoredView, ...]:
    """Give the views that a model needs, each with what it needs of it."""
    needed = plan.stored()
    return tuple(StoredView(view, needed[view.name], store) for view in plan.views if view.name in needed)
