"""sluice dataset: versions are found by the first digits, and told so that a person can compare them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import main, stack
from cli.pointers import BadOutput
from cli.versions import NotOneVersion, Versions
from sluice.datasets.reading import LocalFile
from sluice.datasets.snapshots import Provenance, store
from sluice.datasets.validation import validate
from sluice.errors import NoDataset, PartMissing
from sluice.payloads.documents import Manifest, Uploaded
from sluice.project import Project
from tests.support.bucket import Bucket
from tests.support.deployed import ARTIFACTS, S3, Deployed, md5_of

PROJECT: dict[str, Any] = {
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
HEADER = "id,at,amount,y\n"
TABLE = HEADER + "".join(f"c{i},2026-01-01,{i},{'yes' if i % 4 == 0 else 'no'}\n" for i in range(400))
EVENTS = HEADER + "".join(f"c{i},2026-02-01,{i + 900},yes\n" for i in range(400))


class Shop:
    """The commands on a stack whose uploads are validated in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.bucket = Bucket()
        self.deployed = Deployed.of(S3())
        self.deployed.s3.buckets[ARTIFACTS] = self.bucket.objects
        self._folder = folder
        self._capsys = capsys
        self._number = 0

    def upload(self, text: str, *, append: bool = False, **changes: Any) -> str:
        self._number += 1
        folder = self._folder / str(self._number)
        (folder / "work").mkdir(parents=True)
        (folder / "a.csv").write_text(text)
        project = Project.model_validate({**PROJECT, **changes})
        result = validate(LocalFile(folder / "a.csv"), project, folder / "work", whole=not append)
        uri = f"s3://uploads/incoming/training/{self._number}.csv"
        provenance = Provenance(f"run-{self._number}", uri, "v", "e", Uploaded(by="arn:aws:iam::1:user/ada"))
        return store(result, project, provenance, self.bucket, append=append).dataset_version

    def manifest(self, version: str) -> Manifest:
        return Manifest.model_validate_json(self.bucket.objects[f"datasets/{version}/manifest.json"])

    def run(self, *arguments: str) -> str:
        """What a command prints."""
        assert main.main(["dataset", *arguments]) == 0
        return self._capsys.readouterr().out

    def refused(self, *arguments: str) -> str:
        """What a command that fails says."""
        assert main.main(["dataset", *arguments]) == 1
        return self._capsys.readouterr().err


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    made = Shop(tmp_path / "uploads", capsys)
    monkeypatch.setattr(stack, "current", lambda _name: made.deployed)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.mark.parametrize("action", ["list", "show", "diff", "pointer"])
