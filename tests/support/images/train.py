"""A training image of its own: does what its `act` hyperparameter says."""

import json
import os
import signal
import sys
import time
from pathlib import Path

base = Path(os.environ["SAGEMAKER_BASE_DIR"])
hyperparameters = json.loads((base / "input/config/hyperparameters.json").read_text())
act = hyperparameters.get("act", "train")
assert sys.argv[1:] == hyperparameters.get("argv", "train").split(), sys.argv

if act == "fail":
    (base / "output/failure").write_text("the loss is NaN" + " and more" * 400)
    sys.exit(3)
if act == "silent":
    sys.exit(1)
if act == "hang":
    (base / "model/partial.txt").write_text("half a model")
    print("hanging", flush=True)
    time.sleep(600)
if act == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("hanging", flush=True)
    time.sleep(600)

files = sorted(
    path.relative_to(base / "input/data").as_posix() for path in (base / "input/data").rglob("*.*")
)
print("validation-score=0.5;")
print("files:", *files)
print("environment:", *sorted(os.environ))
print("validation-score=0.75;")
print("unfinished line", end="")
(base / "model/model.json").write_text(json.dumps({"files": files, "job": os.environ["TRAINING_JOB_NAME"]}))
(base / "model/code").mkdir()
(base / "model/code/features.py").write_text("x = 1\n")
(base / "output/data/report.txt").write_text("fine")
