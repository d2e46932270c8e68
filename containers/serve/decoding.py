"""Request bodies, by content type, as columns of the model's contract."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import orjson

from sluice.contract import Columns, ModelContract, from_array
from sluice.errors import RequestError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

# A few bytes of Parquet, or of NPY whose cells take none, may stand for billions of rows.
_MOST_ROWS = 1_000_000
_MOST_BYTES = 256 * 1024 * 1024


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
    _refuse_keys_twice(body, document, "the body")
    if isinstance(document, dict):
        # A feature may be called "instances", too.
        is_envelope = "instances" in document and "instances" not in contract.names
        if is_envelope and len(document) > 1:
            others = sorted(set(document) - {"instances"})
            raise RequestError(f'unknown keys beside "instances": {", ".join(map(repr, others))}')
        document = document["instances"] if is_envelope else [document]
    return _from_documents(document, contract)


def _from_json_lines(body: bytes, contract: ModelContract) -> Columns:
    documents = []
    for row, line in enumerate((line for line in body.splitlines() if line.strip()), start=1):
        documents.append(_parse(line, f"row {row}"))
        _refuse_keys_twice(line, documents[-1], f"row {row}")
    return _from_documents(documents, contract)


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
    except (ValueError, RecursionError):
        return False
    return b"NaN" in text or b"Infinity" in text


def _refuse_keys_twice(text: bytes, document: Any, where: str) -> None:
    """Refuse an object with a key more than once, of which orjson keeps the last one without a word.

    Every member has a colon. Only where there are more of them than members is it worth Python's slower reader.
    """
    if text.count(b":") == _members(document):
        return

    def refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise RequestError(f"{where}: keys there more than once: {', '.join(map(repr, twice))}")
        return found

    with suppress(RecursionError):  # values that deep break the contract anyway
        json.loads(text, object_pairs_hook=refuse_twice)


def _members(document: Any) -> int:
    if isinstance(document, dict):
        return len(document) + sum(_members(value) for value in document.values() if type(value) is list)
    return sum(len(each) for each in document if type(each) is dict) if type(document) is list else 0


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
    array = _array_of(body)
    _refuse_too_many(array.size if array.dtype.names is not None else len(array) if array.ndim else 0)
    if array.dtype.names is not None:
        return contract.columns_from_arrays(_fields(array.reshape(-1), contract))
    if array.ndim != 2:
        raise RequestError(f"found an array with {array.ndim} dimensions, expected 2: (rows, features)")
    if array.shape[1] != len(contract.features):
        raise RequestError(
            f"found an array with {array.shape[1]:,} columns, expected {len(contract.features)}",
            fix=f"send these columns in this order: {', '.join(map(repr, contract.names))}",
        )
    if array.dtype.kind == "U":
        return contract.columns_from_text(_listed(array))
    if array.dtype.kind in "biuf":
        return contract.columns_from_lists(array.tolist(), from_array)
    raise RequestError(
        f"found an array of {array.dtype}, expected numbers, unicode strings or a structured array"
    )


def _array_of(body: bytes) -> Array:
    if body.startswith(b"PK"):
        raise RequestError("found an NPZ archive, expected one NPY array")
    stream = io.BytesIO(body)
    try:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:
        # A header is Python source: what is wrong with one may be any of a dozen errors, MemoryError for a size that
        # it only claims among them.
        raise RequestError(f"not an NPY array: {str(error) or type(error).__name__}") from error
    rest = len(body) - stream.tell()
    if rest:
        raise RequestError(f"found {rest:,} bytes behind the array, expected one NPY array")
    return array


def _fields(rows: Array, contract: ModelContract) -> dict[str, list[Any]]:
    """Give a structured array's columns; those of another model empty, as nobody will look at them."""
    names = rows.dtype.names or ()
    if set(contract.own_names(names)) != set(contract.names):
        return {name: [] for name in names}
    for name in names:
        if rows[name].ndim != 1 or rows.dtype[name].kind not in "biufU":
            raise RequestError(
                f"column {name!r}: found {rows.dtype[name]}, expected numbers, booleans or unicode strings"
            )
    return {name: _listed(rows[name]) for name in names}


