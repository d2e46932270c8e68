"""From a table of examples to a training set: checked, cast, and split into train and held-out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from containers.frames import write_training_set
from containers.paths import MlPaths
from containers.training_set import casting, kept, row_keys, rows, targets
from sluice.arrow import Table
from sluice.column_names import normal
from sluice.contract import ClassLabel, Kind, ModelContract
from sluice.datasets import dataset_file
from sluice.errors import TrainingSetFailed
from sluice.payloads.documents import SplitSummary, TargetSummary, TrainingSetSummary
from sluice.project import Project
from sluice.splits import KEY_COLUMN, held_out_mask


@dataclass(frozen=True)
class TrainingSet:
    """Both sides of the split, with the contract that describes their columns."""

    train: Table
    held_out: Table
    contract: ModelContract
    summary: TrainingSetSummary
    own_image: bool


def made_of(frame: pd.DataFrame, dataset: Table, project: Project) -> TrainingSet:
    """Make the training set of a table of examples, one a row.

    Args:
        frame: the features, the target and the entity's key, by the names of project.toml.
        dataset: what it was made of.
        project: says what is a feature, and who is held out.

    Raises:
        TrainingSetFailed: the table is not usable, or one side of the split is empty.
        OneClassTarget: the target, or one side of the split, holds a single class.
    """
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
        held_out=kept.beside(table, frame, project).filter(pa.array(held_out)),
        contract=contract,
        summary=_summary(dataset, keys, target, held_out, contract, project),
        own_image=project.model.image is not None,
    )


def _check_columns(frame: pd.DataFrame, project: Project) -> None:
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if twice:
        raise TrainingSetFailed(f"build_features made columns twice: {', '.join(twice)}", where="features.py")
    wanted = dict.fromkeys(project.features.names, "features")
    wanted[project.target.column] = "target.column"
    if project.entity.key:
        wanted[project.entity.key] = "entity.key"
    wanted |= dict.fromkeys((name for name in project.gates.columns if name not in wanted), "gates")
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


def write(made: TrainingSet, paths: MlPaths) -> None:
    """Write a training set to the job's outputs; for an image of the user's own the held-out rows as CSV, too."""
    held_out = paths.processing_output("held_out")
    files = (paths.processing_output("train") / "train.parquet", held_out / "held_out.parquet")
    for table, file in zip((made.train, made.held_out), files, strict=True):
        write_training_set(table, made.contract, file)
    if made.own_image:
        rows.write_rows(made.held_out, made.contract, held_out / rows.ROWS)
    hashes = zip(("train_sha256", "held_out_sha256"), map(dataset_file.sha256, files), strict=True)
    made.summary.model_copy(update=dict(hashes)).save(
        paths.processing_output("summary") / "training_set.json"
    )
