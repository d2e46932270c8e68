"""flask behind gunicorn, in the way of SageMaker's scikit-learn container: four hooks and a transform.

That container runs `gunicorn -k gevent --worker-connections 1000 -w WORKERS` behind nginx, which is left out here.
https://github.com/aws/sagemaker-scikit-learn-container
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import flask
import joblib
import pandas as pd

CONTRACT = json.loads((Path(os.environ["MODEL_FOLDER"]) / "contract.json").read_text())
DTYPES = {f["name"]: "float64" if f["kind"] == "number" else "str" for f in CONTRACT["features"]}


def model_fn(model_dir):
    return joblib.load(Path(model_dir) / "model.joblib")


def input_fn(input_data, content_type):
    if content_type == "text/csv":
        return pd.read_csv(io.StringIO(input_data.decode()), header=None, names=list(DTYPES), dtype=DTYPES)
    if content_type == "application/json":
        return pd.DataFrame(json.loads(input_data)["instances"], columns=list(DTYPES)).astype(DTYPES)
    raise ValueError(f"unsupported content type {content_type}")


def predict_fn(input_data, model):
    return model.predict_proba(input_data)[:, 1]


def output_fn(prediction, accept):
    if accept == "text/csv":
        return "".join(f"{value!r}\n" for value in prediction.tolist())
    return json.dumps({"predictions": prediction.tolist()})


app = flask.Flask(__name__)
model = model_fn(os.environ["MODEL_FOLDER"])


@app.get("/ping")
def ping():
    return flask.Response(status=200)


@app.post("/invocations")
def transform():
    accept = flask.request.headers.get("accept", "application/json")
    data = input_fn(flask.request.get_data(), flask.request.content_type)
    return flask.Response(output_fn(predict_fn(data, model), accept), mimetype=accept)
