"""A project with an image of its own: trained, judged by what its containers answer, deployed, replaced."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cli import prediction
from cli.serving import Served
from sluice import keys, naming
from tests.support.bank import Bank, bank_rows, write_csv, write_project

IMAGE = Path(__file__).parent / "own_image"
MODEL = '[model]\nimage = "image"\nhyperparameters = { positive = "yes", steps = 200 }\n'


@dataclasses.dataclass
class Own:
    """The project, on the local AWS of the session's other project."""

    bank: Bank
    work: Path

    @property
    def project(self) -> Path:
        return self.work / "project"

    def deploy(self) -> None:
        self.bank = self.bank.beside(self.project, self.work)

    def train(self, name: str, **rows: Any) -> dict[str, Any]:
        return self.bank.train(write_csv(self.work / f"{name}.csv", bank_rows(600, **rows)))

    def object(self, key: str) -> bytes:
        bucket = self.bank.stack.outputs["ArtifactsBucketName"]
        body: bytes = self.bank.stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def evaluation(self, summary: dict[str, Any]) -> dict[str, Any]:
        document = self.object(f"reports/{execution(summary)}/evaluation/evaluation.json")
        evaluation: dict[str, Any] = json.loads(document)
        return evaluation


def execution(summary: dict[str, Any]) -> str:
    name: str = summary["execution_arn"].rsplit(":", 1)[-1]
    return name


