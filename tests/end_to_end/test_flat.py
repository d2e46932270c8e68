"""A flat table by id: what `init` wrote of it is enough for the endpoint to know each row by its key."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cli import main, materialization, prediction
from cli.serving import Served
from sluice import keys
from tests.support.bank import Bank
from tests.support.local_aws import ROOT

TELCO_DATA = ROOT.parent / "shared" / "data" / "telco_customer_churn.csv"
PEOPLE_HEADER = ["member id", 'Größe "cm"', "share", "code", "balance", "active", "plan", "left"]
Sluice = Callable[..., tuple[int, str, str]]


def people() -> list[list[str]]:
    """Rows with what is hard to keep: spelled numbers, integers beyond a double's, gaps, names in quotes."""
    draw = random.Random(5)
    rows = []
    for number in range(400):
        size, share = draw.randint(140, 210), draw.randint(0, 99)
        balance = "" if draw.random() < 0.1 else f"{draw.gauss(0, 1e6):.6f}"
        leaves = share + draw.gauss(0, 10) > 50
        code = 2**53 + 1 + 2 * draw.randrange(4)
        plan = draw.choice(["basic", "größer", "", "a,b"])
        rows.append(
            [
                f"M-{number:04}é",
                str(size),
                f"{share}%",
                str(code),
                balance,
                draw.choice(["true", "false"]),
                plan,
                "yes" if leaves else "no",
            ]
        )
    return rows


def write(file: Path, rows: list[list[str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as sink:
        csv.writer(sink, lineterminator="\n").writerows([PEOPLE_HEADER, *rows])
    return file


class Table:
    """A project of a flat table, trained on it and materialized."""

    def __init__(self, bank: Bank, project: Path, data: Path, key: str, folder: Path) -> None:
        self.data, self.key, self.folder = data, key, folder
        self.bank = bank.beside(project, folder)
        self.stack = self.bank.stack
        self.materialized = self.upload(data)

    def upload(self, data: Path) -> dict[str, Any]:
        trained = self.bank.train(data)
        assert trained["outcome"] in ("Deployed", "GateRejected"), trained
        arn = materialization.of(self.stack, trained["execution_arn"])
        done = materialization.follow(self.stack, arn)
        assert done["outcome"] == "Materialized", done
        return done

    def rows(self) -> list[dict[str, Any]]:
        """The dataset's rows as they were validated."""
        file = self.folder / "dataset.parquet"
        bucket = self.stack.outputs["ArtifactsBucketName"]
        s3 = self.stack.client("s3")
        manifest = s3.get_object(Bucket=bucket, Key=keys.manifest(self.materialized["dataset_version"]))
        (part,) = json.loads(manifest["Body"].read())["parts"]
        s3.download_file(bucket, keys.part(part["md5"]), str(file))
        rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
        return rows

    def by_id(self, *ids: str) -> list[Any]:
        served = Served.by(self.stack)
        answers = prediction.predict_ids(served, served.by_id().records(ids, []))
        return [answer.prediction for answer in answers]


@pytest.fixture(scope="module", params=["people", "telco"])
def table(request: pytest.FixtureRequest, bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Table:
    folder = tmp_path_factory.mktemp("flat")
    if request.param == "telco":
        if not TELCO_DATA.is_file():
            pytest.skip("telco_customer_churn.csv is not in ../shared/data")
        shutil.copytree(ROOT / "examples" / "telco", folder / "project")
        return Table(bank, folder / "project", TELCO_DATA, "customerID", folder)
    data, project = write(folder / "people.csv", people()), folder / "people"
    arguments = ["init", str(project), "--from", str(data), "--target", "left", "--entity", "member id"]
    assert main.main(arguments) == 0
    return Table(bank, project, data, "member id", folder)


@pytest.fixture
def sluice(table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sluice:
    """The command line, as somebody types it where this stack runs."""
    monkeypatch.setattr("cli.stack.current", lambda _name: table.stack)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main.main(list(arguments))
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_by_id_is_the_answer_to_the_full_row_for_everybody(table: Table, sluice: Sluice) -> None:
    rows = table.rows()
    ids = [row[table.key] for row in rows]
    assert len(set(ids)) == len(ids) == table.materialized["written"] > 300
    served = Served.by(table.stack)
    full = [{name: row[name] for name in served.contract.names} for row in rows]
    expected = prediction.Asked(served).predictions(full)
    assert len({each["probability"] for each in expected}) > 50

    assert table.by_id(*ids) == expected

    status, out, err = sluice("predict", "--id", ids[7], "--id", ids[0], "--json")
    assert (status, [json.loads(line) for line in out.splitlines()]) == (0, [expected[7], expected[0]]), err
    # Of the uploaded file the cells are read as validation reads them.
    status, out, err = sluice("predict", "--file", str(table.data), "--json")
    assert (status, [json.loads(line) for line in out.splitlines()]) == (0, expected), err


def test_the_store_holds_what_the_dataset_says(table: Table, sluice: Sluice) -> None:
    status, out, err = sluice("skew", "--sample", "10000")
    assert status == 0, err
    assert f": 0 mismatches in {table.materialized['written']:,} entities\n" in out


def test_an_upload_writes_what_changed(table: Table) -> None:
    if table.key != "member id":
        pytest.skip("told of the small table")
    rows = people()
    before = table.by_id(rows[0][0], rows[1][0])
    rows[0][2] = "99%" if rows[0][2] == "0%" else "0%"
    gone = rows.pop()
    new = ["M-new", *rows[1][1:]]

    done = table.upload(write(table.folder / "later.csv", [*rows, new]))

    assert (done["written"], done["removed"], done["held"]) == (2, 1, 398)
    after = table.by_id(rows[0][0], rows[1][0], "M-new", gone[0])
    served = Served.by(table.stack)
    names = served.contract.names
    full = {row[table.key]: {name: row[name] for name in names} for row in Table.rows(table)}
    asked = prediction.Asked(served).predictions([full[rows[1][0]]])
    assert after[1:3] == [asked[0], asked[0]]
    assert after[3] is None, "nobody of this id is known any more"
    assert before[0] != after[0]
