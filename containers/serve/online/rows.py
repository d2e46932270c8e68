"""From what the store holds to the rows that the model takes: ttl, on-demand views, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from containers.serve.online.entities import Asked
from containers.serve.online.failures import IncompleteFeatures, StaleFeatures, UnknownEntity
from containers.serve.online.on_demand import Function, Lists, functions_of
from containers.serve.online.settings import Missing
from containers.serve.online.store import Place
from containers.serve.online.views import Row, StoredView
from sluice.contract import Columns, Feature, ModelContract
from sluice.errors import ProjectError, RequestError, SluiceError
from sluice.features.online_values import event_text
from sluice.features.plan import FeaturePlan

Lack: TypeAlias = Literal["unknown", "stale", "incomplete"]
"""Why a row's features are missing: no view has the entity; they are older than their ttl; some are not there."""

_ERRORS: dict[Lack, type[SluiceError]] = {
    "unknown": UnknownEntity,
    "stale": StaleFeatures,
    "incomplete": IncompleteFeatures,
}


# Not frozen: one is made for each request, and to freeze it costs more than all else of its making.
@dataclass(slots=True)
class Rows:
    """What is to be scored, and what is to be said of the rest.

    Attributes:
        columns: of the rows that can be scored, in the order of `places`.
        places: their places in the request.
        lacks: by place: what is missing of a row, scored or not.
        errors: by place: of each row that is not scored.
    """

    columns: Columns
    places: list[int]
    lacks: dict[int, Lack]
    errors: dict[int, SluiceError]


