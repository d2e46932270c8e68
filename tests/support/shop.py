"""The churn example on a small log, deployed, trained and materialized, as tests ask it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from cli import materialization, prediction
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

    def dataset(self) -> Path:
        """Fetch the rows that were trained on and materialized."""
        file = self.folder / "data.parquet"
        bucket, version = self.stack.outputs["ArtifactsBucketName"], self.materialized["dataset_version"]
        s3 = self.stack.client("s3")
        manifest = s3.get_object(Bucket=bucket, Key=keys.manifest(version))["Body"].read()
        (part,) = json.loads(manifest)["parts"]
        s3.download_file(bucket, keys.part(part["md5"]), str(file))
        return file

    def offline(self) -> list[dict[str, Any]]:
        """Each customer's full row as of the moment of the materialization, joined by Feast."""
        self.dataset()
        code = self.folder / "everybody"
        shutil.copytree(CHURN, code, dirs_exist_ok=True)
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
