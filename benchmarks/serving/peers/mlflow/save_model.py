"""Save the pipeline as an MLflow model that answers probabilities: `python save_model.py MODEL_FOLDER TARGET ROWS`.

https://mlflow.org/docs/latest/ml/model/: a signature, from rows as they will come; `predict_proba` as pyfunc's
function. It is served by `mlflow models serve --env-manager local --workers 1`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import joblib
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature

folder, target, rows = map(Path, sys.argv[1:])
contract = json.loads((folder / "contract.json").read_text())
dtypes = {f["name"]: "float64" if f["kind"] == "number" else "str" for f in contract["features"]}
frame = pd.DataFrame(json.loads(rows.read_text()), columns=list(dtypes)).astype(dtypes)
model = joblib.load(folder / "model.joblib")
mlflow.sklearn.save_model(
    model,
    target,
    serialization_format="cloudpickle",
    pyfunc_predict_fn="predict_proba",
    signature=infer_signature(frame, model.predict_proba(frame)),
    pip_requirements=[],
)
