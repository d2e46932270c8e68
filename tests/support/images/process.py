"""A processing image: copies its input, or fails as its first argument says."""

import json
import os
import sys
import time
from pathlib import Path

base = Path(os.environ["SAGEMAKER_BASE_DIR"])
config = json.loads((base / "config/processingjobconfig.json").read_text())
act = sys.argv[1]
if act == "fail":
    (base / "output/message").write_text("column tenure is missing")
    sys.exit(7)
if act == "long":
    (base / "output/message").write_text("x" + "ü" * 1000)
    sys.exit(1)
if act == "silent":
    sys.exit(1)
if act == "hang":
    print("hanging", flush=True)
    time.sleep(600)
output = base / "processing/output/result"
for path in (base / "processing/input/dataset").rglob("*.csv"):
    target = output / "copies" / path.name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(path.read_bytes())
(output / "config.json").write_text(
    json.dumps({"job": config["ProcessingJobName"], "flag": os.environ["FLAG"]})
)
(base / "output/message").write_text("copied")
