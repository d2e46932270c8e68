"""Parquet bodies as columns: a block of rows at a time, once the file's pages are known to be of a bearable size."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sluice.contract import Columns, ModelContract, listed, repeated
from sluice.decoding.bounds import MOST_BYTES, refuse_too_large, refuse_too_many
from sluice.decoding.parquet_pages import Page, pages_of
from sluice.errors import RequestError

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_BLOCK_ROWS = 8 * 1024
_MOST_BLOCK_BYTES = MOST_BYTES // 4
_MOST_IN_METADATA = 100_000  # columns, row groups: Arrow makes an object of each


def from_parquet(body: bytes, contract: ModelContract) -> Columns:
    """Read a file whose columns are the features, in any order.

    Raises:
        RequestError: it is none, holds too much, or breaks the contract.
    """
    # Only now: its import takes more memory than all the rest, and few endpoints are ever sent a Parquet file.
    import pyarrow as pa
    import pyarrow.parquet as pq

    values: dict[str, list[Any]] = {name: [] for name in contract.names}
    size = 0
    try:
        file = pq.ParquetFile(pa.BufferReader(body), thrift_container_size_limit=_MOST_IN_METADATA)
        own = _checked_names(file, contract)
        pages = _bearable_pages(body)
        refuse_too_many(file.metadata.num_rows, len(contract.features))
        # Texts stay in their dictionaries: written out, a few bytes of them may be gigabytes.
        plain = {page.column for page in pages if page.is_delta}
        words = [name for name in own if name not in plain]
        file = pq.ParquetFile(pa.BufferReader(body), metadata=file.metadata, read_dictionary=words)
        for block in file.iter_batches(_block_rows([page.size for page in pages if page.column in plain])):
            block.validate(full=True)
            size += sum(map(_text_bytes, block.columns))
            refuse_too_large(size)
            for name, column in zip(block.schema.names, block.columns, strict=True):
                values[own[name]] += _values_of(column)
    except RequestError:
        raise
    except Exception as error:
        # Of bytes that are no Parquet file Arrow raises errors of its own, and Python's for lengths and for texts.
        raise RequestError(f"not a Parquet file that can be read: {error}") from error
    return contract.columns_from_arrays(values)


def names_of(body: bytes) -> list[str]:
    """Give the columns' names; none where it is no Parquet file that can be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(body), thrift_container_size_limit=_MOST_IN_METADATA)
        names: list[str] = file.schema_arrow.names
    except Exception:  # Arrow's own, and Python's; who reads the file says what is wrong with it
        return []
    return names


def _checked_names(file: Any, contract: ModelContract) -> dict[str, str]:
    """Give the feature of each column; refuse by what the file says of itself, before anything of it is read."""
    metadata, names = file.metadata, file.schema_arrow.names
    rows = sum(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
    refuse_too_many(max(rows, metadata.num_rows), 0)
    if rows != metadata.num_rows:
        raise ValueError(f"it has {metadata.num_rows:,} rows, and its row groups have {rows:,}")
    twice = repeated(names)
    if twice:
        raise RequestError(f"columns there more than once: {listed(twice)}")
    own = contract.checked_names(names, "the file")
    for field in file.schema_arrow:
        if not _is_plain(field.type):
            raise RequestError(
                f"column {field.name!r}: found {field.type}, expected numbers, booleans or strings"
            )
    return dict(zip(names, own, strict=True))


def _bearable_pages(body: bytes) -> list[Page]:
    """Give all pages, where they are not too large: Arrow does not hold a file to what its metadata says of sizes.

    Raises:
        RequestError: they are too large, uncompressed.
    """
    pages, size = [], 0
    for page in pages_of(body):
        size += page.size
        refuse_too_large(size)
        pages.append(page)
    return pages


def _block_rows(sizes: list[int]) -> int:
    """Give how many rows may be read at once, by the sizes of those pages whose texts may each be as long."""
    return max(1, min(_MOST_BLOCK_ROWS, _MOST_BLOCK_BYTES // max([1, *sizes])))


def _text_bytes(column: Any) -> int:
    """Give how many bytes a column's texts are, one a row."""
    import pyarrow as pa

    from sluice.arrow import compute as pc

    if not pa.types.is_dictionary(column.type):
        return column.nbytes if _is_text(column.type) else 0
    if not _is_text(column.type.value_type):
        return 0
    return pc.sum(pc.take(pc.binary_length(column.dictionary), column.indices)).as_py() or 0


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_plain(kind: pa.DataType) -> bool:
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
    if len(column.dictionary) > len(column):
        return _plain_values(column.dictionary_decode())
    words = _plain_values(column.dictionary)
    return [None if index is None else words[index] for index in column.indices.to_pylist()]


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
