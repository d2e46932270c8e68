"""BuildTrainingSet: the dataset through features.py, checked, cast, and split into train and held-out."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from containers.failure import run_job
from containers.frames import write_training_set
from containers.hooks import guarded, load_hooks, unpack_project
from containers.paths import MlPaths
from containers.process import casting, row_keys, targets, transform
from sluice.arrow import Table
from sluice.arrow import compute as pc
from sluice.column_names import normal
from sluice.contract import ClassLabel, Kind, ModelContract
from sluice.datasets import parts
from sluice.errors import TrainingSetFailed
from sluice.payloads.documents import Manifest, SplitSummary, TargetSummary, TrainingSetSummary
from sluice.project import Project
from sluice.splits import KEY_COLUMN, held_out_mask

_EXACT_INTEGERS = 2**53


@dataclass(frozen=True)
class TrainingSet:
    """Both sides of the split, with the contract that describes their columns."""

    train: Table
    held_out: Table
    contract: ModelContract
    summary: TrainingSetSummary
    own_image: bool


def build(dataset: Table, folder: Path) -> TrainingSet:
    """Make the training set of a dataset as the project in `folder` defines it.

    Raises:
        TrainingSetFailed: features.py raises or makes no usable table, or one side of the split is empty.
        OneClassTarget: the target, or one side of the split, holds a single class.
        ProjectError: project.toml cannot be used.
    """
    project = Project.load(folder)
    frame = _built(dataset, folder)
    frame.columns = [normal(each) if isinstance(each, str) else each for each in frame.columns]
    _check_columns(frame, project)
    for name in project.features.categorical:
        frame[name] = casting.plain_texts(frame[name], project.data.null_values)
    target, classes = targets.read(frame[project.target.column], project.target)
    keys = (
        row_keys.entity_keys(frame, project.entity.key)
        if project.entity.key
        else row_keys.hash_keys(frame, dataset)
    )
    held_out = np.array(held_out_mask(keys, salt=project.split.salt, share=project.split.held_out_share))
    _check_sides(held_out, project)

    contract = _contract(frame, project, classes, target, held_out)
    columns: dict[str, Any] = {}
    for feature in contract.features:
        cast = casting.numbers if feature.kind == "number" else casting.categories
        type_ = pa.float64() if feature.kind == "number" else pa.string()
        # from_pandas=False: NaN stays NaN in a column of numbers, as a model is given it.
        columns[feature.name] = pa.array(cast(frame[feature.name], feature.type), type_, from_pandas=False)
    columns[project.target.column] = pa.array(target)
    columns[KEY_COLUMN] = pa.array(keys, pa.string())
    table: Table = pa.table(columns)
    return TrainingSet(
        train=table.filter(pa.array(~held_out)),
        held_out=table.filter(pa.array(held_out)),
        contract=contract,
        summary=_summary(dataset, keys, target, held_out, contract, project),
        own_image=project.model.image is not None,
    )


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


def _check_columns(frame: pd.DataFrame, project: Project) -> None:
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if twice:
        raise TrainingSetFailed(f"build_features made columns twice: {', '.join(twice)}", where="features.py")
    wanted = dict.fromkeys(project.features.names, "features")
    wanted[project.target.column] = "target.column"
    if project.entity.key:
        wanted[project.entity.key] = "entity.key"
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise TrainingSetFailed(
            f"the table has no column {', '.join(map(repr, missing))}",
            where=f"project.toml: {wanted[missing[0]]}",
            why=f"it has: {', '.join(map(str, frame.columns))}",
            fix="let build_features of features.py return it, or change project.toml",
        )
    if frame.empty:
        raise TrainingSetFailed(
            "build_features returned no rows", where="features.py", fix="return one row per example"
        )


def _check_sides(held_out: Any, project: Project) -> None:
    count = int(held_out.sum())
    if count in (0, len(held_out)):
        raise TrainingSetFailed(
            f"all {len(held_out):,} rows are {'held out' if count else 'for training, none is held out'}",
            where="project.toml: split",
            why=f"held_out_share = {project.split.held_out_share:g}, decided by a hash of each row's key",
            fix="upload more rows (or more entities), or change split.held_out_share or split.salt",
        )


def _contract(
    frame: pd.DataFrame, project: Project, classes: list[ClassLabel], target: Any, held_out: Any
) -> ModelContract:
    kinds: list[tuple[Kind, tuple[str, ...]]] = [
        ("number", project.features.numeric),
        ("category", project.features.categorical),
    ]
    features = tuple(
        casting.feature_of(frame[name], kind, project.columns.get(name))
        for kind, names in kinds
        for name in names
    )
    return ModelContract(
        features=features,
        target=targets.contract_of(target, classes, held_out, project.target),
        null_values=project.data.null_values,
    )


def _summary(
    dataset: Table, keys: list[str], target: Any, held_out: Any, contract: ModelContract, project: Project
) -> TrainingSetSummary:
    def classes(out: bool) -> dict[str, int] | None:
        if not contract.target.classes:
            return None
        counts = Counter(str(y) for y, is_out in zip(target, held_out, strict=True) if is_out == out)
        return dict(sorted(counts.items()))

    return TrainingSetSummary(
        dataset_rows=dataset.num_rows,
        rows=len(keys),
        train_rows=int((~held_out).sum()),
        held_out_rows=int(held_out.sum()),
        keys=len(set(keys)),
        split=SplitSummary(salt=project.split.salt, held_out_share=project.split.held_out_share),
        features=contract.features,
        target=TargetSummary(
            name=contract.target.name,
            problem=contract.target.problem,
            train=classes(False),
            held_out=classes(True),
        ),
    )


def _say(text: str) -> None:
    print(text, flush=True)


def write(made: TrainingSet, paths: MlPaths) -> None:
    """Write a training set to the job's outputs; for an image of the user's own the held-out rows as CSV, too."""
    held_out = paths.processing_output("held_out")
    write_training_set(made.train, made.contract, paths.processing_output("train") / "train.parquet")
    write_training_set(made.held_out, made.contract, held_out / "held_out.parquet")
    if made.own_image:
        transform.write_rows(made.held_out, made.contract, held_out / transform.ROWS)
    made.summary.save(paths.processing_output("summary") / "training_set.json")


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
