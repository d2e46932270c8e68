"""Athena and S3 as far as Feast's Athena store asks for them: its SQL, transpiled, runs in duckdb over local files.

What of Athena can change an answer is imitated: names are in small letters, timestamps have milliseconds, a partition
of a view's table is read only where the query names it. It shows nothing of what Trino does otherwise than duckdb.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import duckdb
import sqlglot
from sqlglot import exp

from sluice.features import athena

_UPLOADED = re.compile(
    r"CREATE EXTERNAL TABLE (\w+)\.(\w+) \((.*)\) STORED AS PARQUET LOCATION 's3://([^']+)' TBLPROPERTIES",
    re.DOTALL,
)
_MADE = re.compile(
    r"\s*CREATE TABLE (\w+)\s+WITH \(\s*external_location = 's3://([^']+)',(.*?)\)\s+as(.*)", re.DOTALL
)
_DROPPED = re.compile(r"DROP TABLE (?:IF EXISTS )?`?\w+\.(\w+)`?")
_DUCKDB = {
    "string": "VARCHAR",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
}


@dataclass
class AthenaInDuckdb:
    """Both services, over a folder whose subfolders are buckets.

    Attributes:
        tables: those of the data catalog that are there before Feast comes, over their partitions' folders.
        rows: the S3 folder that holds them, without `s3://`.
        asked: each query, as it was asked.
        put, deleted: keys.
        refuses: the reason for which the join fails, if it is to.
    """

    folder: Path
    database: str
    tables: tuple[athena.Table, ...] = ()
    rows: str = ""
    asked: list[str] = field(default_factory=list)
    workgroups: set[str] = field(default_factory=set)
    put: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    refuses: str = ""
    loses: bool = False
    _uploaded: dict[str, tuple[str, str]] = field(default_factory=dict)
    _states: dict[str, dict[str, Any]] = field(default_factory=dict)

    # Athena

    def start_query_execution(self, **call: Any) -> dict[str, str]:
        query = call["QueryString"]
        assert call["QueryExecutionContext"] == {"Database": self.database, "Catalog": "AwsDataCatalog"}
        self.asked.append(query)
        self.workgroups.add(call["WorkGroup"])
        number = str(len(self.asked))
        self._states[number] = {"State": "SUCCEEDED"}
        if uploaded := _UPLOADED.fullmatch(query.strip()) or _UPLOADED.match(query):
            _, table, columns, location = uploaded.groups()
            self._uploaded[table] = (columns, location)
        elif made := _MADE.fullmatch(query):
            if self.refuses:
                self._states[number] = {"State": "CANCELLED", "StateChangeReason": self.refuses}
            else:
                self._make(location=made[2], query=made[4])
        elif dropped := _DROPPED.fullmatch(query.strip()):
            self._uploaded.pop(dropped[1], None)
        else:
            raise AssertionError(f"no such query is known: {query}")
        return {"QueryExecutionId": number}

    def get_query_execution(self, *, QueryExecutionId: str) -> dict[str, Any]:  # noqa: N803
        # In the order in which the service answers.
        return {
            "QueryExecution": {
                "QueryExecutionId": QueryExecutionId,
                "Query": self.asked[int(QueryExecutionId) - 1],
                "StatementType": "DDL",
                "Status": {**self._states[QueryExecutionId], "SubmissionDateTime": "now"},
                "WorkGroup": "…",
            }
        }

    def _make(self, location: str, query: str) -> None:
        target = self.folder / location
        assert not target.exists(), "Athena writes into empty folders only"
        target.mkdir(parents=True)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"CREATE SCHEMA {self.database}")
            connection.execute(f"USE {self.database}")
            for name, (columns, folder) in self._uploaded.items():
                types = dict(re.findall(r"`([^`]+)` (\w+)", columns))
                self._define(connection, name, types, folder)
            for table in self.tables:
                types = {each.name: each.type for each in table.columns}
                self._define(connection, table.name, types, f"{self.rows}/{table.name}", is_partitioned=True)
            found = connection.execute(in_duckdb(query)).to_arrow_table()
            if self.loses:
                found = found.slice(1)
        found = found.rename_columns([name.lower() for name in found.column_names])
        # Two files, as Athena writes many; none of them is in order.
        import pyarrow.parquet as pq

        half = found.num_rows // 2
        pq.write_table(found.slice(half), target / "20261126_0_a")
        pq.write_table(found.slice(0, half), target / "20261126_1_b")

    def _define(
        self, connection: Any, name: str, types: dict[str, str], folder: str, *, is_partitioned: bool = False
    ) -> None:
        assert all(each == each.lower() for each in types)
        columns = ", ".join(
            # A hive table's timestamps have milliseconds.
            f"date_trunc('millisecond', CAST({each} AS TIMESTAMP)) AS {each}"
            if kind == "timestamp"
            else f"CAST({each} AS {_DUCKDB[kind]}) AS {each}"
            for each, kind in types.items()
        )
        files = self.folder / folder
        pattern, partition = (files / "*" / "*.parquet", ", string_split(filename, '/')[-2] AS execution")
        if not is_partitioned:
            pattern, partition = files / "*.parquet", ""
        connection.execute(
            f"CREATE VIEW {name} AS SELECT {columns}{partition} FROM read_parquet('{pattern}', filename = true)"
        )

    # S3: boto3's resource, and its client's upload

    def Object(self, bucket: str, key: str) -> Any:  # noqa: N802
        def put(*, Body: BinaryIO) -> None:  # noqa: N803
            self._write(bucket, key).write_bytes(Body.read())

        return SimpleNamespace(put=put)

    def Bucket(self, bucket: str) -> Any:  # noqa: N802
        def objects(*, Prefix: str) -> Iterator[Any]:  # noqa: N803
            root = self.folder / bucket
            keys = [each.relative_to(root).as_posix() for each in sorted(root.rglob("*")) if each.is_file()]
            for key in keys:
                if key.startswith(Prefix):
                    yield SimpleNamespace(key=key, delete=lambda key=key: self._delete(root, key))

        def download_file(key: str, to: str) -> None:
            shutil.copy(self.folder / bucket / key, to)

        return SimpleNamespace(objects=SimpleNamespace(filter=objects), download_file=download_file)

    def upload_file(self, file: str, bucket: str, key: str) -> None:
        shutil.copy(file, self._write(bucket, key))

    def _write(self, bucket: str, key: str) -> Path:
        self.put.append(key)
        path = self.folder / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _delete(self, root: Path, key: str) -> None:
        self.deleted.append(key)
        (root / key).unlink()


def in_duckdb(query: str) -> str:
    """Transpile a query of Athena to one that duckdb takes."""
    tree = sqlglot.parse_one(query, read="athena")
    # Feast calls the answer of every view `cleaned`; Trino tells the columns apart, duckdb wants names.
    for number, join in enumerate(tree.args.get("joins") or ()):
        alias = join.this.args.get("alias")
        if alias is not None and alias.name == "cleaned":
            alias.set("this", exp.to_identifier(f"cleaned_{number}"))
            for column in join.args["on"].find_all(exp.Column):
                if column.table == "cleaned":
                    column.set("table", exp.to_identifier(f"cleaned_{number}"))
    transpiled: str = tree.sql(dialect="duckdb")
    return transpiled
