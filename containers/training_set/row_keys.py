"""The key each row is split by: its entity's, or a hash of the row where the project names no entity."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from sluice.arrow import Table
from sluice.datasets.row_hashes import row_hashes
from sluice.errors import TrainingSetFailed


def entity_keys(frame: pd.DataFrame, column: str) -> list[str]:
    """Give the entity's key of every row as a string.

    Raises:
        TrainingSetFailed: rows have none.
    """
    nulls = int(frame[column].isna().sum())
    if nulls:
        raise TrainingSetFailed(
            f"{nulls:,} of {len(frame):,} rows have no {column!r}",
            where="project.toml: entity.key",
            why="the key decides whether a row is trained on or held out",
            fix="drop such rows in features.py, or reject them with nullable = false",
        )
    return [str(key) for key in frame[column]]


def hash_keys(frame: pd.DataFrame, raw: Table) -> list[str]:
    """Hash rows without an entity.

    Rows that are still rows of the uploaded table (they kept its index) have the hash of those, so that a
    change of features.py moves no row to the other side of the split. Rows that build_features made have
    their own.
    """
    index = frame.index
    fresh = isinstance(index, pd.RangeIndex) and len(index) != raw.num_rows
    if not fresh and index.is_unique and bool(pd.Index(range(raw.num_rows)).isin(index).sum() == len(index)):
        hashes = row_hashes(raw)
        return [hashes[int(position)] for position in index]
    return row_hashes(pa.Table.from_pandas(frame, preserve_index=False))
