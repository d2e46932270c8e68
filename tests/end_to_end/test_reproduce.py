"""A model built again from what was recorded: the same, bit for bit; and what is told where something is not."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from cli import main, stack
from sluice import keys, naming
from sluice.payloads.documents import Manifest
from tests.support.bank import Bank, bank_rows, write_csv

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture(scope="module")
def trained(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The champion."""
    summary = bank.train(write_csv(tmp_path_factory.mktemp("data") / "again.csv", bank_rows(500, seed=11)))
    assert summary["outcome"] == "Deployed", summary
    return summary


@pytest.fixture
def sluice(bank: Bank, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(stack, "current", lambda _name: bank.stack)

    def run(*arguments: str) -> tuple[int, Any, str]:
        status = main.main(list(arguments))
        said = capsys.readouterr()
        return status, json.loads(said.out) if "--json" in arguments and said.out else said.out, said.err

    return run


def states(told: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in told["findings"]}


def touched(bank: Bank) -> tuple[Any, ...]:
    """What reproducing is not to touch."""
    s3, bucket = bank.stack.client("s3"), bank.stack.outputs["ArtifactsBucketName"]
    release = bank.stack.client("dynamodb").scan(TableName=bank.stack.outputs["ReleasesTableName"])["Items"]
    current = s3.get_object(Bucket=bucket, Key=keys.current())["Body"].read()
    return bank.endpoint_config(), release, current, bank.keys(f"{keys.DATASETS}/")


def test_the_champion_is_built_again_bit_for_bit(bank: Bank, trained: dict[str, Any], sluice: Run) -> None:
    before = touched(bank)
    status, told, said = sluice("reproduce", "champion", "--json")
    assert status == 0, said
    assert told["identical"] is True
    found = states(told)
    # How many rows the compiled model was checked on is a matter of time.
    assert {found[name] for name in found if name != "scoring.json"} == {"identical"}, told
    assert {
        "dataset version",
        "parts",
        "project code",
        "hyperparameters",
        "images",
        "training rows",
        "held-out rows",
        "metrics",
        "predictions",
        "compiled model",
        "pickle of the fitted model",
        "libraries",
        "threads",
    } <= found.keys()
    assert touched(bank) == before
    name = naming.job("bank", "local", trained["execution_arn"])
    assert told["model_name"] == name
    # What was built again is a model of its own, and not the recorded one looked at twice.
    sagemaker = bank.stack.client("sagemaker")
    job = sagemaker.describe_training_job(TrainingJobName=told["jobs"]["train"])
    assert job["ModelArtifacts"]["S3ModelArtifacts"] != trained["model_uri"]

    # Asked again by the beginning of its digits: nothing is trained, only compared.
    status, again, _ = sluice("reproduce", name.rsplit("-", 1)[-1][:10], "--json")
    assert (status, again) == (0, told)
    assert (
        sagemaker.describe_training_job(TrainingJobName=told["jobs"]["train"])["CreationTime"]
        == (job["CreationTime"])
    )


def test_a_part_that_is_not_what_was_recorded_is_named(
    bank: Bank, trained: dict[str, Any], sluice: Run
) -> None:
    s3, bucket = bank.stack.client("s3"), bank.stack.outputs["ArtifactsBucketName"]
    body = s3.get_object(Bucket=bucket, Key=keys.manifest(trained["dataset_version"]))["Body"].read()
    (part,) = Manifest.model_validate_json(body).parts
    rows = s3.get_object(Bucket=bucket, Key=part.key)["Body"].read()
    try:
        sink = io.BytesIO()
        pq.write_table(pq.read_table(io.BytesIO(rows)).slice(1), sink)
        s3.put_object(Bucket=bucket, Key=part.key, Body=sink.getvalue())
        status, _, said = sluice("reproduce", "champion", "--again")
        assert status == 1
        assert f"the part {part.name} of the dataset is not as it was stored" in said
        assert "its SHA-256 is another than the manifest says" in said

        s3.delete_object(Bucket=bucket, Key=part.key)
        status, _, said = sluice("reproduce", "champion")
        assert status == 1
        assert f"the part {part.name} of the dataset version" in said
        assert "take its delete marker away" in said
    finally:
        s3.put_object(Bucket=bucket, Key=part.key, Body=rows)


def test_the_chain_from_upload_to_endpoint_and_the_card(
    bank: Bank, trained: dict[str, Any], sluice: Run
) -> None:
    status, told, said = sluice("lineage", "champion", "--json")
    assert status == 0, said
    name = naming.job("bank", "local", trained["execution_arn"])
    (part,) = told["parts"]
    assert part["upload"]["uri"].endswith("/incoming/training/again.csv")
    assert part["upload"]["version_id"]
    assert told["dataset"]["version"] == trained["dataset_version"]
    assert told["training_set"]["train_rows"] + told["training_set"]["held_out_rows"] == 500
    assert told["training"]["job"] == f"{name}-train"
    assert told["training"]["seconds"] >= 1
    assert told["evaluation"]["metrics"] == trained["metrics"]
    assert told["evaluation"]["unseen"] is True
    assert told["verdict"]["outcome"] == "Deployed"
    assert (told["release"]["serving"], told["release"]["released"]) == (True, True)
    assert told["release"]["released_at"]

    before = told["release"]["replaced"]
    if before is not None:
        status, earlier, _ = sluice("lineage", before, "--json")
        assert (earlier["release"]["serving"], earlier["release"]["replaced_by"]) == (False, name)
    status, text, _ = sluice("lineage", name)
    assert "endpoint      serves it now" in text

    status, text, _ = sluice("card", "champion")
    assert status == 0
    assert f"    sluice reproduce {name} --stack sluice-bank-local" in text.splitlines()
    assert "It passed its gate. It was deployed." in text
    status, _, said = sluice("card", "no-such-model")
    assert status == 1
    assert "there is no model no-such-model" in said
