"""`sluice cost` as somebody types it: what is printed, what is refused, and how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli import main
from tests.support.bank import write_project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_project(tmp_path / "bank")
    return tmp_path / "bank"


def test_it_prints_the_bill_the_ways_and_the_policies(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["cost", str(folder), "--predictions", "2M/month"]) == 0

    told = capsys.readouterr().out
    assert "bank, prod: 2,000,000 predictions a month, 4 trainings; us-east-1" in told
    assert "SageMaker endpoint             40.88  1 × ml.t2.medium × 730 h at $0.056" in told
    assert "serverless costs less up to 51,100,000 a month (19.4 a second), instances beyond" in told
    assert "all_at_once (yours)" in told
    assert "canary 50 %: not with this fleet" in told
    assert "not counted: the MLflow app" in told
    assert "…" not in told, "a sum is cut"


def test_json_says_all_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["cost", str(folder), "--json", "--environment", "dev", "--trainings", "0"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["environment"] == "dev"
    assert told["assumptions"]["trainings"] == 0
    assert told["complete"]
    assert told["total_usd"] == pytest.approx(sum(item["usd"] for item in told["items"]))
    assert told["usd_per_million"] == pytest.approx(told["total_usd"])
    assert {way["name"] for way in told["ways"]} == {"instances", "serverless", "batch"}
    assert {each["strategy"] for each in told["policies"]} == {"all_at_once", "canary", "linear", "rolling"}
    assert told["prices"]["Step Functions"]["source"] == "https://aws.amazon.com/step-functions/pricing/"


def test_a_price_that_is_not_known_is_named_and_can_be_given(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = folder / "project.toml"
    toml.write_text(toml.read_text() + '\n[serving]\ninstance_type = "ml.g5.xlarge"\n')

    assert main.main(["cost", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "at least $" in told
    assert "the price is not known of SageMaker endpoint (1 × ml.g5.xlarge × 730 h)" in told
    assert "give it with --price TYPE=USD" in told

    assert main.main(["cost", str(folder), "--price", "ml.g5.xlarge=1.41"]) == 0
    told = capsys.readouterr().out
    assert "in all $" in told
    assert "1,029.30" in told
    assert "your prices: ml.g5.xlarge $1.41" in told


@pytest.mark.parametrize("price", ["ml.m5.large", "m5.large=1", "ml.m5.large=much", "ml.m5.large=-1"])
def test_what_is_no_price_is_refused(folder: Path, price: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main.main(["cost", str(folder), "--price", price])

    assert end.value.code == 2
    assert f"'{price}' is not TYPE=USD, such as ml.g5.xlarge=1.41" in capsys.readouterr().err


def test_what_is_no_number_of_predictions_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["cost", str(folder), "--predictions", "lots"]) == 1

    said = capsys.readouterr().err
    assert "'lots' is no number of predictions" in said
    assert "--predictions 2M/month" in said


def test_no_predictions_cost_no_division(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["cost", str(folder), "--predictions", "0"]) == 0

    told = capsys.readouterr().out
    assert "a million predictions" not in told
    assert "serverless *" in told


def test_the_picture_is_written(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["cost", str(folder), "--svg", str(tmp_path / "cost.svg")]) == 0

    assert (tmp_path / "cost.svg").read_text().startswith("<svg ")
    assert "bank" in (tmp_path / "cost.svg").read_text()
    capsys.readouterr()
