"""A training as MLflow has it, read back through its API: the project's own calls, figures, verdict, aliases."""

from __future__ import annotations

from pathlib import Path

from tests.support.bank import Bank, bank_rows, write_csv


def test_a_training_is_a_run_and_its_model_a_version(bank: Bank, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "tracked.csv", bank_rows(600, seed=77, mode="logs"))
    summary = bank.train(file)

    assert summary["outcome"] == "Deployed"
    name, version = summary["model_version"].split()
    assert name == "bank-local"
    registered = bank.mlflow(f"model-versions/get?name={name}&version={version}")["model_version"]
    tags = {each["key"]: each["value"] for each in registered["tags"]}
    assert (tags["verdict"], tags["stage"]) == ("promoted", "production")
    assert tags["dataset_version"] == summary["dataset_version"]
    assert registered["source"] == summary["model_uri"]
    champion = bank.mlflow(f"registered-models/alias?name={name}&alias=champion")["model_version"]
    assert champion["version"] == version

    run = bank.mlflow(f"runs/get?run_id={registered['run_id']}")["run"]
    assert run["info"]["status"] == "FINISHED"
    metrics = {each["key"]: each["value"] for each in run["data"]["metrics"]}
    assert metrics["roc_auc"] == summary["metrics"]["roc_auc"]
    assert "iteration/validation_score" in metrics
    # What train.py logged itself.
    assert metrics["rows_seen"] > 400
    params = {each["key"]: each["value"] for each in run["data"]["params"]}
    assert params["told_by"] == "train.py"
    assert params["sluice.dataset_version"] == summary["dataset_version"]
    files = bank.mlflow(f"artifacts/list?run_id={registered['run_id']}")["files"]
    assert {"columns.json", "evaluation.json", "report.html"} <= {each["path"] for each in files}
