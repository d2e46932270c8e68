"""Why a model could not be scored, as the process that scores hands it to the one that judges."""

from __future__ import annotations

from pathlib import Path

from sluice.errors import EvaluationFailed, SluiceError, from_wire, to_wire

_FILE = "error.json"
_MOST_BYTES = 100_000


def leave(error: SluiceError, folder: Path) -> None:
    """Write the error to `folder`, for `left_in` to find."""
    (folder / _FILE).write_text(to_wire(error, most_bytes=_MOST_BYTES), encoding="utf-8")


def left_in(folder: Path) -> SluiceError | None:
    """Read what `leave` left in `folder`; None where nothing was left."""
    file = folder / _FILE
    return from_wire(file.read_text(encoding="utf-8")) if file.exists() else None


def of(role: str, error: SluiceError) -> EvaluationFailed:
    """Give an error as that of the model in that role, challenger or champion."""
    return EvaluationFailed(f"{role}: {error.what}", where=error.where, why=error.why, fix=error.fix)
