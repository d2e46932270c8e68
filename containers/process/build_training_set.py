"""BuildTrainingSet: the dataset through features.py, checked, cast, and split into train and held-out."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from containers.failure import run_job
from containers.hooks import guarded, load_hooks, unpack_project
from containers.paths import MlPaths
from containers.training_set.examples import TrainingSet, made_of, write
from sluice.arrow import Table
from sluice.arrow import compute as pc
from sluice.errors import TrainingSetFailed
from sluice.project import Project

_EXACT_INTEGERS = 2**53


def build(dataset: Table, folder: Path) -> TrainingSet:
    """Make the training set of a dataset as the project in `folder` defines it.

    Raises:
        TrainingSetFailed: features.py raises or makes no usable table, or one side of the split is empty.
        OneClassTarget: the target, or one side of the split, holds a single class.
        ProjectError: project.toml cannot be used.
    """
    project = Project.load(folder)
    return made_of(_built(dataset, folder), dataset, project)


def _built(dataset: Table, folder: Path) -> pd.DataFrame:
    file = folder / "features.py"
    if not file.is_file():
        # Integers with nulls stay integers: as floats they would lose digits.
        frame: pd.DataFrame = dataset.to_pandas(integer_object_nulls=True)
        return frame
    build_features = getattr(load_hooks(file, TrainingSetFailed), "build_features", None)
    if not callable(build_features):
        raise TrainingSetFailed(
            "features.py has no build_features",
            where="features.py",
            fix="define build_features(table) and return a DataFrame, or remove the file",
        )
    _say(f"build_features of features.py, from {dataset.num_rows:,} rows")
    made = guarded(
        lambda: build_features(_frame(dataset)),
        folder,
        "build_features of features.py",
        TrainingSetFailed,
    )
    if not isinstance(made, pd.DataFrame):
        raise TrainingSetFailed(
            f"build_features returned a {type(made).__name__}", where="features.py", fix="return a DataFrame"
        )
    categorical = made.select_dtypes("category").columns
    return made.astype(dict.fromkeys(categorical, object))


def _frame(dataset: Table) -> pd.DataFrame:
    """Give the dataset as pandas usually has it, but for integers that a float would round where some are missing."""
    frame: pd.DataFrame = dataset.to_pandas()
    for name, column in zip(dataset.column_names, dataset.columns, strict=True):
        if pa.types.is_integer(column.type) and column.null_count:
            bounds = pc.min_max(column).as_py()
            if max(-(bounds["min"] or 0), bounds["max"] or 0) > _EXACT_INTEGERS:
                frame[name] = pd.Series(
                    column.to_pandas(integer_object_nulls=True), frame.index, dtype="Int64"
                )
    return frame


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    paths = MlPaths.of(os.environ)

    def work() -> None:
        dataset: Table = pq.read_table(paths.processing_input("dataset") / "data.parquet")
        with tempfile.TemporaryDirectory() as scratch:
            folder = unpack_project(paths.processing_input("code"), Path(scratch) / "code")
            made = build(dataset, folder)
        write(made, paths)
        _say(f"{made.train.num_rows:,} rows to train on, {made.held_out.num_rows:,} held out")

    return run_job(work, paths.processing_message, unforeseen=TrainingSetFailed)


if __name__ == "__main__":
    sys.exit(main())
