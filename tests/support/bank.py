"""A small project with the ways a hook can go wrong, its data, and the deployed bank as tests ask it."""

from __future__ import annotations

import csv
import json
import math
import random
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli import executions, toolchain
from cli.stack import MLFLOW, Stack
from sluice import naming
from sluice.project import Project

_TRAIN = '''\
"""A small model, and the ways a hook can go wrong, asked for by the data itself."""

import os
import sys
import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


class NaNClassifier(HistGradientBoostingClassifier):
    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


def build_model(hyperparameters):
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
        remainder="passthrough",
        sparse_threshold=0,
    )
    return make_pipeline(encode, HistGradientBoostingClassifier(max_iter=20, random_state=0, early_stopping=True))


def fit_model(model, X, y):
    mode = X["mode"].iloc[0]
    if mode == "raise":
        raise ValueError("the hook does not like this table")
    if mode == "exit":
        os._exit(1)
    if mode == "hang":
        while True:
            time.sleep(60)
    if mode == "logs":
        import mlflow

        mlflow.log_params({"told_by": "train.py"})
        mlflow.log_metric("rows_seen", len(X))
        mlflow.log_dict({"columns": list(X)}, "columns.json")
    if mode == "nan":
        model.steps[-1] = ("nan", NaNClassifier(max_iter=5))
    return model.fit(X, y)
'''

_PROJECT = """\
[project]
name = "bank"

[data]
max_rejected_share = 0.1

[entity]
key = "id"

[target]
column = "y"
problem = "binary"
positive = "yes"

[columns.id]
type = "string"
[columns.age]
type = "integer"
min = 0
[columns.balance]
type = "number"
nullable = true
[columns.job]
type = "string"
[columns.mode]
type = "string"
[columns.y]
type = "string"
categories = ["no", "yes"]

[features]
numeric = ["age", "balance"]
categorical = ["job", "mode"]

[model]
max_runtime_seconds = 45

[gates]
minimum = { roc_auc = 0.7 }
compare = "roc_auc"
"""

# Any model that learned something takes the place of another test's.
_LENIENT = 'rule = "non-inferiority"\nmargin = 0.2\n'

HEADER = ["id", "age", "balance", "job", "mode", "y"]


def bank_rows(count: int = 600, *, seed: int = 1, mode: str = "ok", noise: float = 0.05) -> list[list[str]]:
    """Rows of a table whose target follows from age and balance, but for a share of `noise`."""
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        age, balance = draw.randint(18, 90), draw.gauss(1000, 500)
        chance = 1 / (1 + math.exp(-(balance - 1000) / 100 - (age - 50) / 10))
        label = chance > 0.5 if draw.random() > noise else draw.random() < 0.5
        rows.append(
            [
                f"c{seed}-{i}",
                str(age),
                f"{balance:.2f}",
                draw.choice(["clerk", "nurse"]),
                mode,
                "yes" if label else "no",
            ]
        )
    return rows


def write_csv(path: Path, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return path


def write_project(folder: Path, name: str = "bank", *, lenient: bool = True) -> None:
    """Write the project; with `lenient` a model need not be shown to be better than the one in service."""
    folder.mkdir()
    text = _PROJECT.replace('name = "bank"', f'name = "{name}"') + (_LENIENT if lenient else "")
    (folder / "project.toml").write_text(text)
    (folder / "train.py").write_text(_TRAIN)


@dataclass(frozen=True)
class Bank:
    """The deployed project, with what its notifications say."""

    stack: Stack
    queue_url: str
    received: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, deployed: Stack) -> Bank:
        """Give a deployed project with a queue of its own that its notifications go to."""
        sqs = deployed.client("sqs")
        name = deployed.outputs["TopicArn"].rsplit(":", 1)[-1]
        queue_url = sqs.create_queue(QueueName=f"{name}-notifications"[-80:])["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        deployed.client("sns").subscribe(
            TopicArn=deployed.outputs["TopicArn"],
            Protocol="sqs",
            Endpoint=attributes["Attributes"]["QueueArn"],
        )
        return cls(deployed, queue_url)

    def train(self, file: Path, key: str | None = None) -> dict[str, Any]:
        upload = executions.upload(self.stack, file, key)
        return executions.follow(self.stack, executions.execution_arn(self.stack, upload))

    def beside(self, project: Path, work: Path, environment: str = "local") -> Bank:
        """Deploy another project to the same local AWS; `work` is for what the CDK CLI writes."""
        outputs = work / "outputs.json"
        toolchain.start_cdk(
            *("deploy", "--all", "-c", f"project={project}", "-c", f"environment={environment}"),
            *("--output", str(work / "cdk.out"), "--outputs-file", str(outputs)),
            *("--require-approval", "never"),
            env=toolchain.tool_env(self.stack.aws_env),
            log=work / "cdk.log",
        ).wait()
        name = naming.stack(Project.load(project).name, environment)
        values = json.loads(outputs.read_text())[name]
        return Bank.of(Stack(values, self.stack.aws_env, str(project), name=name))

    def notifications(self, execution_arn: str) -> list[dict[str, Any]]:
        """The notifications that name the execution, of all that have come so far."""
        sqs = self.stack.client("sqs")
        while found := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                self.received.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [body for body in self.received if execution_arn in body["Message"]]

    def mlflow(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask MLflow's REST API, by GET or with a body by POST."""
        url = f"{self.stack.aws_env[MLFLOW]}/api/2.0/mlflow/{path}"
        asked = urllib.request.Request(url, headers={"Content-Type": "application/json"})
        if body is not None:
            asked.data = json.dumps(body).encode()
        with urllib.request.urlopen(asked, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def keys(self, prefix: str) -> set[str]:
        pages = self.stack.client("s3").get_paginator("list_objects_v2")
        bucket = self.stack.outputs["ArtifactsBucketName"]
        return {
            o["Key"]
            for page in pages.paginate(Bucket=bucket, Prefix=prefix)
            for o in page.get("Contents", [])
        }

    def endpoint_config(self) -> str | None:
        found = self.stack.client("sagemaker").list_endpoints(NameContains=self.stack.outputs["EndpointName"])
        if not found["Endpoints"]:
            return None
        described = self.stack.client("sagemaker").describe_endpoint(
            EndpointName=self.stack.outputs["EndpointName"]
        )
        config: str = described["EndpointConfigName"]
        return config
