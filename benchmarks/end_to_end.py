"""How long the pipeline takes beyond the bare fit: upload to InService on a local AWS, against fitting alone.

    python benchmarks/end_to_end.py [--project examples/telco --data telco_customer_churn.csv]

Without arguments it takes telco where its file lies in ../shared/data, else churn with generated data. Prints JSON.
The stack is deployed once; then the file is uploaded `--repeats` times (the first upload creates the endpoint, later
ones are judged against the champion and deployed: a copy of the project lets pass what is only as good). The fit is
timed in this process, imports excluded, on the rows that the training job was given. Bar: at most 12 s beyond it.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from cli import executions, stack
from cli.local_aws import LocalAws
from sluice import keys
from sluice.outcomes import Outcome
from sluice.project import Project

ROOT = Path(__file__).resolve().parent.parent
BAR_SECONDS = 12.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        if not (arguments.project and arguments.data):
            arguments.project, arguments.data = default_project(Path(folder))
        arguments.project = _letting_equals_pass(arguments.project, Path(folder) / "project")
        project = Project.load(arguments.project)
        local = LocalAws(Path(folder) / "local")
        try:
            deployed = stack.deploy(arguments.project, local, wake=True)
            runs = [_upload(deployed, arguments.data, i) for i in range(arguments.repeats)]
            fits = [
                _fit(arguments.project, project, _train_rows(deployed, runs[0][1]))
                for _ in range(arguments.repeats)
            ]
        finally:
            local.stop()
    seconds = [each for each, _ in runs]
    beyond = seconds[0] - statistics.median(fits)
    figures = {
        "benchmark": "end_to_end",
        "project": project.name,
        "upload_to_in_service_s": round(seconds[0], 2),
        "later_uploads_s": [round(each, 2) for each in seconds[1:]],
        "bare_fit_s": round(statistics.median(fits), 2),
        "bare_fit_spread_s": round(max(fits) - min(fits), 2),
        "beyond_the_fit_s": round(beyond, 2),
        "bar_s": BAR_SECONDS,
        "states_s": runs[0][1]["seconds"],
    }
    print(json.dumps(figures, indent=2))
    return 0 if beyond <= BAR_SECONDS else 1


def default_project(folder: Path) -> tuple[Path, Path]:
    """Give a project and its data: telco where its file is there, else churn with data of its own generator."""
    telco = ROOT.parent / "shared" / "data" / "telco_customer_churn.csv"
    if telco.is_file():
        return ROOT / "examples" / "telco", telco
    churn, data = ROOT / "examples" / "churn", folder / "transactions.csv"
    subprocess.run(
        [sys.executable, str(churn / "generate.py"), "--out", str(data)], check=True, stdout=sys.stderr
    )
    return churn, data


def _letting_equals_pass(project: Path, folder: Path) -> Path:
    """Copy a project, and let a model that is no worse take the place of the one in service."""
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "project.toml"
    rule = '[gates]\nrule = "non-inferiority"\nmargin = 0.1\n'
    file.write_text(file.read_text(encoding="utf-8").replace("[gates]\n", rule), encoding="utf-8")
    return folder


def _upload(deployed: stack.Stack, data: Path, turn: int) -> tuple[float, dict[str, Any]]:
    start = time.monotonic()
    upload = executions.upload(deployed, data, f"{keys.INCOMING_TRAINING}turn-{turn}-{data.name}")
    summary = executions.follow(deployed, executions.execution_arn(deployed, upload))
    if summary["outcome"] != Outcome.DEPLOYED:
        raise SystemExit(f"{summary['outcome']}: {summary.get('cause') or summary['reasons']}")
    return time.monotonic() - start, summary


def _train_rows(deployed: stack.Stack, summary: dict[str, Any]) -> pd.DataFrame:
    execution = summary["execution_arn"].rsplit(":", 1)[-1]
    key = keys.train(execution)
    body = deployed.client("s3").get_object(Bucket=deployed.outputs["ArtifactsBucketName"], Key=key)["Body"]
    return pd.read_parquet(io.BytesIO(body.read()))


def _fit(folder: Path, project: Project, rows: pd.DataFrame) -> float:
    spec = importlib.util.spec_from_file_location("train", folder / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.build_model(dict(project.model.hyperparameters))
    start = time.monotonic()
    model.fit(rows[list(project.features.names)], rows[project.target.column])
    return time.monotonic() - start


if __name__ == "__main__":
    sys.exit(main())
