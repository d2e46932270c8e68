"""A training image whose objective is a formula of its hyperparameters: told once an epoch, then it ends."""

import json
import os
import sys
import time
from pathlib import Path

base = Path(os.environ["SAGEMAKER_BASE_DIR"])
hyperparameters = json.loads((base / "input/config/hyperparameters.json").read_text())
x, kind = float(hyperparameters["x"]), hyperparameters.get("kind", "good")
if kind == "bad":
    (base / "output/failure").write_text("x is of a bad kind")
    sys.exit(1)
for epoch in range(1, 4):
    value = 1 - (x - 3) ** 2 / 100 if kind != "hopeless" else -100.0
    if kind != "mute":
        print(f"epoch {epoch}: objective={value};", flush=True)
if kind in ("hopeless", "hang"):
    # Until it is stopped.
    time.sleep(600)
(base / "model/hyperparameters.json").write_text(json.dumps(hyperparameters))
