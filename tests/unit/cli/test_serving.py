"""What is known of the model in service: all of it from AWS, nothing from this machine."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from cli.serving import NotServed, Served
from cli.stack import Stack
from sluice.contract import Feature, ModelContract, TargetContract

CONTRACT = ModelContract(
    features=(
        Feature(name="amount", kind="number", type="number", nullable=False),
        Feature(name="days_since", kind="number", type="number", nullable=True),
    ),
    target=TargetContract(name="y", problem="regression"),
)
ROLE = "arn:aws:iam::123456789012:role/sagemaker"
STACK = Stack({"EndpointName": "sluice-bank-dev"}, {})


class Account:
    """An account with a trained model, as the state machines leave it."""

    def __init__(self) -> None:
        self.s3: Any = boto3.client("s3")
        self.sagemaker: Any = boto3.client("sagemaker")
        self.s3.create_bucket(Bucket="artifacts")

    def train(self, job: str, contract: ModelContract, files: dict[str, str]) -> None:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as target:
            for name, text in files.items():
                target.writestr(name, text)
        code = f"training-sets/{job}/code/project.zip"
        self.s3.put_object(Bucket="artifacts", Key=code, Body=archive.getvalue())
        source = {"S3DataType": "S3Prefix", "S3DataDistributionType": "FullyReplicated"}
        self.sagemaker.create_training_job(
            TrainingJobName=f"{job}-train",
            RoleArn=ROLE,
            AlgorithmSpecification={"TrainingImage": "image", "TrainingInputMode": "File"},
            InputDataConfig=[
                {
                    "ChannelName": name,
                    "DataSource": {"S3DataSource": source | {"S3Uri": f"s3://artifacts/{key}"}},
                }
                for name, key in (("train", "train/"), ("code", code))
            ],
            OutputDataConfig={"S3OutputPath": "s3://artifacts/models"},
            ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
        folder = f"models/{job}-train/output"
        self.s3.put_object(
            Bucket="artifacts", Key=f"{folder}/contract.json", Body=contract.model_dump_json().encode()
        )
        self.sagemaker.create_model(
            ModelName=job,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": "image", "ModelDataUrl": f"s3://artifacts/{folder}/model.tar.gz"},
        )
        variant = {"VariantName": "AllTraffic", "ModelName": job, "InstanceType": "ml.t2.medium"}
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=job,
            ProductionVariants=[variant | {"InitialInstanceCount": 1, "InitialVariantWeight": 1.0}],
        )

    def deploy(self, job: str) -> None:
        self.sagemaker.create_endpoint(EndpointName="sluice-bank-dev", EndpointConfigName=job)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield Account()


PROJECT = "[columns.amount]\ntype = 'number'\n[columns.date]\ntype = 'timestamp'\n"


def test_the_contract_is_the_one_beside_the_model_in_service(account: Account) -> None:
    other = CONTRACT.model_copy(update={"features": CONTRACT.features[:1]})
    account.train("bank-dev-1", CONTRACT, {"project.toml": PROJECT, "features.py": "", "train.py": ""})
    account.train("bank-dev-2", other, {"project.toml": PROJECT, "train.py": ""})
    account.deploy("bank-dev-1")

    served = Served.by(STACK)

    assert served.contract == CONTRACT
    assert served.endpoint == "sluice-bank-dev"
    assert served.derived == ["days_since"]


def test_without_a_features_py_nothing_is_derived(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.train("bank-dev-1", CONTRACT, {"project.toml": PROJECT, "train.py": ""})
    account.deploy("bank-dev-1")

    served = Served.by(STACK)
    served.describe()

    assert served.derived == []
    assert capsys.readouterr().err == ""
    assert "features.py" not in str(served.missing(["amount"], Path("in.csv")))


@pytest.mark.usefixtures("account")
def test_before_anything_is_deployed_it_says_so() -> None:
    with pytest.raises(NotServed, match="there is no endpoint yet") as caught:
        Served.by(STACK)
    assert "sluice upload FILE --wait" in str(caught.value)


def test_a_contract_that_is_gone_is_told(account: Account) -> None:
    account.train("bank-dev-1", CONTRACT, {"project.toml": PROJECT})
    account.deploy("bank-dev-1")
    account.s3.delete_object(Bucket="artifacts", Key="models/bank-dev-1-train/output/contract.json")

    with pytest.raises(NotServed, match="the model in service has no contract") as caught:
        Served.by(STACK)
    assert "s3://artifacts/models/bank-dev-1-train/output/contract.json" in str(caught.value)


BINARY = TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes")
CLASSES = TargetContract(name="y", problem="multiclass", classes=("a", "b"))


@pytest.mark.parametrize(
    ("target", "line", "expected"),
    [
        (BINARY, "0.75", {"label": "yes", "probability": 0.75}),
        (BINARY, "0.25", {"label": "no", "probability": 0.25}),
        (CLASSES, "0.25,0.75", {"label": "b", "probabilities": {"a": 0.25, "b": 0.75}}),
        (CONTRACT.target, "-3.5", {"value": -3.5}),
        (CONTRACT.target, "nan", None),
        (CONTRACT.target, "1,2", None),
        (BINARY, "yes", None),
    ],
)
def test_an_image_of_the_users_own_answers_in_lines(
    target: TargetContract, line: str, expected: dict[str, Any] | None
) -> None:
    served = Served("own", None, CONTRACT.model_copy(update={"target": target}))
    if expected is None:
        with pytest.raises(NotServed, match="the endpoint's answer cannot be read"):
            served.named(line)
    else:
        assert json.loads(json.dumps(served.named(line))) == expected
