"""Training sets as Parquet and as what a model is given: the same frame in training, judging and serving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sluice.arrow import Table
from sluice.contract import Columns, ModelContract, Value
from sluice.errors import ProjectError

_METADATA = b"sluice.contract"


def write_training_set(table: Table, contract: ModelContract, file: Path) -> None:
    """Write features in contract order, target and key; the contract travels in the file's own metadata."""
    metadata = {_METADATA: contract.model_dump_json().encode()}
    pq.write_table(table.replace_schema_metadata(metadata), file)


def read_training_set(folder: Path) -> tuple[Table, ModelContract]:
    """Read the one Parquet file of a folder that `write_training_set` wrote.

    Raises:
        ProjectError: there is none, or it carries no contract.
    """
    files = sorted(folder.glob("*.parquet"))
    if len(files) != 1:
        raise ProjectError(f"expected one Parquet file, found {len(files)}", where=str(folder))
    table: Table = pq.read_table(files[0])
    text = (table.schema.metadata or {}).get(_METADATA)
    if text is None:
        raise ProjectError(
            "the training set carries no contract",
            where=files[0].name,
            fix="let build-training-set make it",
        )
    return table, ModelContract.model_validate_json(text)


# Said, and not left to pandas, which takes a column of nothing but None for objects: a single row without its
# category would be encoded differently from the same row among others.
_TEXT = pd.StringDtype(na_value=np.nan)


def features_of(table: Table, contract: ModelContract) -> pd.DataFrame:
    """Give the model's input, (rows, features): float64, and columns of strings (dtype "str") with NaN for null."""
    return pd.DataFrame(
        {
            feature.name: (
                table[feature.name].to_numpy()
                if feature.kind == "number"
                else _texts(table[feature.name].to_pylist())
            )
            for feature in contract.features
        }
    )


def frame_of(columns: Columns, contract: ModelContract) -> pd.DataFrame:
    """Give the same for columns that came in a request."""
    return pd.DataFrame(
        {
            feature.name: (
                np.array(columns[feature.name], dtype=np.float64)
                if feature.kind == "number"
                else _texts(columns[feature.name])
            )
            for feature in contract.features
        }
    )


def columns_of(frame: pd.DataFrame, contract: ModelContract) -> Columns:
    """Give a frame's columns as plain values."""
    return {
        feature.name: (
            frame[feature.name].tolist()
            if feature.kind == "number"
            else [value if isinstance(value, str) else None for value in frame[feature.name].tolist()]
        )
        for feature in contract.features
    }


def _texts(values: Sequence[Value]) -> pd.Series:
    return pd.Series(list(values), dtype=_TEXT)


def target_of(table: Table, contract: ModelContract) -> pd.Series:
    """Give the target: float64 for a regression, else classes: strings (object), integers or booleans."""
    column = table[contract.target.name]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pd.Series(np.array(column.to_pylist(), dtype=object), name=contract.target.name, dtype=object)
    return pd.Series(column.to_numpy(), name=contract.target.name)
