"""How long a warm call of a local Lambda function takes, a handler's import, and a server start: prints JSON.

    python benchmarks/lambda_latency.py [--calls 500]

The call is measured where a user feels it: boto3's `invoke` to the answer, one at a time. An import is measured in a
fresh interpreter, of the handlers that need no dataframe library. Bars: 10 ms for a warm call, 300 ms for an import,
5 s for the server's start; medians.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import boto3

from sluice import keys

ROOT = Path(__file__).resolve().parent.parent
HANDLER = "def handler(event, context): return event\n"
START_SECONDS = 60.0
HANDLERS = ("decide_gate", "report_outcome")
IMPORT = (
    "import time; before = time.perf_counter(); import lambdas.{handler};"
    "print(1000 * (time.perf_counter() - before))"
)
WARM_BAR_MS, IMPORT_BAR_MS, START_BAR_S = 10.0, 300.0, 5.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=500)
    calls: int = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        state_dir = Path(folder)
        started = time.perf_counter()
        server = subprocess.Popen(
            [sys.executable, "-m", "local", "serve", "--until-stdin-closes", f"--state-dir={state_dir}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=sys.stderr,
        )
        try:
            env = _ready(server, state_dir)
            start_seconds = time.perf_counter() - started
            figures: dict[str, Any] = {
                "benchmark": "lambda_latency",
                "server_start_s": round(start_seconds, 3),
                **_measure(env, calls),
                "handler_import_ms": {handler: _import_ms(handler) for handler in HANDLERS},
                "bars": {"warm_ms": WARM_BAR_MS, "import_ms": IMPORT_BAR_MS, "server_start_s": START_BAR_S},
            }
        finally:
            server.terminate()
            server.wait(30)
    print(json.dumps(figures, indent=2))
    met = (
        figures["warm_median_ms"] <= WARM_BAR_MS
        and max(figures["handler_import_ms"].values()) <= IMPORT_BAR_MS
        and start_seconds <= START_BAR_S
    )
    return 0 if met else 1


def _import_ms(handler: str, times: int = 9) -> float:
    argv = [sys.executable, "-c", IMPORT.format(handler=handler)]
    found = [float(subprocess.check_output(argv, cwd=ROOT, text=True)) for _ in range(times)]
    return round(statistics.median(found), 1)


def _ready(server: subprocess.Popen[bytes], state_dir: Path) -> dict[str, str]:
    ready = state_dir / "ready.json"
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the local AWS did not start; see above")
        time.sleep(0.005)
    env: dict[str, str] = json.loads(ready.read_text())["env"]
    return env


def _measure(env: dict[str, str], calls: int) -> dict[str, Any]:
    def client(service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=env["AWS_ENDPOINT_URL"],
            region_name=env["AWS_REGION"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )

    role = client("iam").create_role(RoleName="benchmark", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    functions = client("lambda")
    functions.create_function(
        FunctionName="echo",
        Runtime="python3.12",
        Handler="app.handler",
        Role=role,
        Code={"ZipFile": _zip(HANDLER)},
    )
    event = json.dumps({"bucket": "uploads", "key": f"{keys.INCOMING_TRAINING}data.csv"}).encode()

    def call() -> float:
        before = time.perf_counter()
        response = functions.invoke(FunctionName="echo", Payload=event)
        answer = response["Payload"].read()
        seconds = time.perf_counter() - before
        assert json.loads(answer) == json.loads(event), answer
        return 1000 * seconds

    cold = call()
    warm = sorted(call() for _ in range(calls))
    return {
        "calls": calls,
        "cold_ms": round(cold, 2),
        "warm_median_ms": round(statistics.median(warm), 2),
        "warm_p95_ms": round(warm[int(0.95 * (len(warm) - 1))], 2),
    }


def _zip(source: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("app.py", source)
    return archive.getvalue()


if __name__ == "__main__":
    sys.exit(main())
