"""The offline store on Athena: rows of views go to S3, Feast has them joined there and brings the answer back.

Where Feast's Athena store, or Athena itself, would answer otherwise than duckdb does, it is given something else,
or the case is refused (docs/decisions/0018): keys go as one text, names as Athena writes them, timestamps that are
features as integers, event times only in whole milliseconds; on-demand views run here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.athena_offline_store.athena_source import AthenaSource
from feast.repo_config import RepoConfig
from feast.types import Bool, Float64, Int64, String

from containers.features.definitions import Definitions
from containers.features.store import CREATED, ROW, Source
from sluice import naming
from sluice.arrow import Array, ChunkedArray, Table
from sluice.arrow import compute as pc
from sluice.errors import TrainingSetFailed
from sluice.features import athena
from sluice.features.names import MOMENT
from sluice.features.plan import FeaturePlan, Key, Type, View

CATALOG = "AwsDataCatalog"

_STORED: dict[Type, tuple[Any, Any]] = {
    "string": (pa.string(), String),
    "integer": (pa.int64(), Int64),
    "number": (pa.float64(), Float64),
    "boolean": (pa.bool_(), Bool),
    "timestamp": (pa.int64(), Int64),
}
"""A feature's type in a table's files, and what Feast is told of it."""

_MICROSECONDS = pa.timestamp("us", "UTC")
_MILLISECONDS = pa.timestamp("ms", "UTC")
_ROWS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Athena:
    """Joins by Athena, as `store.Join`.

    Attributes:
        execution: names the partition of the views' tables that is this job's.
        rows: the S3 folder of the tables' rows; `<table>/<execution>/` below it is that partition.
        staging: the S3 folder for what Feast hands Athena and gets from it.
    """

    region: str
    database: str
    workgroup: str
    execution: str
    rows: str
    staging: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        """Read what the state machine tells a job; None where it tells of no Athena."""
        if "ATHENA_DATABASE" not in environment:
            return None
        return cls(
            region=environment["ATHENA_REGION"],
            database=environment["ATHENA_DATABASE"],
            workgroup=environment["ATHENA_WORKGROUP"],
            execution=environment["ATHENA_EXECUTION"],
            rows=environment["ATHENA_ROWS_URI"],
            staging=environment["ATHENA_STAGING_URI"],
        )

    def __call__(
        self,
        labels: Table,
        plan: FeaturePlan,
        definitions: Definitions,
        sources: Mapping[str, Source],
        scratch: Path,
    ) -> Table:
        """Give the labels with the features that the model takes.

        Raises:
            TrainingSetFailed: a time is between two milliseconds, a key is none of its type, Athena refuses or
                cancels the query, or Feast gives not one row a label.
        """
        tables = {table.view: table for table in athena.tables(plan)}
        needed = {view: names for view in plan.views if (names := plan.stored().get(view.name))}
        found = labels
        if needed:
            for view in needed:
                self._put(
                    _rows(view, tables[view.name], sources[view.name], plan), tables[view.name], scratch
                )
            store = self._store(plan, needed, tables, sources, scratch)
            answer = self._asked(store, _entities(labels, plan), needed, tables)
            found = _with_features(labels, answer, needed, tables, sources)
        return _with_on_demand(found, plan, definitions)

    def _put(self, rows: Table, table: athena.Table, scratch: Path) -> None:
        import boto3

        # Apart from the views' own files, one of which may be called like a table.
        file = scratch / "athena" / f"{table.name}.parquet"
        file.parent.mkdir(exist_ok=True)
        pq.write_table(rows, file, row_group_size=_ROWS_AT_ONCE)
        bucket, folder = naming.split_uri(f"{self.rows}/{table.name}/{self.execution}")
        boto3.client("s3", region_name=self.region).upload_file(str(file), bucket, f"{folder}/rows.parquet")
        file.unlink()

    def _store(
        self,
        plan: FeaturePlan,
        needed: Mapping[View, tuple[str, ...]],
        tables: Mapping[str, athena.Table],
        sources: Mapping[str, Source],
        scratch: Path,
    ) -> FeatureStore:
        store = FeatureStore(
            config=RepoConfig(
                project="sluice",
                provider="local",
                registry=str(scratch / "athena.db"),
                online_store={"type": "sqlite", "path": str(scratch / "athena_online.db")},
                offline_store={
                    "type": "athena",
                    "region": self.region,
                    "data_source": CATALOG,
                    "database": self.database,
                    "workgroup": self.workgroup,
                    "s3_staging_location": self.staging,
                },
                entity_key_serialization_version=3,
            )
        )
        entities = {
            keys: Entity(name=column, join_keys=[column], value_type=ValueType.STRING)
            for keys, column in _entity_columns(plan).items()
        }
        views = [
            self._view(view, names, tables[view.name], sources[view.name], entities[view.keys])
            for view, names in needed.items()
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is experimental
            store.apply([*entities.values(), *views])
        return store

    def _asked(
        self,
        store: FeatureStore,
        entities: Table,
        needed: Mapping[View, tuple[str, ...]],
        tables: Mapping[str, athena.Table],
    ) -> Table:
        references = [
            f"{tables[view.name].name}:{tables[view.name].features[name]}"
            for view, names in needed.items()
            for name in names
        ]
        try:
            answer: Table = store.get_historical_features(
                entity_df=entities.to_pandas(), features=references
            ).to_arrow()
        except _refusals() as error:
            raise TrainingSetFailed(
                "Athena did not join the features to the labels",
                where=f"workgroup {self.workgroup}, database {self.database}",
                why=_reason(error),
                fix="if it says that a limit of bytes was exceeded, raise [offline] scan_limit_gb in project.toml",
            ) from error
        return answer

    def _view(
        self, view: View, names: tuple[str, ...], table: athena.Table, source: Source, entity: Entity
    ) -> FeatureView:
        columns = [table.features[name] for name in names]
        types = {each.name: _STORED[each.type][1] for each in view.features}
        dated = [athena.CREATED] if source.is_dated else []
        read = ", ".join([f"{athena.ENTITY} AS {entity.name}", MOMENT, *dated, *columns])
        # The one partition: its projection is of type `injected`, and wants the value in the query. No name in it is
        # anybody's text but as `athena.tables` wrote it.
        query = (
            f"SELECT {read} FROM {self.database}.{table.name} WHERE {athena.EXECUTION} = '{self.execution}'"  # noqa: S608
        )
        return FeatureView(
            name=table.name,
            entities=[entity],
            schema=[
                Field(name=entity.name, dtype=String),
                *(Field(name=table.features[name], dtype=types[name]) for name in names),
            ],
            source=AthenaSource(
                name=table.name,
                query=query,
                timestamp_field=MOMENT,
                created_timestamp_column=athena.CREATED if source.is_dated else "",
            ),
            ttl=timedelta(0) if view.aggregations else timedelta(microseconds=view.ttl_microseconds or 0),
        )


def _refusals() -> type[Exception] | tuple[type[Exception], ...]:
    from botocore.exceptions import ClientError
    from feast.infra.utils.aws_utils import AthenaError, AthenaQueryError

    return (AthenaError, AthenaQueryError, ClientError)


def _reason(error: Exception) -> str:
    """Give Athena's own words; Feast's hold all of its answer in one text, the whole query first."""
    said = str(error)
    reasons = re.findall(r"'StateChangeReason': ('.*?'|\".*?\"), '", said)
    queries = re.findall(r"'QueryExecutionId': '([^']+)'", said)
    return f"{reasons[-1][1:-1]} (query {queries[0]})" if reasons and queries else said


def _rows(view: View, table: athena.Table, source: Source, plan: FeaturePlan) -> Table:
    """Give a view's rows as its table has them; those of no entity are left out."""
    rows: Table = pq.read_table(source.file)
    columns = {
        athena.ENTITY: _entity(rows, view.keys),
        MOMENT: _times(rows[MOMENT], plan, f"rows of view {view.name!r}"),
    }
    if source.is_dated:
        # Places in the dataset, as microseconds: as milliseconds they are as many.
        columns[athena.CREATED] = rows[CREATED].cast(pa.int64()).cast(_MILLISECONDS)
    for each in view.features:
        column = rows[each.name]
        if each.type == "timestamp":
            column = column.cast(pa.timestamp("us", column.type.tz))
        columns[table.features[each.name]] = column.cast(_STORED[each.type][0])
    made: Table = pa.table(columns)
    return made.filter(pc.is_valid(made[athena.ENTITY]))