def test_every_help_has_an_example(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main.main(["dataset", action, "--help"])
    assert end.value.code == 0
    assert f"sluice dataset {action}" in capsys.readouterr().out.split("example", 1)[1]


# --- which version is meant ---------------------------------------------------------------------------------------


def test_a_version_is_meant_by_its_first_digits_and_the_current_one_by_a_word(shop: Shop) -> None:
    table = shop.upload(TABLE)
    both = shop.upload(EVENTS, append=True)
    versions = Versions(shop.deployed)
    for text in (table, table[:6], table[:6].upper()):
        assert versions.named(text).dataset_version == table
    assert versions.named("current").dataset_version == both


def test_an_unknown_version_is_refused(shop: Shop) -> None:
    shop.upload(TABLE)
    with pytest.raises(NoDataset) as caught:
        Versions(shop.deployed).named("0123456789abcdef")
    assert str(caught.value) == (
        "there is no dataset version 0123456789abcdef\n"
        "  where  s3://artifacts/datasets/\n"
        "  why    no manifest lies there under a name that begins so\n"
        "  to do  `sluice dataset list` lists those there are"
    )


def test_the_beginning_of_two_names_is_refused_and_both_are_told(shop: Shop) -> None:
    shop.upload(TABLE)
    for version in ("ab00000000000000", "ab11111111111111"):
        shop.bucket.objects[f"datasets/{version}/manifest.json"] = b"{}"
    assert shop.refused("show", "ab") == (
        "NotOneVersion: 2 dataset versions begin with ab\n"
        "  where  VERSION\n"
        "  why    ab00000000000000, ab11111111111111\n"
        "  to do  give more of its digits\n"
    )
    with pytest.raises(NotOneVersion):
        Versions(shop.deployed).named("ab")


@pytest.mark.parametrize("text", ["latest", "", "../etc", "0123456789abcdef0"])
def test_what_is_no_name_is_refused(shop: Shop, text: str) -> None:
    with pytest.raises(NoDataset, match="16 hexadecimal digits"):
        Versions(shop.deployed).named(text)


def test_the_current_version_of_no_table_is_told(shop: Shop) -> None:
    assert "there is no dataset version yet" in shop.refused("show", "current")
    assert shop.run("list") == "there is no dataset version yet: no upload has been accepted\n"


def test_a_part_without_a_version_of_its_own_is_no_version(shop: Shop) -> None:
    shop.upload(TABLE)
    both = shop.upload(EVENTS, append=True)
    events = shop.manifest(both).parts[1].name
    with pytest.raises(NoDataset):
        Versions(shop.deployed).named(events)


# --- what is told -------------------------------------------------------------------------------------------------


def test_the_list_has_the_newest_first_and_marks_the_current_one(shop: Shop) -> None:
    table = shop.upload(TABLE)
    both = shop.upload(EVENTS, append=True)
    header, *lines = shop.run("list").splitlines()
    assert header.split()[:4] == ["version", "rows", "parts", "bytes"]
    assert [line.split()[:2] for line in lines] == [["*", both], [table, "400"]]
    listed = json.loads(shop.run("list", "--json"))
    assert [(each["dataset_version"], each["current"], each["rows"], each["parts"]) for each in listed] == [
        (both, True, 800, 2),
        (table, False, 400, 1),
    ]


def test_twenty_are_listed_unless_all_are_asked_for(shop: Shop) -> None:
    body = shop.bucket.objects[f"datasets/{shop.upload(TABLE)}/manifest.json"]
    for number in range(24):
        shop.bucket.objects[f"datasets/{number:016x}/manifest.json"] = body
    assert len(json.loads(shop.run("list", "--json"))) == 20
    assert len(json.loads(shop.run("list", "--all", "--json"))) == 25


def test_a_version_is_shown_with_where_it_came_from_and_what_it_holds(shop: Shop) -> None:
    shop.upload(TABLE)
    version = shop.upload(EVENTS + "x,2026-02-01,oops,no\n", append=True)
    first, second = shop.manifest(version).parts
    told = shop.run("show", version[:5])
    assert f"dataset version {version} of shop, the current one" in told
    assert "800 rows, 2 parts" in told
    lines = {line.split()[0]: line.split() for line in told.splitlines() if line.strip()}
    assert lines[first.name][1:3] == ["400", "0"]
    assert lines[second.name][1:3] == ["400", "1"]
    assert lines[second.name][-2:] == ["arn:aws:iam::1:user/ada", "2.csv"]
    # 0 … 399 and 900 … 1,299
    assert lines["amount"][1:8] == ["number", "0.0", "%", "0", "399", "1,299", "649.5"]
    assert "yes 62.5 %, no 37.5 %" in told
    assert told.endswith("all figures are of all rows\n")


def test_a_version_as_json_has_its_lineage_and_where_its_parts_lie(shop: Shop) -> None:
    version = shop.upload(TABLE)
    told = json.loads(shop.run("show", "current", "--json"))
    (part,) = told["manifest"]["parts"]
    assert told["current"] is True
    assert told["keys"] == {version: f"s3://artifacts/datasets/files/md5/{part['md5'][:2]}/{part['md5'][2:]}"}
    (lineage,) = told["lineage"]
    assert lineage["uploaded"]["by"] == "arn:aws:iam::1:user/ada"
    assert lineage["source"]["uri"] == "s3://uploads/incoming/training/1.csv"
    assert lineage["statistics"]["y"]["values"] == {"no": 300, "yes": 100}


def test_a_lineage_that_was_deleted_is_named(shop: Shop) -> None:
    version = shop.upload(TABLE)
    del shop.bucket.objects[f"datasets/{version}/lineage.json"]
    told = shop.refused("show", version)
    assert f"NoDataset: the lineage of the part {version} is not there any more" in told
    assert f"where  s3://artifacts/datasets/{version}/lineage.json" in told


def test_a_version_whose_part_was_deleted_says_so(shop: Shop) -> None:
    version = shop.upload(TABLE)
    (part,) = shop.manifest(version).parts
    del shop.bucket.objects[part.key]
    assert f"the file of the part {part.name} was deleted" in shop.run("show", version)
    assert json.loads(shop.run("show", version, "--json"))["missing"] == [part.name]


# --- what differs -------------------------------------------------------------------------------------------------


def test_two_versions_are_compared_by_rows_parts_and_columns(shop: Shop) -> None:
    table = shop.upload(TABLE)
    both = shop.upload(EVENTS, append=True)
    told = json.loads(shop.run("diff", table, "current", "--json"))
    assert (told["before"]["rows"], told["after"]["rows"]) == (400, 800)
    assert told["parts"]["both"] == 1
    assert told["parts"]["only_before"] == []
    assert len(told["parts"]["only_after"]) == 1
    assert not any(told["schema"].values())
    # Half of B's amounts lie beyond all of A's.
    assert told["columns"]["amount"]["shift"] == pytest.approx(0.5, abs=0.01)
    assert told["columns"]["amount"]["noticeable"] is True
    assert told["columns"]["y"]["shift"] == pytest.approx(0.375)
    text = shop.run("diff", table, both)
    assert "1 part in both, 0 in A alone, 1 in B alone" in text
    assert "schema: the same" in text
    assert "yes 25.0 % → 62.5 %" in text
    assert text.index("amount ") < text.index("y ")


def test_changes_of_the_schema_are_told(shop: Shop) -> None:
    before = shop.upload(TABLE)
    columns = {**PROJECT["columns"], "amount": {"type": "integer", "min": 0}, "shop": {"type": "string"}}
    del columns["at"]
    rows = "".join(f"c{i},{i},{'yes' if i % 2 else 'no'},north\n" for i in range(50))
    after = shop.upload("id,amount,y,shop\n" + rows, columns=columns, entity={"key": "id"})
    told = shop.run("diff", before, after).splitlines()
    assert "  + shop: string" in told
    assert "  - at: timestamp" in told
    assert "  ~ amount: number → integer, min 0.0" in told


def test_a_version_does_not_differ_from_itself(shop: Shop) -> None:
    version = shop.upload(TABLE)
    assert "they are the same version" in shop.run("diff", version, "current")
    told = json.loads(shop.run("diff", version, "current", "--json"))
    assert [column["shift"] for column in told["columns"].values() if column["shift"] is not None] == [
        0,
        0,
        0,
    ]


# --- pointers -----------------------------------------------------------------------------------------------------


def test_a_pointer_of_a_folder_names_the_list_of_parts_that_lies_in_the_remote(shop: Shop) -> None:
    shop.upload(TABLE)
    version = shop.upload(EVENTS, append=True)
    shop.run("pointer", "current")
    written = yaml.safe_load(Path("shop.dvc").read_text())
    (out,) = written["outs"]
    manifest = shop.manifest(version)
    listing = shop.bucket.objects[f"datasets/files/md5/{out['md5'][:2]}/{out['md5'][2:]}"]
    assert md5_of(listing) + ".dir" == out["md5"]
    assert json.loads(listing) == [
        {"md5": manifest.parts[0].md5, "relpath": "part-00001.parquet"},
        {"md5": manifest.parts[1].md5, "relpath": "part-00002.parquet"},
    ]
    assert {name: out[name] for name in ("hash", "path", "nfiles", "size", "remote")} == {
        "hash": "md5",
        "path": "shop",
        "nfiles": 2,
        "size": manifest.bytes,
        "remote": "sluice-shop-dev",
    }
    assert written["meta"]["sluice"]["dataset_version"] == version


def test_a_pointer_of_a_file_names_the_part(shop: Shop) -> None:
    version = shop.upload(TABLE)
    told = json.loads(shop.run("pointer", version, "--output", "table.parquet.dvc", "--json"))
    (out,) = yaml.safe_load(Path("table.parquet.dvc").read_text())["outs"]
    (part,) = shop.manifest(version).parts
    assert (out["md5"], out["path"], out["size"]) == (part.md5, "table.parquet", part.bytes)
    assert told["outs"] == [out]
    assert told["remote"] == {"name": "sluice-shop-dev", "url": "s3://artifacts/datasets"}


def test_a_version_of_several_parts_is_no_one_file(shop: Shop) -> None:
    shop.upload(TABLE)
    version = shop.upload(EVENTS, append=True)
    assert shop.refused("pointer", "current", "--output", "a/table.parquet.dvc") == (
        f"BadOutput: the dataset version {version} is no one file\n"
        "  where  --output a/table.parquet.dvc\n"
        "  why    it has 2 parts, and each is a file\n"
        "  to do  name the pointer table.dvc: it is pulled as a folder\n"
    )


@pytest.mark.parametrize("name", ["table.parquet", ".dvc", "table"])
def test_a_pointer_ends_in_dvc(shop: Shop, name: str) -> None:
    shop.upload(TABLE)
    assert BadOutput.__name__ in shop.refused("pointer", "current", "--output", name)
    assert not Path(name).exists()


def test_a_version_whose_part_was_deleted_is_not_pointed_to_and_the_part_is_named(shop: Shop) -> None:
    version = shop.upload(TABLE)
    (part,) = shop.manifest(version).parts
    del shop.bucket.objects[part.key]
    text = shop.refused("pointer", "current")
    assert f"{PartMissing.__name__}: the part {part.name} of the dataset version {version}" in text
    assert f"where  s3://artifacts/{part.key}" in text
    assert not Path("shop.dvc").exists()


def test_git_ignores_what_is_pulled_and_is_told_once(shop: Shop) -> None:
    Path(".git").mkdir()
    Path(".gitignore").write_text("/other\n")
    shop.upload(TABLE)
    shop.run("pointer", "current")
    shop.run("pointer", "current")
    assert Path(".gitignore").read_text() == "/other\n/shop\n"


def test_what_is_to_be_done_before_the_pull_is_said(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.upload(TABLE)
    assert main.main(["dataset", "pointer", "current"]) == 0
    said = capsys.readouterr().err
    assert "dvc init" in said
    assert "dvc remote add sluice-shop-dev s3://artifacts/datasets\n" in said
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("['remote \"sluice-shop-dev\"']\n    url = s3://artifacts/datasets\n")
    assert main.main(["dataset", "pointer", "current"]) == 0
    said = capsys.readouterr().err
    assert "dvc init" not in said
    assert "dvc remote add" not in said
    assert said.endswith("dvc pull shop.dvc\n")
