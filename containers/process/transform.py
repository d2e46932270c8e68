"""What a batch transform job answered, as predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from containers.predictions import Predictions
from sluice.contract import ModelContract
from sluice.errors import EvaluationFailed

ANSWERS = "held_out.csv.out"  # SageMaker's name for what it makes of containers.training_set.rows.ROWS

_DOCUMENTED = "docs/project.md, An image of your own, says what it has to answer"
# What a float32 softmax, written with a few digits, may be off by.
_SUM_TOLERANCE = 0.01


def read_answers(file: Path, contract: ModelContract, rows: int) -> Predictions:
    """Read one line a row: the positive class's probability, the classes' probabilities, or the value.

    Blank lines count for nothing: a container's own line end and the job's may come together.

    Raises:
        EvaluationFailed: the answers are not one a row, or no finite numbers, or no probabilities.
    """
    target = contract.target
    by_class = bool(target.classes) and target.positive is None
    values = _numbers(_lines(file, rows), len(target.classes) if by_class else 1, file.name)
    _check(~np.isfinite(values), "not finite", "a prediction has to be a finite number", file.name)
    if not target.classes:
        return Predictions(values[:, 0], None)
    _check((values < 0) | (values > 1), "outside 0 to 1", "they have to be probabilities", file.name)
    if target.positive is None:
        sums = values.sum(axis=1, keepdims=True)
        why = f"the probabilities of {', '.join(map(repr, target.classes))} add up to 1"
        _check(np.abs(sums - 1) > _SUM_TOLERANCE, "not 1 in sum", why, file.name)
        return Predictions(values / sums, values.argmax(axis=1))
    positive = target.classes.index(target.positive)
    probabilities = np.empty((rows, 2))
    probabilities[:, positive] = values[:, 0]
    probabilities[:, 1 - positive] = 1 - values[:, 0]
    return Predictions(probabilities, np.where(values[:, 0] > 0.5, positive, 1 - positive))


def _lines(file: Path, rows: int) -> list[str]:
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise EvaluationFailed(
            "its answers are no text", where=file.name, why=str(error), fix=_DOCUMENTED
        ) from error
    if len(lines) != rows:
        raise EvaluationFailed(
            f"it answered {len(lines):,} lines for {rows:,} held-out rows",
            where=file.name,
            why=f"line n has to be the answer to row n; the first line is {_shown(lines[0])}"
            if lines
            else "the answers are empty",
            fix=_DOCUMENTED,
        )
    return lines


def _numbers(lines: list[str], width: int, where: str) -> npt.NDArray[np.float64]:
    values = np.empty((len(lines), width))
    for row, line in enumerate(lines):
        fields = line.split(",")
        if len(fields) != width:
            raise EvaluationFailed(
                f"line {row + 1} holds {len(fields)} values, expected {width}",
                where=where,
                why=f"it is {_shown(line)}",
                fix=_DOCUMENTED,
            )
        try:
            values[row] = [float(field) for field in fields]
        except ValueError:
            raise EvaluationFailed(
                f"line {row + 1} is not made of numbers",
                where=where,
                why=f"it is {_shown(line)}",
                fix=_DOCUMENTED,
            ) from None
    return values


def _check(broken: npt.NDArray[np.bool_], what: str, why: str, where: str) -> None:
    rows = np.flatnonzero(broken.any(axis=1))
    if len(rows):
        raise EvaluationFailed(
            f"{len(rows):,} of {len(broken):,} predictions are {what}, the first in line {rows[0] + 1}",
            where=where,
            why=why,
            fix=_DOCUMENTED,
        )


def _shown(line: str) -> str:
    return repr(line if len(line) <= 60 else line[:60] + "…")
