"""BuildTrainingSet of a project that declares its features: labels, joined to them by Feast, cast and split."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pandas as pd

from containers.failure import run_job
from containers.features.athena import Athena
from containers.features.definitions import load, plan_of
from containers.features.retrieval import examples
from containers.features.store import MOMENT, Join, joined_here
from containers.hooks import unpack_project
from containers.paths import MlPaths
from containers.training_set.examples import TrainingSet, made_of, write
from sluice.arrow import Table
from sluice.datasets import parts
from sluice.errors import TrainingSetFailed
from sluice.features.plan import View
from sluice.features.windows import Engine
from sluice.payloads.documents import Manifest
from sluice.project import Project


def build(
    files: list[Path], dataset: Table, folder: Path, scratch: Path, join: Join = joined_here
) -> TrainingSet:
    """Make the training set of a dataset as the project in `folder` defines it.

    Args:
        files: those of the dataset's parts, in the order in which they were accepted.
        dataset: their rows; of two with the same key and time the later one.
        folder: the project's.
        scratch: an empty folder.
        join: the offline store.

    Raises:
        ProjectError: project.toml or features.py cannot be used.
        TrainingSetFailed: build_labels raises or makes no usable labels, or one side of the split is empty.
        OneClassTarget: the target, or one side of the split, holds a single class.
    """
    return made_of(examples_of(files, dataset, folder, scratch, join), dataset, Project.load(folder))


def examples_of(
    files: list[Path], dataset: Table, folder: Path, scratch: Path, join: Join = joined_here
) -> pd.DataFrame:
    """Give the project's examples, one a row; see `retrieval.examples`."""
    project = Project.load(folder)
    definitions = load(folder)
    plan = plan_of(definitions, project)

    def aggregate(view: View, moments: Table) -> Table:
        if plan.timestamp is None:
            raise AssertionError("a plan without event times has no aggregations")
        _say(f"view {view.name}: {len(view.features)} features at {moments.num_rows:,} moments")
        return Engine(files, view, plan.timestamp, scratch=scratch).at_moments(moments, MOMENT)

    _say(f"features of {len(plan.views)} views, from {dataset.num_rows:,} rows")
    return examples(
        dataset,
        plan,
        definitions,
        project,
        folder=folder,
        scratch=scratch,
        aggregate=aggregate,
        join=join,
    )


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    paths = MlPaths.of(os.environ)

    def work() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = unpack_project(paths.processing_input("code"), Path(scratch) / "code")
            working = Path(scratch) / "work"
            working.mkdir()
            manifest = Manifest.model_validate_json(
                (paths.processing_input("manifest") / "manifest.json").read_bytes()
            )
            channel = paths.processing_input("dataset")
            dataset = parts.read(channel, manifest, Project.load(folder))
            athena = Athena.of(os.environ)
            if athena is not None:
                _say(f"features are joined by Athena, in its workgroup {athena.workgroup}")
            join = athena or joined_here
            made = build(parts.files(channel, manifest), dataset, folder, working, join)
        write(made, paths)
        _say(f"{made.train.num_rows:,} rows to train on, {made.held_out.num_rows:,} held out")

    return run_job(work, paths.processing_message, unforeseen=TrainingSetFailed)


if __name__ == "__main__":
    sys.exit(main())
