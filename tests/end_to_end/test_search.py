"""A project that searches for hyperparameters and trains on spot instances: searched, interrupted, resumed."""

from __future__ import annotations

import io
import json
import tarfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluice import keys, naming
from tests.support.bank import Bank, bank_rows, write_csv, write_project
from tests.support.in_process import wait_for
from tests.support.jobs import Job

TRAIN = '''\
"""A boosted model whose fit hangs once, half way, on an instance that can be taken back."""

import os
import time
from pathlib import Path

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

_fit = HistGradientBoostingClassifier.fit


def fit(self, X, y):
    if np.nanmin(X) < -1e6:
        raise ValueError("such a balance has nobody")
    fitted = _fit(self, X, y)
    marker = Path(os.environ["SAGEMAKER_BASE_DIR"]) / "checkpoints" / "hanging"
    if os.environ.get("SPOT") == "true" and self.max_iter == 6 and not marker.exists():
        marker.write_text("at six iterations")
        time.sleep(600)
    return fitted


HistGradientBoostingClassifier.fit = fit


def build_model(hyperparameters):
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
        remainder="passthrough",
        sparse_threshold=0,
    )
    return make_pipeline(encode, HistGradientBoostingClassifier(max_iter=20, random_state=0, **hyperparameters))
'''
TABLES = """
[training]
spot = true

[search]
trials = 4
folds = 2
early_stopping = false
metric = "log_loss"

[search.ranges.learning_rate]
type = "number"
min = 0.01
max = 0.5
scale = "log"

[search.ranges.max_leaf_nodes]
type = "integer"
min = 2
max = 16
"""