@pytest.fixture(scope="module")
def own(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Own:
    made = Own(bank, tmp_path_factory.mktemp("own"))
    write_project(made.project, name="own")
    (made.project / "train.py").unlink()
    toml = made.project / "project.toml"
    toml.write_text(toml.read_text().replace("[model]\n", MODEL))
    shutil.copytree(IMAGE, made.project / "image")
    made.deploy()
    return made


@pytest.fixture(scope="module")
def first(own: Own) -> dict[str, Any]:
    return own.train("first", seed=11)


def test_an_upload_becomes_an_endpoint_of_the_users_image(own: Own, first: dict[str, Any]) -> None:
    assert first["outcome"] == "Deployed", first
    assert first["metrics"]["roc_auc"] > 0.9
    assert {"CreateChallenger", "PredictChallenger"} <= set(first["seconds"])
    assert "PredictChampion" not in first["seconds"]
    runtime = own.bank.stack.client("sagemaker-runtime")
    rows = own.object(keys.held_out_rows(execution(first)))
    answer = runtime.invoke_endpoint(
        EndpointName=first["endpoint_name"], ContentType="text/csv", Accept="text/csv", Body=rows
    )
    served = answer["Body"].read()
    # The endpoint answers what the model was judged by, to the last digit.
    judged = own.object(f"reports/{execution(first)}/predictions/challenger/held_out.csv.out")
    assert served.split() == judged.split()
    assert len(served.split()) == rows.count(b"\n") > 50


def test_predict_asks_it_in_its_own_csv(own: Own, first: dict[str, Any]) -> None:
    served = Served.by(own.bank.stack)
    held_out = pq.read_table(io.BytesIO(own.object(keys.held_out(execution(first)))))
    file = own.work / "held_out.parquet"
    pq.write_table(held_out, file)

    predictions = [answer.prediction for answer in prediction.predict_file(served, file)]

    # What it was judged by, though it is sent a parquet file, and floats for whole numbers.
    judged = own.object(f"reports/{execution(first)}/predictions/challenger/held_out.csv.out").split()
    assert [each and each["probability"] for each in predictions] == list(map(float, judged))


def test_a_file_is_predicted_by_its_container_as_by_the_endpoint(own: Own, first: dict[str, Any]) -> None:
    rows = bank_rows(30, seed=18)
    rows[5][1] = "old"
    file = write_csv(own.work / "rows.csv", rows)
    ended = own.bank.train(file, f"{keys.INCOMING_BATCH}rows.csv")

    assert (ended["outcome"], ended["batch"]["predicted"]) == ("Predicted", 29), ended
    text = own.object(naming.split_uri(ended["batch"]["predictions_uri"])[1]).decode()
    result = list(csv.DictReader(io.StringIO(text, newline="")))
    asked = [each.prediction for each in prediction.predict_file(Served.by(own.bank.stack), file)]
    assert [float(row["probability"]) if row["probability"] else None for row in result] == [
        each and each["probability"] for each in asked
    ]
    assert [row["id"] for row in result if row["problem"]] == [rows[5][0]]


def test_the_archive_is_the_users_own_affair(own: Own, first: dict[str, Any]) -> None:
    model = own.bank.stack.client("sagemaker").describe_model(ModelName=own.bank.endpoint_config())
    _, key = naming.split_uri(model["PrimaryContainer"]["ModelDataUrl"])
    assert b"sluice" not in own.object(key)


def test_a_worse_challenger_loses_to_the_champion_on_the_same_rows(own: Own, first: dict[str, Any]) -> None:
    before = own.bank.endpoint_config()
    summary = own.train("noise", seed=12, noise=1.0)
    assert summary["outcome"] == "GateRejected", summary
    assert summary["champion_metrics"]
    assert "PredictChampion" in summary["seconds"]
    assert own.bank.endpoint_config() == before


def test_a_challenger_that_is_no_worse_takes_over(own: Own, first: dict[str, Any]) -> None:
    before = own.bank.endpoint_config()
    summary = own.train("again", seed=13)
    assert summary["outcome"] == "Deployed", summary
    comparison = own.evaluation(summary)["comparisons"]["roc_auc"]
    assert comparison["bounds"]["low"] > -0.2
    found = summary["metrics"]["roc_auc"] - summary["champion_metrics"]["roc_auc"]
    assert comparison["difference"] == pytest.approx(found)
    assert own.bank.endpoint_config() != before


def test_answers_that_are_not_one_a_row_end_with_the_reason(own: Own, first: dict[str, Any]) -> None:
    summary = own.train("short", seed=14, mode="short")
    assert summary["outcome"] == "Failed"
    assert summary["error"] == "EvaluationFailed", summary
    assert "lines for" in summary["cause"]
    assert "docs/project.md" in summary["cause"]


def test_a_container_that_fails_ends_with_the_reason(own: Own, first: dict[str, Any]) -> None:
    summary = own.train("broken", seed=15, mode="broken")
    assert summary["outcome"] == "Failed"
    assert summary["error"] == "EvaluationFailed", summary
    # SageMaker says no more of it than where to look, and there it is.
    assert "See job logs" in summary["cause"]
    logs = own.bank.stack.client("logs")
    group = "/aws/sagemaker/TransformJobs"
    events = logs.filter_log_events(logGroupName=group, filterPattern='"this model is broken"')["events"]
    assert events


def test_a_project_may_go_back_to_training_code_and_return(own: Own, first: dict[str, Any]) -> None:
    with_image = (own.project / "project.toml").read_text()
    write_project(own.work / "code", name="own")
    toml = own.work / "code" / "project.toml"
    toml.write_text(toml.read_text().replace("[gates]\n", '[gates]\nunjudged_champion = "minimums"\n'))
    shutil.copytree(own.work / "code", own.project, dirs_exist_ok=True)
    own.deploy()
    summary = own.train("code", seed=16)
    assert summary["outcome"] == "Deployed", summary
    assert "PredictChallenger" not in summary["seconds"]
    assert "the model has no contract" in own.evaluation(summary)["champion"]["error"]

    # The champion from train.py is judged by its own container, as it speaks CSV too.
    (own.project / "project.toml").write_text(with_image)
    own.deploy()
    summary = own.train("image", seed=17)
    assert own.evaluation(summary)["champion"]["error"] is None, summary
    assert summary["champion_metrics"]["roc_auc"] > 0.9