def _entities(labels: Table, plan: FeaturePlan) -> Table:
    """Give what Athena gets of the labels: a column for each set of keys, MOMENT and ROW."""
    # A column of nulls alone would have no type in Feast's CREATE TABLE. No entity is called by an empty text.
    columns = {column: _entity(labels, keys).fill_null("") for keys, column in _entity_columns(plan).items()}
    return pa.table({**columns, MOMENT: _times(labels[MOMENT], plan, "labels"), ROW: labels[ROW]})


def _entity_columns(plan: FeaturePlan) -> dict[tuple[Key, ...], str]:
    """Name the labels' column of each set of keys that a view has."""
    sets = dict.fromkeys(view.keys for view in plan.views)
    return {keys: f"entity_{number}" for number, keys in enumerate(sets)}


def _entity(rows: Table, keys: tuple[Key, ...]) -> ChunkedArray | Array:
    """Write the keys of each row as one text, which is another where a key is another, and null where one is null."""
    texts = []
    for key in keys:
        try:
            text = rows[key.name].cast(_STORED[key.type][0]).cast(pa.string())
        except pa.ArrowInvalid as error:
            raise TrainingSetFailed(
                f"the labels' key {key.name!r} is of type {rows.schema.field(key.name).type}",
                where="features.py: build_labels",
                why=f"the dataset has it as {key.type}: {error}",
                fix="return it as it is in the dataset",
            ) from error
        texts += [pc.utf8_length(text).cast(pa.string()), ":", text]
    joined: ChunkedArray = pc.binary_join_element_wise(*texts, "")
    return joined


