"""The documents that an execution leaves in S3, by their types."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sluice.payloads.base import Payload


class ModelEvaluation(Payload):
    """One model's figures on the held-out rows; `error` instead of metrics where it could not score them.

    `scoring` says by which path it would be served, and why; None of an image of the user's own.
    """

    metrics: dict[str, float] = Field(default={})
    error: str | None = None
    model_uri: str
    scoring: str | None = None


class Evaluation(Payload):
    """evaluation.json: challenger and champion, judged on the same held-out rows."""

    problem: Literal["binary", "multiclass", "regression"]
    held_out_rows: int
    challenger: ModelEvaluation
    champion: ModelEvaluation | None
    curves: dict[str, Any] = Field(default={}, description="points for plots, at most 200 a curve")
