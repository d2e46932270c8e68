"""What OpenRun, RegisterModel and MoveAlias are asked, and what they answer."""

from __future__ import annotations

from pydantic import Field

from sluice.payloads.base import Payload
from sluice.payloads.training import GateDecision


class OpenRunInput(Payload):
    """What OpenRun is told of an execution that is about to train.

    Attributes:
        model_name: of the model to be; the run is called so.
        code: where the project's code lies, named by its hash.
        feature_plan: the first digits of the plan's SHA-256; None of a project that declares no features.
        commit: of the repository that was deployed, where the deployment was told it.
    """

    execution: str
    execution_arn: str
    model_name: str
    dataset_version: str
    hyperparameters: dict[str, str]
    images: dict[str, str]
    code: str
    feature_plan: str | None = None
    commit: str | None = None


class OpenedRun(Payload):
    """A run that is open, and by which variables training code finds it."""

    run_id: str
    environment: dict[str, str]


class RegisterModelInput(Payload):
    """What RegisterModel is told of a model that was judged. It may be judged again, and is told again then."""

    execution: str
    run_id: str
    model_name: str
    model_uri: str
    dataset_version: str
    evaluation_uri: str
    gate: GateDecision


class MoveAliasInput(Payload):
    """What MoveAlias is told of a model whose release is recorded."""

    model_name: str
    version: str


class MovedAlias(Payload):
    """`version` is the champion now, and `replaced` was it before; None where none was, or the same."""

    version: str
    replaced: str | None = Field(default=None)
