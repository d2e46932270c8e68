"""FastAPI as its documentation has it: a pydantic model for the body, and `def` for work that blocks.

https://fastapi.tiangolo.com/async/ ; uvicorn with uvloop and httptools, one worker, as `fastapi run` starts it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, create_model

FOLDER = Path(os.environ["MODEL_FOLDER"])
CONTRACT = json.loads((FOLDER / "contract.json").read_text())
DTYPES = {f["name"]: "float64" if f["kind"] == "number" else "str" for f in CONTRACT["features"]}

Row = create_model(
    "Row", **{name: (float | None if t == "float64" else str | None, ...) for name, t in DTYPES.items()}
)


class Predictions(BaseModel):
    predictions: list[float]


app = FastAPI()
model = joblib.load(FOLDER / "model.joblib")


@app.get("/ping")
def ping() -> None:
    return None


def predict(rows: list[Row]) -> Predictions:
    frame = pd.DataFrame([row.model_dump() for row in rows], columns=list(DTYPES)).astype(DTYPES)
    return Predictions(predictions=model.predict_proba(frame)[:, 1].tolist())


# The annotation is made at run time: it has to be the class, not its name.
predict.__annotations__ = {"rows": list[Row], "return": Predictions}
app.post("/predict")(predict)
