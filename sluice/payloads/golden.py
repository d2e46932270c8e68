"""golden.json: held-out rows with the answers of the model that was judged; and how an endpoint answers to them."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from sluice.contract import JsonValue
from sluice.payloads.base import Document, Payload

VERIFICATION = "sluice-verification"
"""The inference id by which VerifyModel asks: what is captured of it is nobody's traffic."""


class GoldenAnswers(Document):
    """Some held-out rows as a request has them, and the numbers that the model answers with.

    Attributes:
        instances: the rows, by the contract.
        answers: for each the value, or the probability of the positive class, or of every class in the contract's
            order.
        exact: whether what serves answers with the very same bits: compiled trees do. Sums of products are taken in
            another order by the compiled form, and by libraries that choose their code by the processor.
    """

    instances: tuple[dict[str, JsonValue], ...]
    answers: tuple[tuple[float, ...], ...]
    exact: bool


class VerifyModelInput(Payload):
    """What VerifyModel is told of the model that an endpoint has come to serve."""

    endpoint_name: str
    model_name: str
    model_uri: str


class Verdict(StrEnum):
    """Whether an endpoint serves the model that was judged."""

    SAME = "same"
    DIFFERENT = "different"
    UNRECORDED = "unrecorded"
    """Nothing was recorded: an image of the user's own, or a model of an older release."""


class VerifiedModel(Payload):
    """How an endpoint answers to what was recorded."""

    verdict: Verdict
    rows: int = 0
    difference: str | None = Field(
        default=None, description="the first that differs, without a value of the row"
    )
