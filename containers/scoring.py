"""Which way a model is scored, and why: scoring.json in the model folder, /ping's details."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from sluice.errors import ProjectError

FILE_NAME = "scoring.json"

Path_ = Literal["compiled", "scikit-learn"]


class Scoring(BaseModel):
    """The verdict of the training job, or what a serving process found when it loaded the model.

    Attributes:
        path: the compiled model, or the pipeline as it was fitted.
        engine: what evaluates the compiled model, "native" or "numpy"; empty for the pipeline.
        why: why it is not the compiled path, or not the native engine.
        rows: on how many rows the training job found the compiled model equal.
        exact: whether bit for bit, on any processor: trees are, sums of products are not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path_
    engine: Literal["native", "numpy", ""] = ""
    why: str = ""
    rows: int = 0
    exact: bool = False

    def describe(self) -> str:
        """Say it in a line."""
        if self.path == "scikit-learn":
            return f"scikit-learn: {self.why}"
        return f"compiled, equal to the fitted pipeline on {self.rows:,} rows"

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the verdict of the training job.

        Raises:
            ProjectError: there is none, or it is none of ours.
        """
        file = folder / FILE_NAME
        try:
            return cls.model_validate_json(file.read_bytes())
        except (FileNotFoundError, ValidationError) as error:
            raise ProjectError(
                "no verdict on how the model is scored", where=str(file), why=str(error)
            ) from error

    def save(self, folder: Path) -> None:
        (folder / FILE_NAME).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
