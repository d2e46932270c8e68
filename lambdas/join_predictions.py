"""JoinPredictions: what the model answered, back to the rows of the file that it was given."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from lambdas.adapters import batches
from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import settings
from lambdas.adapters.wire import on_the_wire
from sluice.batch.joining import join
from sluice.payloads.batch import JoinPredictionsInput, PredictedBatch


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.batch.PredictedBatch`; raise a BatchFailed where there is not one answer a row."""
    asked = JoinPredictionsInput.model_validate(event)
    prepared = asked.prepared
    artifacts = S3Artifacts(settings().artifacts_bucket)
    contract = batches.contract_of(asked.model_uri, artifacts)
    upload = batches.uploaded(asked.bucket, asked.key, prepared.version_id)
    with tempfile.TemporaryDirectory() as folder:
        key = join(
            batches.given_file(upload, contract),
            contract,
            prepared,
            artifacts,
            Path(folder),
            execution=asked.execution,
        )
    answer = PredictedBatch(
        predictions_uri=artifacts.uri(key),
        rows=prepared.rows,
        predicted=prepared.sent,
        set_aside=prepared.rows - prepared.sent,
        reasons=prepared.reasons,
        model_name=asked.model_name,
        model_uri=asked.model_uri,
        instances=prepared.instances,
    )
    decided("batch joined", execution=asked.execution, rows=answer.rows, predicted=answer.predicted)
    return answer.model_dump(mode="json")
