"""`sluice approvals`, `sluice approve`, `sluice reject`: what waits for a person's word, and the word."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from cli import approving, stack, tables
from cli.progress import say
from cli.subcommands import add, stack_and_json
from sluice.payloads.approval import Decision
from sluice.release.approvals import Approval, Standing, meant

_TOLD: dict[Standing, str] = {
    "waits": "waits",
    "approved": "approved",
    "rejected": "rejected",
    "unsent": "answered, but not sent",
    "expired": "nobody answered",
    "ended": "its execution ended",
}


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the three subcommands."""
    listing = add(
        subparsers,
        "approvals",
        show,
        "which models wait for an approval, and who answered the others",
        "sluice approvals",
        "sluice approvals --stack sluice-bank-prod --json",
    )
    stack_and_json(listing)
    for name, command, summary in (
        ("approve", approve, "let a model that waits serve"),
        ("reject", reject, "keep a model that waits from serving"),
    ):
        parser = add(
            subparsers,
            name,
            command,
            summary,
            f'sluice {name} bank-prod-3f9a --reason "agreed with risk on Monday"',
            f'sluice {name} bank-prod-3f9a --stack sluice-bank-prod --reason "as discussed"',
        )
        parser.add_argument(
            "model",
            metavar="MODEL",
            help="its name as `sluice approvals` lists it, a beginning of that, or its version (v3)",
        )
        parser.add_argument(
            "--reason", required=True, metavar="TEXT", help="why: it is kept with the release"
        )
        stack_and_json(parser)


def show(arguments: argparse.Namespace) -> int:
    """List the approvals that were asked for, the newest first: what waits and until when, and who answered what.

    Of what waits it says by which rules the model passed, and how to answer.
    """
    asked = approving.Approvals(stack.current(arguments.stack))
    found = [(each, asked.standing(each, datetime.now(UTC))) for each in asked.all()]
    if arguments.json:
        print(json.dumps([_as_json(each, standing) for each, standing in found], indent=2))
        return 0
    if not found:
        say("no approval was asked for")
        return 0
    rows = [
        [
            each.model_name,
            "–" if each.version is None else f"v{each.version}",
            _TOLD[standing],
            tables.moment(each.requested_at),
            tables.moment(each.expires_at),
            each.judged_champion or "–",
        ]
        for each, standing in found
    ]
    for line in tables.lines(["model", "version", "", "asked (UTC)", "time until", "judged against"], rows):
        say(line)
    for each, standing in found:
        if standing in ("waits", "unsent"):
            _tell(each, arguments.stack)
        elif each.answer is not None:
            say(f"\n{each.model_name}: {each.answer.sentence}")
    return 0


def _tell(approval: Approval, stack_name: str | None) -> None:
    say(f"\n{approval.model_name}, judged for the {_nth(approval.judgement)} time:")
    for rule in approval.rules:
        say(f"  ✓ {rule}")
    say(f"  report {approval.page_uri}")
    if approval.answer is not None:
        say(f"  {approval.answer.sentence}. The same answer again sends it.")
        return
    named = f" --stack {stack_name}" if stack_name else ""
    for verb in ("approve", "reject"):
        say(f'  sluice {verb} {approval.model_name}{named} --reason "why"')


def _nth(number: int) -> str:
    return {1: "first", 2: "second", 3: "third", 4: "fourth"}.get(number, "fifth")


def approve(arguments: argparse.Namespace) -> int:
    """Let a model serve that passed its gates: its execution goes on, and deploys it if the champion is the same.

    If another model has become champion meanwhile, it is judged again, and asks again. Who you are (by STS), the time
    and the reason are kept with the release and in the report.
    """
    return _answer(arguments, "approved")


def reject(arguments: argparse.Namespace) -> int:
    """Keep a model that passed its gates from serving: its execution ends as ApprovalRejected.

    What served before still does. Who you are (by STS), the time and the reason are kept in the report.
    """
    return _answer(arguments, "rejected")


def _answer(arguments: argparse.Namespace, decision: Decision) -> int:
    asked = approving.Approvals(stack.current(arguments.stack))
    answered = asked.answer(meant(asked.all(), arguments.model), decision, arguments.reason)
    if arguments.json:
        print(json.dumps(_as_json(answered, decision), indent=2))
    elif answered.answer is not None:
        say(f"{answered.model_name}: {answered.answer.sentence}")
        say(f"  → {answered.execution_arn}")
    return 0


def _as_json(approval: Approval, standing: Standing) -> dict[str, Any]:
    """Everything but the token."""
    return {**approval.model_dump(mode="json"), "standing": standing}
