"""sluice upload --dvc: what is in the remote is copied, what is not is uploaded, what is nowhere is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import main, stack
from tests.support.deployed import ARN, ARTIFACTS, S3, UPLOADS, Deployed, md5_of

BODY = b"id,y\n1,yes\n2,no\n"
MD5 = md5_of(BODY)
STORED = f"datasets/files/md5/{MD5[:2]}/{MD5[2:]}"
OURS = "['remote \"ours\"']\n    url = s3://artifacts/datasets/\n"
THEIRS = "['remote \"team\"']\n    url = s3://team/dvc\n"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3:
    made = S3()
    monkeypatch.setattr(stack, "current", lambda _name: Deployed.of(made))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return made


def write_pointer(path: str = "raw.csv", **changes: Any) -> None:
    out = {"md5": MD5, "size": len(BODY), "hash": "md5", "path": path, **changes}
    Path("data/raw.csv.dvc").write_text(yaml.safe_dump({"outs": [out]}))


def configure(text: str, default: str | None = None) -> None:
    Path(".dvc").mkdir()
    core = f"[core]\n    remote = {default}\n" if default else ""
    Path(".dvc/config").write_text(core + text)


def upload(*more: str) -> int:
    return main.main(["upload", "--dvc", "data/raw.csv.dvc", *more])


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    assert upload() == 1
    return capsys.readouterr().err


def test_what_is_in_the_remote_is_copied_there_and_not_sent(s3: S3) -> None:
    s3.buckets[ARTIFACTS][STORED] = BODY
    write_pointer()
    assert upload() == 0
    assert s3.buckets[UPLOADS] == {"incoming/training/raw.csv": BODY}
    assert s3.moved == [f"copied {len(BODY)}"]
    assert s3.said["incoming/training/raw.csv"] == {
        "sluice-by": ARN,
        "sluice-tracked-as": "data/raw.csv.dvc",
        "sluice-tracked-md5": MD5,
    }


def test_what_is_in_the_remote_is_taken_whatever_remote_the_repository_has(s3: S3) -> None:
    s3.buckets[ARTIFACTS][STORED] = BODY
    configure(THEIRS, "team")
    write_pointer()
    assert upload("--events") == 0
    assert list(s3.buckets[UPLOADS]) == ["incoming/events/raw.csv"]


def test_a_name_without_a_format_gets_one_by_what_lies_in_the_remote(s3: S3) -> None:
    s3.buckets[ARTIFACTS][STORED] = BODY
    write_pointer("raw")
    assert upload() == 0
    assert list(s3.buckets[UPLOADS]) == ["incoming/training/raw.csv"]


@pytest.mark.parametrize("config", [None, OURS])
def test_what_is_not_in_the_remote_is_uploaded_from_the_working_tree(s3: S3, config: str | None) -> None:
    if config:
        configure(config, "ours")
    write_pointer()
    Path("data/raw.csv").write_bytes(BODY)
    assert upload() == 0
    assert s3.buckets[UPLOADS] == {"incoming/training/raw.csv": BODY}
    assert s3.moved == [f"sent {len(BODY)}"]
    assert s3.said["incoming/training/raw.csv"]["sluice-tracked-md5"] == MD5


@pytest.mark.parametrize(("default", "named"), [("team", None), ("ours", "team")])
def test_a_pointer_of_another_remote_is_refused(
    s3: S3, capsys: pytest.CaptureFixture[str], default: str, named: str | None
) -> None:
    configure(OURS + THEIRS, default)
    write_pointer(**({"remote": named} if named else {}))
    Path("data/raw.csv").write_bytes(BODY)
    assert refused(capsys) == (
        "OtherRemote: data/raw.csv.dvc keeps its bytes in another DVC remote\n"
        "  where  the remote 'team': s3://team/dvc\n"
        f"  why    its MD5 {MD5} is not in this project's, s3://artifacts/datasets\n"
        "  to do  `dvc pull data/raw.csv.dvc`, then `sluice upload data/raw.csv`; or keep it here: "
        "`dvc remote add sluice-shop-dev s3://artifacts/datasets`, "
        "`dvc push --remote sluice-shop-dev data/raw.csv.dvc`\n"
    )
    assert s3.moved == []


def test_a_remote_that_is_not_configured_here_is_another_one(
    s3: S3, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(OURS)
    write_pointer(remote="gone")
    assert "the remote 'gone': not configured in this repository" in refused(capsys)


def test_a_file_that_is_nowhere_is_told(s3: S3, capsys: pytest.CaptureFixture[str]) -> None:
    write_pointer()
    assert refused(capsys) == (
        "NotTracked: the file that data/raw.csv.dvc tracks is nowhere\n"
        "  where  data/raw.csv\n"
        f"  why    it is not in the working tree, and its MD5 {MD5} is not in this project's remote, "
        "s3://artifacts/datasets\n"
        "  to do  `dvc pull data/raw.csv.dvc` from where it is kept, and try again\n"
    )


def test_a_file_that_was_changed_is_not_uploaded_under_the_pointers_name(
    s3: S3, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pointer()
    Path("data/raw.csv").write_bytes(BODY + b"3,no\n")
    told = refused(capsys)
    assert told.startswith("NotTracked: data/raw.csv is not as data/raw.csv.dvc tracks it\n")
    changed = md5_of(BODY + b"3,no\n")
    assert f"it was changed, and has the MD5 {changed}; its MD5 {MD5} is not in" in told
    assert "`dvc add data/raw.csv` to track it as it is" in told
    assert s3.moved == []


BROKEN = {
    "outs: [": "data/raw.csv.dvc cannot be read",
    "": "data/raw.csv.dvc is no pointer to a file",
    "stages: {}": "data/raw.csv.dvc is no pointer to a file",
    "outs: []": "data/raw.csv.dvc is no pointer to a file",
    "outs: [{md5: abc}]": "data/raw.csv.dvc is no pointer to a file",
    "outs: [{path: a, md5: a}, {path: b, md5: b}]": "data/raw.csv.dvc is no pointer to a file",
    f"outs: [{{path: a, hash: md5, md5: {MD5}.dir}}]": "data/raw.csv.dvc tracks a folder",
    f"outs: [{{path: a, md5: {MD5}}}]": "data/raw.csv.dvc does not say that it tracks a file by its MD5",
    "outs: [{path: a, hash: md5, md5: ../../../../current}]": "data/raw.csv.dvc names no file",
    "outs: [{path: a, hash: md5}]": "data/raw.csv.dvc names no file",
    f"outs: [{{path: a, hash: md5, md5: {MD5}, size: many}}]": "data/raw.csv.dvc names no file",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_pointer_is_told(s3: S3, capsys: pytest.CaptureFixture[str], text: str) -> None:
    Path("data/raw.csv.dvc").write_text(text)
    told = refused(capsys)
    assert told.startswith(f"BrokenPointer: {BROKEN[text]}\n")
    assert "  to do  " in told
    assert s3.moved == []


def test_a_pointer_whose_size_is_another_is_not_believed(s3: S3, capsys: pytest.CaptureFixture[str]) -> None:
    s3.buckets[ARTIFACTS][STORED] = BODY
    write_pointer(size=99)
    assert "the pointer says 99 bytes, and the object of this MD5 has 16" in refused(capsys)


def test_without_an_answer_of_sts_the_upload_says_not_who(
    s3: S3, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import EndpointConnectionError

    from tests.support import deployed

    def fails(_self: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://sts")

    monkeypatch.setattr(deployed.Sts, "get_caller_identity", fails)
    Path("data/raw.csv").write_bytes(BODY)
    assert main.main(["upload", "data/raw.csv"]) == 0
    assert s3.said["incoming/training/raw.csv"] == {}
    assert "the upload will not say who made it" in capsys.readouterr().err
