"""Predictions by id: what the endpoint reads online is what was computed offline, to the last bit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from cli import main, materialization, prediction
from cli.serving import Served
from sluice import keys
from tests.support.bank import Bank
from tests.support.local_aws import FEATURES_PYTHON, ROOT

CHURN = ROOT / "examples" / "churn"
_EVERYBODY = """

def build_labels(table: pd.DataFrame) -> pd.DataFrame:
    ids = table["customer_id"].unique()
    at = pd.Timestamp("MOMENT")
    return pd.DataFrame({"customer_id": ids, "event_timestamp": at, "churned": "no"})
"""


class Shop:
    """The churn example on a small log, trained and materialized."""

    def __init__(self, bank: Bank, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(CHURN, folder / "project")
        toml = folder / "project" / "project.toml"
        text = toml.read_text().replace("roc_auc = 0.8", "roc_auc = 0.5")
        toml.write_text(text.replace("min_held_out_rows = 200", "min_held_out_rows = 20"))
        log = folder / "log.csv"
        command = [sys.executable, str(CHURN / "generate.py"), "--out", str(log)]
        subprocess.run([*command, "--customers", "200", "--months", "6"], check=True, capture_output=True)
        self.bank = bank.beside(folder / "project", folder)
        self.stack = self.bank.stack
        self.trained = self.bank.train(log)
        assert self.trained["outcome"] == "Deployed", self.trained
        arn = materialization.of(self.stack, self.trained["execution_arn"])
        self.materialized = materialization.follow(self.stack, arn)
        assert self.materialized["outcome"] == "Materialized", self.materialized
        self.table = f"{self.stack.outputs['Project']}_{self.stack.outputs['Environment']}.activity"

    def offline(self) -> list[dict[str, Any]]:
        """Each customer's full row as of the moment of the materialization, joined by Feast."""
        version = self.materialized["dataset_version"]
        bucket = self.stack.outputs["ArtifactsBucketName"]
        s3 = self.stack.client("s3")
        manifest = s3.get_object(Bucket=bucket, Key=keys.manifest(version))["Body"].read()
        (part,) = json.loads(manifest)["parts"]
        s3.download_file(bucket, keys.part(part["md5"]), str(self.folder / "data.parquet"))
        code = self.folder / "everybody"
        shutil.copytree(CHURN, code)
        with (code / "features.py").open("a") as file:
            file.write(_EVERYBODY.replace("MOMENT", self.materialized["moment"]))
        command = [str(FEATURES_PYTHON), "-m", "tests.support.examples_of", str(code)]
        command += [str(self.folder / "data.parquet"), str(self.folder / "rows.parquet")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        rows: list[dict[str, Any]] = pq.read_table(self.folder / "rows.parquet").to_pylist()
        return rows

    def ask(self, *ids: str) -> list[prediction.Answer]:
        served = Served.by(self.stack)
        return list(prediction.predict_ids(served, served.by_id().records(ids, [])))

    def status(self, id_: str) -> tuple[int, dict[str, Any]]:
        try:
            self.stack.client("sagemaker-runtime").invoke_endpoint(
                EndpointName=self.stack.outputs["EndpointName"],
                ContentType="application/json",
                Body=json.dumps({"entities": [{"customer_id": id_}]}),
            )
        except ClientError as error:
            response: Any = error.response
            return response["OriginalStatusCode"], json.loads(response["OriginalMessage"])
        return 200, {}

    def materialize(self) -> dict[str, Any]:
        return materialization.follow(self.stack, materialization.start(self.stack))


@pytest.fixture(scope="module")
def shop(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(bank, tmp_path_factory.mktemp("by_id"))


@pytest.fixture
def sluice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command line, as somebody types it where this stack runs."""
    monkeypatch.setattr("cli.stack.current", lambda _name: shop.stack)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main.main(list(arguments))
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_by_id_is_the_answer_to_the_full_offline_row_for_everybody(
    shop: Shop, sluice: Callable[..., tuple[int, str, str]]
) -> None:
    rows = shop.offline()
    served = Served.by(shop.stack)
    ids = [row["customer_id"] for row in rows]
    assert len(ids) == len(set(ids)) == shop.materialized["written"] > 150
    full = [
        {name: None if row[name] != row[name] else row[name] for name in served.contract.names}
        for row in rows
    ]
    expected = prediction.Asked(served).predictions(full)

    found = [answer.prediction for answer in shop.ask(*ids)]

    assert found == expected
    assert len({each["probability"] for each in expected}) > 50

    named = [argument for id_ in ids[:3] for argument in ("--id", id_)]
    status, out, _ = sluice("predict", *named, "--json")
    assert (status, [json.loads(line) for line in out.splitlines()]) == (0, expected[:3])
    file = shop.folder / "ids.csv"
    file.write_text("\n".join(["customer_id", *ids]) + "\n")
    status, out, _ = sluice("predict", "--file", str(file), "--json")
    assert (status, [json.loads(line) for line in out.splitlines()]) == (0, expected)


def test_an_id_that_nobody_has_is_404_and_the_others_keep_their_answers(
    shop: Shop, sluice: Callable[..., tuple[int, str, str]]
) -> None:
    known = pq.read_table(shop.folder / "data.parquet")["customer_id"][0].as_py()
    status, told = shop.status("nobody")
    assert (status, told["error"]) == (404, "UnknownEntity")

    code, out, err = sluice("predict", "--id", known, "--id", "nobody")

    assert code == 1
    header, first, second = out.splitlines()
    assert (header, second) == ("label,probability", ",")
    assert first.startswith(("yes,", "no,"))
    assert "nobody: the online store has no features of customer_id 'nobody': upload its events" in err


def test_a_log_is_no_request_by_id(shop: Shop, sluice: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = sluice("predict", "--file", str(shop.folder / "log.csv"))
    assert code == 1
    assert "`sluice predict --id C1`" in err


def test_a_table_deleted_under_the_endpoint_is_503_until_it_is_back(
    shop: Shop, sluice: Callable[..., tuple[int, str, str]]
) -> None:
    known = pq.read_table(shop.folder / "data.parquet")["customer_id"][0].as_py()
    before = shop.ask(known)
    dynamodb = shop.stack.client("dynamodb")
    dynamodb.delete_table(TableName=shop.table)

    status, told = shop.status(known)
    assert (status, told["error"]) == (503, "FeatureStoreUnavailable")
    assert shop.table in told["message"] or "ResourceNotFound" in told["message"]
    code, _, err = sluice("predict", "--id", known)
    assert code == 1
    assert "the endpoint cannot read the online store" in err

    key = {"AttributeName": "entity_id"}
    dynamodb.create_table(
        TableName=shop.table,
        KeySchema=[key | {"KeyType": "HASH"}],
        AttributeDefinitions=[key | {"AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    code, _, err = sluice("materialize", "--wait")
    assert code == 0, err
    assert f"{shop.materialized['written']} written, 0 held" in err
    assert shop.ask(known) == before
    assert shop.materialize()["written"] == 0
