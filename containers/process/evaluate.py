"""EvaluateModel: challenger and champion on the same held-out rows: figures, or why there are none."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from containers.failure import report_failure
from containers.frames import read_training_set, target_of
from containers.paths import MlPaths
from containers.predictions import Predictions
from containers.process import curves, metrics, transform
from sluice.arrow import Table
from sluice.contract import ModelContract
from sluice.errors import EvaluationFailed
from sluice.events import Evaluation, ModelEvaluation


def evaluate(paths: MlPaths, environment: Mapping[str, str], scratch: Path) -> Evaluation:
    """Judge the challenger, and the champion if CHAMPION_URI names one.

    A model is given as its archive, or as what its own container has answered to the held-out rows.

    Raises:
        EvaluationFailed: the challenger does not load, does not predict, or predicts no figures. Of a
            champion that is told in its `error` instead.
    """
    test = paths.processing_input("test")
    table, contract = read_training_set(test)
    challenger_uri = environment.get("CHALLENGER_URI", "")
    champion_uri = environment.get("CHAMPION_URI")

    def candidate(role: str) -> _Scoring | _Answered:
        folder = paths.processing_input(role)
        answers = folder / transform.ANSWERS
        if answers.exists():
            return _Answered(role, answers, contract, table.num_rows)
        return _Scoring(role, folder, test, scratch)

    unanswered = environment.get("CHAMPION_ERROR")
    challenger = candidate("challenger")
    champion = candidate("champion") if champion_uri and not unanswered else None

    try:
        judged = {"challenger": _judge(challenger.wait(), table)}
    except EvaluationFailed:
        if champion is not None:
            champion.stop()
        raise
    champion_evaluation = None
    if champion_uri:
        try:
            if champion is None:
                raise _unanswered(unanswered or "")
            judged["champion"] = _judge(champion.wait(), table)
            champion_evaluation = judged["champion"].evaluation(champion_uri)
        except EvaluationFailed as error:
            print(f"the champion could not be judged: {error}", flush=True)
            champion_evaluation = ModelEvaluation(model_uri=champion_uri, error=str(error))
    return Evaluation(
        problem=contract.target.problem,
        held_out_rows=table.num_rows,
        challenger=judged["challenger"].evaluation(challenger_uri),
        champion=champion_evaluation,
        curves={name: each.curves for name, each in judged.items()},
    )


@dataclass(frozen=True)
class _Judged:
    metrics: dict[str, float]
    curves: dict[str, Any]

    def evaluation(self, model_uri: str) -> ModelEvaluation:
        return ModelEvaluation(model_uri=model_uri, metrics=self.metrics)


class _Scoring:
    """One model scoring the held-out rows in a process of its own, from now on."""

    def __init__(self, role: str, folder: Path, test: Path, scratch: Path) -> None:
        self._role = role
        self._out = scratch / role / "scores"
        self._out.mkdir(parents=True)
        self._refusal = _unpack(folder / "model.tar.gz", scratch / role / "model")
        command = [sys.executable, "-m", "containers.process.score"]
        command += [str(scratch / role / "model"), str(test), str(self._out)]
        self._process = None if self._refusal else subprocess.Popen(command)

    def wait(self) -> tuple[Predictions, ModelContract]:
        """Give the predictions.

        Raises:
            EvaluationFailed: there are none.
        """
        told = self._refusal
        if self._process is not None:
            code = self._process.wait()
            if code:
                told = self._told(code)
        if told:
            told = {**told, "what": f"{self._role}: {told['what']}"}
            raise EvaluationFailed(**told)
        with np.load(self._out / "predictions.npz", allow_pickle=False) as arrays:
            predictions = Predictions(arrays["values"], arrays.get("labels"))
        return predictions, ModelContract.load(self._out / "contract.json")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _told(self, code: int) -> dict[str, str]:
        file = self._out / "error.json"
        if file.exists():
            told: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
            return told
        return {
            "what": f"the process that scored the rows ended with exit code {code}",
            "where": "the model's own code",
            "why": "it left no reason behind"
            + (": it was killed, perhaps for want of memory" if code == -9 else ""),
            "fix": "see the last lines of the job's log",
        }


class _Answered:
    """One model whose own container has answered to the held-out rows, in a batch transform job."""

    def __init__(self, role: str, file: Path, contract: ModelContract, rows: int) -> None:
        self._role = role
        self._file = file
        self._contract = contract
        self._rows = rows

    def wait(self) -> tuple[Predictions, ModelContract]:
        """Give the predictions.

        Raises:
            EvaluationFailed: the answers are none.
        """
        try:
            return transform.read_answers(self._file, self._contract, self._rows), self._contract
        except EvaluationFailed as error:
            told = f"{self._role}: {error.what}"
            raise EvaluationFailed(told, where=error.where, why=error.why, fix=error.fix) from error

    def stop(self) -> None:
        """There is nothing to stop."""


def _unanswered(reason: str) -> EvaluationFailed:
    return EvaluationFailed(
        "champion: its container did not answer to the held-out rows",
        where="the champion's transform job",
        why=reason,
        fix="see the job's log; a champion of other features cannot be judged on these rows",
    )


def _unpack(archive: Path, folder: Path) -> dict[str, str]:
    """Unpack a model.tar.gz; tells what is wrong with it, if anything."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            # The filter refuses absolute paths, links out of the folder, devices.
            tar.extractall(folder, filter="data")
    except (OSError, tarfile.TarError) as error:
        return {
            "what": "the model's archive cannot be unpacked",
            "where": archive.name,
            "why": str(error),
            "fix": "train again: the artifact is missing or damaged",
        }
    return {}


def _judge(scored: tuple[Predictions, ModelContract], table: Table) -> _Judged:
    predictions, contract = scored
    actual = target_of(table, contract)
    if predictions.labels is None:
        values = actual.to_numpy(dtype=np.float64)
        judged = _Judged(
            metrics.regression_metrics(values, predictions.values),
            curves.regression_curves(values, predictions.values),
        )
    else:
        positions = metrics.class_positions(actual.tolist(), contract)
        classes = contract.target.classes
        if contract.target.problem == "binary" and contract.target.positive is not None:
            positive = classes.index(contract.target.positive)
            is_positive = positions == positive
            chance = predictions.values[:, positive]
            judged = _Judged(
                metrics.binary_metrics(is_positive, chance, predictions.labels == positive),
                curves.binary_curves(is_positive, chance),
            )
        else:
            judged = _Judged(
                metrics.multiclass_metrics(positions, predictions.values, predictions.labels),
                curves.confusion(positions, predictions.labels, list(classes)),
            )
    undefined = [name for name, value in judged.metrics.items() if not math.isfinite(value)]
    if undefined:
        raise EvaluationFailed(
            f"{', '.join(undefined)} cannot be computed from {len(actual):,} held-out rows",
            where="the held-out rows",
            why="there are too few of them, or they are all alike",
            fix="upload more rows, or raise split.held_out_share",
        )
    return judged


def main() -> int:
    paths = MlPaths.of(os.environ)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            evaluation = evaluate(paths, os.environ, Path(scratch))
        file = paths.processing_output("evaluation") / "evaluation.json"
        file.write_text(evaluation.model_dump_json(indent=2) + "\n", encoding="utf-8")
        print(f"challenger: {evaluation.challenger.metrics}", flush=True)
    except Exception as error:
        report_failure(error, paths.processing_message, unforeseen=EvaluationFailed)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
