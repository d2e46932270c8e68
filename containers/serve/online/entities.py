"""Which entities a body asks for, with the fields that it brings itself; and how it is told from full rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from containers.serve.online.on_demand import Lists
from containers.serve.online.views import StoredView
from sluice.contract import Columns, Feature, Kind, ModelContract, listed
from sluice.decoding.bodies import DECODERS
from sluice.decoding.json_text import first_names, read_json
from sluice.decoding.parquet import names_of
from sluice.errors import ProjectError, RequestError
from sluice.features.online_keys import KeyValue
from sluice.features.plan import FeaturePlan, Key, Value

MOST_ENTITIES = 10_000
"""In a request."""

PARQUET = "application/x-parquet"
NPY = "application/x-npy"
_LINES = frozenset({"application/jsonlines", "application/x-jsonlines", "application/x-ndjson"})
_ENVELOPE = "entities"
_ASKS = re.compile(rb'[ \t\n\r]*+\{[ \t\n\r]*+"entities"[ \t\n\r]*+:')
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_. -]+")
_PLAIN_ID = r'"(?P<id>[ !#-\[\]-~]++)"'
"""A JSON text of ASCII without escapes."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# Not frozen: one is made for each request, and to freeze it costs more than all else of its making.
@dataclass(slots=True)
class Asked:
    """What a request asks for, n rows.

    Attributes:
        keys: (n,) values of each join key, by name.
        fields: the request's own fields as the model takes them, by name.
        plain: the same as Python's own values, for on-demand functions; None for null.
    """

    rows: int
    keys: dict[str, list[KeyValue]]
    fields: Columns
    plain: Lists

    def told(self, row: int, keys: Sequence[Key]) -> str:
        """Name the entity of a row for a message."""
        return ", ".join(f"{key.name} {_shown(self.keys[key.name][row])}" for key in keys)


