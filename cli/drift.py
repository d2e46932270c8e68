"""`sluice drift`: what the last window of captured traffic showed, or a new one looked at now."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cli import executions, stack, subcommands, tables
from cli.progress import say
from cli.stack import Stack
from sluice import keys, naming
from sluice.column_names import PREDICTION
from sluice.errors import SluiceError
from sluice.outcomes import DriftOutcome

if TYPE_CHECKING:
    from sluice.monitoring.drift import DriftVerdict

FOUND = 5
"""The status where columns moved."""
OUTPUT = "DriftArn"
_TOP = 10


class NothingCaptured(SluiceError):
    """The stack keeps nothing of its traffic, or has looked at none of it yet."""


class DriftFailed(SluiceError):
    """The run that looked at captured traffic failed."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subcommands.add(
        subparsers,
        "drift",
        drift,
        "has the traffic moved away from what the model was judged on?",
        "sluice drift",
        "sluice drift --run",
        "sluice drift --json --stack sluice-churn-prod",
    )
    parser.add_argument("--run", action="store_true", help="look at what was captured since the last window")
    subcommands.stack_and_json(parser, "print the verdict as JSON")


def drift(arguments: argparse.Namespace) -> int:
    """Print the last verdict on captured traffic. Ends with 5 where columns moved."""
    deployed = stack.current(arguments.stack)
    if OUTPUT not in deployed.outputs:
        raise NothingCaptured(
            "this stack keeps nothing of its traffic",
            where=deployed.name,
            why="capture.percent in project.toml is 0",
            fix="set it, and deploy again: docs/monitoring.md",
        )
    if arguments.run:
        outcome = _run(deployed)
        # Then there is no window of its own: what is printed is another run's.
        if outcome == DriftOutcome.ALREADY_RUNNING:
            say("  another run looks at the traffic just now; this is the verdict before it")
    found = last(deployed)
    if arguments.json:
        print(found.model_dump_json(indent=2))
    else:
        for line in told(found, deployed.outputs["ArtifactsBucketName"]):
            print(line)
    return FOUND if found.outcome is DriftOutcome.DRIFTED else 0


def _run(deployed: Stack) -> str:
    """Look at the traffic now; give how the run ended.

    Raises:
        DriftFailed: it failed, in its own words.
    """
    machine = deployed.outputs[OUTPUT]
    started = deployed.client("stepfunctions").start_execution(stateMachineArn=machine, input="{}")
    status, _ = executions.watch(deployed, started["executionArn"])
    if status["status"] != "SUCCEEDED":
        raise DriftFailed(
            "captured traffic could not be looked at",
            where=started["executionArn"],
            why=f"{status.get('error') or status['status']}: {status.get('cause') or 'no cause is said'}",
            fix="run it again once that is mended: it goes on where this one ended",
        )
    outcome: str = json.loads(status["output"])["outcome"]
    return outcome


def last(deployed: Stack) -> DriftVerdict:
    """Read the verdict of the last window.

    Raises:
        NothingCaptured: no window was looked at yet.
    """
    # Only now: numpy and Arrow take a second, and only this command needs them.
    from sluice.monitoring.drift import DriftVerdict
    from sluice.monitoring.windows import DriftLedger

    ledger = _read(deployed, keys.drift_ledger())
    window = None if ledger is None else DriftLedger.model_validate_json(ledger).last
    body = None if window is None else _read(deployed, keys.drift_verdict(window))
    if body is None:
        raise NothingCaptured(
            "there is no verdict on this stack's traffic yet",
            where=deployed.name,
            why="no window of it was looked at: nothing is deployed, or the schedule has not come round yet",
            fix="sluice drift --run",
        )
    return DriftVerdict.model_validate_json(body)


def _read(deployed: Stack, key: str) -> bytes | None:
    s3: Any = deployed.client("s3")
    try:
        body: bytes = s3.get_object(Bucket=deployed.outputs["ArtifactsBucketName"], Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return body


def told(found: DriftVerdict, bucket: str) -> Iterator[str]:
    """Say what was found: the verdict, the columns that moved furthest, and where the report is."""
    from sluice.monitoring.drift import effect

    yield f"{found.outcome}: {found.sentence}"
    if found.first is not None and found.last is not None:
        yield (
            f"  {found.verdict.rows:,} rows of {found.model_name}, answered from {found.first:%Y-%m-%d %H:%M}"
            f" to {found.last:%Y-%m-%d %H:%M} UTC"
        )
    ordered = sorted(found.verdict.columns.items(), key=lambda each: (not each[1].drifted, -effect(each[1])))
    if ordered:
        rows = [
            [
                "what it answers" if name == PREDICTION else name,
                "yes" if column.drifted else "no",
                f"{effect(column):.3f}",
                "–" if column.visible is None else f"{column.visible:.3f}",
                "–" if column.importance is None else f"{column.importance:.3g}",
            ]
            for name, column in ordered[:_TOP]
        ]
        header = ["column", "moved", "effect", "visible", "importance"]
        yield from tables.lines(header, rows, right="effect visible importance")
        if len(ordered) > _TOP:
            yield f"  and {len(ordered) - _TOP} more"
    for each in found.aside:
        yield f"  not read: {each.key}, line {each.line}: {each.reason.replace('_', ' ')}"
    yield f"report: {naming.uri(bucket, keys.drift_page(found.window))}"
