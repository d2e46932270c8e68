"""Asking by id: what names an entity on the command line and in a file, for the model in service."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.rows import Record
from sluice.column_names import normal
from sluice.contract import Feature, Kind, ModelContract
from sluice.errors import SluiceError
from sluice.features.plan import FeaturePlan, Key, Value

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_MOST_TOLD = 20


class NotAsked(SluiceError):
    """What is given names no entity, or not all that a request by id has to hold."""


@dataclass(frozen=True)
class Entities:
    """What a request by id holds: the join keys of the views that the model needs, and its request fields."""

    contract: ModelContract
    """Of such a request, as if it were a row of a model that takes just these."""
    keys: tuple[Key, ...]
    fields: tuple[Value, ...]

    @classmethod
    def of(cls, plan: FeaturePlan | None, model: ModelContract) -> Entities | None:
        """Give what the endpoint is asked by; None for a model that takes nothing of an online store."""
        needed = {} if plan is None else plan.stored()
        if plan is None or not needed:
            return None
        views = [view for view in plan.views if view.name in needed]
        keys = tuple(dict.fromkeys(key for view in views for key in view.keys))
        fields = plan.asked_of_request()
        own = {feature.name: feature for feature in model.features}
        features = (
            *(_feature(key.name, "category", key.type, nullable=False) for key in keys),
            *(own.get(field.name) or _field_feature(field) for field in fields),
        )
        contract = ModelContract(features=features, target=model.target, null_values=model.null_values)
        return cls(contract, keys, fields)

    @property
    def names(self) -> tuple[str, ...]:
        return self.contract.names

    @property
    def example(self) -> str:
        """How it is asked on the command line."""
        one = "1" if self.keys[0].type == "integer" else "C1"
        named = one if len(self.keys) == 1 else ",".join(f"{key.name}=…" for key in self.keys)
        return " ".join(
            [f"sluice predict --id {named}", *(f"--with {field.name}=…" for field in self.fields)]
        )

    def are_columns(self, names: Sequence[str]) -> bool:
        """Tell whether a file with these columns asks by id: they are exactly those of a request."""
        return sorted(map(normal, names)) == sorted(map(normal, self.names))

    def records(self, ids: Sequence[str], given: Sequence[str]) -> list[Record]:
        """Read --id and --with, each as often as it was given.

        Raises:
            NotAsked: one of them is not what it has to be, or something is missing.
        """
        fields = self._given(given)
        return [self._key(text) | fields for text in ids]

    def _key(self, text: str) -> Record:
        if len(self.keys) == 1:
            (key,) = self.keys
            # As it stands: an id may hold a comma, or an equals sign.
            return {key.name: _key_value(key, text.removeprefix(f"{key.name}="), f"--id {text}")}
        where = f"--id {text}"
        # In quotes, as in a CSV, a value may hold a comma.
        cells = [cell.partition("=") for cell in next(csv.reader([text], skipinitialspace=True), [])]
        found = {name: value for name, mark, value in cells if mark}
        names = [key.name for key in self.keys]
        if sorted(found) != sorted(names) or len(cells) != len(names):
            raise NotAsked(
                f"an entity of this model is named by {_listed(names)}",
                where=where,
                fix=f"say each of them once: --id {','.join(f'{name}=…' for name in names)}",
            )
        return {key.name: _key_value(key, found[key.name], where) for key in self.keys}

    def _given(self, given: Sequence[str]) -> Record:
        known = {field.name: field for field in self.fields}
        found: Record = {}
        for text in given:
            name, mark, value = text.partition("=")
            if not mark or name not in known or name in found:
                takes = _listed([*known]) if known else "no fields beside the ids"
                problem = "is there more than once" if name in found else "is none of them"
                raise NotAsked(
                    f"{name!r} {problem}: the model takes {takes}",
                    where=f"--with {text}",
                    fix="write name=value, each name once" if known else "leave --with out",
                )
            found[name] = _field_value(known[name], value, f"--with {text}")
        missing = [name for name in known if name not in found]
        if missing:
            raise NotAsked(
                f"fields that come with a request are missing: {_listed(missing)}",
                where="--with",
                why="they are in no online store: a request brings them",
                fix=f"add {' '.join(f'--with {name}=…' for name in missing)}; --with {missing[0]}= is null",
            )
        return found

    def neither(self, names: Sequence[str], model: ModelContract, file: Path) -> SluiceError:
        """Make the error for a file whose columns `names` are neither a request by id nor full rows."""
        held = set(map(normal, names))
        absent = [name for name in model.names if normal(name) not in held]
        by_id = [name for name in self.names if normal(name) not in held]
        wanted = {normal(name) for name in self.names}
        others = [name for name in names if normal(name) not in wanted]
        why = f"it has no {_listed(by_id)}"
        if not by_id:
            why = f"beside {_listed(self.names)} it has {_listed(others)}"
        return NotAsked(
            "this file is neither ids nor full rows",
            where=str(file),
            why=f"{why}; and of the features that the model takes it lacks {_listed(absent)}",
            fix=f"predict by id: `{self.example}`, or --file with exactly the column"
            f"{'s' if len(self.names) > 1 else ''} {_listed(self.names)}; the endpoint reads the features of an id"
            " as they are now, and makes none of a log",
        )


def _key_value(key: Key, text: str, where: str) -> str | int:
    if key.type == "string" and text.strip():
        return text
    if key.type == "integer" and _INTEGER.match(text):
        return int(text)
    kind = "an integer" if key.type == "integer" else "a text that is not empty"
    raise NotAsked(f"{key.name} is {kind}", where=where, fix=f"name the entity by its {key.name}")


def _field_value(field: Value, text: str, where: str) -> Any:
    readers: dict[str, Callable[[str], Any]] = {
        "string": str,
        "timestamp": str,
        "integer": lambda given: int(given) if _INTEGER.match(given) else None,
        "number": lambda given: float(given) if _NUMBER.match(given) else None,
        "boolean": {"true": True, "false": False}.get,
    }
    if not text:
        return None
    value = readers[field.type](text)
    if value is None:
        kinds = {"integer": "an integer", "number": "a number", "boolean": "true or false"}
        raise NotAsked(
            f"{field.name} is {kinds[field.type]}", where=where, fix=f"write --with {field.name}=…"
        )
    return value


def _feature(name: str, kind: Kind, type_: Any, *, nullable: bool) -> Feature:
    return Feature(name=name, kind=kind, type=type_, nullable=nullable)


def _field_feature(field: Value) -> Feature:
    if field.type == "timestamp":
        return _feature(field.name, "category", "string", nullable=True)
    return _feature(field.name, "number" if field.type == "number" else "category", field.type, nullable=True)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_MOST_TOLD])) + (", …" if len(names) > _MOST_TOLD else "")
