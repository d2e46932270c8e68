"""What was put into a model and what came out of it: as it was recorded, or of building it again."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from typing import Any

from sluice.errors import PipelineFailed
from sluice.hyperparameters import decode
from sluice.payloads.documents import ModelEvaluation
from sluice.payloads.training_record import FILE_NAME, TrainingRecord


@dataclass(frozen=True)
class Archive:
    """What a model.tar.gz holds: the SHA-256 of each member, and the training job's record where it has one."""

    members: dict[str, str]
    record: TrainingRecord | None = None

    @property
    def code(self) -> dict[str, str]:
        """The members that the project brought, by which a pickle is read."""
        return {name: sha256 for name, sha256 in self.members.items() if name.startswith("code/")}


@dataclass(frozen=True)
class Build:
    """A model with its ingredients. What is None is not known.

    Attributes:
        parts: of the dataset version, SHA-256 by name, in their order.
        code_sha256: of the project's zip.
        hyperparameters: as the training job was given them.
        images: URI by the job that ran it.
        train_sha256, held_out_sha256: of the files of the rows.
        evaluation: its figures on the held-out rows.
        own_image: it is of an image of the user's own, whose archive only that image can read; no evaluation then.
    """

    dataset_version: str
    parts: dict[str, str]
    code_sha256: str
    hyperparameters: dict[str, str]
    images: dict[str, str]
    archive: Archive
    train_sha256: str | None = None
    held_out_sha256: str | None = None
    evaluation: ModelEvaluation | None = None
    own_image: bool = False

    @property
    def given(self) -> dict[str, Any]:
        """The hyperparameters as what they are."""
        return {name: decode(value) for name, value in self.hyperparameters.items()}


def read_archive(content: bytes, where: str) -> Archive:
    """Read a model.tar.gz.

    Raises:
        PipelineFailed: it is none.
    """
    members: dict[str, str] = {}
    record = None
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                opened = tar.extractfile(member)
                if opened is None:
                    continue
                body = opened.read()
                name = member.name.removeprefix("./")
                members[name] = hashlib.sha256(body).hexdigest()
                if name == FILE_NAME:
                    record = TrainingRecord.model_validate_json(body)
    # A gzip that ends early is an EOFError, one with other bytes in it a zlib.error, which is none of these.
    except Exception as error:
        raise PipelineFailed(
            "the model's archive cannot be read",
            where=where,
            why=str(error),
            fix="the bucket keeps versions: restore the one that the training job wrote",
        ) from error
    return Archive(dict(sorted(members.items())), record)