class Assembly:
    """Makes rows for one model."""

    def __init__(
        self, contract: ModelContract, plan: FeaturePlan, views: Sequence[StoredView], missing: Missing
    ) -> None:
        names = [reference.rpartition(":")[2] for reference in plan.model]
        if names != list(contract.names):
            raise ProjectError(
                "the feature plan is not that of this model",
                where="features.json",
                why=f"it takes {', '.join(names)}; the contract says {', '.join(contract.names)}",
                fix="train the model again",
            )
        self._names = contract.names
        self._views = views
        self._missing = missing
        self._functions: tuple[Function, ...] = functions_of(plan)
        self._own = {reference for reference in plan.model if ":" not in reference}
        types = {value.name: value.type for view in plan.views for value in view.features}
        stored = {name for view in views for name in view.features}
        # What the store and the functions give is looked at like any value of a request; a request's own was already.
        made = [feature for feature in contract.features if feature.name not in self._own]
        self._made = _of(contract, made)
        # But of stored doubles and integers that the model takes as numbers there is less to be looked at.
        self._doubles = [
            each.name
            for each in made
            if each.name in stored and each.kind == each.type == types[each.name] == "number"
        ]
        self._integers = [
            each.name
            for each in made
            if each.name in stored
            and each.kind == "number"
            and each.type in ("number", "integer")
            and types[each.name] == "integer"
        ]
        quick = {*self._doubles, *self._integers}
        self._others = _of(contract, [each for each in made if each.name not in quick])
        # Then what the store holds of a row is what the model takes, as it is.
        self._are_stored_numbers = stored == quick == {*contract.names}

    @property
    def needs_frames(self) -> bool:
        """Whether a function works on a pandas frame, which is nothing for the event loop."""
        return any(function.needs_frames for function in self._functions)

    def lone(
        self,
        asked: Asked,
        places: Sequence[Sequence[Place]],
        found: Mapping[Place, Row | None],
        now: int,
    ) -> Columns | None:
        """Give the columns of a request for one row, of which all is there and plainly right; None for any other.

        It is the row that `rows` gives, sooner. Arguments and errors are those of `rows`.
        """
        stored: Lists = {}
        for view, (place,) in zip(self._views, places, strict=True):
            row = found[place]
            if row is None or not row.is_finite or (view.ttl is not None and row.event < now - view.ttl):
                return None
            stored.update(zip(view.features, [[value] for value in row.values], strict=True))
        if self._are_stored_numbers:
            are_there = all(type(stored[name][0]) is int for name in self._integers)
            return stored if are_there else None
        values = self._with_functions(stored, asked.plain)
        made = self._quick(values)
        if made is not None:
            made.update((name, asked.fields[name]) for name in self._own)
        return made

    def rows(
        self,
        asked: Asked,
        places: Sequence[Sequence[Place]],
        found: Mapping[Place, Row | None],
        now: int,
    ) -> Rows:
        """Put rows together.

        Args:
            asked: the request.
            places: by view, where each row's features lie.
            found: what was read of each.
            now: microseconds since 1970.

        Raises:
            UnreadableFeatures: an on-demand function failed.
        """
        lacks, errors, stored, are_finite = self._stored(asked, places, found, now)
        if self._missing == "null":
            errors = {}
        kept = [row for row in range(asked.rows) if row not in errors]
        while kept:
            try:
                return Rows(self._columns(asked, stored, kept, are_finite), kept, lacks, errors)
            except _Refused as refused:
                for row, why in refused.rows.items():
                    errors[row] = _error(lacks.setdefault(row, "incomplete"), self._told(asked, row), why)
                kept = [row for row in kept if row not in errors]
        return Rows({}, [], lacks, errors)

    def _stored(
        self,
        asked: Asked,
        places: Sequence[Sequence[Place]],
        found: Mapping[Place, Row | None],
        now: int,
    ) -> tuple[dict[int, Lack], dict[int, SluiceError], Lists, bool]:
        """Give where features are missing and why, the stored ones by name, and whether all numbers are finite.

        There is one value a row, null where it is missing.
        """
        stored: Lists = {}
        are_finite = True
        flaws: dict[int, list[tuple[StoredView, Row | None]]] = {}
        for view, of_view in zip(self._views, places, strict=True):
            nulls = [None] * len(view.features)
            oldest = None if view.ttl is None else now - view.ttl
            values: list[Sequence[Any]] = []
            for number, place in enumerate(of_view):
                row = found[place]
                if row is None or (oldest is not None and row.event < oldest):
                    values.append(nulls)
                    are_finite = False
                    flaws.setdefault(number, []).append((view, row))
                else:
                    values.append(row.values)
                    if not row.is_finite:
                        are_finite = False
                    if row.absent:
                        flaws.setdefault(number, []).append((view, row))
            stored |= zip(view.features, map(list, zip(*values, strict=True)), strict=True)
        lacks: dict[int, Lack] = {}
        errors: dict[int, SluiceError] = {}
        for number, flawed in flaws.items():
            lacks[number], errors[number] = self._judged(asked, number, flawed, now)
        return lacks, errors, stored, are_finite

    def _judged(
        self, asked: Asked, row: int, flawed: Sequence[tuple[StoredView, Row | None]], now: int
    ) -> tuple[Lack, SluiceError]:
        """Say what is wrong with a row. An entity that none of its views has is unknown."""
        without = {view.name for view, found in flawed if found is None}
        for keys in dict.fromkeys(view.keys for view in self._views):
            if all(view.name in without for view in self._views if view.keys == keys):
                entity = asked.told(row, keys)
                return "unknown", _error("unknown", entity, "")
        view, found = min(flawed, key=lambda each: each[1] is not None)
        entity = asked.told(row, view.keys)
        if found is None:
            return "incomplete", _error("incomplete", entity, f"the view {view.name!r} has none, others have")
        if found.absent:
            what = ", ".join(map(repr, found.absent[:10]))
            why = f"its item in the view {view.name!r} was written without {what}"
            return "incomplete", _error("incomplete", entity, why)
        assert view.ttl is not None
        age, ttl = (now - found.event) / 1e6, view.ttl / 1e6
        why = f"those of the view {view.name!r} are of {event_text(found.event)}: {age:,.0f} s old, ttl {ttl:,.0f} s"
        return "stale", _error("stale", entity, why)

    def _columns(self, asked: Asked, stored: Lists, kept: Sequence[int], are_finite: bool) -> Columns:
        values, plain, fields = stored, asked.plain, asked.fields
        if len(kept) < asked.rows:
            values, plain = _of_rows(stored, kept), _of_rows(asked.plain, kept)
            fields = _of_rows(asked.fields, kept)
        values = self._with_functions(values, plain)
        made = self._quick(values) if are_finite else None
        if made is None:
            made = self._checked(values, kept)
        for name in self._own:
            made[name] = fields[name]
        return made if tuple(made) == self._names else {name: made[name] for name in self._names}

    def _with_functions(self, stored: Lists, plain: Lists) -> Lists:
        """Add what is made on demand."""
        if not self._functions:
            return stored
        inputs, values = plain | stored, dict(stored)
        for function in self._functions:
            values |= function.answer(inputs)
        return values

    def _quick(self, values: Lists) -> Columns | None:
        """Give what is plainly right as the model takes it; None where it has to be looked at more closely.

        All stored doubles are finite: they are what the contract makes of them.
        """
        made: Columns = {name: values[name] for name in self._doubles}
        for name in self._integers:
            column = values[name]
            if {*map(type, column)} != {int}:
                return None
            made[name] = list(map(float, column))
        if self._others.features:
            try:
                made |= self._others.columns_from_arrays({name: values[name] for name in self._others.names})
            except RequestError:
                return None
        return made

    def _checked(self, values: Lists, kept: Sequence[int]) -> Columns:
        if not self._made.features:
            return {}
        try:
            return self._made.columns_from_arrays({name: values[name] for name in self._made.names})
        except RequestError:
            raise self._refused(values, kept) from None

    def _refused(self, values: Lists, kept: Sequence[int]) -> _Refused:
        """Find the rows that the contract does not take."""
        refused: dict[int, str] = {}
        for number, row in enumerate(kept):
            try:
                self._made.columns_from_arrays({name: [values[name][number]] for name in self._made.names})
            except RequestError as error:
                refused[row] = error.what.removeprefix("row 1, ")
        return _Refused(refused)

    def _told(self, asked: Asked, row: int) -> str:
        return asked.told(row, tuple(dict.fromkeys(key for view in self._views for key in view.keys)))


def _of_rows(columns: Mapping[str, Sequence[Any]], kept: Sequence[int]) -> dict[str, list[Any]]:
    return {name: [values[row] for row in kept] for name, values in columns.items()}


def _of(contract: ModelContract, features: Sequence[Feature]) -> ModelContract:
    """Give the part of a contract that is about these features."""
    return ModelContract(features=tuple(features), target=contract.target, null_values=contract.null_values)


class _Refused(Exception):
    """The model takes no such values; by row, what of them."""

    def __init__(self, rows: dict[int, str]) -> None:
        self.rows = rows
        super().__init__()


_WHAT: dict[Lack, str] = {
    "unknown": "the online store has no features of {}",
    "stale": "the features of {} are stale",
    "incomplete": "the features of {} are incomplete",
}
_FIX: dict[Lack, str] = {
    "unknown": "send an id that has been materialized, or all features",
    "stale": "materialize the view, or send all features",
    "incomplete": "materialize the view, or send all features",
}


def _error(lack: Lack, entity: str, why: str) -> SluiceError:
    return _ERRORS[lack](_WHAT[lack].format(entity), why=why, fix=_FIX[lack])
