"""A BentoML service, with adaptive batching (BATCHING=on) or without.

https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html: one parameter that stands for many requests'
rows. `max_batch_size` lets a request of 1,000 rows through; `max_latency_ms` is the documented default.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import bentoml
import joblib
import pandas as pd

FOLDER = Path(os.environ["MODEL_FOLDER"])
CONTRACT = json.loads((FOLDER / "contract.json").read_text())
DTYPES = {f["name"]: "float64" if f["kind"] == "number" else "str" for f in CONTRACT["features"]}
BATCHING = {"batchable": True, "max_batch_size": 4000, "max_latency_ms": 60000}


@bentoml.service(workers=1, traffic={"timeout": 60})
class Example:
    def __init__(self) -> None:
        self.model = joblib.load(FOLDER / "model.joblib")

    @bentoml.api(**(BATCHING if os.environ["BATCHING"] == "on" else {}))
    def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        frame = pd.DataFrame(rows, columns=list(DTYPES)).astype(DTYPES)
        return self.model.predict_proba(frame)[:, 1].tolist()
