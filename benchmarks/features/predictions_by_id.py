"""How many predictions by id one worker makes at 32 connections, beside what its bare client reads: prints JSON.

    python -m benchmarks.features.predictions_by_id [--store stub|local|URL] [--repeats 3] [--seconds 3]

The server is the serving container's own process with one worker; the model takes 20 stored features. Each answer is
compared with the server's answer to the full row. The bare client is the container's reader in a process that does
nothing else, asked for one id by each of 32 tasks, as the server is: once with a BatchGetItem for each id, and once
with batches that the tasks share, as the server has it. Bars: 60 % of what the bare client reads with a BatchGetItem
for each id (the share of the other one is reported); ready within a second, beside the same model without a plan.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from benchmarks.features.local_aws import ROOT
from benchmarks.features.online_read import Uncounted, free_port
from benchmarks.features.online_rows import FEATURES, NAMES, PLAN, STORE, customers, rows
from benchmarks.features.stub_store import store_of
from benchmarks.serving.load import Load, Outcome
from containers.compiled import store
from containers.compiled.compile import compile_model
from containers.serve.online.connection import Endpoint, Pool, connecting
from containers.serve.online.credentials import Fixed
from containers.serve.online.failures import UnreadableFeatures
from containers.serve.online.reader import Reader
from containers.serve.online.signing import Credentials, Signer
from containers.serve.online.store import Place, Store
from containers.serve.online.views import Row, stored_views
from sluice.contract import Feature, ModelContract, TargetContract

CONNECTIONS = 32
BAR = 0.6
READY_SECONDS = 1.0
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


def make_model(folder: Path) -> None:
    """Write a model folder: 150 trees on the 20 features, their plan, the contract."""
    contract = ModelContract(
        features=tuple(
            Feature(
                name=value.name,
                kind="number",
                type="number" if value.type == "number" else "integer",
                nullable=True,
            )
            for value in FEATURES
        ),
        target=TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes"),
    )
    frame = pd.DataFrame(list(rows().values()), columns=list(NAMES), dtype="float64")
    target = np.where(frame["f0"] + frame["f1"] > frame["f2"], "yes", "no").astype(object)
    pipeline: Pipeline = make_pipeline(HistGradientBoostingClassifier(max_iter=150, random_state=1))
    pipeline.fit(frame, target)
    store.save(compile_model(pipeline, contract), folder)
    contract.save(folder / "contract.json")
    (folder / "features.json").write_text(PLAN.model_dump_json(), encoding="utf-8")


@contextmanager
def serving(base: Path, url: str, port: int) -> Iterator[tuple[int, float]]:
    """Run the server; give its process and how long it took to be ready."""
    environment = {
        **os.environ,
        **CREDENTIALS,
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "SLUICE_ONLINE_STORE": STORE,
        "AWS_ENDPOINT_URL_DYNAMODB": url,
    }
    started = time.perf_counter()
    with (base / "log").open("wb") as log:
        command = [sys.executable, "-m", "containers.serve", "serve"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        while True:
            try:
                if asked(port, "GET", "/ping")[0] == 200:
                    break
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError((base / "log").read_text()) from None
                time.sleep(0.002)
        yield process.pid, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(30)


def seconds_to_ready(base: Path, url: str, repeats: int) -> dict[str, float]:
    """Give how long the server takes with the feature path and, by turns, without: medians."""
    plan, aside = base / "model" / "features.json", base / "aside.json"
    taken: dict[str, list[float]] = {"by_id": [], "rows_only": []}
    for _ in range(repeats):
        with serving(base, url, free_port()) as (_, seconds):
            taken["by_id"].append(seconds)
        plan.rename(aside)
        with serving(base, url, free_port()) as (_, seconds):
            taken["rows_only"].append(seconds)
        aside.rename(plan)
    return {name: round(statistics.median(values), 2) for name, values in taken.items()}


def asked(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def loaded(
    port: int, server: int, bodies: list[bytes], answers: list[bytes], seconds: float, scratch: Path
) -> Outcome:
    """Put the server under load by the serving benchmark's generator."""
    requests = [
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (len(body), body)
        for body in bodies
    ]
    load = Load(port, requests, answers, CONNECTIONS, 0.5, seconds, server)
    (scratch / "load").write_bytes(pickle.dumps(load))
    code = "from benchmarks.serving.load import main; main()"
    command = [sys.executable, "-c", code, str(scratch / "load"), str(scratch / "outcome")]
    subprocess.run(command, cwd=ROOT, check=True)
    outcome: Outcome = pickle.loads((scratch / "outcome").read_bytes())
    if outcome.wrong_count:
        raise RuntimeError(f"{outcome.wrong_count} wrong answers: {outcome.wrong}")
    return outcome


