"""The jobs that build a model again, asked of SageMaker as before, under names and places of their own."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from cli.executions import poll_seconds
from cli.models import Gone, Model, channel, described
from cli.progress import step
from cli.recorded import Jobs, source
from cli.stack import Stack
from sluice import keys, naming
from sluice.payloads.training import StateFailure
from sluice.reporting.failures import explain

_ENDED = frozenset({"Completed", "Failed", "Stopped"})
_JOBS = (("processing", "build"), ("training", "train"), ("processing", "evaluate"))
_STATES = {"build": "BuildTrainingSet", "train": "TrainModel", "evaluate": "EvaluateModel"}
# A run of a tracker is the one training's alone: what is built again writes nothing into it.
_NOT_AGAIN = ("MLFLOW_",)
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[\w.-]+)|@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class Rebuilding:
    """The jobs of building a model again, for the `number`-th time.

    Their names follow from the model's and the number. So whoever asks twice finds the jobs of before, running or
    ended; one that failed or was stopped is not looked at again, and the next number is taken.
    """

    def __init__(self, deployed: Stack, model: Model, recorded: Jobs, *, anew: bool = False) -> None:
        self._stack = deployed
        self._sagemaker = deployed.client("sagemaker")
        self._model = model
        self._recorded = recorded
        self.number = self._number(anew)
        bucket = deployed.output("ArtifactsBucketName")
        execution = keys.reproduced(model.execution, self.number)
        self._places = {
            name: naming.uri(bucket, key)
            for name, key in keys.places(execution, f"{model.name}-r{self.number}").items()
        }

    @property
    def names(self) -> dict[str, str]:
        """The names of the jobs."""
        jobs = _JOBS[:2] if self._recorded.own_image else _JOBS
        return {job: self._name(job, self.number) for _, job in jobs}

    def jobs(self) -> Jobs:
        """Have the model built again, and give the jobs when they have ended.

        Raises:
            SluiceError: a job fails, as it says.
        """
        build = self._ended("processing", "build", self._build)
        train = self._ended("training", "train", self._train)
        if self._recorded.own_image or self._recorded.evaluate is None:
            return Jobs(build, train, None)
        archive = train["ModelArtifacts"]["S3ModelArtifacts"]
        evaluate = self._ended("processing", "evaluate", lambda: self._evaluate(archive))
        return Jobs(build, train, evaluate)

    def _number(self, anew: bool) -> int:
        number = 1
        while described(self._sagemaker, "processing", self._name("build", number + 1)):
            number += 1
        statuses = self._statuses(number)
        return number + 1 if statuses & {"Failed", "Stopped"} or (anew and statuses) else number

    def _statuses(self, number: int) -> set[str]:
        found = ((kind, described(self._sagemaker, kind, self._name(job, number))) for kind, job in _JOBS)
        return {job[f"{kind.title()}JobStatus"] for kind, job in found if job is not None}

    def _name(self, job: str, number: int) -> str:
        return f"{self._model.name}-r{number}-{job}"

    def _ended(self, kind: str, job: str, request: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Start a job where there is none of its name, and give its description when it has ended well."""
        name = self._name(job, self.number)
        key = f"{kind.title()}JobName"
        with step(name):
            found = described(self._sagemaker, kind, name)
            if found is None:
                create = getattr(self._sagemaker, f"create_{kind}_job")
                create(**{key: name}, **request(), Tags=self._tags())
                found = described(self._sagemaker, kind, name)
            while found is None or found[f"{kind.title()}JobStatus"] not in _ENDED:
                time.sleep(poll_seconds(self._stack))
                found = described(self._sagemaker, kind, name)
            if found[f"{kind.title()}JobStatus"] != "Completed":
                cause = json.dumps(found, default=_iso)
                raise explain(StateFailure(state=_STATES[job], error="States.TaskFailed", cause=cause))
        return found

    def _build(self) -> dict[str, Any]:
        places = {"train": "train", "held_out": "held_out", "summary": "summary"}
        inputs = self._recorded.build["ProcessingInputs"]
        return self._processing(self._recorded.build, inputs, places, self._recorded.build["Environment"])

    def _train(self) -> dict[str, Any]:
        job = self._recorded.train
        channels = [
            {name: each[name] for name in ("ChannelName", "ContentType", "DataSource") if each.get(name)}
            for each in job["InputDataConfig"]
        ]
        for each in channels:
            uri = (
                f"{self._places['train']}/"
                if each["ChannelName"] == "train"
                else channel(job, each["ChannelName"])
            )
            s3 = {**each["DataSource"]["S3DataSource"], "S3Uri": uri}
            each["DataSource"] = {"S3DataSource": s3}
        return {
            "RoleArn": job["RoleArn"],
            "AlgorithmSpecification": _of(job["AlgorithmSpecification"], "TrainingImage TrainingInputMode"),
            "HyperParameters": job.get("HyperParameters") or {},
            "Environment": _environment(job.get("Environment") or {}),
            "InputDataConfig": channels,
            "OutputDataConfig": {"S3OutputPath": self._places["models"]},
            "ResourceConfig": _of(job["ResourceConfig"], "InstanceCount InstanceType VolumeSizeInGB"),
            "StoppingCondition": _of(job["StoppingCondition"], "MaxRuntimeInSeconds"),
        }

    def _evaluate(self, archive: str) -> dict[str, Any]:
        """Judge the model that was built again, with the recorded one in the champion's place: on the same rows."""
        job = self._recorded.evaluate or {}
        uris = {
            "held_out": f"{self._places['held_out']}/",
            "code": source(job, "code"),
            "challenger": archive,
            "champion": self._recorded.archive,
        }
        example = job["ProcessingInputs"][0]["S3Input"]
        inputs = [
            {
                "InputName": name,
                "S3Input": {**example, "S3Uri": uri, "LocalPath": f"/opt/ml/processing/input/{name}"},
            }
            for name, uri in uris.items()
        ]
        environment = {"CHALLENGER_MODEL_URI": archive, "CHAMPION_MODEL_URI": self._recorded.archive}
        return self._processing(job, inputs, {"evaluation": "evaluation", "model": "model"}, environment)

    def _processing(
        self,
        job: dict[str, Any],
        inputs: Iterable[dict[str, Any]],
        places: dict[str, str],
        environment: dict[str, str],
    ) -> dict[str, Any]:
        outputs = [
            {
                "OutputName": each["OutputName"],
                "S3Output": {**each["S3Output"], "S3Uri": self._places[places[each["OutputName"]]]},
            }
            for each in job["ProcessingOutputConfig"]["Outputs"]
        ]
        return {
            "RoleArn": job["RoleArn"],
            "AppSpecification": _of(job["AppSpecification"], "ImageUri ContainerArguments"),
            "Environment": _environment(environment),
            "ProcessingResources": {
                "ClusterConfig": _of(
                    job["ProcessingResources"]["ClusterConfig"], "InstanceCount InstanceType VolumeSizeInGB"
                )
            },
            "StoppingCondition": _of(job["StoppingCondition"], "MaxRuntimeInSeconds"),
            "ProcessingInputs": [_of(each, "InputName S3Input") for each in inputs],
            "ProcessingOutputConfig": {"Outputs": outputs},
        }

    def _tags(self) -> list[dict[str, str]]:
        told = {"sluice:project": "Project", "sluice:environment": "Environment"}
        tags = [{"Key": key, "Value": self._stack.output(output)} for key, output in told.items()]
        return [*tags, {"Key": "sluice:reproduces", "Value": self._model.name}]


