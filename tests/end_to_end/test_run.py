"""`sluice run` as a person types it: one process, JSON on stdout, an exit code, nothing left running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.toolchain import ROOT
from tests.support.bank import bank_rows, write_csv, write_project

TELCO = ROOT.parent / "shared" / "data" / "telco_customer_churn.csv"


def run(project: Path, data: Path, folder: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "run", str(project), "--data", str(data), "--json"],
        cwd=ROOT,
        env={**os.environ, "SLUICE_STATE": str(folder / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, f"exit status {done.returncode}: {done.stderr}"
    summary: dict[str, Any] = json.loads(done.stdout)
    return done, summary


@pytest.mark.skipif(not TELCO.is_file(), reason="telco_customer_churn.csv is not in ../shared/data")
def test_the_real_file_is_learned_well_and_served(tmp_path: Path) -> None:
    done, summary = run(ROOT / "examples" / "telco", TELCO, tmp_path)

    assert done.returncode == 0, done.stderr
    assert summary["outcome"] == "Deployed"
    assert (summary["rows"], summary["rejected_rows"]) == (7043, 0)
    assert summary["metrics"]["roc_auc"] >= 0.83
    assert summary["scoring"].startswith("compiled, equal to the fitted pipeline on ")
    assert len(summary["dataset_version"]) == 16
    assert {"ValidateDataset", "TrainModel", "DeployModel"} <= summary["seconds"].keys()
    assert [set(each) for each in summary["predictions"]] == [{"label", "probability"}] * 3
    assert summary["materialization"]["written"] == 7043
    by_id = [dict(each) for each in summary["predictions_by_id"]]
    assert len({each.pop("customerID") for each in by_id}) == 3
    assert by_id == summary["predictions"], "of the same customers"
    assert "TrainModel" in done.stderr, "progress is told while it runs"
    page = Path(summary["report_file"])
    assert page.name == "report.html"
    assert "deployed" in page.read_text()


def test_a_failure_is_told_as_json_and_by_the_exit_code(tmp_path: Path) -> None:
    write_project(tmp_path / "bank")
    rows = [[row[0], "old", *row[2:]] for row in bank_rows(40)]
    done, summary = run(tmp_path / "bank", write_csv(tmp_path / "bad.csv", rows), tmp_path)

    assert done.returncode == 1
    assert (summary["outcome"], summary["error"]) == ("Failed", "DataRejected")
    assert "age: not an integer" in summary["cause"]
    assert summary["rejected_rows"] == 40
    kept = tmp_path / "state" / "runs" / "bank"
    assert {path.name for path in kept.iterdir()} == {"report.html", "report.json", "rejected.csv"}


def test_a_mistake_before_anything_starts_is_json_too(tmp_path: Path) -> None:
    done, summary = run(tmp_path / "nothing", tmp_path / "no.csv", tmp_path)

    assert done.returncode == 1
    assert (summary["outcome"], summary["error"]) == ("Failed", "ProjectError")
    assert "there is no project here" in summary["cause"]
