"""The held-out rows' columns as texts and as numbers, for rows to be parted by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from sluice.arrow import Table
from sluice.contract import ModelContract
from sluice.errors import EvaluationFailed
from sluice.judging.intervals import Floats
from sluice.judging.slices import Texts


class Columns:
    """The columns of the held-out rows: features, and those that BuildTrainingSet kept for [gates]."""

    def __init__(self, table: Table, contract: ModelContract) -> None:
        self._table = table
        self._booleans = {each.name for each in contract.features if each.type == "boolean"}

    def texts(self, name: str) -> Texts:
        """Give a column as texts, (n,), None for null; 3.0 is "3", and a boolean among the numbers "true" or "false".

        Raises:
            EvaluationFailed: there is no such column.
        """
        column = self._column(name)
        if pa.types.is_floating(column.type):
            numbers, places = np.unique(column.to_numpy(), return_inverse=True)
            texts = [None if np.isnan(number) else self._text(name, number) for number in numbers]
            return _objects(texts)[places]
        return _objects(column.to_pylist())

    def numbers(self, name: str) -> Floats:
        """Give a column of numbers, (n,), NaN for null.

        Raises:
            EvaluationFailed: there is no such column, or it holds texts.
        """
        column = self._column(name)
        if not pa.types.is_floating(column.type):
            raise EvaluationFailed(
                f"the held-out rows cannot be parted at the cuts of {name!r}: it holds texts",
                where="project.toml: gates.slices",
                fix="give `values`, or make a number of it in features.py",
            )
        return np.asarray(column.to_numpy(), dtype=np.float64)

    def _column(self, name: str) -> pa.ChunkedArray[Any]:
        if name not in self._table.column_names:
            raise EvaluationFailed(
                f"the held-out rows have no column {name!r}",
                where="project.toml: gates",
                why=f"they have: {', '.join(self._table.column_names)}",
                fix="name one of those, or let features.py make it",
            )
        column: pa.ChunkedArray[Any] = self._table[name]
        return column

    def _text(self, name: str, value: float) -> str:
        if name in self._booleans:
            return "true" if value else "false"
        return f"{value:.15g}"


def _objects(values: list[str | None]) -> Texts:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made
