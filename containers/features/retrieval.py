"""Examples to learn from: labels, each with its entity's features as they were at the label's moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from containers.features.definitions import Definitions
from containers.features.store import CREATED, MOMENT, ROW, Join, Source, joined_here
from containers.hooks import guarded
from sluice.arrow import Array, Table
from sluice.arrow import compute as pc
from sluice.errors import TrainingSetFailed
from sluice.features.plan import FeaturePlan, View
from sluice.project import Project

_MICROSECONDS = pa.timestamp("us", "UTC")

Aggregate = Callable[[View, Table], Table]
"""From a view and a table of its keys and MOMENT to the same rows with the view's features."""


def examples(
    dataset: Table,
    plan: FeaturePlan,
    definitions: Definitions,
    project: Project,
    *,
    folder: Path,
    scratch: Path,
    aggregate: Aggregate,
    join: Join = joined_here,
) -> pd.DataFrame:
    """Give one row a label: its entity's key, its moment, what a request would bring, the features, the target.

    No value is from after its row's moment. Of a dataset without event times each row is as of its own place in it.

    Args:
        dataset: the rows; of those with one key and time the later counts.
        plan: what features.py declares.
        definitions: the objects it does so with.
        project: names the target.
        folder: the project's, where build_labels is traced to.
        scratch: an empty folder.
        aggregate: sums up the dataset's events.
        join: the offline store.

    Raises:
        TrainingSetFailed: build_labels raises or gives no usable labels, or Feast gives not one row a label.
    """
    moments = _moments(dataset, plan)
    labels = _labels(dataset, moments, plan, definitions, project, folder)
    keys = [key.name for key in plan.keys]
    asked: Table = pa.table({**{name: labels[name] for name in keys}, MOMENT: labels[MOMENT]})
    sources = {}
    for view in plan.views:
        file = scratch / f"{view.name}.parquet"
        names = [key.name for key in view.keys]
        if view.aggregations:
            made = aggregate(view, asked.select([*names, MOMENT]).group_by([*names, MOMENT]).aggregate([]))
            pq.write_table(made, file)
        else:
            pq.write_table(_rows(dataset, moments, view), file)
        sources[view.name] = Source(file, is_dated=not view.aggregations)

    def found(entities: Table) -> Table:
        return join(entities, plan, definitions, sources, scratch)

    return _joined(labels, plan, found, project)


def _moments(dataset: Table, plan: FeaturePlan) -> Array:
    if plan.timestamp is not None:
        moments: Array = dataset[plan.timestamp].cast(_MICROSECONDS).combine_chunks()
        return moments
    return pa.array(range(dataset.num_rows), pa.int64()).cast(_MICROSECONDS)


def _rows(dataset: Table, moments: Array, view: View) -> Table:
    """Give the dataset's rows as a view's; the place in the dataset says which of two at one time is the later."""
    columns = {
        name: dataset[name]
        for name in (*(key.name for key in view.keys), *(each.name for each in view.features))
    }
    place = pa.array(range(dataset.num_rows), pa.int64()).cast(_MICROSECONDS)
    rows: Table = pa.table({**columns, MOMENT: moments, CREATED: place})
    known = pc.is_valid(rows[MOMENT])
    for key in view.keys:
        known = pc.and_(known, pc.is_valid(rows[key.name]))
    return rows.filter(known)


def _labels(
    dataset: Table,
    moments: Array,
    plan: FeaturePlan,
    definitions: Definitions,
    project: Project,
    folder: Path,
) -> Table:
    target = project.target.column
    wanted = [*(key.name for key in plan.keys), target, *(each.name for each in plan.request)]
    build_labels = getattr(definitions.module, "build_labels", None)
    if build_labels is None:
        _check_columns(
            wanted, dataset.column_names, "the dataset", "let build_labels of features.py return them"
        )
        columns = {name: dataset[name] for name in dict.fromkeys(wanted)}
        return pa.table({**columns, MOMENT: moments})
    made = guarded(
        lambda: build_labels(dataset.to_pandas()), folder, "build_labels of features.py", TrainingSetFailed
    )
    if not isinstance(made, pd.DataFrame):
        raise TrainingSetFailed(
            f"build_labels returned a {type(made).__name__}", where="features.py", fix="return a DataFrame"
        )
    if made.empty:
        raise TrainingSetFailed(
            "build_labels returned no rows", where="features.py", fix="return one row per example"
        )
    timed = [plan.timestamp] if plan.timestamp is not None else []
    _check_columns([*wanted, *timed], list(made.columns), "build_labels", "return them, too")
    table: Table = pa.Table.from_pandas(made[list(dict.fromkeys(wanted))], preserve_index=False)
    if plan.timestamp is None:
        last = pa.array([dataset.num_rows] * table.num_rows, pa.int64()).cast(_MICROSECONDS)
        return table.append_column(MOMENT, last) if MOMENT not in table.column_names else table
    times = pd.to_datetime(made[plan.timestamp], utc=True)
    if times.isna().any():
        raise TrainingSetFailed(
            f"{int(times.isna().sum()):,} of {len(made):,} labels have no time",
            where=f"features.py: build_labels, column {plan.timestamp!r}",
            fix="say of each label at which moment it is to be told",
        )
    return table.append_column(MOMENT, pa.array(times.dt.as_unit("us")).cast(_MICROSECONDS))


def _check_columns(wanted: list[str], found: list[str], what: str, fix: str) -> None:
    missing = [name for name in wanted if name not in found]
    if missing:
        raise TrainingSetFailed(
            f"{what} has no column {', '.join(map(repr, missing))}",
            where="features.py",
            why=f"it has: {', '.join(map(str, found))}",
            fix=fix,
        )


def _joined(
    labels: Table, plan: FeaturePlan, join: Callable[[Table], Table], project: Project
) -> pd.DataFrame:
    keys = [key.name for key in plan.keys]
    entities = labels.select([*keys, MOMENT, *(each.name for each in plan.request)])
    entities = entities.append_column(ROW, pa.array(range(labels.num_rows), pa.int64()))
    found = join(entities)
    found = found.sort_by(ROW)
    if found[ROW].to_pylist() != list(range(labels.num_rows)):
        raise TrainingSetFailed(
            f"Feast gave {found.num_rows:,} rows for {labels.num_rows:,} labels",
            where="get_historical_features",
            why="each label has to come back once",
            fix="this is no mistake of the project: report it with the job's log",
        )
    features = [name.rpartition(":")[2] for name in plan.model]
    own = {name: labels[name] for name in (*keys, project.target.column)}
    if plan.timestamp is not None:
        own[plan.timestamp] = labels[MOMENT]
    table: Table = pa.table({**own, **{name: found[name] for name in features if name not in own}})
    frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True)
    return frame