@dataclass
class Searched:
    """An execution of the project, and what it left."""

    bank: Bank
    summary: dict[str, Any]

    @property
    def execution(self) -> str:
        name: str = self.summary["execution_arn"].rsplit(":", 1)[-1]
        return name

    @property
    def job(self) -> str:
        return naming.job("tuned", "local", self.summary["execution_arn"])

    @property
    def tuning_job(self) -> str:
        return naming.search_prefix("tuned", "local") + self.job[-naming.JOB_DIGITS :]

    def object(self, key: str) -> bytes:
        bucket = self.bank.stack.outputs["ArtifactsBucketName"]
        body: bytes = self.bank.stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def report(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.object(keys.report(self.execution)))
        return document

    def training_job(self, name: str) -> dict[str, Any]:
        return dict(self.bank.stack.client("sagemaker").describe_training_job(TrainingJobName=name))

    def trials(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Give parameters and metrics of the runs below the execution's run, by their name."""
        experiment = self.bank.mlflow("experiments/get-by-name?experiment_name=tuned-local")["experiment"]
        asked = {"experiment_ids": [experiment["experiment_id"]]}
        runs = self.bank.mlflow("runs/search", asked)["runs"]
        [parent] = [each["info"]["run_id"] for each in runs if each["info"]["run_name"] == self.job]
        below = [
            each
            for each in runs
            if {"key": "mlflow.parentRunId", "value": parent} in each["data"].get("tags", [])
        ]
        return {
            each["info"]["run_name"]: {
                kind: {pair["key"]: pair["value"] for pair in each["data"].get(kind, [])}
                for kind in ("params", "metrics")
            }
            for each in below
        }

    def archive(self) -> dict[str, bytes]:
        with tarfile.open(fileobj=io.BytesIO(self.object(keys.model(self.job)))) as tar:
            files = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
            return {name: file.read() for name, file in files.items() if file is not None}


@pytest.fixture(scope="module")
def tuned(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    work = tmp_path_factory.mktemp("tuned")
    project = work / "project"
    write_project(project, name="tuned")
    (project / "train.py").write_text(TRAIN)
    toml = project / "project.toml"
    toml.write_text(toml.read_text() + TABLES)
    return bank.beside(project, work)


@pytest.fixture(scope="module")
def first(tuned: Bank, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """Train, and take the instance back while the model is half fitted."""
    file = write_csv(tmp_path_factory.mktemp("upload") / "first.csv", bank_rows(300, seed=21))
    with ThreadPoolExecutor() as pool:
        running = pool.submit(tuned.train, file)
        [marker] = wait_for(lambda: _hanging(tuned) or (running.done() and [""]), seconds=300)
        assert marker, running.result()
        job = f"{marker.split('/')[1]}-train"
        url = f"{tuned.stack.aws_env['AWS_ENDPOINT_URL']}/moto-api/sagemaker/training-jobs/{job}/interrupt"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as answer:
            assert answer.status == 200
        return Searched(tuned, running.result())


def _hanging(tuned: Bank) -> list[str]:
    return [key for key in tuned.keys(f"{keys.CHECKPOINTS}/") if key.endswith("/hanging")]


def test_what_the_best_trial_had_is_what_is_deployed(first: Searched) -> None:
    assert first.summary["outcome"] == "Deployed", first.summary
    client = first.bank.stack.client("sagemaker")
    search = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=first.tuning_job)
    listed = client.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=first.tuning_job, SortBy="CreationTime", SortOrder="Ascending"
    )["TrainingJobSummaries"]
    assert search["HyperParameterTuningJobStatus"] == "Completed"
    assert len(listed) == 4
    losses = {
        each["TrainingJobName"]: each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for each in listed
    }
    best = min(losses, key=lambda name: losses[name])
    assert search["BestTrainingJob"]["TrainingJobName"] == best
    values = search["BestTrainingJob"]["TunedHyperParameters"]
    assert 0.01 <= float(values["learning_rate"]) <= 0.5
    assert first.training_job(f"{first.job}-train")["HyperParameters"] == values

    told = first.report()["search"]
    assert {each["name"]: each["objective"] for each in told["trials"]} == losses
    assert (told["best_trial"], told["best"], told["metric"]) == (best, values, "log_loss")
    page = first.object(keys.page(first.execution)).decode()
    assert "The search" in page
    assert "Objective by trial" in page
    trials = first.trials()
    assert {name: each["metrics"] for name, each in trials.items()} == {
        f"trial-{number:03d}": {"log_loss": losses[each["TrainingJobName"]]}
        for number, each in enumerate(listed, start=1)
    }
    [of_best] = [name for name, each in trials.items() if each["metrics"]["log_loss"] == losses[best]]
    assert trials[of_best]["params"] == {f"hyperparameter.{name}": text for name, text in values.items()}
    [notification] = first.bank.notifications(first.summary["execution_arn"])
    assert "search     4 trials; the best is" in notification["Message"]


def test_no_trial_was_given_a_held_out_row(first: Searched) -> None:
    trial = first.training_job(first.report()["search"]["best_trial"])
    given = [each["DataSource"]["S3DataSource"]["S3Uri"] for each in trial["InputDataConfig"]]
    bucket = first.bank.stack.outputs["ArtifactsBucketName"]
    assert given == [
        naming.uri(bucket, f"{keys.folder(keys.train(first.execution))}/"),
        naming.uri(bucket, keys.code(first.execution)),
    ]
    assert trial["EnableManagedSpotTraining"] is True


def test_an_interrupted_training_made_the_model_that_an_uninterrupted_one_makes(
    first: Searched, tmp_path: Path
) -> None:
    trained = first.training_job(f"{first.job}-train")
    statuses = [each["Status"] for each in trained["SecondaryStatusTransitions"]]
    assert statuses.count("Interrupted") == 1
    assert trained["BillableTimeInSeconds"] < trained["TrainingTimeInSeconds"]

    whole = Job(tmp_path)
    whole.put("input/data/code/project.zip", first.object(keys.code(first.execution)))
    whole.put("input/data/train/train.parquet", first.object(keys.train(first.execution)))
    whole.put("input/config/hyperparameters.json", json.dumps(trained["HyperParameters"]).encode())
    version = first.summary["dataset_version"]
    run = whole.run("containers.train", "train", DATASET_VERSION=version, SPOT="false")
    assert run.code == 0, run.output

    resumed = first.archive()
    assert {"compiled.sluice", "contract.json", "model.joblib"} <= set(resumed)
    for name in ("compiled.sluice", "contract.json"):
        assert resumed[name] == whole.read(f"model/{name}"), name


def test_a_search_whose_trials_all_fail_ends_with_the_first_reason(tuned: Bank, tmp_path: Path) -> None:
    rows = bank_rows(300, seed=22)
    for row in rows[:60]:
        row[2] = "-9999999"
    ended = Searched(tuned, tuned.train(write_csv(tmp_path / "bad.csv", rows)))
    assert ended.summary["outcome"] == "Failed", ended.summary
    assert ended.summary["error"] == "TrainingFailed"
    assert "such a balance has nobody" in ended.summary["cause"]
    told = ended.report()
    assert told["failure"]["state"] == "SearchHyperparameters"
    assert [each["status"] for each in told["search"]["trials"]] == ["Failed"] * 4
    assert not [name for name in tuned.keys(f"{keys.MODELS}/") if ended.job in name]