def check_images(deployed: Stack, jobs: Jobs) -> None:
    """Check that the images of the jobs are in their registry, as far as it is that of the stack's region.

    Raises:
        Gone: one is not.
    """
    from botocore.exceptions import ClientError

    ecr = deployed.client("ecr")
    uris = [jobs.build["AppSpecification"]["ImageUri"], jobs.train["AlgorithmSpecification"]["TrainingImage"]]
    if jobs.evaluate is not None and not jobs.own_image:
        uris.append(jobs.evaluate["AppSpecification"]["ImageUri"])
    for uri in dict.fromkeys(uris):
        image = _ECR.fullmatch(uri)
        if image is None or image["region"] != ecr.meta.region_name:
            continue
        identity = (
            {"imageDigest": image["digest"]} if image["digest"] else {"imageTag": image["tag"] or "latest"}
        )
        try:
            ecr.describe_images(
                registryId=image["account"], repositoryName=image["repository"], imageIds=[identity]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in (
                "ImageNotFoundException",
                "RepositoryNotFoundException",
            ):
                raise
            raise Gone(
                "an image that the model was made by is not there any more",
                where=uri,
                why=str(error.response["Error"].get("Message", "")) or "ECR does not know it",
                fix="push it again under that name: `cdk deploy` of the revision it was deployed from does. Keep"
                " `cdk gc` and lifecycle rules away from the repository",
            ) from error


def _of(told: dict[str, Any], names: str) -> dict[str, Any]:
    """Give what was asked for of what a description says: it also tells defaults, and what only an answer has."""
    return {name: told[name] for name in names.split() if name in told}


def _environment(told: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in told.items() if not name.startswith(_NOT_AGAIN)}


def _iso(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} has no place in a description")
    return value.isoformat()
