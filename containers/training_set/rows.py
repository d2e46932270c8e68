"""The held-out rows as the container of a user's own image is asked about them: CSV without a header."""

from __future__ import annotations

from pathlib import Path

from containers.frames import features_of
from sluice.arrow import Table
from sluice.contract import ModelContract
from sluice.errors import TrainingSetFailed

ROWS = "held_out.csv"


def write_rows(table: Table, contract: ModelContract, file: Path) -> None:
    """Write the features in contract order as CSV without a header; a null is an empty field.

    Raises:
        TrainingSetFailed: a category holds a line break, where the job would cut the row in two.
    """
    frame = features_of(table, contract)
    for feature in contract.features:
        if feature.kind == "category":
            broken = int(frame[feature.name].str.contains(r"[\r\n]", na=False).sum())
            if broken:
                raise TrainingSetFailed(
                    f"the feature {feature.name!r} holds a line break in {broken:,} held-out rows",
                    where="project.toml: features.categorical",
                    why="a model of your own image is sent CSV that is cut at line ends",
                    fix="replace line breaks in features.py: build_features",
                )
    frame.to_csv(file, header=False, index=False, lineterminator="\n")
