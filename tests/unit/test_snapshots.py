from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from sluice.datasets.reading import LocalFile
from sluice.datasets.snapshots import Provenance, store
from sluice.datasets.validation import ValidationResult, validate
from sluice.errors import DataRejected, NoRows
from sluice.payloads.documents import Validation
from sluice.project import Project
from tests.support.bucket import Bucket

PROJECT = Project.model_validate(
    {
        "project": {"name": "bank"},
        "data": {"max_rejected_share": 0.5},
        "target": {"column": "y", "problem": "binary", "positive": "yes"},
        "columns": {"age": {"type": "integer"}, "y": {"type": "string"}},
        "features": {"numeric": ["age"]},
    }
)
PROVENANCE = Provenance("run-1", "s3://uploads/incoming/training/a.csv", "v1", "etag")
GOOD = "age,y\n1,yes\n2,no\n"


def md5_of(body: bytes) -> str:
    """As DVC names files: https://dvc.org/doc/user-guide/project-structure/internal-files#structure-of-the-cache-directory."""
    digest = hashlib.md5(body).hexdigest()
    return f"{digest[:2]}/{digest[2:]}"


def rows_in(bucket: Bucket) -> bytes:
    """The one Parquet file."""
    (body,) = (body for body in bucket.objects.values() if body.startswith(b"PAR1"))
    return body


def result_of(folder: Path, text: str = GOOD) -> ValidationResult:
    (folder / "a.csv").write_text(text)
    work = folder / "work"
    work.mkdir()
    return validate(LocalFile(folder / "a.csv"), PROJECT, work)


def test_a_version_is_its_files_hash_and_its_manifest_says_where_it_came_from(tmp_path: Path) -> None:
    bucket = Bucket()
    stored = store(result_of(tmp_path), PROJECT, PROVENANCE, bucket)

    body = rows_in(bucket)
    digest = hashlib.sha256(body).hexdigest()
    assert stored.dataset_version == digest[:16]
    assert stored.manifest_uri == f"s3://artifacts/datasets/{digest[:16]}/manifest.json"
    assert stored.parts_uri == f"s3://artifacts/datasets/{digest[:16]}/parts.json"
    assert json.loads(bucket.objects[f"datasets/{digest[:16]}/parts.json"]) == [
        {"prefix": "s3://artifacts/datasets/"},
        f"files/md5/{md5_of(body)}",
    ]
    manifest = json.loads(bucket.objects[f"datasets/{digest[:16]}/manifest.json"])
    assert (manifest["sha256"], manifest["rows"], manifest["bytes"]) == (digest, 2, len(body))
    assert manifest["source"] == {
        "uri": "s3://uploads/incoming/training/a.csv",
        "version_id": "v1",
        "etag": "etag",
        "execution": "run-1",
    }


def test_without_rejected_rows_there_is_no_quarantine(tmp_path: Path) -> None:
    bucket = Bucket()
    stored = store(result_of(tmp_path), PROJECT, PROVENANCE, bucket)
    assert stored.quarantine_uri is None
    assert not [key for key in bucket.objects if key.startswith("quarantine/")]


def test_rejected_cells_and_the_report_are_the_executions(tmp_path: Path) -> None:
    bucket = Bucket()
    stored = store(result_of(tmp_path, GOOD + "old,no\n"), PROJECT, PROVENANCE, bucket)
    assert stored.quarantine_uri == "s3://artifacts/quarantine/run-1/rejected.csv"
    assert bucket.objects["quarantine/run-1/rejected.csv"].decode().splitlines() == [
        "row,column,value,reason",
        "3,age,old,not an integer",
    ]
    report = json.loads(bucket.objects["reports/run-1/validation.json"])
    assert (report["rows"], report["rejected_rows"]) == (2, 1)
    assert report["dataset_version"] == stored.dataset_version
    assert report["error"] is None


def test_the_same_rows_again_leave_the_version_as_it_is(tmp_path: Path) -> None:
    bucket = Bucket()
    first = store(result_of(tmp_path), PROJECT, PROVENANCE, bucket)
    written = list(bucket.writes)
    (tmp_path / "again").mkdir()
    again = Provenance("run-2", "s3://uploads/incoming/training/b.csv", "v2", "etag")
    second = store(result_of(tmp_path / "again"), PROJECT, again, bucket)

    assert first.dataset_version == second.dataset_version
    assert bucket.writes[len(written) :] == ["reports/run-2/validation.json"]


