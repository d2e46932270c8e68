"""What an endpoint serves: the contract of the model in service, and how its features come about."""

from __future__ import annotations

import io
import math
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cli.entities import Entities
from cli.progress import say
from cli.stack import Stack
from sluice import keys, naming
from sluice.column_names import normal
from sluice.contract import ModelContract
from sluice.errors import SluiceError
from sluice.features import source
from sluice.features.plan import FeaturePlan


class NotServed(SluiceError):
    """There is no model to ask."""


@dataclass(frozen=True)
class Served:
    """An endpoint in service, and what its model takes."""

    endpoint: str
    runtime: Any
    contract: ModelContract
    derives: bool = False
    """Whether the project the model was trained with has a features.py."""
    described: frozenset[str] = frozenset()
    """The columns that this project's uploads have."""
    entities: Entities | None = None
    """What it is asked by id with; None for a model whose features are in no online store."""
    uri: str = ""
    """Of the model's archive; what is kept of the model lies beside it."""

    @classmethod
    def by(cls, stack: Stack) -> Served:
        """Look up the model that the stack's endpoint serves, and its contract, which lies beside it.

        Raises:
            NotServed: there is no endpoint yet, or the model has no contract.
        """
        endpoint = stack.output("EndpointName")
        uri = _model_uri(stack, endpoint)
        bucket, model = naming.split_uri(uri)
        contract = ModelContract.model_validate_json(_contract(stack, bucket, model))
        derives, described, plan = _project(stack, bucket, model)
        runtime = stack.client("sagemaker-runtime")
        return cls(endpoint, runtime, contract, derives, described, Entities.of(plan, contract), uri)

    def by_id(self) -> Entities:
        """Give what the endpoint is asked by id with.

        Raises:
            NotServed: it cannot be.
        """
        if self.entities is None:
            raise NotServed(
                "this model cannot be asked by id",
                where=self.endpoint,
                why="its features are in no online store: features.py declares none in Feast's objects",
                fix="send full rows: `sluice predict --file FILE`; docs/features.md says how features are declared",
            )
        return self.entities

    @property
    def derived(self) -> list[str]:
        """The features that no column of the uploads is called by."""
        return [name for name in self.contract.names if self.derives and normal(name) not in self.described]

    def describe(self) -> None:
        """Say, where features are derived, what is sent and what is not made here."""
        if not self.derives or self.entities is not None:
            return
        listed = ", ".join(self.contract.names)
        say(f"  the model takes {listed}")
        say(f"  derived by features.py: {', '.join(self.derived) or 'none of these by name'}")
        say(
            "  predict does not run features.py: the file has to hold the features as build_features returns them"
        )

    def missing(self, names: Sequence[str], file: Path) -> SluiceError:
        """Make the error for a file with the columns `names`, which lacks features."""
        if self.entities is not None:
            return self.entities.neither(names, self.contract, file)
        held = set(map(normal, names))
        absent = [name for name in self.contract.names if normal(name) not in held]
        derived = [name for name in absent if name in self.derived]
        why = f"its first line has to be a header; it reads {', '.join(map(repr, names[:40]))}"
        fix = "send the columns of the training data, with their header; the target may be left out"
        if derived:
            why = f"features.py derives {', '.join(map(repr, derived))} in training, and predict does not run it"
            fix = "send a file that holds them, as build_features of features.py returns them"
        return SluiceError(
            f"columns the model takes are missing: {', '.join(map(repr, absent))}",
            where=str(file),
            why=why,
            fix=fix,
        )

    def named(self, line: str) -> dict[str, Any]:
        """Read a line of an image's CSV answer: a probability, one a class, or a value.

        Raises:
            NotServed: it is none.
        """
        target = self.contract.target
        try:
            values = [float(field) for field in line.split(",")]
        except ValueError:
            values = []
        by_class = bool(target.classes) and target.positive is None
        expected = len(target.classes) if by_class else 1
        if len(values) != expected or not all(map(math.isfinite, values)):
            raise NotServed(
                "the endpoint's answer cannot be read",
                where=self.endpoint,
                why=f"it says {line[:60]!r}, and {expected} finite numbers are expected",
                fix="docs/project.md, An image of your own, says what it has to answer",
            )
        if by_class:
            best = max(range(expected), key=lambda at: values[at])
            named = dict(zip(map(str, target.classes), values, strict=True))
            return {"label": target.classes[best], "probabilities": named}
        if not target.classes:
            return {"value": values[0]}
        (other,) = (label for label in target.classes if label != target.positive)
        return {"label": target.positive if values[0] >= 0.5 else other, "probability": values[0]}


def _model_uri(stack: Stack, endpoint: str) -> str:
    sagemaker = stack.client("sagemaker")
    try:
        config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    except ClientError as error:
        if "Could not find" not in str(error) and error.response["Error"]["Code"] != "ResourceNotFound":
            raise
        raise NotServed(
            "there is no endpoint yet",
            where=endpoint,
            why="no model of this project was deployed so far",
            fix="train one: `sluice upload FILE --wait`",
        ) from None
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    container = sagemaker.describe_model(ModelName=variants[0]["ModelName"])["PrimaryContainer"]
    uri: str = container["ModelDataUrl"]
    return uri


def _contract(stack: Stack, bucket: str, model: str) -> bytes:
    s3 = stack.client("s3")
    try:
        found: bytes = s3.get_object(Bucket=bucket, Key=keys.contract(model))["Body"].read()
    except s3.exceptions.NoSuchKey:
        raise NotServed(
            "the model in service has no contract",
            where=naming.uri(bucket, keys.contract(model)),
            why="it says which columns the model takes; somebody deleted it, or Sluice did not train this model",
            fix="train one: `sluice upload FILE --wait`",
        ) from None
    return found


def _project(stack: Stack, bucket: str, model: str) -> tuple[bool, frozenset[str], FeaturePlan | None]:
    """Look into the code the model was trained with: is there a features.py, what has an upload, which plan?"""
    job = keys.training_job(model)
    channels = stack.client("sagemaker").describe_training_job(TrainingJobName=job)["InputDataConfig"]
    (code,) = (each for each in channels if each["ChannelName"] == "code")
    bucket, key = naming.split_uri(code["DataSource"]["S3DataSource"]["S3Uri"])
    content = stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        tables = tomllib.loads(archive.read("project.toml").decode())
        names = archive.namelist()
        plan = FeaturePlan.model_validate_json(archive.read(source.PLAN)) if source.PLAN in names else None
        return "features.py" in names, frozenset(map(normal, tables["columns"])), plan
