"""How fast entities get into the online store, beside `feast materialize` on the same local DynamoDB: prints JSON.

    python -m benchmarks.features.materialization --feast PYTHON [--entities 1000000] [--beside 50000] [--repeats 3]

Ours are the handlers of the state machine, PlanMaterialization and then MaterializeView for one share after the
other, each in a process of its own as in Lambda: the dataset's parts from S3, ten windowed aggregates, the writes of
what changed, the ledger. Feast gets those features ready made and has to write them only. Both start from an empty
table, take turns at the smaller number, and have to leave the same bytes. The seconds are those of the calls, without
imports; `server_cpu_seconds` is what the local AWS used meanwhile, on the same cores.

Bars: as many entities a second as Feast, which computes nothing, and puts 25 items with a call as ours inserts them;
at the larger number no more than 1.25 times the processor time an entity, ours and the server's, that it takes at the
smaller one, and no more memory than the function has; and a run that finds nothing changed writes nothing, in half of
the processor time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.features import feast_writer
from benchmarks.features.local_aws import ROOT, local_aws
from benchmarks.serving.proctree import usage
from lambdas.adapters.artifacts import S3Artifacts
from sluice import naming
from sluice.datasets import current
from sluice.features.online_keys import EntityIds
from sluice.features.plan import Aggregation, FeaturePlan, Function, Key, Type, Value, View
from sluice.features.windows import Engine
from sluice.payloads.documents import DocumentSource, Lineage, Part, Uploaded
from sluice.project import Project

BUCKET = "benchmark-artifacts"
FUNCTION_MB = 3008
"""What MaterializeView has in infra/functions.py."""

TO_FEAST, TO_SMALL, UNCHANGED = 1.0, 1.25, 0.5
_COMPARED = 1000
_DAY = 86_400_000_000
_FIRST = 1_735_689_600_000_000  # microseconds: 2025-01-01
_MOMENT = _FIRST + 365 * _DAY
_EVENTS = 2  # an entity

_ASKED: tuple[tuple[Function, str | None, int | None, Type], ...] = (
    ("count", None, 7, "integer"),
    ("sum", "amount", 30, "number"),
    ("mean", "amount", 30, "number"),
    ("std", "amount", 90, "number"),
    ("min", "amount", 90, "number"),
    ("sum", "amount", None, "number"),
    ("max", "pieces", None, "integer"),
    ("last", "channel", None, "string"),
    ("count_distinct", "channel", 30, "integer"),
    ("share", "channel", 90, "number"),
)
PLAN = FeaturePlan(
    timestamp="at",
    views=(
        View(
            name="activity",
            keys=(Key(name="customer", type="string"),),
            features=tuple(
                Value(name=f"{each}_{days or 'ever'}", type=kind) for each, _, days, kind in _ASKED
            ),
            aggregations=tuple(
                Aggregation(
                    name=f"{function}_{days or 'ever'}",
                    function=function,
                    column=column,
                    category="channel 3" if function == "share" else None,
                    window_microseconds=days and days * _DAY,
                )
                for function, column, days, _ in _ASKED
            ),
        ),
    ),
    model=("activity:sum_30",),
)
(VIEW,) = PLAN.views
_PROJECT = """\
[project]
name = "benchmark"
[entity]
key = "customer"
timestamp = "at"
[target]
column = "left"
problem = "binary"
positive = "yes"
[columns]
customer.type = "string"
at.type = "timestamp"
amount.type = "number"
pieces.type = "integer"
channel.type = "string"
[features]
numeric = ["sum_30"]
"""


@dataclass
class World:
    """A local AWS, and a folder with what the functions are deployed with."""

    folder: Path
    environment: dict[str, str]
    server: int
    stores: int = 0

    def client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]  # one of those that there are
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name=self.environment["AWS_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )

    @contextmanager
    def store(self) -> Iterator[str]:
        """Make a view's table, empty; give the store's name."""
        self.stores += 1
        store = f"store{self.stores}"
        table, dynamodb = naming.online_table(store, VIEW.name), self.client("dynamodb")
        dynamodb.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "entity_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "entity_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        try:
            yield store
        finally:
            dynamodb.delete_table(TableName=table)
            s3 = self.client("s3")
            for each in s3.list_objects_v2(Bucket=BUCKET, Prefix="features/").get("Contents", []):
                s3.delete_object(Bucket=BUCKET, Key=each["Key"])

    def items(self, store: str, ids: list[str]) -> dict[str, Any]:
        table, dynamodb = naming.online_table(store, VIEW.name), self.client("dynamodb")
        found: dict[str, Any] = {}
        for id_ in ids:
            found[id_] = dynamodb.get_item(TableName=table, Key={"entity_id": {"S": id_}})["Item"]["values"]
        return found


@contextmanager
def world() -> Iterator[World]:
    with local_aws() as aws, tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = Path(name)
        (folder / "project.toml").write_text(_PROJECT)
        (folder / "features.json").write_text(PLAN.model_dump_json())
        # Published as it is, and read by nobody here.
        (folder / "registry.db").write_bytes(b"a registry")
        environment = {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "ARTIFACTS_BUCKET": BUCKET,
            "LAMBDA_TASK_ROOT": name,
            "PROJECT_FILE": "project.toml",
            "FEATURE_PLAN": "features.json",
            "FEATURE_REGISTRY": "registry.db",
        }
        os.environ |= environment
        found = World(folder, environment, aws.pid)
        found.client("s3").create_bucket(Bucket=BUCKET)
        yield found


def events(entities: int) -> pa.Table:
    """Give as many events as `_EVENTS` for each entity, in no order, over a year."""
    draw = np.random.default_rng(entities)
    rows = entities * _EVENTS
    channels = pa.array([f"channel {number}" for number in range(20)])
    return pa.table(
        {
            "customer": pa.array([f"customer-{number:07d}" for number in range(entities)]).take(
                draw.permutation(rows) % entities
            ),
            "at": pa.array(_FIRST + draw.integers(0, 365 * _DAY, rows), pa.timestamp("us")),
            "amount": pa.array(np.round(draw.lognormal(3, 1, rows), 2), mask=draw.random(rows) < 0.02),
            "pieces": pa.array(draw.integers(1, 100, rows)),
            "channel": channels.take(draw.integers(0, len(channels), rows)),
        }
    )


def upload(folder: Path, entities: int) -> Path:
    """Make a dataset, and make it the current one; give its file."""
    file = folder / f"{entities}.parquet"
    pq.write_table(events(entities), file, row_group_size=1 << 18)
    body = file.read_bytes()
    sha256 = hashlib.sha256(body).hexdigest()
    source = DocumentSource(uri="s3://uploads/x", version_id=None, etag=None, execution=sha256[:16])
    part = Part(
        name=naming.dataset_version(sha256),
        sha256=sha256,
        md5=hashlib.md5(body, usedforsecurity=False).hexdigest(),
        bytes=file.stat().st_size,
        rows=entities * _EVENTS,
        source=source,
        accepted=datetime.now(UTC),
    )
    project = Project.load_file(folder / "project.toml")
    lineage = Lineage(
        part=part.name,
        project=project.name,
        source=source,
        uploaded=Uploaded(),
        accepted=datetime.now(UTC),
        rows_read=part.rows,
        rejected_rows=0,
        reasons={},
        rows=part.rows,
        columns=current.contract(project),
        drawn=0,
        statistics={},
    )
    current.replace(current.NewPart(part, file, lineage), project, S3Artifacts(BUCKET))
    return file


def materialized(world: World, store: str) -> dict[str, Any]:
    """Run the machine's functions once, one share after the other."""
    moment = datetime.fromtimestamp(_MOMENT / 1e6, UTC).isoformat()
    plan = called(world, store, "plan_materialization", {"execution": "benchmark", "moment": moment})
    before = usage(world.server).cpu_seconds
    calls = [called(world, store, "materialize_view", share) for share in plan["answer"]["shares"]]
    answers = [call["answer"] for call in calls]
    return {
        "entities": sum(answer["written"] + answer["held"] for answer in answers),
        "written": sum(answer["written"] for answer in answers),
        "shares": len(calls),
        "seconds": sum(call["seconds"] for call in calls),
        "cpu_seconds": sum(call["cpu_seconds"] for call in calls),
        "server_cpu_seconds": usage(world.server).cpu_seconds - before,
        "peak_rss_mb": max(call["peak_rss_mb"] for call in calls),
    }


