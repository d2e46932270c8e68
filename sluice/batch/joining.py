"""The result: each row of a file as it was given, with its prediction or with the reason why it has none."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from sluice import keys
from sluice.artifacts import Artifacts
from sluice.batch.answers import Values, fields_of, predictions
from sluice.batch.given import GivenFile, GivenRows
from sluice.contract import ModelContract
from sluice.errors import BatchFailed
from sluice.payloads.batch import PreparedBatch

_PROBLEM = pa.field("problem", pa.string())


class _Sink(Protocol):
    def write(self, given: pa.RecordBatch, added: Sequence[list[Any]]) -> None: ...
    def close(self) -> None: ...


def join(
    file: GivenFile,
    contract: ModelContract,
    prepared: PreparedBatch,
    artifacts: Artifacts,
    workdir: Path,
    *,
    execution: str,
) -> str:
    """Store the result, working in the empty `workdir`, and give its key.

    A CSV becomes one with the same texts in its cells, a Parquet file one with the same types.

    Raises:
        DataError: the file cannot be read any more.
        BatchFailed: there is not one answer for each row that was sent, or the file is not what it was.
    """
    target = contract.target
    answered = predictions(execution, prepared.content_type, prepared.part_rows, target, artifacts)
    aside = _set_aside(artifacts, execution, workdir / "set_aside.parquet")
    result = workdir / "result"
    rows, missing = 0, next(aside, None)
    with ExitStack() as stack:
        sink: _Sink | None = None
        for given in stack.enter_context(closing(file.rows(workdir / "given.parquet"))):
            added: list[list[Any]] = [[] for _ in (*fields_of(target), _PROBLEM)]
            for number in range(given.number, given.number + len(given.batch)):
                if missing is not None and missing[0] == number:
                    values: Values = (*[None] * (len(added) - 1), missing[1])
                    missing = next(aside, None)
                else:
                    values = (*_next(answered, file.where), None)
                for column, value in zip(added, values, strict=True):
                    column.append(value)
            rows += len(given.batch)
            if sink is None:
                sink = _sink(result, file, given, contract)
                stack.callback(sink.close)
            sink.write(given.batch, added)
    if rows != prepared.rows or missing is not None or next(answered, None) is not None:
        raise _changed(file.where, f"it had {prepared.rows:,} rows, and has {rows:,} now")
    key = keys.predictions(execution, file.suffix)
    artifacts.upload(result, key)
    return key


def _next(answered: Iterator[Values], where: str) -> Values:
    for values in answered:
        return values
    raise _changed(where, "it has more rows now than were sent to the model")


def _changed(where: str, why: str) -> BatchFailed:
    return BatchFailed(
        "the file is not what it was when its rows were sent to the model",
        where=where,
        why=why,
        fix="upload it again under another name",
    )


def _set_aside(artifacts: Artifacts, execution: str, scratch: Path) -> Iterator[tuple[int, str]]:
    body = artifacts.read(keys.set_aside(execution))
    if body is None:
        raise BatchFailed(
            "what was set aside of the file is not there any more",
            where=artifacts.uri(keys.set_aside(execution)),
            why=f"somebody deleted it, or it expired: what lies below {keys.BATCH_JOBS}/ is kept for a week",
            fix="upload the file again",
        )
    scratch.write_bytes(body)
    with pq.ParquetFile(scratch) as stored:
        for batch in stored.iter_batches():
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _sink(result: Path, file: GivenFile, given: GivenRows, contract: ModelContract) -> _Sink:
    added = [*fields_of(contract.target), _PROBLEM]
    if file.suffix == ".parquet":
        return _Parquet(result, given.batch.schema, added)
    return _Csv(result, [*given.batch.schema.names, *(field.name for field in added)], file.delimiter)


class _Csv:
    def __init__(self, path: Path, header: Sequence[str], delimiter: str) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n", delimiter=delimiter)
        self._writer.writerow(header)

    def write(self, given: pa.RecordBatch, added: Sequence[list[Any]]) -> None:
        texts = [column.to_pylist() for column in given.columns]
        # pandas and Arrow read true and false; Python would write True and False.
        words = [
            [str(each).lower() if isinstance(each, bool) else each for each in column] for column in added
        ]
        self._writer.writerows(zip(*texts, *words, strict=True))

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, given: pa.Schema, added: Sequence[pa.Field[Any]]) -> None:
        self._added = added
        self._schema = pa.schema([*given, *added])
        self._writer = pq.ParquetWriter(path, self._schema)

    def write(self, given: pa.RecordBatch, added: Sequence[list[Any]]) -> None:
        columns = [pa.array(column, field.type) for column, field in zip(added, self._added, strict=True)]
        self._writer.write_batch(pa.RecordBatch.from_arrays([*given.columns, *columns], schema=self._schema))

    def close(self) -> None:
        self._writer.close()
