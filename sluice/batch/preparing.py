"""From a file to what a transform job takes, and to the rows that it is not sent, each with its reason."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sluice import keys
from sluice.arrow import Array
from sluice.artifacts import Artifacts
from sluice.batch.checking import CheckedRows, Reasons, check
from sluice.batch.given import GivenFile
from sluice.batch.writing import PartWriter, Unsendable, line_of, media_type_of, part_key
from sluice.contract import ModelContract
from sluice.payloads.batch import PreparedBatch

_FIELDS: list[tuple[str, pa.DataType]] = [("row", pa.int64()), ("problem", pa.string())]
SET_ASIDE_SCHEMA = pa.schema(_FIELDS)


def prepare(
    file: GivenFile,
    contract: ModelContract,
    artifacts: Artifacts,
    workdir: Path,
    *,
    execution: str,
    instance_mb: int,
    max_instances: int,
) -> PreparedBatch:
    """Store the rows that keep to the contract in parts, and why the others do not, working in the empty `workdir`.

    `version_id` of what it answers is for who knows it to fill in.

    Raises:
        DataError: nothing can be had from the file.
    """
    media_type = media_type_of(contract)
    key = part_key(execution, media_type)
    parts = PartWriter(artifacts, key, workdir / "part", instance_mb=instance_mb)
    reasons = Reasons()
    aside = workdir / "set_aside.parquet"
    rows = 0
    with (
        pq.ParquetWriter(aside, SET_ASIDE_SCHEMA) as sink,
        closing(file.rows(workdir / "given.parquet")) as all_rows,
    ):
        for given in all_rows:
            rows += len(given.batch)
            places = file.places(given.batch.schema.names)
            checked = check(given, places, contract, reasons)
            for number, values in checked.sendable():
                try:
                    line = line_of(values, contract, media_type)
                except Unsendable as error:
                    checked.problems[number - checked.number] = str(error)
                    reasons.add(error.reason, number)
                else:
                    parts.write(line)
            if checked.problems:
                sink.write_batch(_set_aside(checked))
        parts.close()
    artifacts.upload(aside, keys.set_aside(execution))
    return PreparedBatch(
        version_id=None,
        rows=rows,
        sent=sum(parts.part_rows),
        part_rows=tuple(parts.part_rows),
        rows_uri=artifacts.uri(keys.folder(key(0)) + "/"),
        answers_uri=artifacts.uri(keys.folder(keys.batch_answers(execution, key(0)))),
        content_type=media_type,
        accept=media_type,
        instances=parts.instances(max_instances),
        reasons=reasons.told(),
    )


def _set_aside(checked: CheckedRows) -> pa.RecordBatch:
    numbers = [checked.number + position for position in sorted(checked.problems)]
    texts = [checked.problems[position] for position in sorted(checked.problems)]
    columns: list[Array] = [pa.array(numbers, pa.int64()), pa.array(texts, pa.string())]
    return pa.RecordBatch.from_arrays(columns, schema=SET_ASIDE_SCHEMA)
