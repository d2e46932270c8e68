"""BuildTrainingSet: the dataset through features.py, checked, cast, and split into train and held-out."""

from __future__ import annotations

import os
import sys
import tempfile
from functools import reduce
from pathlib import Path

import pandas as pd
import pyarrow as pa

from containers.failure import run_job
from containers.hooks import guarded, load_hooks, unpack_project
from containers.paths import MlPaths
from containers.training_set.examples import TrainingSet, made_of, write
from sluice.arrow import Table
from sluice.arrow import compute as pc
from sluice.datasets import parts
from sluice.errors import TrainingSetFailed
from sluice.features.plan import FeaturePlan
from sluice.features.source import PLAN
from sluice.payloads.documents import Manifest
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
    if (folder / PLAN).is_file():
        return _as_they_are(dataset, FeaturePlan.model_validate_json((folder / PLAN).read_bytes()))
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


def _as_they_are(dataset: Table, plan: FeaturePlan) -> pd.DataFrame:
    """Give what a join by Feast would give of views whose features each row holds already: its own columns.

    features.py, which declares them in Feast's objects, is not run: Feast is not here.
    """
    if not plan.rows_are_examples:
        raise TrainingSetFailed(
            "the features of this project have to be joined",
            where=PLAN,
            why="it declares windows, functions, times or labels, and this image has no Feast",
            fix="deploy the project again: the image `features` makes its training sets",
        )
    table = dataset
    keys = {key.name for key in plan.keys}
    for view in plan.views:
        # Nobody is known by no name: of such a row a join finds nothing.
        known = reduce(pc.and_, (pc.is_valid(dataset[key.name]) for key in view.keys))
        if pc.all(known).as_py():
            continue
        for name in (value.name for value in view.features):
            if f"{view.name}:{name}" in plan.model and name not in keys:
                nulls = pa.nulls(table.num_rows, table[name].type)
                place = table.column_names.index(name)
                table = table.set_column(place, name, pc.if_else(known, table[name], nulls))
    frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True)
    return frame


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
        with tempfile.TemporaryDirectory() as scratch:
            folder = unpack_project(paths.processing_input("code"), Path(scratch) / "code")
            manifest = Manifest.model_validate_json(
                (paths.processing_input("manifest") / "manifest.json").read_bytes()
            )
            dataset = parts.read(paths.processing_input("dataset"), manifest, Project.load(folder))
            made = build(dataset, folder)
        write(made, paths)
        _say(f"{made.train.num_rows:,} rows to train on, {made.held_out.num_rows:,} held out")

    return run_job(work, paths.processing_message, unforeseen=TrainingSetFailed)


if __name__ == "__main__":
    sys.exit(main())
