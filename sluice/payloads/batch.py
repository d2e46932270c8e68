"""What the states of the machine `batch` hand to the functions, and what those answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sluice.payloads.base import Payload


class PrepareBatchInput(Payload):
    """What PrepareBatch is asked: the file, and the model that is in service.

    Attributes:
        version_id: null for the newest version of the object.
        instance_mb, max_instances: `[batch]` of project.toml.
        by_id: the project's features are in an online store, so that the endpoint takes ids, too.
    """

    execution: str
    bucket: str
    key: str
    version_id: str | None = None
    model_uri: str
    instance_mb: int = Field(ge=1)
    max_instances: int = Field(ge=1)
    by_id: bool = False


class SetAsideReason(Payload):
    """Why rows were set aside, without what stands in them, how many, and the first of them by number."""

    reason: str
    rows: int
    first: tuple[int, ...]


class PreparedBatch(Payload):
    """What PrepareBatch answers once all that the model is to be sent lies in S3.

    Attributes:
        version_id: of the object that was read; what comes after reads the same.
        rows: of the file.
        sent: rows the model is asked about; 0 where each breaks the contract.
        part_rows: rows of each object that the model is sent, in their order.
        rows_uri, answers_uri: folders, for the transform job.
        content_type, accept: how the model's container is spoken to.
        instances: that share the rows.
        reasons: why rows were set aside, the most frequent first.
    """

    version_id: str | None
    rows: int
    sent: int
    part_rows: tuple[int, ...]
    rows_uri: str
    answers_uri: str
    content_type: Literal["application/jsonlines", "text/csv"]
    accept: Literal["application/jsonlines", "text/csv"]
    instances: int
    reasons: tuple[SetAsideReason, ...]


class JoinPredictionsInput(Payload):
    """What JoinPredictions is asked: the file once more, what was made of it, and the model that has answered."""

    execution: str
    bucket: str
    key: str
    model_uri: str
    model_name: str
    prepared: PreparedBatch


class PredictedBatch(Payload):
    """What JoinPredictions answers, and what people are told: each row of the file is in one of the two counts."""

    predictions_uri: str
    rows: int
    predicted: int
    set_aside: int
    reasons: tuple[SetAsideReason, ...]
    model_name: str
    model_uri: str
    instances: int = Field(description="that the transform job ran on; 0 where no row was left to send")