def _times(moments: ChunkedArray, plan: FeaturePlan, what: str) -> ChunkedArray:
    """Give times as Athena has them, in whole milliseconds.

    Raises:
        TrainingSetFailed: some are between two.
    """
    counted = moments.cast(_MICROSECONDS).cast(pa.int64())
    if plan.timestamp is None:  # places, not times: as milliseconds they are as many
        return counted.cast(_MILLISECONDS)
    whole = pc.multiply(pc.divide(counted, 1000), 1000)
    between = pc.sum(pc.not_equal(whole, counted)).as_py()
    if between:
        raise TrainingSetFailed(
            f"{between:,} {what} have a time between two milliseconds",
            where=f"column {plan.timestamp!r}",
            why="Athena's timestamps are of milliseconds: what was later would count as known",
            fix='round the times in the data, or set [offline] store = "duckdb" in project.toml',
        )
    return moments.cast(_MICROSECONDS).cast(_MILLISECONDS)


def _with_features(
    labels: Table,
    answer: Table,
    needed: Mapping[View, tuple[str, ...]],
    tables: Mapping[str, athena.Table],
    sources: Mapping[str, Source],
) -> Table:
    """Give the labels the features that Athena found for them, under the plan's names and as the plan's types."""
    answer = answer.sort_by(ROW)
    if answer[ROW].to_pylist() != labels[ROW].to_pylist():
        raise TrainingSetFailed(
            f"Athena gave {answer.num_rows:,} rows for {labels.num_rows:,} labels",
            where="get_historical_features",
            why="each label has to come back once",
            fix="this is no mistake of the project: report it with the job's log",
        )
    found = labels
    for view, names in needed.items():
        stored = pq.read_schema(sources[view.name].file)
        types = {each.name: each.type for each in view.features}
        for name in names:
            column = answer[tables[view.name].features[name]].cast(_STORED[types[name]][0])
            if types[name] == "timestamp":
                column = column.cast(pa.timestamp("us", stored.field(name).type.tz))
            found = found.append_column(name, column)
    return found


def _with_on_demand(found: Table, plan: FeaturePlan, definitions: Definitions) -> Table:
    """Run the on-demand views that the model takes features of, as Feast's own retrieval does."""
    wanted = {reference for reference in plan.model if ":" in reference}
    made = found
    for view in definitions.on_demand:
        names = [each.name for each in view.features if f"{view.name}:{each.name}" in wanted]
        if names:
            computed = view.transform_arrow(found)
            for name in names:
                made = made.append_column(name, computed[name])
    return made
