"""Request bodies, by content type, as columns of the model's contract."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from sluice.contract import Columns, ModelContract, from_array
from sluice.errors import RequestError

# A few bytes of Parquet may stand for billions of rows.
_MOST_ROWS = 1_000_000


def decode(body: bytes, media_type: str, contract: ModelContract) -> Columns:
    """Read a body.

    Args:
        body: as it came.
        media_type: one of DECODERS' keys.
        contract: what the columns have to keep to.

    Raises:
        RequestError: the body is empty, is not what its type says, or breaks the contract.
    """
    if not body.strip():
        raise RequestError("the request has no body", fix="send at least one row of feature values")
    return DECODERS[media_type](body, contract)


def _from_json(body: bytes, contract: ModelContract) -> Columns:
    document = _parse(body, "the body")
    if isinstance(document, dict):
        # A feature may be called "instances", too.
        is_envelope = "instances" in document and "instances" not in contract.names
        if is_envelope and len(document) > 1:
            others = sorted(set(document) - {"instances"})
            raise RequestError(f'unknown keys beside "instances": {", ".join(map(repr, others))}')
        document = document["instances"] if is_envelope else [document]
    return _from_documents(document, contract)


def _from_json_lines(body: bytes, contract: ModelContract) -> Columns:
    lines = [line for line in body.splitlines() if line.strip()]
    return _from_documents([_parse(line, f"row {row}") for row, line in enumerate(lines, 1)], contract)


def _from_documents(documents: Any, contract: ModelContract) -> Columns:
    if not isinstance(documents, list):
        raise RequestError(
            f"found a {type(documents).__name__}, expected a record or a list of records or of lists",
            fix='send {"feature": value, …}, [{…}, …], [[…], …] or {"instances": […]}',
        )
    if documents and isinstance(documents[0], list):
        return contract.columns_from_lists(documents)
    return contract.columns_from_records(documents)


def _parse(text: bytes, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        hint = "; JSON has no NaN or Infinity: send null" if _has_constant(text) else ""
        raise RequestError(f"{where} is not valid JSON: {error}{hint}") from error


def _has_constant(text: bytes) -> bool:
    """Tell whether this is JSON but for NaN or Infinity, which Python's own reader takes."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return b"NaN" in text or b"Infinity" in text


def _from_csv(body: bytes, contract: ModelContract) -> Columns:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"the CSV is not UTF-8: byte {error.start} is {body[error.start]:#04x}") from error
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise RequestError(f"not valid CSV: {error}") from error
    return contract.columns_from_text(rows)


def _from_npy(body: bytes, contract: ModelContract) -> Columns:
    try:
        array = np.load(io.BytesIO(body), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise RequestError(f"not an NPY array: {error}") from error
    if not isinstance(array, np.ndarray):
        raise RequestError("found an NPZ archive, expected one NPY array")
    if array.dtype.names is not None:
        flat = array.reshape(-1)
        return contract.columns_from_arrays({name: flat[name].tolist() for name in array.dtype.names})
    if array.ndim != 2:
        raise RequestError(f"found an array with {array.ndim} dimensions, expected 2: (rows, features)")
    if array.dtype.kind == "U":
        return contract.columns_from_text(array.tolist())
    if array.dtype.kind in "biuf":
        return contract.columns_from_lists(array.tolist(), from_array)
    raise RequestError(
        f"found an array of {array.dtype}, expected numbers, unicode strings or a structured array"
    )


def _from_parquet(body: bytes, contract: ModelContract) -> Columns:
    # Only now: its import takes more memory than all the rest, and few endpoints are ever sent a Parquet file.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        if file.metadata.num_rows > _MOST_ROWS:
            raise RequestError(
                f"found {file.metadata.num_rows:,} rows, at most {_MOST_ROWS:,} are taken",
                fix="send them in several requests",
            )
        names = file.schema_arrow.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise RequestError(f"columns there more than once: {', '.join(map(repr, twice))}")
        table = file.read()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise RequestError(f"not a Parquet file that can be read: {error}") from error
    return contract.columns_from_arrays({name: _plain_values(table[name]) for name in names})


def _plain_values(column: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    values: list[Any] = column.to_pylist()
    return values


DECODERS: dict[str, Callable[[bytes, ModelContract], Columns]] = {
    "text/csv": _from_csv,
    "application/json": _from_json,
    "application/jsonlines": _from_json_lines,
    "application/x-npy": _from_npy,
    "application/x-parquet": _from_parquet,
}
