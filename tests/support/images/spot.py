"""A training image that counts, keeps how far it came, and at ten waits to be interrupted, once."""

import json
import os
import time
from pathlib import Path

base = Path(os.environ["SAGEMAKER_BASE_DIR"])
kept = base / "checkpoints" / "count.json"
begun = count = json.loads(kept.read_text()) if kept.exists() else 0
while count < 20:
    count += 1
    if count == 10 and begun == 0:
        partial = kept.with_name(".count.json")
        partial.write_text(json.dumps(count))
        partial.replace(kept)
        print("ten", flush=True)
        time.sleep(600)
(base / "model/count.txt").write_text(f"{begun} to {count}")
