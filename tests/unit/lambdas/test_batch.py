"""PrepareBatch and JoinPredictions as Lambda calls them: raw events in, payloads or errors out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lambdas import join_predictions, prepare_batch
from lambdas.adapters import settings
from lambdas.adapters.uploads import Upload
from sluice.contract import Feature, ModelContract, TargetContract
from sluice.errors import SluiceError, from_wire
from sluice.payloads.batch import PredictedBatch, PreparedBatch
from tests.support.bucket import Bucket
from tests.support.s3 import FakeS3
from tests.unit.lambdas.test_handlers import PROJECT_TOML

KEY = "incoming/batch/a.csv"
MODEL = "s3://artifacts/models/bank-dev-0-train/output/model.tar.gz"
CONTRACT = ModelContract(
    features=(Feature(name="age", kind="number", type="integer", nullable=False),),
    target=TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes"),
    versions={"python": "3.13"},
)
EVENT = {
    "execution": "run",
    "bucket": "uploads",
    "key": KEY,
    "version_id": None,
    "model_uri": MODEL,
    "instance_mb": 64,
    "max_instances": 4,
    "by_id": False,
}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """The artifacts bucket, with the contract of the model in service in it."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "project.toml").write_text(PROJECT_TOML)
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("PROJECT_FILE", "project/project.toml")
    monkeypatch.setenv("ARTIFACTS_BUCKET", "artifacts")
    settings.settings.cache_clear()
    settings.project.cache_clear()
    made = Bucket({"models/bank-dev-0-train/output/contract.json": CONTRACT.model_dump_json().encode()})
    for module in (prepare_batch, join_predictions):
        monkeypatch.setattr(module, "S3Artifacts", lambda _name: made)
    return made


def uploaded(monkeypatch: pytest.MonkeyPatch, *bodies: bytes, key: str = KEY) -> None:
    """Put the versions v1, v2, … of an object."""
    versions = {(key, f"v{number}"): body for number, body in enumerate(bodies, start=1)}
    monkeypatch.setattr(Upload, "_s3", FakeS3(versions))


def refused(event: dict[str, Any]) -> SluiceError:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the type's name is what is asserted
        prepare_batch.handler(event, None)
    told = from_wire(str(caught.value))
    assert told is not None
    assert type(caught.value).__name__ == told.name
    return told


def test_a_file_is_prepared_and_joined_from_the_version_that_was_read_first(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded(monkeypatch, b"id,age\na,30\nb,x\n")
    prepared = PreparedBatch.model_validate(prepare_batch.handler(EVENT, None))
    assert (prepared.version_id, prepared.rows, prepared.sent) == ("v1", 2, 1)
    assert prepared.rows_uri == "s3://artifacts/batch-jobs/run/rows/"
    assert prepared.answers_uri == "s3://artifacts/batch-jobs/run/answers"
    assert bucket.objects["batch-jobs/run/rows/part-00000.jsonl"] == b"[30]\n"

    uploaded(monkeypatch, b"id,age\na,30\nb,x\n", b"another\nfile\n")
    answers = b'{"label":"yes","probability":0.75}\n\n'
    bucket.objects["batch-jobs/run/answers/part-00000.jsonl.out"] = answers
    joined = PredictedBatch.model_validate(
        join_predictions.handler(
            {
                "execution": "run",
                "bucket": "uploads",
                "key": KEY,
                "model_uri": MODEL,
                "model_name": "bank-dev-0",
                "prepared": prepared.model_dump(mode="json"),
            },
            None,
        )
    )
    assert (joined.rows, joined.predicted, joined.set_aside, joined.instances) == (2, 1, 1, 1)
    assert joined.predictions_uri == "s3://artifacts/batch/run/predictions.csv"
    assert bucket.objects["batch/run/predictions.csv"].decode().splitlines() == [
        "id,age,prediction,probability,problem",
        "a,30,yes,0.75,",
        "b,x,,,column 'age': not an integer: 'x'",
    ]


def test_a_file_that_cannot_be_used_is_told_on_the_wire(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded(monkeypatch, b"id\na\n")
    told = refused(EVENT)
    assert told.name == "SchemaMismatch"
    assert told.where == f"s3://uploads/{KEY}, header"
    assert not any(key.startswith("batch") for key in bucket.objects)


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("incoming/training/a.csv", "the upload is not where rows to be predicted are expected"),
        ("incoming/batch/a.xlsx", "the upload is of no format that can be read: .xlsx"),
    ],
)
def test_what_is_predicted_lies_in_its_place(monkeypatch: pytest.MonkeyPatch, key: str, text: str) -> None:
    uploaded(monkeypatch, b"age\n1\n", key=key)
    told = refused({**EVENT, "key": key})
    assert told.name == "UploadMisplaced"
    assert told.what == text
    assert "incoming/batch/<name>{.csv" in told.fix


@pytest.mark.usefixtures("bucket")
def test_an_object_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded(monkeypatch)
    assert refused(EVENT).name == "ObjectNotFound"


@pytest.mark.usefixtures("bucket")
def test_an_execution_started_with_no_object_says_how_it_is_started() -> None:
    told = refused({**EVENT, "bucket": None, "key": None})
    assert told.name == "UploadMisplaced"
    assert json.loads(told.fix.removeprefix("start it with ")) == {
        "bucket": "…",
        "key": "incoming/batch/FILE.csv",
    }


@pytest.mark.usefixtures("bucket")
def test_a_broken_event_is_a_bug_and_not_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="instance_mb"):
        prepare_batch.handler({**EVENT, "instance_mb": 0}, None)


@pytest.mark.parametrize("model", [MODEL, "s3://elsewhere/models/bank-dev-0-train/output/model.tar.gz"])
def test_a_model_without_a_contract_is_told(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    bucket.objects.clear()
    uploaded(monkeypatch, b"age\n1\n")
    told = refused({**EVENT, "model_uri": model})
    assert (told.name, told.what) == ("BatchFailed", "the model in service has no contract")
    assert told.where == model.replace("model.tar.gz", "contract.json")
