"""Documents in S3: what is written is read again as it was, by this release and by the next."""

from __future__ import annotations

import json
import math

import pytest
from pydantic import ValidationError

from sluice.payloads.documents import Evaluation, ModelEvaluation

EVALUATION = Evaluation(
    problem="binary",
    held_out_rows=10,
    challenger=ModelEvaluation(metrics={"roc_auc": 0.9}, model_uri="s3://b/m"),
    champion=None,
)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_figures_that_are_not_finite_are_read_as_they_were_written(value: float) -> None:
    model = ModelEvaluation(metrics={"roc_auc": value}, model_uri="s3://b/m")
    written = EVALUATION.model_copy(update={"champion": model, "curves": {"champion": {"roc": [[value, 1]]}}})
    read = Evaluation.model_validate_json(written.body())
    assert read.champion is not None
    assert str(read.champion.metrics["roc_auc"]) == str(value)
    assert str(read.curves["champion"]["roc"][0][0]) == str(value)


def test_a_document_says_its_version_and_one_without_is_of_the_first() -> None:
    written = json.loads(EVALUATION.body())
    assert written.pop("version") == 1
    assert Evaluation.model_validate(written) == EVALUATION


def test_a_document_of_a_later_version_is_not_read_as_if_it_were_of_this_one() -> None:
    with pytest.raises(ValidationError, match="version"):
        Evaluation.model_validate({**json.loads(EVALUATION.body()), "version": 2})
