"""From what a Catch was given to what a person is told: an error that stands on its own."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from sluice import errors, instances
from sluice.errors import (
    BatchFailed,
    DeploymentFailed,
    EvaluationFailed,
    PipelineFailed,
    SluiceError,
    TrainingFailed,
    TrainingSetFailed,
    TrainingTimedOut,
)
from sluice.instances import Use
from sluice.payloads.training import StateFailure

# What a job of this state is called when it fails, and when its time is over.
_JOBS: dict[str, tuple[type[SluiceError], type[SluiceError]]] = {
    "BuildTrainingSet": (TrainingSetFailed, TrainingSetFailed),
    "SearchHyperparameters": (TrainingFailed, TrainingTimedOut),
    "TrainModel": (TrainingFailed, TrainingTimedOut),
    "PredictChallenger": (EvaluationFailed, EvaluationFailed),
    "EvaluateModel": (EvaluationFailed, EvaluationFailed),
    "PredictBatch": (BatchFailed, BatchFailed),
}
_KINDS = ("Training", "Processing", "Transform", "HyperParameterTuning")
_CALLED = {"HyperParameterTuning": "tuning"}
_ALGORITHM_ERROR = re.compile(r"AlgorithmError:\s*(.*?)(?:, exit code: -?\d+)?", re.DOTALL)
_USES = {
    "BuildTrainingSet": Use.PROCESSING,
    "SearchHyperparameters": Use.TRAINING,
    "TrainModel": Use.TRAINING,
    "PredictChallenger": Use.TRANSFORM,
    "PredictChampion": Use.TRANSFORM,
    "PredictBatch": Use.TRANSFORM,
    "EvaluateModel": Use.PROCESSING,
    "DeployModel": Use.ENDPOINT,
}
_QUOTA = re.compile(r"LimitExceeded|service limit|quota", re.IGNORECASE)
_NO_CAPACITY = re.compile(r"CapacityError|InsufficientInstanceCapacity|Insufficient ?Capacity", re.IGNORECASE)


def explain(failure: StateFailure) -> SluiceError:
    """Explain a failure by what it came from.

    A Lambda function's error is a JSON object with `errorType` and `errorMessage`; a job's or a child execution's
    is the answer that describes it; an AWS call's is a text; what a machine found itself is an error's wire form.
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """
    own = errors.from_wire(failure.cause)
    if own is not None:
        return own
    cause = _parse(failure.cause)
    if "errorMessage" in cause or "errorType" in cause:
        return _function(failure, cause)
    kind = next((kind for kind in _KINDS if f"{kind}JobStatus" in cause), None)
    if kind and failure.state in _JOBS:
        return _job(failure, cause, kind)
    if "ExecutionArn" in cause:
        child = _materialization if failure.state == "StartMaterialization" else _child_execution
        return child(cause)
    return _unforeseen(failure.state, failure.error, failure.cause)


def _parse(cause: str) -> dict[str, Any]:
    try:
        parsed = json.loads(cause)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _function(failure: StateFailure, cause: dict[str, Any]) -> SluiceError:
    message = str(cause.get("errorMessage") or "it left no message")
    own = errors.from_wire(message)
    if own is not None:
        return own
    name = str(cause.get("errorType") or failure.error)
    fix = f"see the log of the function {failure.state}; if it is no matter of permissions, this is a bug"
    if "Timedout" in name or "timed out" in message:
        fix = "upload less at once: a Lambda function has 15 minutes"
    elif name.startswith("Runtime."):
        fix = f"it probably ran out of memory: give {failure.state} more in infra/functions.py"
    return PipelineFailed(
        f"{failure.state} failed: {name}", where=f"the function {failure.state}", why=message, fix=fix
    )


def _job(failure: StateFailure, cause: dict[str, Any], kind: str) -> SluiceError:
    failed, timed_out = _JOBS[failure.state]
    name = str(cause.get(f"{kind}JobName", ""))
    where = f"{_CALLED.get(kind, kind.lower())} job {name}"
    limit = cause.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
    if cause.get(f"{kind}JobStatus") == "Stopped":
        if _ran_out_of_time(cause, kind, limit):
            return timed_out(
                f"{failure.state} ran into its limit of {limit} seconds and was stopped",
                where=where,
                why=f"the log /aws/sagemaker/{kind}Jobs/{name} shows how far it came",
                fix="raise model.max_runtime_seconds in project.toml, or let the job do less",
            )
        return failed(
            f"{failure.state} was stopped", where=where, why="somebody stopped the job", fix="upload again"
        )
    reason = str(cause.get("FailureReason") or "")
    told = _ALGORITHM_ERROR.fullmatch(reason)
    text = told[1].strip() if told else reason
    if told or not reason:
        # Of a processing job the reason only says where to look; what its container wrote is the exit message:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
        text = str(cause.get("ExitMessage") or text)
    own = errors.from_wire(text)
    if own is not None:
        kept = failed if type(own) is SluiceError else type(own)
        return kept(own.what, where=own.where, why=own.why, fix=own.fix)
    # A tuning job has no log of its own: those of its training jobs begin with its name.
    logged = "Training" if kind == "HyperParameterTuning" else kind
    fix = f"the log /aws/sagemaker/{logged}Jobs/{name} holds what the container printed"
    fix = _more_instances(failure.state, reason) or fix
    return failed(f"{failure.state} failed", where=where, why=text or "it left no reason", fix=fix)


def _ran_out_of_time(cause: dict[str, Any], kind: str, limit: Any) -> bool:
    """Whether a job was stopped for its time limit: a training job says so, of the others the times tell."""
    if cause.get("SecondaryStatus") == "MaxRuntimeExceeded":
        return True
    begun, ended = (_seconds(cause.get(f"{kind}{which}Time")) for which in ("Start", "End"))
    return None not in (limit, begun, ended) and ended - begun >= limit


def _seconds(time: Any) -> Any:
    """Give a time of a description in seconds; it comes in milliseconds, from the SDK integration as a text."""
    if isinstance(time, str):
        return datetime.fromisoformat(time).timestamp()
    return None if time is None else time / 1000


def _child_execution(cause: dict[str, Any]) -> SluiceError:
    text = str(cause.get("Cause") or "")
    own = errors.from_wire(text)
    if own is not None:
        return own
    why = text or str(cause.get("Error") or f"it is {cause.get('Status')}")
    fix = "the endpoint's own log and the execution's history say more; upload again when it is mended"
    where = f"execution {cause['ExecutionArn']}"
    try:
        inner = explain(StateFailure.model_validate_json(text))
    except ValidationError:
        return DeploymentFailed(
            "the model was not deployed",
            where=where,
            why=why,
            fix=_more_instances("DeployModel", why) or fix,
        )
    return DeploymentFailed(
        f"the model was not deployed: {inner.what}",
        where=where,
        why=inner.why,
        fix=_more_instances("DeployModel", f"{inner.what}: {inner.why}") or inner.fix,
    )


def _materialization(cause: dict[str, Any]) -> SluiceError:
    """Say why the features of the upload are not in the online store: what the function said, or what is known."""
    text = str(cause.get("Cause") or "")
    own = errors.from_wire(text) or errors.from_wire(str(_parse(text).get("errorMessage") or ""))
    if own is not None:
        return own
    return PipelineFailed(
        "the features were not written to the online store",
        where=f"execution {cause['ExecutionArn']}",
        why=text or str(cause.get("Error") or f"it is {cause.get('Status')}"),
        fix="mend what its history says, try `sluice materialize --wait`, then start the execution again",
    )


def _more_instances(state: str, text: str) -> str | None:
    """Say what helps where an account may not start the instances of a state, or there were none; else nothing."""
    named = instances.refused(text)
    use = (named and named[1]) or _USES.get(state)
    another = f"choose another instance type ({use.setting})" if use else ""
    if named or _QUOTA.search(text):
        quota = f"the quota '{named[0]}'" if named else "the quota it names"
        ask = f"ask AWS for more of {quota}: `sluice preflight` says how"
        return f"{ask}; or {another}" if another else f"ask AWS for more of {quota}"
    if _NO_CAPACITY.search(text):
        return f"{another}, or upload again later: AWS had none left" if another else "upload again later"
    return None


def _unforeseen(state: str, error: str, cause: str) -> SluiceError:
    fix = (
        "if it is no matter of permissions or quotas, start the execution again: every state can be repeated"
    )
    limited = _more_instances(state, f"{error}: {cause}")
    if limited:
        fix = limited
    elif "AccessDenied" in error or "AccessDenied" in cause or "not authorized" in cause:
        fix = "deploy the stack again: a role lacks a permission it was given there"
    return PipelineFailed(
        f"{state} failed: {error}", where=f"state {state}", why=cause or "no cause", fix=fix
    )
