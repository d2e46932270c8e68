"""The materialization from a client's side: start it, or name the one that a training started, and follow it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from cli import executions
from cli.progress import say
from cli.stack import Stack
from sluice import naming
from sluice.errors import SluiceError
from sluice.outcomes import Outcome

OUTPUT = "MaterializationArn"
MATERIALIZED = "Materialized"
_COUNTS = ("written", "held", "removed", "superseded")
_NO_DATASET = "there is no dataset yet: nothing was written; upload one, `sluice upload FILE --wait`"


class NotMaterialized(SluiceError):
    """Features were not written to the online store, or nothing of it is known."""


def moment(text: str) -> datetime:
    """Read a moment; one without a zone is in UTC.

    Raises:
        NotMaterialized: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise NotMaterialized(
            "this is no moment",
            where=f"--moment {text}",
            fix="write it as 2026-03-01 or 2026-03-01T12:00:00Z",
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def start(stack: Stack, *, dataset: str | None = None, as_of: datetime | None = None) -> str:
    """Start a materialization and give its ARN.

    Raises:
        NotMaterialized: the project has no online store.
    """
    given: dict[str, str] = {}
    if dataset is not None:
        given["dataset"] = dataset
    if as_of is not None:
        given["moment"] = as_of.isoformat().replace("+00:00", "Z")
    started = stack.client("stepfunctions").start_execution(
        stateMachineArn=_machine(stack), input=json.dumps(given)
    )
    arn: str = started["executionArn"]
    return arn


def _machine(stack: Stack) -> str:
    if OUTPUT not in stack.outputs:
        raise NotMaterialized(
            "this project has no online store",
            where=stack.name,
            why="its features.py declares no features in Feast's objects",
            fix="docs/features.md says how they are declared; deploy the project again then",
        )
    return stack.outputs[OUTPUT]


def of(stack: Stack, execution: str) -> str:
    """Give the ARN of the materialization that the training `execution` has started, and waits for before its gate.

    It is called like the execution's jobs (statemachines/training.asl.yaml, StartMaterialization).

    Raises:
        NotMaterialized: the project has no online store.
    """
    name = naming.job(stack.output("Project"), stack.output("Environment"), execution)
    return f"{_machine(stack).replace(':stateMachine:', ':execution:')}:{name}"


def follow(stack: Stack, arn: str) -> dict[str, Any]:
    """Wait for the end of a materialization, telling each state on stderr, and return its summary.

    It holds `outcome` (Materialized or Failed), `execution_arn`, `dataset_version`, `moment`, `written`, `held`,
    `removed` and `superseded` (entities), `seconds` by state and, after a failure, `error` and `cause`.
    """
    status, progress = executions.watch(stack, arn)
    summary: dict[str, Any] = {"outcome": str(Outcome.FAILED), "execution_arn": arn}
    if status["status"] == "SUCCEEDED":
        summary |= {"outcome": MATERIALIZED, **json.loads(status["output"])}
    else:
        summary["error"] = status.get("error") or status["status"]
        summary["cause"] = status.get("cause") or f"the execution is {status['status']}"
    return {**summary, "seconds": progress.seconds}


def tell(summary: dict[str, Any]) -> None:
    """Say in a line what came of it."""
    if summary["outcome"] != MATERIALIZED:
        say(f"  {summary['error']}: {summary['cause']}")
    elif summary.get("dataset_version") is None:
        say(f"  {_NO_DATASET}")
    else:
        counts = ", ".join(f"{summary[name]:,} {name}" for name in _COUNTS)
        say(f"  features as of {summary['moment']}: {counts}")