_CALL = """
import importlib, json, resource, sys, time
handler = importlib.import_module("lambdas." + sys.argv[1]).handler
import pyarrow.parquet, boto3, sluice.features.windows
before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
answer = handler(json.loads(sys.argv[2]), None)
seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
told = {
    "answer": answer,
    "seconds": seconds,
    "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    "peak_rss_mb": after.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
}
with open(sys.argv[3], "w") as file:
    json.dump(told, file)
"""


def called(world: World, store: str, handler: str, event: dict[str, Any]) -> Any:
    """Call a handler in a process of its own."""
    told = world.folder / "told.json"
    subprocess.run(
        [sys.executable, "-c", _CALL, handler, json.dumps(event), str(told)],
        cwd=ROOT,
        env={**os.environ, "ONLINE_STORE": store},
        stdout=subprocess.DEVNULL,  # what the handlers log
        check=True,
    )
    return json.loads(told.read_text())


def feast(world: World, store: str, python: str, features: Path) -> dict[str, Any]:
    """Have Feast write the same features."""
    names = ",".join(f"{value.name}:{value.type}" for value in VIEW.features)
    before = usage(world.server).cpu_seconds
    told = subprocess.run(
        [python, str(feast_writer.__file__), store, VIEW.name, names, str(features), str(world.folder)],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # its progress bar
        check=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found | {"server_cpu_seconds": usage(world.server).cpu_seconds - before}


def ready_made(world: World, file: Path) -> Path:
    """Compute the features as of the moment, for Feast to write."""
    table = Engine([file], VIEW, "at", scratch=world.folder).all_as_of(_MOMENT)
    times = pa.array(np.full(table.num_rows, _MOMENT), pa.int64()).cast(pa.timestamp("us", "UTC"))
    target = world.folder / "ready-made.parquet"
    pq.write_table(table.append_column("at", times), target)
    return target


def cpu_us(run: dict[str, Any]) -> float:
    """Give the processor time an entity, ours and the server's, in microseconds."""
    return float(1e6 * (run["cpu_seconds"] + run["server_cpu_seconds"]) / run["entities"])


def rates(runs: list[dict[str, Any]]) -> list[float]:
    return [run["entities"] / run["seconds"] for run in runs]


def measured(world: World, python: str, entities: int, beside: int, repeats: int) -> dict[str, Any]:
    features = ready_made(world, upload(world.folder, beside))
    ours, theirs, differing = [], [], 0
    draw = random.Random(1)
    ids = EntityIds(VIEW.keys)
    chosen = [ids.of([f"customer-{draw.randrange(beside):07d}"]) for _ in range(_COMPARED)]
    for _ in range(repeats):
        with world.store() as store:
            ours.append(materialized(world, store))
            mine = world.items(store, chosen)
        with world.store() as store:
            theirs.append(feast(world, store, python, features))
            differing += sum(mine[id_] != found for id_, found in world.items(store, chosen).items())
    upload(world.folder, entities)
    with world.store() as store:
        all_of_it = materialized(world, store)
        server_rss = usage(world.server).largest_rss_bytes
        again = materialized(world, store)
    ratios = [mine / feasts for mine, feasts in zip(rates(ours), rates(theirs), strict=True)]
    to_small = cpu_us(all_of_it) / statistics.median(map(cpu_us, ours))
    of_the_first = cpu_us(again) / cpu_us(all_of_it)
    return {
        "beside_feast": {
            "entities": beside,
            "sluice_entities_s": [round(rate) for rate in rates(ours)],
            "feast_entities_s": [round(rate) for rate in rates(theirs)],
            "sluice_cpu_us": round(1e6 * statistics.median(run["cpu_seconds"] for run in ours) / beside),
            "feast_cpu_us": round(1e6 * statistics.median(run["cpu_seconds"] for run in theirs) / beside),
            "server_cpu_us": [
                round(1e6 * statistics.median(run["server_cpu_seconds"] for run in runs) / beside)
                for runs in (ours, theirs)
            ],
            "peak_rss_mb": [round(max(run["peak_rss_mb"] for run in runs)) for runs in (ours, theirs)],
            "times_feast": round(statistics.median(ratios), 2),
            "spread": [round(min(ratios), 2), round(max(ratios), 2)],
            "compared": _COMPARED * repeats,
            "differing": differing,
        },
        "all": {
            **rounded(all_of_it),
            "entities_s": round(rates([all_of_it])[0]),
            "of_the_small": round(to_small, 2),
        },
        "unchanged": {**rounded(again), "of_the_first": round(of_the_first, 3)},
        "server_rss_mb": round(server_rss / 1e6),
        "bars": {
            "times_feast": [TO_FEAST, statistics.median(ratios) >= TO_FEAST],
            "of_the_small": [TO_SMALL, to_small <= TO_SMALL],
            "peak_rss_mb": [FUNCTION_MB, max(all_of_it["peak_rss_mb"], again["peak_rss_mb"]) <= FUNCTION_MB],
            "unchanged": [
                UNCHANGED,
                of_the_first <= UNCHANGED and not again["written"],
            ],
            "same_bytes": [0, not differing and all_of_it["written"] == entities],
        },
    }


def rounded(run: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 1) for name, value in run.items()}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--feast", required=True, help="the interpreter of Feast's environment")
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--beside", type=int, default=50_000, help="entities that Feast writes, too")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    load_before = os.getloadavg()[0]
    with world() as made:
        report = measured(made, given.feast, given.entities, given.beside, given.repeats)
    run = {"cores": os.cpu_count(), "load_before": round(load_before, 2), "features": len(VIEW.features)}
    print(json.dumps({"benchmark": "features/materialization", "run": run} | report, indent=2))
    return 0 if all(met for _, met in report["bars"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
