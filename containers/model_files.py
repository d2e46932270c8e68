"""What a training job leaves in a model's folder beside what serves it: a request, and how the training went."""

from __future__ import annotations

import json
import math
from pathlib import Path

EXAMPLE = "input_example.json"
"""A request to the model, as `application/json`."""
GOLDEN = "golden.json"
"""Not in the folder, but beside the archive in S3: rows with the model's answers (sluice.payloads.golden)."""
REFERENCE = "reference.json"
"""What its traffic is held against; the evaluation puts it beside the archive, not into it."""
HISTORY = "history.json"
"""What was measured after each iteration: `{"name": [figure, …]}`."""


def history_in(folder: Path) -> dict[str, tuple[float, ...]]:
    """Read the history of a model's folder; empty where there is none. Figures that are not finite are left out."""
    file = folder / HISTORY
    if not file.is_file():
        return {}
    told: dict[str, list[float]] = json.loads(file.read_text(encoding="utf-8"))
    return {name: tuple(each for each in values if math.isfinite(each)) for name, values in told.items()}
