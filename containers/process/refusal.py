"""Why a model could not be scored, as the process that scores hands it to the one that judges."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sluice.errors import EvaluationFailed, SluiceError

_FILE = "error.json"


@dataclass(frozen=True)
class Refusal:
    """A SluiceError's parts without its class: whoever judges makes an EvaluationFailed of it."""

    what: str
    where: str = ""
    why: str = ""
    fix: str = ""

    @classmethod
    def of(cls, error: SluiceError) -> Refusal:
        return cls(error.what, error.where, error.why, error.fix)

    @classmethod
    def load(cls, folder: Path) -> Refusal | None:
        """Read what `save` left in `folder`; None where nothing was left."""
        file = folder / _FILE
        return cls(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None

    def save(self, folder: Path) -> None:
        (folder / _FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    def error(self, role: str) -> EvaluationFailed:
        """Give it as the error of the model in that role, challenger or champion."""
        return EvaluationFailed(f"{role}: {self.what}", where=self.where, why=self.why, fix=self.fix)
