"""The file of a batch and the contract of the model that predicts it, as both of the batch's functions read them."""

from __future__ import annotations

from lambdas.adapters.settings import project, settings
from lambdas.adapters.uploads import Upload
from sluice import keys, naming
from sluice.artifacts import Artifacts
from sluice.batch.given import GivenFile
from sluice.contract import ModelContract
from sluice.errors import BatchFailed


def given_file(upload: Upload, contract: ModelContract, *, by_id: bool = False) -> GivenFile:
    return GivenFile(upload, contract, project().data.delimiter, by_id=by_id)


def uploaded(bucket: str, key: str, version_id: str | None) -> Upload:
    return Upload(bucket, key, version_id, keys.INCOMING_BATCH)


def contract_of(model_uri: str, artifacts: Artifacts) -> ModelContract:
    """Read the contract that lies beside a model's archive.

    Raises:
        BatchFailed: there is none.
    """
    bucket, model = naming.split_uri(model_uri)
    place = keys.contract(model)
    body = artifacts.read(place) if bucket == settings().artifacts_bucket else None
    if body is None:
        raise BatchFailed(
            "the model in service has no contract",
            where=naming.uri(bucket, place),
            why="it says which columns the model takes; somebody deleted it, or Sluice did not train this model",
            fix="train one: `sluice upload FILE --wait`",
        )
    return ModelContract.model_validate_json(body)
