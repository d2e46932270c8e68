"""The key of a row that belongs to no entity: a hash of the row."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from sluice.arrow import Table
from sluice.arrow import compute as pc

_SEPARATOR = "\x1f"
_NULL = "\x00"


def row_hashes(table: Table) -> list[str]:
    """Hash every row over all its columns, whatever order they are in; equal rows have equal hashes."""
    columns = [pc.cast(table[name], pa.string()) for name in sorted(table.column_names)]
    joined = pc.binary_join_element_wise(
        *columns, _SEPARATOR, null_handling="replace", null_replacement=_NULL
    )
    return [hashlib.blake2b(row.encode(), digest_size=16).hexdigest() for row in joined.to_pylist()]
