"""The feature plan: what features.py defines in Feast's objects, as a document that needs no Feast to be read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from sluice.errors import ProjectError

Type: TypeAlias = Literal["string", "integer", "number", "boolean", "timestamp"]
"""A value's type: text, int64, float64, bool, or microseconds since 1970 in UTC."""

KeyType: TypeAlias = Literal["string", "integer"]

Function: TypeAlias = Literal[
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "std",
    "last",
    "count_distinct",
    "share",
    "days_since_first",
    "days_since_last",
]
"""What a window is summed up by. Feast's words where it has them (count, sum, mean, min, max, count_distinct)."""

_NUMERIC = ("sum", "mean", "std")
_ORDERED = ("min", "max")
_OF_TIME = ("days_since_first", "days_since_last")
_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"

_Name = Annotated[str, StringConstraints(pattern=_NAME, max_length=100)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Key(_Part):
    """A join key: the column that names an entity."""

    name: str
    type: KeyType


class Value(_Part):
    """A feature, or a field that a request brings."""

    name: str
    type: Type


class Aggregation(_Part):
    """A feature summed up from an entity's events.

    The window at a time T holds the events of (T - window, T]: an event at T counts, one at T - window does not.

    Attributes:
        column: of the events; None for `count`, which counts events. Nulls are left out of all else.
        category: for `share`: the part of the window's events, those with a null left out, that hold it.
        window_microseconds: None for all events up to T.
    """

    name: _Name
    function: Function
    column: str | None = None
    category: str | None = None
    window_microseconds: Annotated[int, Field(gt=0)] | None = None

    def result(self, column: Type | None) -> Type:
        """Give the type of the feature that is made of a column of this type.

        Raises:
            ProjectError: there is no such sum of such a column.
        """
        if self.function == "count":
            return "integer"
        if self.column is None or column is None:
            raise ProjectError(f"{self.function} needs a column", fix="name it: Aggregation(column=…)")
        fits = {
            **dict.fromkeys(_NUMERIC, ("integer", "number")),
            **dict.fromkeys(_ORDERED, ("integer", "number")),
            **dict.fromkeys(_OF_TIME, ("timestamp",)),
            "share": ("string", "integer", "boolean"),
        }.get(self.function)
        if fits is not None and column not in fits:
            raise ProjectError(
                f"{self.function} of {self.column!r}, which is of type {column}",
                why=f"{self.function} is for {' and '.join(fits)} columns",
                fix="use count, count_distinct, last, or share with a category"
                if column == "string"
                else "name a column of such a type",
            )
        if (self.function == "share") != (self.category is not None):
            raise ProjectError(
                f"{self.function} of {self.column!r}: a category is for share, and needed there",
                fix='function="share:app", say, is the part of the values that is app',
            )
        if self.function == "count_distinct":
            return "integer"
        return column if self.function in ("min", "max", "last") else "number"


class View(_Part):
    """A feature view: what is known of an entity at a time.

    Attributes:
        keys: the join keys, in the order of the entities.
        features: what is stored online, in order; those of a view of aggregations are theirs.
        aggregations: empty for a view whose rows lie in the dataset as they are.
        ttl_microseconds: a value that is older is none; None for one that does not age.
    """

    name: _Name
    keys: Annotated[tuple[Key, ...], Field(min_length=1)]
    features: Annotated[tuple[Value, ...], Field(min_length=1)]
    aggregations: tuple[Aggregation, ...] = ()
    ttl_microseconds: Annotated[int, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _aggregations_are_the_features(self) -> Self:
        names = [each.name for each in self.features]
        if self.aggregations and [each.name for each in self.aggregations] != names:
            raise ValueError(f"view {self.name!r}: its features are not its aggregations")
        return self


class OnDemand(_Part):
    """An on-demand view: features made of other features, and of what a request brings, when they are asked for.

    Attributes:
        mode: `python`: from lists by name to lists by name; `pandas`: from a frame to a frame.
        function, source: the name and the text of the function, which stands for itself.
        inputs: what it is given: names of features of views, and of request fields.
    """

    name: _Name
    mode: Literal["python", "pandas"]
    function: str
    source: str
    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    features: Annotated[tuple[Value, ...], Field(min_length=1)]


class FeaturePlan(_Part):
    """All definitions of a project.

    Attributes:
        timestamp: the dataset's column of event times; None where its rows have none, and are as of their upload.
        request: fields that a request has to bring, for on-demand views or as features of the model itself.
        model: what the model takes: the features of project.toml, in its order, each by where it comes from, as
            `view:feature`; a request field by its name alone.
        own_labels: features.py says itself who is learned from at which moments: it has build_labels.
    """

    version: Literal[1] = 1
    timestamp: str | None
    views: Annotated[tuple[View, ...], Field(min_length=1)]
    on_demand: tuple[OnDemand, ...] = ()
    request: tuple[Value, ...] = ()
    model: Annotated[tuple[str, ...], Field(min_length=1)]
    own_labels: bool = False

    @property
    def rows_are_examples(self) -> bool:
        """Whether each row of the dataset holds its entity's features already, as of its own place.

        Without event times a row is as of its place in the dataset, and the last row of its entity up to there is
        itself. What views of the rows' own columns give it are those columns: to join them would change nothing.
        Windows, functions, a ttl and labels of the project's own are what a join is for.
        """
        joined = (view.aggregations or view.ttl_microseconds for view in self.views)
        return self.timestamp is None and not (self.on_demand or self.own_labels or any(joined))

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every join key once, in the order of the views."""
        return tuple(dict.fromkeys(key for view in self.views for key in view.keys))

    def asked_of_request(self) -> tuple[Value, ...]:
        """Give the request fields that the model takes, or an on-demand view that it takes features of."""
        wanted = {reference for reference in self.model if ":" not in reference}
        taken = {reference.partition(":")[0] for reference in self.model}
        wanted.update(name for view in self.on_demand if view.name in taken for name in view.inputs)
        stored = {value.name for view in self.views for value in view.features}
        return tuple(
            field
            for field in self.request
            if field.name in wanted and (field.name in self.model or field.name not in stored)
        )

    def stored(self) -> dict[str, tuple[str, ...]]:
        """Give by view the stored features that the model needs, itself or for an on-demand view."""
        on_demand = {view.name: view for view in self.on_demand}
        origin = {value.name: view.name for view in self.views for value in view.features}
        needed: dict[str, dict[str, None]] = {}
        for reference in self.model:
            view, colon, feature = reference.partition(":")
            if not colon:
                continue
            names = on_demand[view].inputs if view in on_demand else (feature,)
            for name in names:
                if name in origin:
                    needed.setdefault(view if view not in on_demand else origin[name], {})[name] = None
        return {view: tuple(names) for view, names in needed.items()}

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        views: tuple[View | OnDemand, ...] = (*self.views, *self.on_demand)
        _once("view", (view.name for view in views))
        _once("feature", (value.name for view in views for value in view.features))
        types: dict[str, KeyType] = {}
        for view in self.views:
            for key in view.keys:
                if types.setdefault(key.name, key.type) != key.type:
                    raise ValueError(
                        f"key {key.name!r} is {types[key.name]} in one view and {key.type} in {view.name!r}"
                    )
        known = {f"{view.name}:{value.name}" for view in views for value in view.features}
        known |= {value.name for value in self.request}
        for reference in self.model:
            if reference not in known:
                raise ValueError(f"the model takes {reference!r}, which no view defines")
        return self


def _once(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two {what}s have the name {name!r}")
        seen.add(name)
