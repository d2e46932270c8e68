"""The table as it is now: what uploads make of it, whenever they come, meet, or are tried again."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from sluice.datasets.reading import LocalFile
from sluice.datasets.snapshots import Provenance, found, store
from sluice.datasets.validation import validate
from sluice.errors import (
    DataRejected,
    NoDataset,
    NotAppendable,
    PartMissing,
    PipelineFailed,
    StorageUnavailable,
)
from sluice.payloads.documents import Current, Manifest, Validation
from sluice.payloads.training import ValidatedDataset
from sluice.project import Project
from tests.support.bucket import Bucket

TOML: dict[str, Any] = {
    "project": {"name": "shop"},
    "data": {"max_rejected_share": 0.5},
    "entity": {"key": "id", "timestamp": "at"},
    "target": {"column": "y", "problem": "binary", "positive": "yes"},
    "columns": {
        "id": {"type": "string"},
        "at": {"type": "timestamp"},
        "amount": {"type": "number"},
        "y": {"type": "string"},
    },
    "features": {"numeric": ["amount"]},
}
PROJECT = Project.model_validate(TOML)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

TABLE = "id,at,amount,y\na,2026-01-01,1,yes\nb,2026-01-01,2,no\nb,2026-01-02,3,no\n"
LATER = "id,at,amount,y\na,2026-01-05,4,no\n"
OVERLAPPING = "id,at,amount,y\nb,2026-01-02,30,yes\nb,2026-01-03,5,no\n"


class Uploads:
    """Uploads to one bucket: each is validated in a folder of its own, and stored by an execution of its own."""

    def __init__(self, folder: Path, bucket: Bucket | None = None) -> None:
        self.bucket = Bucket() if bucket is None else bucket
        self._folder = folder
        self._numbers = itertools.count()

    def take(
        self,
        text: str,
        *,
        append: bool = True,
        execution: str | None = None,
        project: Project = PROJECT,
        bucket: Bucket | None = None,
    ) -> ValidatedDataset:
        number = next(self._numbers)
        folder = self._folder / str(number)
        (folder / "work").mkdir(parents=True)
        (folder / "a.csv").write_text(text)
        result = validate(LocalFile(folder / "a.csv"), project, folder / "work", whole=not append)
        provenance = Provenance(execution or f"run-{number}", f"s3://uploads/{number}.csv", "v", "e")
        return store(result, project, provenance, bucket or self.bucket, append=append, now=NOW)

    def replace(self, text: str, **more: Any) -> ValidatedDataset:
        return self.take(text, append=False, **more)

    @property
    def current(self) -> Current:
        return Current.model_validate_json(self.bucket.objects["datasets/current.json"])

    @property
    def manifest(self) -> Manifest:
        return self.manifest_of(self.current.dataset_version)

    def manifest_of(self, version: str) -> Manifest:
        return Manifest.model_validate_json(self.bucket.objects[f"datasets/{version}/manifest.json"])

    def report(self, execution: str) -> Validation:
        return Validation.model_validate_json(self.bucket.objects[f"reports/{execution}/validation.json"])


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path)


def test_a_table_is_a_list_of_one_part_and_has_its_name(uploads: Uploads) -> None:
    made = uploads.replace(TABLE)

    (part,) = uploads.manifest.parts
    assert made.dataset_version == part.name == part.sha256[:16]
    assert uploads.current.dataset_version == made.dataset_version
    assert (part.rows, part.repeats, part.accepted) == (3, 0, NOW)
    assert (part.first_event, part.last_event) == (datetime(2026, 1, 1), datetime(2026, 1, 2))
    assert (part.source.uri, part.source.version_id, part.source.execution) == (
        "s3://uploads/0.csv",
        "v",
        "run-0",
    )


def test_events_are_appended_and_the_version_is_named_by_the_list(uploads: Uploads) -> None:
    table = uploads.replace(TABLE)
    made = uploads.take(LATER, execution="events")

    manifest = uploads.manifest
    first, second = manifest.parts
    assert first.name == table.dataset_version
    listed = f"{first.sha256}\n{second.sha256}\n".encode()
    assert manifest.sha256 == hashlib.sha256(listed).hexdigest()
    assert made.dataset_version == manifest.sha256[:16] == uploads.current.dataset_version
    assert (manifest.rows, manifest.bytes) == (4, first.bytes + second.bytes)
    assert json.loads(uploads.bucket.objects[f"datasets/{made.dataset_version}/parts.json"]) == [
        {"prefix": "s3://artifacts/datasets/"},
        *(f"files/md5/{part.md5[:2]}/{part.md5[2:]}" for part in (first, second)),
    ]
    appended = uploads.report("events").appended
    assert appended is not None
    assert appended.model_dump() == {
        "parts": 2,
        "table_rows": 4,
        "repeats": 0,
        "began": False,
        "unchanged": False,
    }
    assert uploads.manifest_of(table.dataset_version).parts == (first,), "what was there stays as it was"


def test_parts_lie_once(uploads: Uploads) -> None:
    uploads.replace(TABLE)
    uploads.take(LATER)
    uploads.replace(OVERLAPPING)
    uploads.take(LATER)
    objects = uploads.bucket.objects
    rows = [key for key in uploads.bucket.writes if objects[key].startswith(b"PAR1")]
    assert len(rows) == len(set(rows)) == 3


def test_the_order_of_parts_makes_another_version(uploads: Uploads) -> None:
    one = [uploads.replace(TABLE), uploads.take(LATER), uploads.take(OVERLAPPING)][-1]
    other = [uploads.replace(TABLE), uploads.take(OVERLAPPING), uploads.take(LATER)][-1]
    again = [uploads.replace(TABLE), uploads.take(LATER), uploads.take(OVERLAPPING)][-1]
    assert one.dataset_version == again.dataset_version != other.dataset_version


def test_a_part_that_is_there_changes_nothing_and_the_report_says_so(uploads: Uploads) -> None:
    uploads.replace(TABLE)
    made = uploads.take(LATER)
    written = len(uploads.bucket.writes)
    for text in (LATER, TABLE):
        again = uploads.take(text, execution="again")
        assert again.dataset_version == made.dataset_version
        appended = uploads.report("again").appended
        assert appended is not None
        assert (appended.unchanged, appended.parts) == (True, 2)
    assert uploads.bucket.writes[written:] == ["reports/again/validation.json"] * 2


def test_rows_with_the_key_and_time_of_earlier_ones_are_counted(uploads: Uploads) -> None:
    uploads.replace(TABLE)
    uploads.take(OVERLAPPING, execution="events")
    appended = uploads.report("events").appended
    assert appended is not None
    assert (appended.repeats, appended.table_rows) == (1, 4)
    # One row repeats both the table and the part before; it is counted once.
    uploads.take(
        "id,at,amount,y\nb,2026-01-02,9,no\nb,2026-01-03,9,no\nc,2026-01-02,9,no\n", execution="third"
    )
    appended = uploads.report("third").appended
    assert appended is not None
    assert (appended.repeats, appended.table_rows) == (2, 5)


def test_a_part_that_comes_late_is_a_part_like_any(uploads: Uploads) -> None:
    uploads.replace(TABLE)
    uploads.take("id,at,amount,y\na,2020-01-05,4,no\n", execution="late")
    appended = uploads.report("late").appended
    assert appended is not None
    assert (appended.repeats, appended.table_rows) == (0, 4)


def test_parts_of_other_times_are_not_read(uploads: Uploads) -> None:
    uploads.replace(TABLE)
    uploads.take(LATER)
    assert uploads.bucket.opened == []
    uploads.take("id,at,amount,y\nz,2026-01-05,4,no\n")
    assert uploads.bucket.opened == [uploads.manifest.parts[1].key]


def test_the_first_events_may_be_the_table(uploads: Uploads) -> None:
    made = uploads.take(LATER, execution="events")
    assert uploads.current.dataset_version == made.dataset_version
    appended = uploads.report("events").appended
    assert appended is not None
    assert (appended.began, appended.parts) == (True, 1)
    assert len(uploads.take(OVERLAPPING).dataset_version) == 16
    assert len(uploads.manifest.parts) == 2


def test_events_of_one_class_are_no_table_of_one_class(uploads: Uploads) -> None:
    uploads.replace(TABLE)
    assert uploads.take(LATER).rows == 1


def test_an_upload_of_a_table_takes_the_place_of_all_parts(uploads: Uploads) -> None:
    table = uploads.replace(TABLE)
    uploads.take(LATER)
    assert uploads.replace(TABLE).dataset_version == table.dataset_version
    assert uploads.current.dataset_version == table.dataset_version
    assert len(uploads.manifest.parts) == 1


@pytest.mark.parametrize("append", [True, False])
def test_a_bad_file_leaves_the_table_as_it_was(uploads: Uploads, append: bool) -> None:
    uploads.replace(TABLE)
    before = dict(uploads.bucket.objects)
    with pytest.raises(DataRejected):
        uploads.take("id,at,amount,y\na,2026-01-07,x,no\nb,never,1,no\n", append=append, execution="bad")
    new = {key for key, body in uploads.bucket.objects.items() if before.get(key) != body}
    assert new == {"reports/bad/validation.json", "quarantine/bad/rejected.csv"}
    assert uploads.report("bad").dataset_version is None


@pytest.mark.parametrize(
    ("entity", "missing"),
    [
        ({}, "no entity.key and entity.timestamp"),
        ({"timestamp": "at"}, "no entity.key,"),
        ({"key": "id"}, "no entity.timestamp,"),
    ],
)
def test_without_key_and_time_nothing_can_be_appended(
    uploads: Uploads, entity: dict[str, str], missing: str
) -> None:
    project = Project.model_validate({**TOML, "entity": entity})
    text = "id,at,amount,y\na,2026-01-01,1,yes\nb,2026-01-01,2,no\n"
    uploads.replace(text, project=project)
    before = dict(uploads.bucket.objects)
    with pytest.raises(NotAppendable) as caught:
        uploads.take(LATER, project=project, execution="events")
    assert missing in caught.value.why
    assert "incoming/training/" in caught.value.fix
    assert uploads.bucket.objects.keys() - before.keys() == {"reports/events/validation.json"}
    told = uploads.report("events")
    assert told.error is not None
    assert (told.error.name, told.dataset_version, told.appended) == ("NotAppendable", None, None)


@pytest.mark.parametrize(
    ("columns", "differing"),
    [
        ({"amount": {"type": "integer"}}, "'amount'"),
        ({"shop": {"type": "string", "nullable": True}}, "'shop'"),
    ],
)
def test_a_table_of_other_columns_is_not_appended_to(
    uploads: Uploads, columns: dict[str, Any], differing: str
) -> None:
    uploads.replace(TABLE)
    before = uploads.current
    changed = Project.model_validate({**TOML, "columns": {**TOML["columns"], **columns}})
    text = LATER if "shop" not in columns else "id,at,amount,y,shop\na,2026-01-05,4,no,s\n"
    with pytest.raises(NotAppendable) as caught:
        uploads.take(text, project=changed)
    assert differing in caught.value.what
    assert uploads.current == before
    uploads.replace(TABLE if "shop" not in columns else text + "b,2026-01-05,4,yes,s\n", project=changed)
    assert len(uploads.manifest.parts) == 1


def test_what_is_said_of_a_column_besides_its_type_may_change(uploads: Uploads) -> None:
    uploads.replace(TABLE)
    changed = Project.model_validate(
        {**TOML, "columns": {**TOML["columns"], "amount": {"type": "number", "nullable": True}}}
    )
    uploads.take("id,at,amount,y\na,2026-01-05,,no\n", project=changed)
    assert len(uploads.manifest.parts) == 2


def test_rows_of_the_future_are_counted_with_a_day_of_tolerance(uploads: Uploads) -> None:
    uploads.replace(
        "id,at,amount,y\n"
        "a,2026-02-01,1,yes\n"
        "a,2026-03-02T12:00:00,1,no\n"
        "a,2026-03-02T12:00:01,1,no\n"
        "a,2030-01-01,1,no\n",
        execution="run",
    )
    assert uploads.report("run").future_rows == 2


def test_a_project_without_times_has_no_future(uploads: Uploads) -> None:
    project = Project.model_validate({**TOML, "entity": {"key": "id"}})
    uploads.replace("id,at,amount,y\na,2030-01-01,1,yes\nb,2030-01-01,2,no\n", project=project, execution="r")
    assert uploads.report("r").future_rows == 0
    assert uploads.manifest.parts[0].first_event is None


# --- a version that is asked for -----------------------------------------------------------------------------------


def test_the_current_version_is_found_without_an_upload(uploads: Uploads) -> None:
    table = uploads.replace(TABLE)
    now = uploads.take(LATER)
    answer = found(None, uploads.bucket)
    assert (answer.dataset_version, answer.rows) == (now.dataset_version, 4)
    assert (answer.parts_uri, answer.manifest_uri) == (now.parts_uri, now.manifest_uri)
    assert (answer.quarantine_uri, answer.validation_report_uri) == (None, None)
    assert found(table.dataset_version, uploads.bucket).rows == 3


@pytest.mark.parametrize("version", [None, "0123456789abcdef"])
def test_where_there_is_no_version_it_is_said(uploads: Uploads, version: str | None) -> None:
    if version:
        uploads.replace(TABLE)
    with pytest.raises(NoDataset) as caught:
        found(version, uploads.bucket)
    assert version is None or version in str(caught.value)


def test_a_version_whose_part_was_deleted_is_not_trained_on_and_the_part_is_named(uploads: Uploads) -> None:
    uploads.replace(TABLE)
    made = uploads.take(LATER)
    lost = uploads.manifest.parts[0]
    del uploads.bucket.objects[lost.key]
    with pytest.raises(PartMissing) as caught:
        found(None, uploads.bucket)
    assert str(caught.value) == (
        f"the part {lost.name} of the dataset version {made.dataset_version} is not there any more\n"
        f"  where  s3://artifacts/{lost.key}\n"
        "  why    somebody deleted the object; it held 3 rows of s3://uploads/0.csv\n"
        "  to do  take its delete marker away (the bucket keeps versions), or upload that file again"
    )


def test_a_manifest_that_cannot_be_read_is_told_with_the_way_out(uploads: Uploads) -> None:
    version = uploads.replace(TABLE).dataset_version
    key = f"datasets/{version}/manifest.json"
    manifest = json.loads(uploads.bucket.objects[key])
    del manifest["parts"][0]["md5"]
    uploads.bucket.objects[key] = json.dumps(manifest).encode()
    acts: list[Callable[[], object]] = [
        lambda: found(None, uploads.bucket),
        lambda: found(version, uploads.bucket),
        lambda: uploads.replace(LATER + "b,2026-01-06,5,yes\n"),
    ]
    for act in acts:
        with pytest.raises(PipelineFailed) as caught:
            act()
        assert str(caught.value) == (
            f"the manifest of the dataset version {version} cannot be read\n"
            f"  where  s3://artifacts/{key}\n"
            "  why    another release wrote it, or somebody changed it: Field required (parts.0.md5)\n"
            "  to do  delete datasets/current.json, and upload the table under incoming/training/"
        )
    del uploads.bucket.objects["datasets/current.json"]
    assert uploads.replace(LATER + "b,2026-01-06,5,yes\n").rows == 2


@pytest.mark.parametrize("append", [True, False])
def test_the_file_of_a_deleted_part_uploaded_again_brings_it_back(uploads: Uploads, append: bool) -> None:
    table = uploads.replace(TABLE)
    (part,) = uploads.manifest.parts
    body = uploads.bucket.objects.pop(part.key)
    uploads.take(TABLE, append=append)
    assert uploads.bucket.objects[part.key] == body
    assert found(table.dataset_version, uploads.bucket).rows == 3


def test_events_that_may_repeat_rows_of_a_deleted_part_are_not_appended(uploads: Uploads) -> None:
    table = uploads.replace(TABLE)
    (lost,) = uploads.manifest.parts
    del uploads.bucket.objects[lost.key]
    with pytest.raises(PartMissing, match=f"the part {lost.name} of the dataset version"):
        uploads.take(OVERLAPPING, execution="events")
    assert uploads.current.dataset_version == table.dataset_version
    error = uploads.report("events").error
    assert error is not None
    assert error.name == "PartMissing"


# --- uploads that meet ---------------------------------------------------------------------------------------------


class Interrupted(Bucket):
    """Lets something else happen before the request of a given number."""

    def __init__(self, shared: Bucket, number: int, meanwhile: Callable[[], object]) -> None:
        super().__init__(shared.objects, shared.writes)
        self._left = number
        self._meanwhile = meanwhile
        self.interrupted = False

    def _request(self) -> None:
        if self._left == 0:
            self.interrupted = True
            self._meanwhile()
        self._left -= 1

    def read(self, key: str) -> bytes | None:
        self._request()
        return super().read(key)

    def exists(self, key: str) -> bool:
        self._request()
        return super().exists(key)

    def open(self, key: str) -> BinaryIO:
        self._request()
        return super().open(key)

    def upload(self, file: Path, key: str) -> None:
        self._request()
        super().upload(file, key)

    def write(self, key: str, body: bytes, media_type: str) -> None:
        self._request()
        super().write(key, body, media_type)

    def create(self, key: str, body: bytes, media_type: str) -> bool:
        self._request()
        return super().create(key, body, media_type)

    def replace(self, key: str, body: bytes, media_type: str, tag: str) -> bool:
        self._request()
        return super().replace(key, body, media_type, tag)


Take = Callable[[Uploads, Bucket | None], ValidatedDataset]


def at_every_request(
    folder: Path, ours: Take, theirs: Take, begin: Callable[[Uploads], object]
) -> list[Uploads]:
    """Let `theirs` happen before each of the requests of `ours`, one at a time; give what came of each."""
    ends = []
    for number in itertools.count():
        uploads = Uploads(folder / str(number))
        begin(uploads)

        def meanwhile(uploads: Uploads = uploads) -> object:
            return theirs(uploads, None)

        bucket = Interrupted(uploads.bucket, number, meanwhile)
        ours(uploads, bucket)
        if not bucket.interrupted:
            break
        ends.append(uploads)
    assert len(ends) >= 7
    return ends


def executions(uploads: Uploads) -> list[str]:
    return [part.source.execution for part in uploads.manifest.parts]


@pytest.mark.parametrize("begins", [True, False], ids=["a table", "no table"])
def test_of_two_appends_at_once_both_are_in_whenever_they_meet(tmp_path: Path, begins: bool) -> None:
    ends = at_every_request(
        tmp_path,
        lambda uploads, bucket: uploads.take(LATER, execution="ours", bucket=bucket),
        lambda uploads, bucket: uploads.take(OVERLAPPING, execution="theirs", bucket=bucket),
        lambda uploads: uploads.replace(TABLE, execution="table") if begins else None,
    )
    orders = set()
    for uploads in ends:
        order = executions(uploads)
        assert sorted(order) == sorted(["ours", "theirs", *(["table"] if begins else [])])
        orders.add(tuple(order))
        assert uploads.manifest.rows == sum(each.rows - each.repeats for each in uploads.manifest.parts)
        assert uploads.manifest.rows == (5 if begins else 3)
    assert len(orders) == 2, "they met before and after the moment that counts"


def test_of_an_append_and_a_new_table_at_once_neither_is_lost(tmp_path: Path) -> None:
    new = "id,at,amount,y\nz,2026-01-01,1,yes\nz,2026-01-02,2,no\n"
    for name, ours, theirs in (
        ("append", "append", "table"),
        ("table", "table", "append"),
    ):
        takes: dict[str, Take] = {
            "append": lambda uploads, bucket: uploads.take(LATER, execution="append", bucket=bucket),
            "table": lambda uploads, bucket: uploads.replace(new, execution="table", bucket=bucket),
        }
        ends = at_every_request(
            tmp_path / name, takes[ours], takes[theirs], lambda uploads: uploads.replace(TABLE)
        )
        seen = {tuple(executions(uploads)) for uploads in ends}
        # What was appended before is of the table that was replaced.
        assert seen == {("table", "append"), ("table",)}


def test_the_same_file_twice_at_once_is_in_once(tmp_path: Path) -> None:
    ends = at_every_request(
        tmp_path,
        lambda uploads, bucket: uploads.take(LATER, execution="ours", bucket=bucket),
        lambda uploads, bucket: uploads.take(LATER, execution="theirs", bucket=bucket),
        lambda uploads: uploads.replace(TABLE),
    )
    for uploads in ends:
        assert [part.rows for part in uploads.manifest.parts] == [3, 1]


class Lost(Bucket):
    """The answer to one write is lost: it is done, and nobody hears of it."""

    def __init__(self, shared: Bucket, number: int, error: Exception | None) -> None:
        super().__init__(shared.objects, shared.writes)
        self._left = number
        self._error = error
        self.lost = False

    def _done(self) -> bool:
        self._left -= 1
        if self._left != -1:
            return True
        self.lost = True
        if self._error is not None:
            raise self._error
        return False

    def upload(self, file: Path, key: str) -> None:
        super().upload(file, key)
        if not self._done() and self._error is None:
            self.lost = False  # only of a conditional write the second try is refused

    def create(self, key: str, body: bytes, media_type: str) -> bool:
        return super().create(key, body, media_type) and self._done()

    def replace(self, key: str, body: bytes, media_type: str, tag: str) -> bool:
        return super().replace(key, body, media_type, tag) and self._done()


@pytest.mark.parametrize("append", [True, False], ids=["append", "replace"])
@pytest.mark.parametrize("begins", [True, False], ids=["a table", "no table"])
@pytest.mark.parametrize("number", range(6))
def test_a_state_that_is_tried_again_does_nothing_twice(
    uploads: Uploads, number: int, begins: bool, append: bool
) -> None:
    if begins:
        uploads.replace(TABLE, execution="table")
    lossy = Lost(uploads.bucket, number, StorageUnavailable("the answer was lost"))
    with pytest.raises(StorageUnavailable):
        uploads.take(OVERLAPPING, execution="ours", bucket=lossy, append=append)
    assert lossy.lost
    again = uploads.take(OVERLAPPING, execution="ours", append=append)

    assert executions(uploads) == (["table", "ours"] if begins and append else ["ours"])
    assert [move.execution for move in uploads.current.moves].count("ours") == 1
    assert again.dataset_version == uploads.current.dataset_version
    if append:
        appended = uploads.report("ours").appended
        assert appended is not None
        assert (appended.unchanged, appended.began) == (False, not begins)
        assert appended.repeats == (1 if begins else 0)


@pytest.mark.parametrize("begins", [True, False], ids=["a table", "no table"])
@pytest.mark.parametrize("number", range(1, 6))
def test_a_client_that_tries_again_itself_and_is_refused_is_in_once(
    uploads: Uploads, number: int, begins: bool
) -> None:
    """As botocore does: its second try finds the object written, by its first one."""
    if begins:
        uploads.replace(TABLE, execution="table")
    lossy = Lost(uploads.bucket, number, None)
    made = uploads.take(OVERLAPPING, execution="ours", bucket=lossy)
    assert lossy.lost
    assert executions(uploads) == (["table", "ours"] if begins else ["ours"])
    assert [move.execution for move in uploads.current.moves].count("ours") == 1
    assert made.dataset_version == uploads.current.dataset_version


@pytest.mark.parametrize("append", [True, False], ids=["append", "replace"])
def test_who_is_tried_again_after_others_came_undoes_nothing_of_theirs(
    uploads: Uploads, append: bool
) -> None:
    uploads.replace(TABLE, execution="table")
    lossy = Lost(uploads.bucket, 5, StorageUnavailable("the answer was lost"))
    with pytest.raises(StorageUnavailable):
        uploads.take(OVERLAPPING, execution="ours", bucket=lossy, append=append)
    version = uploads.current.dataset_version
    uploads.take(LATER, execution="theirs")
    after = uploads.current
    again = uploads.take(OVERLAPPING, execution="ours", append=append)

    assert uploads.current == after
    assert again.dataset_version == version, "it goes on with the version that it made"


def test_a_table_that_is_always_written_by_another_is_tried_again_later(uploads: Uploads) -> None:
    class Busy(Bucket):
        def replace(self, key: str, body: bytes, media_type: str, tag: str) -> bool:
            return False

    uploads.replace(TABLE)
    before = uploads.current
    with pytest.raises(StorageUnavailable, match="too many uploads at once"):
        uploads.take(LATER, bucket=Busy(uploads.bucket.objects))
    assert uploads.current == before


def test_the_newest_moves_are_kept(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.datasets.current._KEPT_MOVES", 2)
    made = [uploads.replace(TABLE), uploads.take(LATER), uploads.take(OVERLAPPING)]
    assert [move.dataset_version for move in uploads.current.moves] == [
        each.dataset_version for each in made[1:]
    ]
    assert uploads.current.dataset_version == made[2].dataset_version
