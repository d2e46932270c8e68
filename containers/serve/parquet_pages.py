"""The headers of a Parquet file's pages: how large they are once uncompressed.

https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, in Thrift's compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

_Fields: TypeAlias = dict[int, Any]

_MOST_PAGES = 100_000
_DEEPEST = 8
# PageHeader's fields, and where a page of data says how it is encoded: DataPageHeader and DataPageHeaderV2.
_UNCOMPRESSED, _COMPRESSED, _DATA, _DATA_V2 = 2, 3, 5, 8
_ENCODING = {_DATA: 2, _DATA_V2: 4}
_DELTA_LENGTH_BYTE_ARRAY, _DELTA_BYTE_ARRAY = 6, 7
# Of the compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = *range(1, 11), 12


@dataclass(frozen=True)
class Page:
    """One page of a column.

    Attributes:
        size: its bytes when uncompressed.
        is_delta: its texts are not put into a dictionary by Arrow, and each may be as long as the page: of the
            encoding DELTA_BYTE_ARRAY, which writes what differs from the one before.
    """

    column: str
    size: int
    is_delta: bool


def pages_of(body: bytes, begin: int, end: int, column: str) -> Iterator[Page]:
    """Give the pages of a chunk of the column, which lies at body[begin:end].

    Raises:
        ValueError: these are no page headers, or too many.
    """
    if not 0 <= begin <= end <= len(body):
        raise ValueError(f"a column lies at the bytes {begin:,} to {end:,} of {len(body):,}")
    reader = _Thrift(body, begin, end)
    for _ in range(_MOST_PAGES):
        if reader.at >= end:
            return
        header = reader.struct()
        size, stored = header.get(_UNCOMPRESSED), header.get(_COMPRESSED)
        if not isinstance(size, int) or not isinstance(stored, int) or size < 0 or stored < 0:
            raise ValueError(f"no page header at byte {reader.at:,}")
        encodings = {header.get(kind, {}).get(field) for kind, field in _ENCODING.items()}
        yield Page(column, size, not encodings.isdisjoint((_DELTA_LENGTH_BYTE_ARRAY, _DELTA_BYTE_ARRAY)))
        reader.at += stored
    raise ValueError(f"a column has more than {_MOST_PAGES:,} pages")


class _Thrift:
    def __init__(self, body: bytes, at: int, end: int) -> None:
        self.at = at
        self._body = body
        self._end = end

    def struct(self, depth: int = 0) -> _Fields:
        """Read a structure's fields by their number."""
        if depth > _DEEPEST:
            raise ValueError("page headers are not nested so deeply")
        fields: _Fields = {}
        number = 0
        while kind := (head := self._byte()) & 15:
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            # A field's type says which boolean it is; an element of a list is a byte.
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind in (_I16, _I32, _I64):
            return self._zigzag()
        if kind in (_DOUBLE, _BINARY):
            return self._skip(8 if kind == _DOUBLE else self._varint())
        if kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 != 15 else self._varint()
            return [self._value(head & 15, depth + 1) for _ in range(self._bounded(count))]
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"a page header holds a field of type {kind}")

    def _bounded(self, count: int) -> int:
        if count > self._end - self.at:
            raise ValueError("a page header is longer than its column")
        return count

    def _skip(self, count: int) -> None:
        self.at += self._bounded(count)

    def _byte(self) -> int:
        if self.at >= self._end:
            raise ValueError("a page header is cut off")
        self.at += 1
        return self._body[self.at - 1]

    def _varint(self) -> int:
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
            shift += 7
            if shift > 63:
                raise ValueError("a number in a page header is too long")

    def _zigzag(self) -> int:
        found = self._varint()
        return (found >> 1) ^ -(found & 1)
