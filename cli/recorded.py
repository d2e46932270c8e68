"""What a model was made of and what came of it, read back from its jobs' descriptions and what they left in S3."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any

from cli.models import Gone, Model, Models, described
from cli.stack import Stack
from sluice import naming
from sluice.payloads.documents import Evaluation, Manifest, TrainingSetSummary
from sluice.reproducing.builds import Archive, Build, read_archive

_RESTORE = "take its delete marker away (the bucket keeps versions)"


@dataclass(frozen=True)
class Jobs:
    """What SageMaker says of the jobs that made a model; no `evaluate` where it was not judged."""

    build: dict[str, Any]
    train: dict[str, Any]
    evaluate: dict[str, Any] | None

    @property
    def own_image(self) -> bool:
        """Whether the model is of an image of the user's own: then its containers' answers were judged."""
        return self.evaluate is not None and source(self.evaluate, "challenger").endswith("/")

    @property
    def archive(self) -> str:
        uri: str = self.train["ModelArtifacts"]["S3ModelArtifacts"]
        return uri

    @property
    def evaluation(self) -> str | None:
        return None if self.evaluate is None else f"{target(self.evaluate, 'evaluation')}/evaluation.json"


def source(job: dict[str, Any], name: str) -> str:
    """Give the URI of a processing job's input."""
    (found,) = (each for each in job["ProcessingInputs"] if each["InputName"] == name)
    uri: str = found["S3Input"]["S3Uri"]
    return uri


def target(job: dict[str, Any], name: str) -> str:
    """Give the URI of the folder that a processing job's output goes to."""
    outputs = job["ProcessingOutputConfig"]["Outputs"]
    (found,) = (each for each in outputs if each["OutputName"] == name)
    uri: str = found["S3Output"]["S3Uri"]
    return uri.rstrip("/")


class Recorded:
    """What a stack keeps of its models."""

    def __init__(self, deployed: Stack, models: Models) -> None:
        self._sagemaker = deployed.client("sagemaker")
        self._models = models

    def jobs(self, model: Model) -> Jobs:
        """Give the jobs that made a model.

        Raises:
            Gone: the one that made its training set is not there any more.
        """
        build = described(self._sagemaker, "processing", f"{model.name}-build")
        if build is None:
            raise Gone(
                f"the job that made the training set of {model.name} is not there any more",
                where=f"SageMaker, {model.name}-build",
                why="its description says which dataset version the model was made of",
                fix="without it the model can be neither traced nor built again: train one anew",
            )
        return Jobs(build, model.job, self._judged(f"{model.name}-evaluate"))

    def _judged(self, first: str) -> dict[str, Any] | None:
        """Give the last judgement's job: a model whose champion was replaced meanwhile was judged again."""
        found, number = described(self._sagemaker, "processing", first), 2
        while again := described(self._sagemaker, "processing", f"{first}-{number}"):
            found, number = again, number + 1
        return found

    def build(self, jobs: Jobs) -> Build:
        """Read what went into these jobs and what they left.

        Raises:
            Gone: an object is not there any more.
            PipelineFailed: the archive cannot be read.
        """
        manifest = self.manifest(jobs)
        images = {
            "training set": jobs.build["AppSpecification"]["ImageUri"],
            "training": jobs.train["AlgorithmSpecification"]["TrainingImage"],
        }
        if jobs.evaluate is not None:
            images["evaluation"] = jobs.evaluate["AppSpecification"]["ImageUri"]
        summary = self.training_set(jobs)
        evaluation = self.evaluation(jobs)
        archive = self.archive(jobs)
        trained_on = summary.train_sha256 if summary else None
        held_out = evaluation.held_out_sha256 if evaluation else None
        return Build(
            dataset_version=manifest.dataset_version,
            parts={part.name: part.sha256 for part in manifest.parts},
            code_sha256=hashlib.sha256(self.code(jobs)).hexdigest(),
            hyperparameters=jobs.train.get("HyperParameters") or {},
            images=images,
            archive=archive,
            train_sha256=archive.record.train_sha256 if archive.record else trained_on,
            held_out_sha256=held_out or (summary.held_out_sha256 if summary else None),
            evaluation=None if evaluation is None or jobs.own_image else evaluation.challenger,
            own_image=jobs.own_image,
        )

    def manifest(self, jobs: Jobs) -> Manifest:
        what = "the manifest of the dataset version it was made of"
        return Manifest.model_validate_json(self._needed(source(jobs.build, "manifest"), what))

    def code(self, jobs: Jobs) -> bytes:
        return self._needed(
            source(jobs.build, "code"), "the project's code, as it was when the model was trained,"
        )

    def archive(self, jobs: Jobs) -> Archive:
        return read_archive(self._needed(jobs.archive, "the model's archive"), jobs.archive)

    def training_set(self, jobs: Jobs) -> TrainingSetSummary | None:
        body = self._found(f"{target(jobs.build, 'summary')}/training_set.json")
        return None if body is None else TrainingSetSummary.model_validate_json(body)

    def evaluation(self, jobs: Jobs) -> Evaluation | None:
        body = None if jobs.evaluation is None else self._found(jobs.evaluation)
        return None if body is None else Evaluation.model_validate_json(body)

    def rows(self, jobs: Jobs, name: str, file: str) -> io.BytesIO | None:
        """Give a file of rows that the training set consists of; None where somebody deleted it."""
        body = self._found(f"{target(jobs.build, name)}/{file}")
        return None if body is None else io.BytesIO(body)

    def _found(self, uri: str) -> bytes | None:
        return self._models.read(naming.split_uri(uri)[1])

    def _needed(self, uri: str, what: str) -> bytes:
        body = self._found(uri)
        if body is None:
            raise Gone(
                f"{what} is not there any more",
                where=uri,
                why="somebody deleted the object: nothing of the pipeline expires it",
                fix=_RESTORE,
            )
        return body