class Entities:
    """Reads requests by id, for one model.

    A body asks by id where it is `{"entities": …}`, or where the names that it begins with (the first object's keys,
    the CSV's header, the file's columns) have a join key among them and not all of the model's features.

    Args:
        views: those that the model needs.
    """

    def __init__(self, contract: ModelContract, plan: FeaturePlan, views: Sequence[StoredView]) -> None:
        self._model = contract
        self._keys = tuple(dict.fromkeys(key for view in views for key in view.keys))
        self._fields = plan.asked_of_request()
        own = {feature.name: feature for feature in contract.features}
        twice = [key.name for key in self._keys if key.name in {field.name for field in self._fields}]
        if twice:
            raise ProjectError(
                f"join keys that are request fields, too: {listed(twice)}", where="features.json"
            )
        self.contract = ModelContract(
            features=(
                *(_key_feature(key) for key in self._keys),
                *(own.get(field.name) or _field_feature(field) for field in self._fields),
            ),
            target=contract.target,
            null_values=contract.null_values,
        )
        is_lone = len(self._keys) == 1 and self._keys[0].type == "string" and not self._fields
        self._lone_text_key = self._keys[0].name if is_lone else ""
        self._lone_plain_id = None
        if is_lone and _ENVELOPE not in own:
            self._lone_plain_id = _lone_plain_id(self._lone_text_key)
        words = [_ENVELOPE, *(key.name for key in self._keys)]
        is_plain = all(map(_PLAIN_NAME.fullmatch, words))
        self._words = [f'"{word}"'.encode() for word in words] if is_plain else []
        self._key_names = frozenset(key.name for key in self._keys)
        self._feature_names = frozenset(contract.names)
        self._timestamps = [field.name for field in self._fields if field.type == "timestamp"]
        self._fields_are_given = {name for view in plan.on_demand for name in view.inputs} & {
            field.name for field in self._fields
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of a request: join keys, then request fields."""
        return (*(key.name for key in self._keys), *(field.name for field in self._fields))

    @property
    def may_look_like_rows(self) -> bool:
        """Whether a header of these names has as many fields as a row has features, and might be taken for one."""
        return len(self.names) == len(self._model.names)

    def ask(self, body: bytes, media_type: str) -> bool:
        """Tell whether a body asks by id; cheap, and never wrong about one that is full rows."""
        if media_type == "application/json":
            if _ASKS.match(body) and _ENVELOPE not in self._feature_names:
                return True
            if not self._may_name(body):
                return False
            names = first_names(body)
            if _ENVELOPE in names and _ENVELOPE not in self._feature_names:
                return not body.lstrip().startswith(b"[")
            return self._are_of_entities(names)
        if media_type in _LINES:
            return self._may_name(body) and self._are_of_entities(first_names(body))
        if media_type == "text/csv":
            return self._are_of_entities(_header(body))
        return media_type == PARQUET and self._are_of_entities(names_of(body))

    def _may_name(self, body: bytes) -> bool:
        """Tell whether a JSON text can have a key of ours: to look for the word costs less than to read an object."""
        # Another way to write a letter of it is an escape.
        return not self._words or b"\\u" in body or any(word in body for word in self._words)

    def _are_of_entities(self, names: Sequence[str]) -> bool:
        if not names:
            return False
        return not self._key_names.isdisjoint(self.contract.own_names(names)) and not (
            self._feature_names.issubset(self._model.own_names(names))
        )

    def read(self, body: bytes, media_type: str) -> Asked:
        """Read a body that asks by id.

        Raises:
            RequestError: it is not what its type says, asks for too many, or a value is not what it has to be.
        """
        if media_type == "application/json":
            if self._lone_plain_id and (lone := self._lone_plain_id.fullmatch(body)):
                text = lone["id"].decode()
                if text.strip() == text and text not in self.contract.null_values:
                    return Asked(1, {self._lone_text_key: [text]}, {}, {})
            records = self._records(body)
            if self._lone_text_key and (plain := self._plain_ids(records)):
                return Asked(len(plain), {self._lone_text_key: plain}, {}, {})
            columns = self.contract.columns_from_records(records)
        else:
            if media_type == "text/csv":
                # A header is one here, whatever it looks like: else it would be read as an entity's row.
                self.contract.checked_names([name.strip() for name in _header(body)], "header")
            columns = DECODERS[media_type](body, self.contract)
        rows = len(next(iter(columns.values())))
        _refuse_too_many(rows)
        keys: dict[str, list[KeyValue]] = {}
        for key in self._keys:
            texts: list[Any] = columns[key.name]
            keys[key.name] = texts if key.type == "string" else [int(text) for text in texts]
        fields = {field.name: columns[field.name] for field in self._fields}
        return Asked(rows, keys, fields, self._plain(columns) if self._fields_are_given else {})

    def _plain_ids(self, records: list[Any]) -> list[KeyValue]:
        """Give the ids of records that hold nothing else, where the contract takes them as they stand; else none."""
        name, nulls = self._lone_text_key, self.contract.null_values
        ids: list[KeyValue] = []
        for record in records:
            found = record.get(name) if type(record) is dict and len(record) == 1 else None
            if (
                type(found) is not str
                or not found.isascii()
                or found.strip() != found
                or found in nulls
                or not found
            ):
                return []
            ids.append(found)
        return ids

    def _records(self, body: bytes) -> list[Any]:
        document = read_json(body, "the body", len(self.contract.features))
        if isinstance(document, dict) and _ENVELOPE in document and _ENVELOPE not in self._feature_names:
            if len(document) > 1:
                others = listed(sorted(set(document) - {_ENVELOPE}))
                raise RequestError(f'unknown keys beside "{_ENVELOPE}": {others}')
            document = document[_ENVELOPE]
        if isinstance(document, dict):
            document = [document]
        if not isinstance(document, list):
            example = ", ".join(f'"{name}": …' for name in self.names)
            raise RequestError(
                f'"{_ENVELOPE}": found a {type(document).__name__}, expected an object or a list of objects',
                fix=f'send {{"{_ENVELOPE}": [{{{example}}}, …]}}',
            )
        _refuse_too_many(len(document))
        return document

    def _plain(self, columns: Columns) -> Lists:
        records = self.contract.records(columns)
        plain: Lists = {name: [record[name] for record in records] for name in self._fields_are_given}
        for name in self._timestamps:
            if name in plain:
                plain[name] = [
                    _microseconds(text, row, name) for row, text in enumerate(plain[name], start=1)
                ]
        return plain


def _lone_plain_id(name: str) -> re.Pattern[bytes] | None:
    """Give what a body looks like that asks for one entity by its only key, a text, and holds nothing else."""
    if not _PLAIN_NAME.fullmatch(name):
        return None
    record = (r"\{", f'"{re.escape(name)}"', ":", _PLAIN_ID, r"\}")
    words = ("", r"\{", f'"{_ENVELOPE}"', ":", r"(?P<list>\[)?+", *record, r"(?(list)\])", r"\}", "")
    return re.compile(r"[ \t\n\r]*+".join(words).encode())


def _key_feature(key: Key) -> Feature:
    # As categories: the digits of an integer, all of them, which a float would not hold.
    return Feature(name=key.name, kind="category", type=key.type, nullable=False)


def _field_feature(field: Value) -> Feature:
    if field.type == "timestamp":
        return Feature(name=field.name, kind="category", type="string", nullable=True)
    kind: Kind = "number" if field.type == "number" else "category"
    return Feature(name=field.name, kind=kind, type=field.type, nullable=True)


def _header(body: bytes) -> list[str]:
    """Give the fields of the first line that is not blank; none where it is no CSV."""
    start = re.match(rb"(?:\xef\xbb\xbf)?+[ \t\r\n]*+", body)
    assert start is not None
    end = body.find(b"\n", start.end())
    line = body[start.end() : end if end >= 0 else len(body)]
    try:
        found = next(csv.reader(io.StringIO(line.decode(), newline=""), strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        return []
    return [name.strip() for name in found]


def _refuse_too_many(rows: int) -> None:
    if rows > MOST_ENTITIES:
        raise RequestError(
            f"found {rows:,} entities, at most {MOST_ENTITIES:,} are taken",
            fix="send them in several requests",
        )


def _microseconds(text: str | None, row: int, name: str) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RequestError(
            f"row {row}, column {name!r}: found {text!r}, expected a time as 2026-01-31T12:00:00Z"
        ) from None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


def _shown(value: KeyValue) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
