"""Writes features to DynamoDB by Feast itself: a child of materialization.py, in Feast's environment.

    python feast_writer.py STORE VIEW NAMES FILE FOLDER

FILE is a Parquet file of the features of each customer as of one moment, column `at`. What is timed is
`FeatureStore.materialize`; the answer is a line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")


def main(store: str, view: str, names: list[str], file: Path, folder: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.repo_config import RepoConfig
    from feast.types import Float64, Int64, String

    types = {"number": Float64, "integer": Int64, "string": String}
    customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.STRING)
    fields = [
        Field(name=name, dtype=types[kind]) for name, _, kind in (each.partition(":") for each in names)
    ]
    source = FileSource(path=str(file), timestamp_field="at")
    online_view = FeatureView(name=view, entities=[customer], schema=fields, source=source, online=True)
    common: dict[str, Any] = {
        "project": store,
        "registry": str(folder / "registry.db"),
        "provider": "local",
        "entity_key_serialization_version": 3,
    }
    sqlite = {"type": "sqlite", "path": str(folder / "online.db")}
    # Applied where that makes no table: the one to be written is there already.
    FeatureStore(config=RepoConfig(**common, online_store=sqlite)).apply([customer, online_view])
    url = os.environ["AWS_ENDPOINT_URL"]
    dynamodb = {"type": "dynamodb", "region": os.environ["AWS_REGION"], "endpoint_url": url}
    features = FeatureStore(config=RepoConfig(**common, online_store=dynamodb))
    moment = datetime.now(UTC)
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    features.materialize(moment - timedelta(days=3650), moment + timedelta(days=3650))
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "entities": pq.read_metadata(file).num_rows,
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_rss_mb": after.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[5]) as scratch:
        told = main(sys.argv[1], sys.argv[2], sys.argv[3].split(","), Path(sys.argv[4]), Path(scratch))
    print(json.dumps(told))
