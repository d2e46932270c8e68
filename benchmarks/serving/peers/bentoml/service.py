"""A BentoML service, as its documentation has it; ROWS says in which form it takes rows.

- "frame": tables come as data frames, https://docs.bentoml.com/en/latest/build-with-bentoml/iotypes.html#tabular
- "models": with adaptive batching, one parameter stands for many requests: a list of pydantic models, "composite
  input types" of https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html. (Frames cannot be batched in
  1.4.40: its dispatcher adds up their shapes, logs a TypeError and lets the requests wait until they time out.)
`max_batch_size` lets a request of 1,000 rows through; `max_latency_ms` is the default.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import bentoml
import joblib
import numpy as np
import pandas as pd
from bentoml.validators import DataframeSchema
from pydantic import create_model

FOLDER = Path(os.environ["MODEL_FOLDER"])
CONTRACT = json.loads((FOLDER / "contract.json").read_text())
DTYPES = {f["name"]: "float64" if f["kind"] == "number" else "str" for f in CONTRACT["features"]}
ROWS = os.environ["ROWS"]
BATCHING = {"batchable": True, "max_batch_size": 4000, "max_latency_ms": 60000}

Row = create_model(
    "Row", **{name: (float | None if t == "float64" else str | None, ...) for name, t in DTYPES.items()}
)
FORMS = {
    "frame": Annotated[pd.DataFrame, DataframeSchema(orient="records", columns=list(DTYPES))],
    "models": list[Row],
}


def predict(self, rows):
    if ROWS == "models":
        rows = [row.model_dump() for row in rows]
    frame = pd.DataFrame(rows, columns=list(DTYPES)).astype(DTYPES)
    return self.model.predict_proba(frame)[:, 1]


# The form is known at run time only: the annotation has to be the type, not its name.
predict.__annotations__ = {"rows": FORMS[ROWS], "return": np.ndarray}


@bentoml.service(workers=1, traffic={"timeout": 60})
class Example:
    def __init__(self) -> None:
        self.model = joblib.load(FOLDER / "model.joblib")

    predict = bentoml.api(**({} if ROWS == "frame" else BATCHING))(predict)
