"""The history of an execution, as far back as it takes to say how it ended."""

from __future__ import annotations

from dataclasses import dataclass

# The states that tell people, and those that come after it.
_TELLS = "NotifyOutcome"
_AFTER = frozenset({"HasFailed", "Finished", "Failed"})


@dataclass(frozen=True)
class End:
    """`state` is the last one that was entered; `told` whether the execution itself sent its message."""

    state: str
    told: bool


def end_of(execution_arn: str) -> End:
    """Read the end of an execution's history, newest event first."""
    import boto3

    pages = boto3.client("stepfunctions").get_paginator("get_execution_history")
    last, succeeded = "", False
    for page in pages.paginate(executionArn=execution_arn, reverseOrder=True, includeExecutionData=False):
        for event in page["events"]:
            succeeded = succeeded or event["type"] == "TaskSucceeded"
            entered = event.get("stateEnteredEventDetails")
            if entered is None:
                continue
            last = last or entered["name"]
            if entered["name"] not in _AFTER:
                return End(last, told=entered["name"] == _TELLS and succeeded)
    return End(last or "its beginning", told=False)
