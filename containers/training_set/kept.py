"""Columns that are no features, kept with the held-out rows: [gates] parts them by these."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from containers.training_set import casting
from sluice.arrow import Table
from sluice.errors import TrainingSetFailed
from sluice.project import Project


def beside(table: Table, frame: pd.DataFrame, project: Project) -> Table:
    """Give the table with the columns of [gates] that it does not have: numbers as float64, all else as text.

    Raises:
        TrainingSetFailed: rows are to be parted at cuts of a column of texts.
    """
    cut = {each.column for each in project.gates.slices if each.cuts}
    for name in project.gates.columns:
        if name in table.column_names:
            continue
        declared = project.columns.get(name)
        column = casting.plain_texts(frame[name], project.data.null_values)
        type_ = casting.type_of(column, declared.type if declared else None)
        if type_ in ("integer", "number"):
            table = table.append_column(
                name, pa.array(casting.numbers(column, type_), pa.float64(), from_pandas=False)
            )
        elif name in cut:
            raise TrainingSetFailed(
                f"the rows cannot be parted at the cuts of {name!r}: it holds values of type {type_}",
                where="project.toml: gates.slices",
                fix="give `values` instead of `cuts`, or make a number of it in features.py",
            )
        else:
            table = table.append_column(name, pa.array(casting.categories(column, type_), pa.string()))
    return table