def _listed(array: Array) -> list[Any]:
    if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        # numpy makes texts of any 32 bits, which Python then fails over, now or later.
        codes = np.ascontiguousarray(array).view(f"{array.dtype.byteorder}u4")
        if codes.max() > sys.maxunicode:
            raise RequestError(f"a text in the array holds {codes.max():#x}, which is no Unicode character")
    values: list[Any] = array.tolist()
    return values


def _refuse_too_many(rows: int) -> None:
    if rows > _MOST_ROWS:
        raise RequestError(
            f"found {rows:,} rows, at most {_MOST_ROWS:,} are taken", fix="send them in several requests"
        )


def _from_parquet(body: bytes, contract: ModelContract) -> Columns:
    # Only now: its import takes more memory than all the rest, and few endpoints are ever sent a Parquet file.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        _refuse_table(file, contract)
        # Texts stay in their dictionaries: written out, a few bytes of them may be gigabytes.
        names = file.schema_arrow.names
        table = pq.ParquetFile(pa.BufferReader(body), read_dictionary=names).read()
        table.validate(full=True)
        table = table.rename_columns(contract.own_names(names))
        _refuse_too_large(sum(map(_text_bytes, table.columns)))
    except RequestError:
        raise
    except Exception as error:
        # Of bytes that are no Parquet file Arrow raises errors of its own, and Python's for lengths and for texts.
        raise RequestError(f"not a Parquet file that can be read: {error}") from error
    return contract.columns_from_arrays({name: _values_of(table[name]) for name in contract.names})


def _refuse_table(file: Any, contract: ModelContract) -> None:
    """Refuse by what the file says of itself, before anything of it is read."""
    metadata, names = file.metadata, file.schema_arrow.names
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    _refuse_too_many(max(metadata.num_rows, sum(group.num_rows for group in groups)))
    own = contract.own_names(names)
    twice = sorted({name for name in own if own.count(name) > 1})
    if twice:
        raise RequestError(f"columns there more than once: {', '.join(map(repr, twice))}")
    if set(own) != set(contract.names):
        contract.columns_from_arrays({name: [] for name in names})
    for field in file.schema_arrow:
        if not _is_plain(field.type):
            raise RequestError(
                f"column {field.name!r}: found {field.type}, expected numbers, booleans or strings"
            )
    _refuse_too_large(sum(group.total_byte_size for group in groups))


def _text_bytes(column: Any) -> int:
    """Give how many bytes a dictionary's texts would be, one a row."""
    import pyarrow as pa

    from sluice.arrow import compute as pc

    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        return 0
    lengths = (pc.take(pc.binary_length(chunk.dictionary), chunk.indices) for chunk in column.chunks)
    return sum(pc.sum(each).as_py() or 0 for each in lengths)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _refuse_too_large(size: int) -> None:
    if size > _MOST_BYTES:
        raise RequestError(
            f"found {size:,} bytes uncompressed, at most {_MOST_BYTES:,} are taken",
            fix="send the rows in several requests",
        )


def _is_plain(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    plain = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null, _is_text)
    return any(is_one(kind) for is_one in plain)


def _values_of(column: Any) -> list[Any]:
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return _plain_values(column)
    values: list[Any] = []
    for chunk in column.chunks:
        words = _plain_values(chunk.dictionary)
        values += [None if index is None else words[index] for index in chunk.indices.to_pylist()]
    return values


def _plain_values(column: Any) -> list[Any]:
    import pyarrow as pa

    values: list[Any] = column.to_pylist()
    if pa.types.is_decimal(column.type):
        # Arrow's own cast is off by a bit in every fifth fraction.
        return [None if each is None else _plain_decimal(each) for each in values]
    return values


def _plain_decimal(value: Decimal) -> float:
    whole = int(value)
    return whole if whole == value else float(value)


DECODERS: dict[str, Callable[[bytes, ModelContract], Columns]] = {
    "text/csv": _from_csv,
    "application/json": _from_json,
    "application/jsonlines": _from_json_lines,
    "application/x-npy": _from_npy,
    "application/x-parquet": _from_parquet,
}
