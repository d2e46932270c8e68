"""A plan's views as tables of Athena: their names, columns and types, and what of a plan cannot be one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sluice.errors import ProjectError
from sluice.features.names import MOMENT
from sluice.features.plan import FeaturePlan, Type, View

ENTITY = "entity"
"""What a row is about: the view's keys as one text (see `Table`)."""
CREATED = "created_timestamp"
"""As Feast's SQL for Athena calls it, whatever the column is called that it is told."""
EXECUTION = "execution"
"""The partition: which execution's rows a query is about."""

TYPES: Mapping[Type, str] = {
    "string": "string",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    # In microseconds since 1970: Athena's own timestamps are of milliseconds.
    "timestamp": "bigint",
}

_LONGEST_NAME = 255  # https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
_SECOND = 1_000_000


@dataclass(frozen=True)
class Column:
    """A column as the data catalog has it.

    Attributes:
        comment: for people: what it holds.
    """

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Table:
    """A view's table: one row for each of its values' times, in a partition for each execution.

    Athena writes all names in small letters, and Feast puts none in quotes. So a column is `f_` and the feature's
    name in small letters, digits and underscores. A key is no column: Feast tells labels apart by their keys, one
    after the other, where the card 1 of the shop 11 and the card 11 of the shop 1 are the same 111.

    Attributes:
        view: the view's name in the plan.
        features: the column of each feature, by its name in the plan.
    """

    name: str
    view: str
    features: Mapping[str, str]
    columns: tuple[Column, ...]


def tables(plan: FeaturePlan) -> tuple[Table, ...]:
    """Give the table of each view of a plan, in its order.

    Raises:
        ProjectError: two names would be one, a name is too long, or a ttl is finer than Athena's arithmetic in Feast.
    """
    names = _apart("views", "view_", (view.name for view in plan.views), "features.py")
    return tuple(_table(view, names[view.name]) for view in plan.views)


def _table(view: View, name: str) -> Table:
    where = f"features.py: view {view.name!r}"
    if view.ttl_microseconds is not None and view.ttl_microseconds % _SECOND:
        raise ProjectError(
            f"its ttl of {view.ttl_microseconds:,} microseconds is no number of seconds",
            where=where,
            why="Feast asks Athena for whole seconds of it",
            fix='round it, or set [offline] store = "duckdb" in project.toml',
        )
    features = _apart("features", "f_", (each.name for each in view.features), where)
    keys = ", ".join(key.name for key in view.keys)
    # Of what is summed up at a moment there is one row.
    dated = (
        () if view.aggregations else (Column(CREATED, "timestamp", "of two of a moment the later counts"),)
    )
    return Table(
        name=name,
        view=view.name,
        features=features,
        columns=(
            Column(ENTITY, "string", f"{keys}: each as its length, a colon and its text"),
            Column(MOMENT, "timestamp", "since when the values are so, in UTC"),
            *dated,
            *(Column(features[each.name], TYPES[each.type], _comment(each.name)) for each in view.features),
        ),
    )


def _apart(what: str, prefix: str, names: Iterable[str], where: str) -> dict[str, str]:
    """Give each name the one that Athena gets."""
    given: dict[str, str] = {}
    for name in names:
        text = prefix + _small(name)
        if len(text) > _LONGEST_NAME:
            raise ProjectError(
                f"the name {name!r} has {len(text)} characters as Athena gets it",
                where=where,
                why=f"its names have {_LONGEST_NAME} at most; a letter outside of a-z takes several",
                fix="shorten it",
            )
        for other, taken in given.items():
            if taken == text:
                raise ProjectError(
                    f"the {what} {other!r} and {name!r} would be one to Athena",
                    where=where,
                    why="it knows no capitals",
                    fix='rename one, or set [offline] store = "duckdb" in project.toml',
                )
        given[name] = text
    return given


def _small(name: str) -> str:
    return re.sub(r"[^a-z0-9_]", lambda found: f"_{ord(found[0]):x}_", name.lower())


def _comment(name: str) -> str:
    # https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", name)[:_LONGEST_NAME]
