"""A user's own algorithm: `train` fits a logistic regression on the numbers, `serve` answers CSV with CSV.

What it saves is a format of its own. The data can ask it to misbehave: see `mode` in the tests' table.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
PORT = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))


def train() -> None:
    settings = json.loads((BASE / "input/config/hyperparameters.json").read_text())
    table = pq.read_table(BASE / "input/data/train/train.parquet")
    *features, target, _key = table.column_names
    numbers = [i for i, name in enumerate(features) if pa.types.is_floating(table.schema.field(name).type)]
    x = np.column_stack([table[features[i]].to_numpy() for i in numbers])
    y = np.array([value == settings["positive"] for value in table[target].to_pylist()], dtype=float)
    mean, spread = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    x = np.nan_to_num((x - mean) / spread)
    weights, bias = np.zeros(x.shape[1]), 0.0
    for _ in range(int(settings["steps"])):
        error = 1 / (1 + np.exp(-(x @ weights + bias))) - y
        weights, bias = weights - x.T @ error / len(y), bias - error.mean()
    model = {
        "columns": numbers,
        "mean": mean.tolist(),
        "spread": spread.tolist(),
        "weights": weights.tolist(),
        "bias": bias,
        "width": len(features),
        "mode": table["mode"][0].as_py(),
    }
    (BASE / "model" / "logistic.bin").write_text(json.dumps(model))


class Handler(BaseHTTPRequestHandler):
    """GET /ping and POST /invocations."""

    model: dict[str, Any]

    def do_GET(self) -> None:
        self._answer(200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.headers["Content-Type"] != "text/csv":
            self._answer(415, b"this model reads text/csv")
            return
        rows = list(csv.reader(io.StringIO(body)))
        if any(len(row) != self.model["width"] for row in rows):
            self._answer(400, f"this model takes {self.model['width']} columns".encode())
            return
        lines = [f"{self._chance(row):.17g}" for row in rows]
        if self.model["mode"] == "short":
            lines.pop()
        if self.model["mode"] == "broken":
            self._answer(500, b"this model is broken")
            return
        self._answer(200, "\n".join(lines).encode())

    def _chance(self, row: list[str]) -> float:
        total = self.model["bias"]
        for i, column in enumerate(self.model["columns"]):
            if row[column]:
                standard = (float(row[column]) - self.model["mean"][i]) / self.model["spread"][i]
                total += standard * self.model["weights"][i]
        return float(1 / (1 + np.exp(-total)))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve() -> None:
    Handler.model = json.loads((BASE / "model" / "logistic.bin").read_text())
    ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()


{"train": train, "serve": serve}[sys.argv[1]]()
