"""The models to be judged, as their predictions for the held-out rows: being made, or made before."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np

from containers.model_files import EXAMPLE, GOLDEN, history_in
from containers.predictions import Predictions
from containers.process import refusal, transform
from containers.process.measured import MEASURED, Important, Measured
from containers.scoring import Scoring
from sluice.contract import ModelContract
from sluice.errors import EvaluationFailed, ProjectError, SluiceError
from sluice.payloads.training_record import FILE_NAME, TrainingRecord


class ArchivedModel:
    """One model scoring the held-out rows in a process of its own, from now on."""

    def __init__(
        self, role: str, folder: Path, held_out: Path, scratch: Path, *, important: Important | None = None
    ) -> None:
        self.role = role
        self._archive = folder / "model.tar.gz"
        self._out = scratch / role / "scores"
        self._out.mkdir(parents=True)
        self._model = scratch / role / "model"
        self._error = _unpack(self._archive, self._model)
        command = [sys.executable, "-m", "containers.process.score"]
        command += [str(self._model), str(held_out), str(self._out)]
        if important is not None:
            command += [important.metric, str(important.seed)]
        self._process = None if self._error else subprocess.Popen(command)

    def predictions(self, _given: ModelContract, _rows: int) -> tuple[Predictions, ModelContract]:
        """Wait for the predictions, and give them with the model's own contract.

        Raises:
            EvaluationFailed: there are none.
        """
        error = self._error
        if self._process is not None:
            code = self._process.wait()
            if code:
                error = refusal.left_in(self._out) or _died(code)
        if error:
            raise refusal.of(self.role, error)
        with np.load(self._out / "predictions.npz", allow_pickle=False) as arrays:
            predictions = Predictions(arrays["values"], arrays.get("labels"))
        return predictions, ModelContract.load(self._out / "contract.json")

    @property
    def scoring(self) -> str | None:
        """How it would be served; None of a model that was trained without a verdict."""
        try:
            return Scoring.load(self._model).describe()
        except ProjectError:
            return None

    @property
    def record(self) -> TrainingRecord | None:
        """What its training job was given; None of a model that was trained before that was kept."""
        file = self._model / FILE_NAME
        return TrainingRecord.model_validate_json(file.read_bytes()) if file.is_file() else None

    @property
    def measured(self) -> Measured:
        """What was measured of it beside its predictions, once these are there."""
        return Measured.model_validate_json((self._out / MEASURED).read_bytes())

    @property
    def history(self) -> dict[str, tuple[float, ...]]:
        """What it measured after each iteration of its training, as it was told then."""
        return history_in(self._model)

    @property
    def example(self) -> Path | None:
        """The request that lies in its archive."""
        file = self._model / EXAMPLE
        return file if file.is_file() else None

    @property
    def golden(self) -> Path:
        """Some of the rows with its answers, once its predictions are there."""
        return self._out / GOLDEN

    @property
    def archive_bytes(self) -> int:
        return self._archive.stat().st_size

    def stop(self) -> None:
        """End it where nobody waited for it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class OwnImage:
    """One model whose own container has answered to the held-out rows, in a batch transform job."""

    scoring = None
    record = None
    archive_bytes = None
    measured = Measured()
    history: ClassVar[dict[str, tuple[float, ...]]] = {}
    example = None
    golden = None

    def __init__(self, role: str, file: Path) -> None:
        self.role = role
        self._file = file

    def predictions(self, given: ModelContract, rows: int) -> tuple[Predictions, ModelContract]:
        """Read the predictions for `rows` held-out rows that came with the contract `given`.

        Raises:
            EvaluationFailed: the answers are none.
        """
        try:
            return transform.read_answers(self._file, given, rows), given
        except EvaluationFailed as error:
            raise refusal.of(self.role, error) from error


def _died(code: int) -> SluiceError:
    return EvaluationFailed(
        f"the process that scored the rows ended with exit code {code}",
        where="the model's own code",
        why="it left no reason behind"
        + (": it was killed, perhaps for want of memory" if code == -9 else ""),
        fix="see the last lines of the job's log",
    )


def _unpack(archive: Path, folder: Path) -> SluiceError | None:
    """Unpack a model.tar.gz; tells what is wrong with it, if anything."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            # The filter refuses absolute paths, links out of the folder, devices.
            tar.extractall(folder, filter="data")
    # A gzip that ends early is an EOFError, one with other bytes in it a zlib.error.
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        return EvaluationFailed(
            "the model's archive cannot be unpacked",
            where=archive.name,
            why=str(error),
            fix="train again: the artifact is missing or damaged",
        )
    return None
