"""What a transform job answered, as predictions: one for each row that the model was sent, or an error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from sluice import keys
from sluice.artifacts import Artifacts
from sluice.batch.writing import JSON_LINES, MediaType, part_key
from sluice.contract import TargetContract
from sluice.errors import BatchFailed

Values: TypeAlias = tuple[Any, ...]
"""Of a row, what `fields_of` names."""

_LABELS: dict[type, pa.DataType] = {bool: pa.bool_(), int: pa.int64(), str: pa.string()}


def fields_of(target: TargetContract) -> list[pa.Field[Any]]:
    """Name what is said of a row: the label and the positive class's probability, or each class's, or the value."""
    if not target.classes:
        return [pa.field("prediction", pa.float64())]
    label = pa.field("prediction", _LABELS[type(target.classes[0])])
    if target.positive is not None:
        return [label, pa.field("probability", pa.float64())]
    return [label, *(pa.field(f"probability of {each}", pa.float64()) for each in target.classes)]


def predictions(
    execution: str,
    media_type: MediaType,
    part_rows: Sequence[int],
    target: TargetContract,
    artifacts: Artifacts,
) -> Iterator[Values]:
    """Yield what was answered to each row that was sent, in order.

    Raises:
        BatchFailed: a part's answers are not there, not one a row, or no predictions of this target.
    """
    key = part_key(execution, media_type)
    for number, rows in enumerate(part_rows):
        place = keys.batch_answers(execution, key(number))
        body = artifacts.read(place)
        where = artifacts.uri(place)
        if body is None:
            raise BatchFailed(
                "the transform job left no answers to a part of the rows",
                where=where,
                why=f"{rows:,} rows were sent in it, and the job is said to have completed",
                fix="upload the file again; if it stays so, look at the job's log",
            )
        yield from _of_part(body, media_type, rows, target, where)


def _of_part(
    body: bytes, media_type: MediaType, rows: int, target: TargetContract, where: str
) -> Iterator[Values]:
    try:
        # A container's own line end and the job's may come together: a blank line is no answer.
        lines = [line for line in body.decode().split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise _unreadable("its answers are no text", where, str(error)) from error
    if len(lines) != rows:
        raise _unreadable(
            f"the model answered {len(lines):,} lines to {rows:,} rows",
            where,
            "line n has to be the answer to row n",
        )
    read = _from_json if media_type == JSON_LINES else _from_csv
    for number, line in enumerate(lines, start=1):
        try:
            yield read(line, target)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(
                f"line {number:,} of the model's answers is no prediction",
                where,
                f"it is {_shown(line)}: {error}",
            ) from error


def _unreadable(what: str, where: str, why: str) -> BatchFailed:
    fix = "docs/project.md, An image of your own, says what a container has to answer; one of Sluice's own is a bug"
    return BatchFailed(what, where=where, why=why, fix=fix)


def _from_json(line: str, target: TargetContract) -> Values:
    told = json.loads(line)
    if not target.classes:
        return (_finite(told["value"]),)
    if told["label"] not in target.classes:
        raise ValueError(f"there is no class {told['label']!r}")
    if target.positive is not None:
        return told["label"], _finite(told["probability"])
    # JSON has names for keys; True is "True" there, as in the endpoint's answer.
    return told["label"], *(_finite(told["probabilities"][str(each)]) for each in target.classes)


def _from_csv(line: str, target: TargetContract) -> Values:
    """Read a line as the gate has judged the model by: one probability, or each class's, or the value."""
    values = [_finite(float(field)) for field in line.split(",")]
    by_class = bool(target.classes) and target.positive is None
    expected = len(target.classes) if by_class else 1
    if len(values) != expected:
        raise ValueError(f"{expected} numbers are expected")
    if not target.classes:
        return (values[0],)
    if by_class:
        return target.classes[max(range(expected), key=lambda place: values[place])], *values
    (other,) = (each for each in target.classes if each != target.positive)
    return (target.positive if values[0] > 0.5 else other), values[0]


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _shown(line: str) -> str:
    return repr(line if len(line) <= 60 else line[:60] + "…")
