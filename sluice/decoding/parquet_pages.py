"""The pages of a Parquet file, by their own headers: how large they are once uncompressed.

Read here, as the sizes in a file's metadata bind nobody, and as pyarrow's own way to the metadata of a column ends
the process where that is spoilt: an exception of Arrow's goes uncaught.
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, in Thrift's compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

_T = TypeVar("_T")
_Fields: TypeAlias = dict[int, Any]

_MAGIC = b"PAR1"
_MOST_PAGES = 100_000
_DEEPEST = 16
# FileMetaData, RowGroup, ColumnChunk and ColumnMetaData, down to where a column's pages lie.
_ROW_GROUPS, _COLUMNS, _META = 4, 1, 3
_PATH, _STORED, _DATA_OFFSET, _DICTIONARY_OFFSET = 3, 7, 9, 11
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


def pages_of(body: bytes) -> Iterator[Page]:
    """Give all pages of a file.

    Raises:
        ValueError: it is not what it should be, or has too many.
    """
    size = int.from_bytes(body[-8:-4], "little")
    footer = _Thrift(body, len(body) - 8 - size, len(body) - 8).struct()
    number = 0
    for group in _of(footer, _ROW_GROUPS, list):
        for chunk in _of(group, _COLUMNS, list):
            for page in _pages(body, _of(chunk, _META, dict)):
                number += 1
                if number > _MOST_PAGES:
                    raise ValueError(f"it has more than {_MOST_PAGES:,} pages")
                yield page


def _pages(body: bytes, column: _Fields) -> Iterator[Page]:
    name = b".".join(_of(column, _PATH, list)).decode()
    begin = _of(column, _DATA_OFFSET, int)
    dictionary = column.get(_DICTIONARY_OFFSET)
    if isinstance(dictionary, int) and 0 < dictionary < begin:
        begin = dictionary
    if begin < len(_MAGIC):
        return  # nothing lies there, as in a group without rows
    reader = _Thrift(body, begin, begin + _of(column, _STORED, int))
    while not reader.is_done:
        header = reader.struct()
        encodings = {header.get(kind, {}).get(field) for kind, field in _ENCODING.items()}
        is_delta = not encodings.isdisjoint((_DELTA_LENGTH_BYTE_ARRAY, _DELTA_BYTE_ARRAY))
        yield Page(name, _size(header, _UNCOMPRESSED), is_delta)
        reader.skip(_size(header, _COMPRESSED))


def _of(fields: Any, number: int, kind: type[_T]) -> _T:
    found = fields.get(number) if isinstance(fields, dict) else None
    if not isinstance(found, kind):
        raise ValueError(f"its metadata has no field {number} of the kind that is expected")
    return found


def _size(header: _Fields, number: int) -> int:
    size = _of(header, number, int)
    if size < 0:
        raise ValueError(f"a page has {size:,} bytes")
    return size


class _Thrift:
    """Reads structures from body[at:end]."""

    def __init__(self, body: bytes, at: int, end: int) -> None:
        if not 0 <= at <= end <= len(body):
            raise ValueError(f"it refers to the bytes {at:,} to {end:,} of {len(body):,}")
        self._at = at
        self._body = body
        self._end = end

    @property
    def is_done(self) -> bool:
        return self._at == self._end

    def struct(self, depth: int = 0) -> _Fields:
        """Read a structure's fields by their number."""
        if depth > _DEEPEST:
            raise ValueError("its metadata is nested too deeply")
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
            return self.skip(8 if kind == _DOUBLE else self._varint())
        if kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 != 15 else self._varint()
            return [self._value(head & 15, depth + 1) for _ in range(self._bounded(count))]
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"its metadata holds a field of type {kind}")

    def _bounded(self, count: int) -> int:
        if count > self._end - self._at:
            raise ValueError("its metadata is cut off")
        return count

    def skip(self, count: int) -> bytes:
        """Give the next bytes, which are no structure."""
        begin = self._at
        self._at += self._bounded(count)
        return self._body[begin : self._at]

    def _byte(self) -> int:
        if self._at >= self._end:
            raise ValueError("its metadata is cut off")
        self._at += 1
        return self._body[self._at - 1]

    def _varint(self) -> int:
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
            shift += 7
            if shift > 63:
                raise ValueError("a number in its metadata is too long")

    def _zigzag(self) -> int:
        found = self._varint()
        return (found >> 1) ^ -(found & 1)