async def bare(url: str, seconds: float, *, shared: bool) -> tuple[float, float]:
    """Give how many ids a second the container's own client reads, and its CPU time for one in microseconds."""
    endpoint = Endpoint.of(url)
    (view,) = views = stored_views(PLAN, STORE)
    signer = Signer(endpoint.authority, "us-east-1")
    source = Fixed(Credentials("testing", "testing"))
    client = Store(views, Pool(connecting(endpoint)), signer, source, Uncounted())
    reader = Reader(client)
    ids, done, until = customers(), 0, time.perf_counter() + seconds

    def found(place: Place, row: Row | UnreadableFeatures | None) -> None:
        assert isinstance(row, Row)
        assert place[0] == 0

    async def client_of(first: int) -> None:
        nonlocal done
        number = first
        while time.perf_counter() < until:
            place = (0, view.ids.of([ids[number % len(ids)]]))
            if shared:
                found(place, (await reader.read([place], 10))[place])
            else:
                await client.read([place], asyncio.get_running_loop().time() + 10, found)
            done += 1
            number += CONNECTIONS

    started, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client_of(first) for first in range(CONNECTIONS)))
    return done / (time.perf_counter() - started), 1e6 * (time.process_time() - used) / done


def bare_alone(url: str, seconds: float, *, shared: bool) -> tuple[float, float]:
    """Run `bare` in a process that does nothing else."""
    code = (
        "import sys, uvloop; from benchmarks.features.predictions_by_id import bare; "
        f"print(*uvloop.run(bare(sys.argv[1], {seconds}, shared={shared})))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, url], cwd=ROOT, check=True, capture_output=True, text=True
    )
    rate, cpu = map(float, told.stdout.split())
    return rate, cpu


def measured(url: str, repeats: int, seconds: float) -> dict[str, Any]:
    stored = rows()
    by_id = [orjson.dumps({"entities": [{"customer_id": each}]}) for each in customers()]
    full = [orjson.dumps(dict(zip(NAMES, stored[each], strict=True))) for each in customers()]
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory() as folder:
        base, port = Path(folder), free_port()
        (base / "model").mkdir()
        make_model(base / "model")
        ready = seconds_to_ready(base, url, repeats + 2)
        with serving(base, url, port) as (server, _):
            answers = [asked(port, "POST", "/invocations", body)[1] for body in full]
            for _ in range(repeats):
                for name, shared in (("bare", False), ("bare_shared", True)):
                    rate, cpu = bare_alone(url, seconds, shared=shared)
                    note(name, rate)
                    note(f"{name}_cpu_us", cpu)
                outcome = loaded(port, server, by_id, answers, seconds, base)
                note("by_id", len(outcome.latencies) / outcome.seconds)
                note("by_id_p50_ms", 1e3 * statistics.median(outcome.latencies))
                note("by_id_p99_ms", 1e3 * statistics.quantiles(outcome.latencies, n=100)[98])
                note("by_id_server_cpu_us", 1e6 * outcome.server_cpu_seconds / len(outcome.latencies))
                rows_outcome = loaded(port, server, full, answers, seconds, base)
                note("full_rows", len(rows_outcome.latencies) / rows_outcome.seconds)
            reads = asked(port, "GET", "/metrics")[1].decode()
    ratios = [mine / bare_ for mine, bare_ in zip(figures["by_id"], figures["bare"], strict=True)]
    shares = [mine / bare_ for mine, bare_ in zip(figures["by_id"], figures["bare_shared"], strict=True)]
    counted = {
        line.split()[0]: float(line.split()[1])
        for line in reads.splitlines()
        if line.startswith("sluice_store")
    }
    return {
        "ready_s": ready,
        "medians": {name: round(statistics.median(values), 1) for name, values in figures.items()},
        "keys_a_batch": round(counted["sluice_store_keys_total"] / counted["sluice_store_reads_total"], 1),
        "of_bare": round(statistics.median(ratios), 2),
        "of_bare_shared": round(statistics.median(shares), 2),
        "of_bare_by_cpu": round(
            statistics.median(figures["bare_cpu_us"]) / statistics.median(figures["by_id_server_cpu_us"]), 2
        ),
        "spread": [round(min(ratios), 2), round(max(ratios), 2)],
        "bars": {"of_bare": BAR, "ready_s": READY_SECONDS},
        "met": statistics.median(ratios) >= BAR and ready["by_id"] <= READY_SECONDS,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--store", default="stub", help="stub (default), local, or the URL of a local DynamoDB"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    load_before = os.getloadavg()[0]
    with store_of(given.store) as (url, store):
        report = measured(url, given.repeats, given.seconds)
    run = {"cores": os.cpu_count(), "load_before": round(load_before, 2), "connections": CONNECTIONS}
    print(json.dumps({"store": store, "run": run} | report, indent=2))
    return 0 if report["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
