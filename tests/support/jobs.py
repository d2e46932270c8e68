"""Jobs run as processes, as SageMaker runs them, with a small table and a small project; what they leave behind."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]

# Before scikit-learn is imported: on tables of hundreds of rows its threads wait for each other, most of all where
# the machine has other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TRAIN = '''\
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


class Careful(LogisticRegression):
    """An estimator that only this file knows."""


class CarefulLine(LinearRegression):
    pass


def build_model(hyperparameters):
    kind = hyperparameters.pop("kind", "classifier")
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include=object)),
        (SimpleImputer(), make_column_selector(dtype_include="number")),
    )
    model = CarefulLine() if kind == "line" else Careful(**hyperparameters)
    return make_pipeline(encode, model)
'''

PROJECT = """\
[project]
name = "toy"
[entity]
key = "id"
[target]
column = "y"
{target}
[columns.id]
type = "integer"
[columns.size]
type = "integer"
min = 0
[columns.weight]
type = "number"
nullable = true
[columns.colour]
type = "string"
nullable = true
[columns.grade]
type = "integer"
nullable = true
[columns.member]
type = "boolean"
[columns.y]
type = "{type}"
[features]
numeric = ["size", "weight", "member"]
categorical = ["colour", "grade"]
[split]
held_out_share = 0.3
"""

BINARY = PROJECT.format(target='problem = "binary"\npositive = "yes"', type="string")
MULTICLASS = PROJECT.format(target='problem = "multiclass"', type="string")
REGRESSION = PROJECT.format(target='problem = "regression"', type="number")


def toy_table(problem: str = "binary", rows: int = 400) -> pa.Table:
    """Numbers and categories with nulls in them, and a target that follows from them, more or less."""
    draw = random.Random(5)
    records = []
    for i in range(rows):
        size, weight = draw.randint(0, 50), draw.gauss(0, 1)
        colour = draw.choice(["red", "green", None])
        value = size / 25 - 1 + weight + (colour == "red") + draw.gauss(0, 0.3)
        target: Any = {
            "binary": "yes" if value > 0 else "no",
            "multiclass": "low" if value < -0.5 else "middle" if value < 0.5 else "high",
            "regression": value,
        }[problem]
        records.append(
            {
                "id": i,
                "size": size,
                "weight": None if draw.random() < 0.1 else weight,
                "colour": colour,
                "grade": draw.choice([1, 2, 3, None]),
                "member": draw.random() < 0.5,
                # No features, and from the number of the row, so that no draw above is another one.
                "sex": "fm"[i % 2],
                "years": float(18 + i * 7 % 60),
                "y": target,
            }
        )
    return pa.Table.from_pylist(records)


@dataclass
class Run:
    """How a container ended."""

    code: int
    output: str
    reason: str


@dataclass
class Job:
    """One job's /opt/ml with the project's zip in it."""

    base: Path
    project: str = BINARY
    hooks: dict[str, str] = field(default_factory=lambda: {"train.py": TRAIN})

    def code_zip(self) -> bytes:
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr("project.toml", self.project)
            for name, text in self.hooks.items():
                archive.writestr(name, text)
        return sink.getvalue()

    def put(self, path: str, content: bytes) -> None:
        file = self.base / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def run(self, *command: str, **environment: str) -> Run:
        """Run `python -m …` over this /opt/ml and give what it left."""
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={**os.environ, "SAGEMAKER_BASE_DIR": str(self.base), **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        reasons = [self.base / "output" / name for name in ("failure", "message")]
        reason = next((file.read_text() for file in reasons if file.exists()), "")
        return Run(done.returncode, done.stdout + done.stderr, reason)

    def build_training_set(self, table: pa.Table) -> Run:
        self.put("processing/input/code/project.zip", self.code_zip())
        self.put_dataset(table)
        return self.run("containers.process", "build-training-set")

    def put_dataset(self, *tables: pa.Table) -> None:
        """Put a dataset version of these parts where SageMaker puts its inputs."""
        listed = []
        for table in tables:
            body = parquet(table)
            sha256 = hashlib.sha256(body).hexdigest()
            md5 = hashlib.md5(body).hexdigest()
            self.put(f"processing/input/dataset/files/md5/{md5[:2]}/{md5[2:]}", body)
            named = {"name": sha256[:16], "sha256": sha256, "md5": md5}
            listed.append({**named, "bytes": len(body), "rows": len(table)})
        source = {"uri": "s3://uploads/a.csv", "version_id": "v", "etag": "e", "execution": "run"}
        manifest = {
            **{name: listed[-1][name] for name in ("sha256", "bytes", "rows")},
            "dataset_version": "0123456789abcdef",
            "project": "toy",
            "columns": {},
            "source": source,
            "parts": [{**part, "source": source} for part in listed],
        }
        self.put("processing/input/manifest/manifest.json", json.dumps(manifest).encode())

    def train(self, training_set: bytes, hyperparameters: dict[str, Any] | None = None) -> Run:
        self.put("input/data/code/project.zip", self.code_zip())
        self.put("input/data/train/train.parquet", training_set)
        strings = {name: str(value) for name, value in (hyperparameters or {}).items()}
        self.put("input/config/hyperparameters.json", json.dumps(strings).encode())
        return self.run("containers.train", "train", DATASET_VERSION="0123456789abcdef")

    def model_archive(self) -> bytes:
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w:gz") as tar:
            tar.add(self.base / "model", arcname=".")
        return sink.getvalue()

    def evaluate(self, held_out_set: bytes, challenger: bytes, champion: bytes | None = None) -> Run:
        self.put("processing/input/code/project.zip", self.code_zip())
        self.put("processing/input/held_out/held_out.parquet", held_out_set)
        self.put("processing/input/challenger/model.tar.gz", challenger)
        uris = {"CHALLENGER_MODEL_URI": "s3://b/challenger"}
        if champion is not None:
            self.put("processing/input/champion/model.tar.gz", champion)
            uris["CHAMPION_MODEL_URI"] = "s3://b/champion"
        return self.run("containers.process", "evaluate", **uris)

    def read(self, path: str) -> bytes:
        return (self.base / path).read_bytes()

    @property
    def evaluation(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.read("processing/output/evaluation/evaluation.json"))
        return document


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@dataclass(frozen=True)
class Trained:
    """A project that went through build-training-set and train, and what the training job printed."""

    built: Job
    trained: Job
    log: str

    @property
    def model(self) -> Path:
        return self.trained.base / "model"

    @property
    def train_set(self) -> bytes:
        return self.built.read("processing/output/train/train.parquet")

    @property
    def held_out_set(self) -> bytes:
        return self.built.read("processing/output/held_out/held_out.parquet")


def through(folder: Path, project: str, problem: str, hyperparameters: dict[str, Any]) -> Trained:
    built = Job(folder / "build", project)
    run = built.build_training_set(toy_table(problem))
    assert run.code == 0, run.output
    trained = Job(folder / "train", project)
    run = trained.train(built.read("processing/output/train/train.parquet"), hyperparameters)
    assert run.code == 0, run.output
    return Trained(built, trained, run.output)
