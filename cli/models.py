"""The models of a stack, found by name, by the beginning of it, or as the champion; each with its training job."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cli.releases_table import ReleasesTable
from cli.stack import Stack
from sluice import keys, naming
from sluice.errors import SluiceError

CHAMPION = "champion"
"""How a person calls the model in service."""
MODEL = f"the first characters of its name (as in report.json) or of its 16 digits, its version (v3), or {CHAMPION!r}"
_SHOWN = 5
_VERSION = re.compile(r"v\d+")
_ARCHIVE = re.compile(r"models/(?P<name>[^/]*-[0-9a-f]{16})-train/output/model\.tar\.gz")


class UnknownModel(SluiceError):
    """There is no model of that name."""


class NotOneModel(SluiceError):
    """A beginning that several models have."""


class Gone(SluiceError):
    """Something of a model that was recorded is not there any more."""


@dataclass(frozen=True)
class Model:
    """A model of a stack.

    Attributes:
        key: of its archive in the artifacts bucket.
        execution: the name of the execution that trained it.
        job: what SageMaker says of the training job.
    """

    name: str
    key: str
    execution: str
    job: dict[str, Any]


class Models:
    """The models of a stack. What AWS answers is told as `cli.failures.explain` does where it fails."""

    def __init__(self, deployed: Stack) -> None:
        self._stack = deployed
        self._s3 = deployed.client("s3")
        self.bucket = deployed.output("ArtifactsBucketName")

    def uri(self, key: str) -> str:
        return naming.uri(self.bucket, key)

    def named(self, text: str) -> Model:
        """Give the model that `text` means: the one function that resolves a name.

        Raises:
            UnknownModel: there is none.
            NotOneModel: several begin so.
            Gone: its training job is not described any more.
        """
        if text == CHAMPION:
            return self._model(self._champion())
        return self._model(self._of_version(text) if _VERSION.fullmatch(text) else self._beginning(text))

    def release(self) -> dict[str, str] | None:
        """Give the record of the model in service; None where nothing was released yet."""
        item = ReleasesTable(self._stack).item("release")
        return None if item is None else {name: value["S"] for name, value in item.items() if "S" in value}

    def read(self, key: str) -> bytes | None:
        """Read an object of the artifacts bucket; None where there is none."""
        try:
            body: bytes = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        return body

    def reports_after(self, execution: str) -> list[str]:
        """Give the keys of the reports that were written after that of an execution, the earliest first."""
        written = self._reports()
        since = written.get(keys.report(execution))
        later = [key for key, at in written.items() if since is None or at > since]
        return sorted(later, key=lambda key: written[key])

    def _reports(self) -> dict[str, Any]:
        """Give when each report was written, by key."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{keys.REPORTS}/"
        )
        return {
            each["Key"]: each["LastModified"]
            for page in pages
            for each in page.get("Contents", [])
            if each["Key"].endswith("/report.json")
        }

    def _champion(self) -> str:
        release = self.release()
        if release is None:
            raise UnknownModel(
                "there is no champion yet",
                where=self._stack.output("EndpointName"),
                why="no model of this project was released so far",
                fix="`sluice upload FILE --wait`, or name a model",
            )
        return release["model_name"]

    def _of_version(self, text: str) -> str:
        """Find the model of a version in the registry: the reports say which it is, the newest first."""
        written = self._reports()
        for key in sorted(written, key=lambda each: written[each], reverse=True):
            report = json.loads(self.read(key) or b"{}")
            _, _, number = (report.get("model_version") or "").rpartition(" ")
            archive = _ARCHIVE.search(report.get("model_uri") or "")
            if archive is not None and text == f"v{number}":
                return archive["name"]
        raise UnknownModel(
            f"there is no version {text}",
            where=self.uri(f"{keys.REPORTS}/"),
            why=f"none of {len(written)} reports names it",
            fix=f"take the model's name from a report, or say {CHAMPION!r}",
        )

    def _beginning(self, text: str) -> str:
        every = sorted(self._names())
        found = [name for name in every if name.startswith(text) or name.rsplit("-", 1)[-1].startswith(text)]
        whole = re.fullmatch(".*-[0-9a-f]{16}", text)
        if text in found or (whole and self._trained(text)):
            return text
        if not text or not found:
            raise UnknownModel(
                f"there is no model {text}",
                where=self.uri(f"{keys.MODELS}/"),
                why=f"none of {len(every)} begins so" if every else "no model was trained so far",
                fix=f"take its name from a report, the digits at its end are enough; or say {CHAMPION!r}",
            )
        if len(found) > 1:
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise NotOneModel(
                f"{len(found)} models begin with {text}",
                where="MODEL",
                why=f"{', '.join(found[:_SHOWN])}{more}",
                fix="give more of the name",
            )
        return found[0]

    def _trained(self, name: str) -> bool:
        """Whether a job trained it: then its archive was there once."""
        job = keys.training_job(keys.model(name))
        return described(self._stack.client("sagemaker"), "training", job) is not None

    def _names(self) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{keys.MODELS}/"
        )
        for page in pages:
            for each in page.get("Contents", []):
                # What was built again has a name of another form.
                found = _ARCHIVE.fullmatch(each["Key"])
                if found:
                    yield found["name"]

    def _model(self, name: str) -> Model:
        key = keys.model(name)
        job = described(self._stack.client("sagemaker"), "training", keys.training_job(key))
        if job is None:
            raise Gone(
                f"the training job of the model {name} is not there any more",
                where=f"SageMaker, {keys.training_job(key)}",
                why="its description says what the model was made of; it was deleted, or is another region's",
                fix="without it the model can be neither traced nor built again: train one anew",
            )
        return Model(name, key, execution_of(job), job)


def described(sagemaker: Any, kind: str, name: str) -> dict[str, Any] | None:
    """Give SageMaker's description of a training or processing job; None where there is none."""
    from botocore.exceptions import ClientError

    try:
        describe = getattr(sagemaker, f"describe_{kind}_job")
        found: dict[str, Any] = describe(**{f"{kind.title()}JobName": name})
    except ClientError as error:
        told = str(error).lower()
        if "not find" in told or "not found" in told:
            return None
        raise
    return found


def channel(job: dict[str, Any], name: str) -> str:
    """Give the URI of a training job's channel."""
    (found,) = (each for each in job["InputDataConfig"] if each["ChannelName"] == name)
    uri: str = found["DataSource"]["S3DataSource"]["S3Uri"]
    return uri


def execution_of(job: dict[str, Any]) -> str:
    """Give the execution that a training job was started by: its code lies in the folder of that name."""
    _, key = naming.split_uri(channel(job, "code"))
    return key.removeprefix(f"{keys.TRAINING_SETS}/").removesuffix("/code/project.zip")