def test_a_store_that_dies_before_the_manifest_leaves_no_version(tmp_path: Path) -> None:
    bucket = Bucket(fails_on="manifest.json")
    with pytest.raises(ConnectionError):
        store(result_of(tmp_path), PROJECT, PROVENANCE, bucket)
    assert not [key for key in bucket.objects if key.endswith("manifest.json")]

    bucket.fails_on = None
    (tmp_path / "again").mkdir()
    stored = store(result_of(tmp_path / "again"), PROJECT, PROVENANCE, bucket)
    assert f"datasets/{stored.dataset_version}/manifest.json" in bucket.objects


def test_whoever_is_second_to_write_the_manifest_has_the_same_version(tmp_path: Path) -> None:
    bucket = Bucket()
    stored = store(result_of(tmp_path), PROJECT, PROVENANCE, bucket)
    key = f"datasets/{stored.dataset_version}/manifest.json"
    before = bucket.objects[key]
    bucket.hidden.add(key)  # the other one wrote it after we looked
    (tmp_path / "again").mkdir()
    store(result_of(tmp_path / "again"), PROJECT, Provenance("run-2", "s3://u/b", "v2", "e"), bucket)
    assert bucket.objects[key] == before


def test_of_a_refused_file_its_report_and_its_rejected_cells_are_stored(tmp_path: Path) -> None:
    bucket = Bucket()
    with pytest.raises(DataRejected) as caught:
        store(result_of(tmp_path, "age,y\n1,yes\nold,no\nolder,no\n"), PROJECT, PROVENANCE, bucket)
    assert sorted(bucket.objects) == ["quarantine/run-1/rejected.csv", "reports/run-1/validation.json"]
    told = Validation.model_validate_json(bucket.objects["reports/run-1/validation.json"])
    assert told.error is not None
    assert (told.error.name, told.error.text) == ("DataRejected", str(caught.value))
    assert (told.dataset_version, told.rows, told.rejected_rows) == (None, 1, 2)


def test_of_a_file_that_could_not_be_read_there_is_a_report_and_no_quarantine(tmp_path: Path) -> None:
    bucket = Bucket()
    with pytest.raises(NoRows):
        store(result_of(tmp_path, "age,y\n"), PROJECT, PROVENANCE, bucket)
    assert list(bucket.objects) == ["reports/run-1/validation.json"]


def test_the_data_is_there_before_the_manifest_is(tmp_path: Path) -> None:
    bucket = Bucket()
    stored = store(result_of(tmp_path), PROJECT, PROVENANCE, bucket)
    folder, rows = f"datasets/{stored.dataset_version}", md5_of(rows_in(bucket))
    listing = json.dumps([{"md5": rows.replace("/", ""), "relpath": "part-00001.parquet"}]).encode()
    assert bucket.writes[:6] == [
        f"datasets/files/md5/{rows}",
        f"{folder}/lineage.json",
        f"datasets/files/md5/{md5_of(listing)}.dir",
        f"{folder}/parts.json",
        f"{folder}/manifest.json",
        "datasets/current.json",
    ]


def test_a_store_that_dies_before_the_data_leaves_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    whole = Bucket()
    store(result_of(tmp_path / "before"), PROJECT, PROVENANCE, whole)
    bucket = Bucket(fails_on=md5_of(rows_in(whole)))
    with pytest.raises(ConnectionError):
        store(result_of(tmp_path), PROJECT, PROVENANCE, bucket)
    assert bucket.objects == {}


def test_these_rows_are_this_version(tmp_path: Path) -> None:
    """Pinned: a release that changes it makes every dataset version anew, and what is derived from it.

    Where pyarrow's writer is what changed, say so in the changelog and pin the new one.
    """
    stored = store(result_of(tmp_path), PROJECT, PROVENANCE, Bucket())
    assert stored.dataset_version == "fc1a5067a797864e"
