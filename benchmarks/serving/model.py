"""The model and its rows: generated, trained by the project's own training job, scored by scikit-learn itself."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import joblib
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from containers.frames import frame_of, write_training_set
from containers.paths import MlPaths
from containers.scoring import Scoring
from sluice.contract import Columns, Feature, ModelContract, TargetContract

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "build" / "bench" / "models"

Record: TypeAlias = dict[str, float | str | None]
"""One row: feature names in contract order, None for null."""

_MOST_TRAINING_ROWS = 10_000
_TRAINING_CELLS = 1_000_000
"""A wide model is trained on fewer rows: what is measured is serving, and one-hot columns are many."""

ROWS = 4_000
"""Rows that are asked for: none of them was trained on."""

_TRAINING_SEED, _ROWS_SEED = 1, 2
_NULL_SHARE = 0.02
_NEVER_SEEN_SHARE = 0.005
_POSITIVE = "yes"


@dataclass(frozen=True)
class Shape:
    """How large a model is; 7 in 19 of its features are numbers, the others categories."""

    trees: int = 150
    features: int = 19

    @property
    def training_rows(self) -> int:
        return min(_MOST_TRAINING_ROWS, _TRAINING_CELLS // self.features)

    @property
    def numbers(self) -> int:
        return round(self.features * 7 / 19)

    def __str__(self) -> str:
        return f"{self.trees} trees, {self.features} features"


@dataclass(frozen=True)
class Example:
    """A trained model with the rows it is asked about.

    Attributes:
        shape: how large it is.
        folder: what SAGEMAKER_BASE_DIR names; the model folder lies in it.
        contract: the model's.
        rows: ROWS records.
        expected: (ROWS,) the probability of the positive class, by scikit-learn's own predict_proba.
    """

    shape: Shape
    folder: Path
    contract: ModelContract
    rows: list[Record]
    expected: npt.NDArray[np.float64]

    @property
    def model(self) -> Path:
        return MlPaths(self.folder).model


def example(shape: Shape) -> Example:
    """Train the model of this shape, or take the one that the same sources trained before.

    Raises:
        RuntimeError: the training job failed, or left no compiled model: then there is nothing to measure.
    """
    folder = MODELS / f"{shape.trees}x{shape.features}-{_sources()}"
    if not (MlPaths(folder).model / "scoring.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        _train(shape, folder)
    paths = MlPaths(folder)
    scoring = Scoring.load(paths.model)
    if scoring.path != "compiled":
        raise RuntimeError(f"the model of the benchmark has no compiled form: {scoring.why}")
    contract = ModelContract.load(paths.model / "contract.json")
    columns = _columns(shape, ROWS, _ROWS_SEED)
    rows: list[Record] = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return Example(shape, folder, contract, rows, _expected(paths.model, contract, rows))


def _expected(model: Path, contract: ModelContract, rows: list[Record]) -> npt.NDArray[np.float64]:
    columns: Columns = contract.columns_from_records(rows)
    position = contract.target.classes.index(_POSITIVE)
    pipeline = joblib.load(model / "model.joblib")
    probabilities: npt.NDArray[np.float64] = pipeline.predict_proba(frame_of(columns, contract))
    return np.ascontiguousarray(probabilities[:, position])


def _sources() -> str:
    """Give a hash of what decides how a model comes out."""
    digest = hashlib.sha256()
    compiled = ROOT / "containers" / "compiled"
    files = [Path(__file__), ROOT / "uv.lock", *(Path(__file__).parent / "project").iterdir()]
    files += [
        *compiled.glob("*.py"),
        *(compiled / "native").iterdir(),
        *(ROOT / "containers" / "train").glob("*.py"),
    ]
    for file in sorted(file for file in files if file.is_file()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _train(shape: Shape, folder: Path) -> None:
    """Run a training job over the folder, as SageMaker would."""
    paths = MlPaths(folder)
    for each in (paths.channel("train"), paths.channel("code"), paths.hyperparameters.parent):
        each.mkdir(parents=True)
    contract = _contract(shape)
    columns = _columns(shape, shape.training_rows, _TRAINING_SEED)
    table = pa.table(
        {
            **columns,
            "outcome": _outcomes(shape, columns),
            "__key": [str(i) for i in range(shape.training_rows)],
        }
    )
    write_training_set(table, contract, paths.channel("train") / "train.parquet")
    (paths.channel("code") / "project.zip").write_bytes(_project())
    paths.hyperparameters.write_text(json.dumps({"max_iter": str(shape.trees)}))
    done = subprocess.run(
        [sys.executable, "-m", "containers.train", "train"],
        cwd=ROOT,
        # As in the images and the Makefile: threads that spin where they wait take minutes on a shared core.
        env={**os.environ, "GOMP_SPINCOUNT": "10000", "SAGEMAKER_BASE_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"training the model of {shape} failed:\n{done.stdout}{done.stderr}")


def _project() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        for name in ("project.toml", "train.py"):
            target.write(Path(__file__).parent / "project" / name, name)
    return archive.getvalue()


def _contract(shape: Shape) -> ModelContract:
    numbers = [
        Feature(name=name, kind="number", type="number", nullable=True)
        for name in _names("number", shape.numbers)
    ]
    categories = [
        Feature(name=name, kind="category", type="string", nullable=True)
        for name in _names("category", shape.features - shape.numbers)
    ]
    target = TargetContract(name="outcome", problem="binary", classes=("no", _POSITIVE), positive=_POSITIVE)
    return ModelContract(features=(*numbers, *categories), target=target)


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind}_{i:03}" for i in range(count)]


def _columns(shape: Shape, rows: int, seed: int) -> dict[str, list[float | str | None]]:
    """Generate columns: amounts of two decimals on scales from 1 to 10,000, categories of 2 to 12 levels."""
    random = np.random.default_rng([seed, shape.features])
    columns: dict[str, list[float | str | None]] = {}
    for i, name in enumerate(_names("number", shape.numbers)):
        values = np.round(random.gamma(2.0, 10.0 ** (i % 5), rows), 2)
        null = random.random(rows) < _NULL_SHARE
        columns[name] = [
            None if missing else value for value, missing in zip(values.tolist(), null.tolist(), strict=True)
        ]
    for i, name in enumerate(_names("category", shape.features - shape.numbers)):
        levels = [f"{name[-3:]}_level_{level:02}" for level in range(2 + 3 * i % 11)]
        chosen = random.integers(len(levels), size=rows)
        if seed != _TRAINING_SEED:
            chosen[random.random(rows) < _NEVER_SEEN_SHARE] = len(levels)
        null = random.random(rows) < _NULL_SHARE
        columns[name] = [
            None if missing else "never_seen" if level == len(levels) else levels[level]
            for level, missing in zip(chosen.tolist(), null.tolist(), strict=True)
        ]
    return columns


def _outcomes(shape: Shape, columns: dict[str, list[float | str | None]]) -> list[str]:
    """Give a class for every row: it depends on all columns, a few of them together, and on chance."""
    random = np.random.default_rng([3, shape.features])
    rows = len(next(iter(columns.values())))
    score = np.zeros(rows)
    for i, values in enumerate(columns.values()):
        # Text by its level's number; null counts as nothing.
        plain = np.array([float(v[-2:]) if isinstance(v, str) else v or 0.0 for v in values])
        scaled = (plain - plain.mean()) / (plain.std() or 1.0)
        score += random.normal() * np.where(i % 3 == 0, np.abs(scaled), scaled)
    noise = random.normal(scale=0.5 * score.std(), size=rows)
    return [_POSITIVE if value > 0 else "no" for value in (score - np.median(score) + noise).tolist()]
