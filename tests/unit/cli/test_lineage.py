"""sluice lineage and sluice card: what is known is told link by link, and what is not known is said to be so."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cli import main, stack
from sluice import keys
from sluice.outcomes import Outcome
from sluice.payloads.documents import (
    Evaluation,
    Lineage,
    ModelEvaluation,
    Report,
    SplitSummary,
    TargetSummary,
    TrainingSetSummary,
    Uploaded,
)
from sluice.payloads.training import Rule, Source
from tests.support.trainings import EXECUTION, MODEL, PART, VERSION, TrainedStack

LATER = "shop-dev-fedcba9876543210"
Run = Callable[..., tuple[int, Any, str]]


def uri(model: str) -> str:
    return f"s3://artifacts/{keys.model(model)}"


def report(model: str, outcome: Outcome, champion: str | None) -> bytes:
    summary: dict[str, Any] = dict.fromkeys(
        ("rows", "rejected_rows", "quarantine_uri", "champion_metrics", "scoring", "endpoint_name", "serving")
    )
    return Report(
        **summary,
        outcome=outcome,
        execution_arn="arn",
        dataset_version=VERSION,
        metrics={"roc_auc": 0.8},
        reasons=[],
        model_uri=uri(model),
        report_uri="s3://artifacts/report.json",
        project="shop",
        source=Source(),
        failure=None,
        rules=[Rule(name="compare", figure=0.1, limit=0.0, passed=True, sentence="It gained 0.1.")],
        validation=None,
        training_set=None,
        evaluation=Evaluation(
            problem="binary",
            held_out_rows=1,
            challenger=ModelEvaluation(metrics={"roc_auc": 0.8}, model_uri=uri(model)),
            champion=None if champion is None else ModelEvaluation(model_uri=uri(champion)),
        ),
    ).body()


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> TrainedStack:
    made = TrainedStack.of()
    monkeypatch.setattr(stack, "current", lambda _name: made)
    lineage = Lineage(
        part=PART.name,
        project="shop",
        source=PART.source,
        uploaded=Uploaded(by="arn:aws:iam::1:user/ada"),
        accepted=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        rows_read=5,
        rejected_rows=1,
        reasons={},
        rows=4,
        columns={},
        drawn=4,
        statistics={},
    )
    made.objects[keys.lineage(PART.name)] = lineage.body()
    made.objects[keys.training_set(EXECUTION)] = TrainingSetSummary(
        dataset_rows=4,
        rows=4,
        train_rows=3,
        held_out_rows=1,
        keys=4,
        split=SplitSummary(salt="shop", held_out_share=0.25),
        features=(),
        target=TargetSummary(name="y", problem="binary"),
    ).body()
    made.objects[keys.report("earlier")] = report("shop-dev-aaaaaaaaaaaaaaaa", Outcome.DEPLOYED, None)
    made.objects[keys.report(EXECUTION)] = report(MODEL, Outcome.DEPLOYED, "shop-dev-aaaaaaaaaaaaaaaa")
    made.dynamodb.release = {"model_name": MODEL, "released_at": "2026-01-02T04:00:00Z"}
    return made


@pytest.fixture
def sluice(trained: TrainedStack, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, Any, str]:
        status = main.main(list(arguments))
        said = capsys.readouterr()
        return status, json.loads(said.out) if "--json" in arguments and said.out else said.out, said.err

    return run


def test_the_chain_of_the_model_in_service(sluice: Run) -> None:
    status, told, said = sluice("lineage", "champion", "--json")
    assert status == 0, said
    (part,) = told["parts"]
    assert part["upload"] == {
        "uri": "s3://uploads/incoming/training/a.csv",
        "version_id": "v",
        "by": "arn:aws:iam::1:user/ada",
        "at": None,
        "accepted": "2026-01-02T03:04:05+00:00",
        "execution": "run",
    }
    assert told["dataset"]["version"] == VERSION
    assert (told["training"]["job"], told["training"]["seconds"]) == (f"{MODEL}-train", 12)
    assert told["training"]["hyperparameters"] == {"max_iter": "100"}
    assert told["training"]["code_sha256"]
    assert told["release"] == {
        "released": True,
        "serving": True,
        "released_at": "2026-01-02T04:00:00Z",
        "replaced": "shop-dev-aaaaaaaaaaaaaaaa",
        "replaced_by": None,
    }


@pytest.mark.parametrize(
    "line",
    [
        f"model {MODEL}",
        "upload        s3://uploads/incoming/training/a.csv, version v",
        "              by arn:aws:iam::1:user/ada, 2026-01-02 03:04:05 UTC, in run",
        f"part          {PART.name}, 4 rows",
        f"dataset       {VERSION}, 4 rows that count",
        "training set  3 rows, 1 held out (25% of the keys by hash)",
        f"training job  {MODEL}-train, ml.m5.large, 12 s",
        "              hyperparameters max_iter 100; seed 0",
        f"archive       {uri(MODEL)}",
        "              there was no champion",
        "verdict       Deployed",
        "              ✓ It gained 0.1.",
        "release       in place of shop-dev-aaaaaaaaaaaaaaaa, 2026-01-02T04:00:00Z",
        "endpoint      serves it now",
    ],
)
def test_the_chain_is_told_link_by_link(sluice: Run, line: str) -> None:
    assert line in sluice("lineage", MODEL)[1].splitlines()


def test_the_model_that_took_its_place_is_found_by_the_reports_after_its_own(
    trained: TrainedStack, sluice: Run
) -> None:
    trained.objects[keys.report("rejected")] = report(
        "shop-dev-bbbbbbbbbbbbbbbb", Outcome.GATE_REJECTED, MODEL
    )
    trained.objects[keys.report("later")] = report(LATER, Outcome.DEPLOYED, MODEL)
    trained.objects[keys.report("last")] = report("shop-dev-cccccccccccccccc", Outcome.DEPLOYED, LATER)
    trained.dynamodb.release = {"model_name": "shop-dev-cccccccccccccccc"}
    _, told, _ = sluice("lineage", MODEL, "--json")
    assert (told["release"]["serving"], told["release"]["replaced_by"]) == (False, LATER)
    assert f"endpoint      serves it no more: {LATER} took its place" in sluice("lineage", MODEL)[1]


def test_what_is_not_known_is_said_to_be_so(trained: TrainedStack, sluice: Run) -> None:
    del trained.objects[keys.report(EXECUTION)]
    del trained.objects[keys.training_set(EXECUTION)]
    del trained.objects[keys.model(MODEL)]
    del trained.objects[PART.key]
    del trained.sagemaker.jobs[f"{MODEL}-evaluate"]
    trained.dynamodb.release = None
    text = sluice("lineage", MODEL)[1]
    assert "4 rows, whose file was deleted" in text
    assert "training set  its summary is not there any more" in text
    assert "code not recorded" in text
    assert "model.tar.gz, which was deleted" in text
    assert "evaluation    none" in text
    assert "verdict       no report" in text
    assert "release       never" in text


def test_of_a_model_that_was_judged_again_the_last_judgement_is_told(
    trained: TrainedStack, sluice: Run
) -> None:
    again = copy.deepcopy(trained.sagemaker.jobs[f"{MODEL}-evaluate"])
    for each in again["ProcessingOutputConfig"]["Outputs"]:
        each["S3Output"]["S3Uri"] = f"s3://artifacts/reports/{EXECUTION}/judgement-3/evaluation"
    trained.sagemaker.jobs[f"{MODEL}-evaluate-2"] = trained.sagemaker.jobs[f"{MODEL}-evaluate"]
    trained.sagemaker.jobs[f"{MODEL}-evaluate-3"] = again
    first = trained.objects[keys.evaluation(EXECUTION)]
    trained.objects[f"reports/{EXECUTION}/judgement-3/evaluation/evaluation.json"] = first
    _, told, _ = sluice("lineage", MODEL, "--json")
    assert told["evaluation"]["uri"].endswith("/judgement-3/evaluation/evaluation.json")


def test_a_model_may_be_called_by_its_version(trained: TrainedStack, sluice: Run) -> None:
    for version, model in (("1", LATER), ("12", MODEL)):
        told = json.loads(report(model, Outcome.GATE_REJECTED, None))
        told["model_version"] = f"shop-dev {version}"
        trained.objects[keys.report(EXECUTION if model == MODEL else "later")] = json.dumps(told).encode()
    assert sluice("lineage", "v12", "--json")[1]["model_name"] == MODEL
    status, _, said = sluice("lineage", "v2")
    assert status == 1
    assert "there is no version v2" in said


def test_a_card_is_printed_as_it_was_written_and_one_that_is_not_there_is_told(
    trained: TrainedStack, sluice: Run
) -> None:
    status, _, said = sluice("card", MODEL)
    assert status == 1
    assert f"there is no card of the model {MODEL}" in said
    trained.objects[keys.card(EXECUTION)] = "# shop: ≥ 1\n".encode()
    assert sluice("card", MODEL)[:2] == (0, "# shop: ≥ 1\n")
    assert sluice("card", MODEL, "--json")[1] == {"model_name": MODEL, "card": "# shop: ≥ 1\n"}


def test_a_report_of_another_release_is_read_as_far_as_it_is_known(
    trained: TrainedStack, sluice: Run
) -> None:
    told = json.loads(trained.objects[keys.report(EXECUTION)])
    trained.objects[keys.report(EXECUTION)] = json.dumps({**told, "outcome": "Novel", "more": 1}).encode()
    status, text, said = sluice("lineage", MODEL)
    assert status == 0, said
    assert "verdict       Novel" in text
