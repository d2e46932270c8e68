"""Reads online features by Feast itself: a child of online_read.py, in Feast's environment.

Reads lines `{"customers": [[id, …], …]}` from stdin, makes a call of `get_online_features` for each list, and answers
`{"seconds": [of each call, …], "values": [[[value, …] by feature], …]}`.

    python feast_reader.py URL FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")


def main(url: str, folder: Path, names: list[str], store: str, view: str) -> None:
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.repo_config import RepoConfig
    from feast.types import Float64, Int64

    registry = str(folder / "registry.db")
    offline: dict[str, Any] = {
        "project": store,
        "registry": registry,
        "provider": "local",
        "entity_key_serialization_version": 3,
    }
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
    fields = [
        Field(name=name.partition(":")[0], dtype=Float64 if name.endswith(":number") else Int64)
        for name in names
    ]
    source = FileSource(path=str(folder / "none.parquet"), timestamp_field="event_timestamp")
    online_view = FeatureView(name=view, entities=[customer], schema=fields, source=source)
    sqlite = {"type": "sqlite", "path": str(folder / "online.db")}
    # Applied where that makes no table: the one to be read is there already.
    FeatureStore(config=RepoConfig(**offline, online_store=sqlite)).apply([customer, online_view])
    dynamodb = {"type": "dynamodb", "region": "us-east-1", "endpoint_url": url}
    features = FeatureStore(config=RepoConfig(**offline, online_store=dynamodb))
    wanted = [f"{view}:{field.name}" for field in fields]
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, values = [], []
        for customers in json.loads(line)["customers"]:
            entities = [{"customer_id": each} for each in customers]
            started = time.perf_counter()
            found = features.get_online_features(features=wanted, entity_rows=entities).to_dict()
            seconds.append(time.perf_counter() - started)
            values.append([found[field.name] for field in fields])
        print(json.dumps({"seconds": seconds, "values": values}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3].split(","), sys.argv[4], sys.argv[5])
