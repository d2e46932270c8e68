"""`sluice releases`, `sluice rollback`, `sluice doctor`: what was deployed, going back, and putting right."""

from __future__ import annotations

import argparse
import json

from cli import stack, tables
from cli.progress import say
from cli.releasing import Releases
from cli.subcommands import add, stack_and_json
from sluice.outcomes import Outcome
from sluice.release.history import Ended, NothingToGoBackTo, findings, model_to_go_back_to


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the three subcommands."""
    listing = add(
        subparsers,
        "releases",
        show,
        "what was deployed, taken back or failed, the newest first",
        "sluice releases",
        "sluice releases --stack sluice-bank-prod --json",
    )
    stack_and_json(listing)
    back = add(
        subparsers,
        "rollback",
        rollback,
        "bring back a model that served before",
        'sluice rollback --reason "it flags everybody"',
        'sluice rollback --to v3 --reason "v4 is slow" --stack sluice-bank-prod',
        follows=True,
    )
    back.add_argument(
        "--to",
        metavar="MODEL",
        help="its name as `sluice releases` lists it, a beginning of that, or its version (v3); or the one before",
    )
    back.add_argument("--reason", required=True, metavar="TEXT", help="why: it is kept with the release")
    stack_and_json(back)
    doctor_parser = add(
        subparsers,
        "doctor",
        doctor,
        "do endpoint, release record, lock and alarms agree?",
        "sluice doctor",
        "sluice doctor --repair --stack sluice-bank-prod",
    )
    doctor_parser.add_argument("--repair", action="store_true", help="put right what can be put right")
    stack_and_json(doctor_parser)


def show(arguments: argparse.Namespace) -> int:
    """List how deployments ended, the newest first, and which model serves."""
    releases = Releases(stack.current(arguments.stack))
    ended, champion = releases.ended(), releases.champion()
    if arguments.json:
        print(json.dumps([each.model_dump(mode="json") for each in ended], indent=2))
        return 0
    if not ended:
        say("nothing was deployed yet")
        return 0
    rows = [
        [
            tables.moment(each.at),
            each.outcome,
            each.model_name,
            "–" if each.version is None else f"v{each.version}",
            each.instead_of or "–",
            "–" if each.reached is None else f"{each.reached:.0%}",
            _why(each),
        ]
        for each in ended
    ]
    for line in tables.lines(["ended (UTC)", "", "model", "version", "instead of", "reached", ""], rows):
        say(line)
    say(f"\nserves: {champion or 'nothing'}")
    return 0


def _why(each: Ended) -> str:
    if each.alarm is not None:
        return f"alarm {each.alarm}"
    if each.by is not None:
        return f"{each.reason} ({each.by.rsplit('/', 1)[-1]})"
    return each.why or ""


def rollback(arguments: argparse.Namespace) -> int:
    """Bring back a model that was deployed before: by the deployment machine, on the same way as any other model.

    Its archive is checked, traffic goes over as [deployment] says, and alarms watch it. It is judged against nothing:
    who asked for it (by STS) and why are kept with the release and in the history.
    """
    releases = Releases(stack.current(arguments.stack))
    champion = releases.champion()
    if not arguments.reason.strip():
        raise NothingToGoBackTo("going back needs a reason", where="--reason", fix="say in a few words why")
    model = model_to_go_back_to(releases.models(), releases.ended(), champion, arguments.to)
    asked = model.rollback(champion, releases.caller(), arguments.reason.strip())
    say(f"{champion or 'nothing'} → {model.model_name}")
    arn, result = releases.deploy(asked)
    if arguments.json:
        print(json.dumps({**result.model_dump(mode="json"), "execution_arn": arn}, indent=2))
    else:
        say(f"{result.outcome}: {result.endpoint_config_name} serves")
        if result.reason:
            say(f"  {result.reason}")
    return (
        Outcome(result.outcome).exit_status if result.outcome in set(Outcome) else Outcome.FAILED.exit_status
    )


def doctor(arguments: argparse.Namespace) -> int:
    """Say whether endpoint, release record, lock and alarms agree; 1 where they do not.

    The machine `deployment` looks at the same things before it deploys, and each hour. With `--repair` it does so
    now: the record follows the endpoint, what a stopped deployment has left goes. What serves is never changed by it.
    """
    releases = Releases(stack.current(arguments.stack))
    seen = releases.seen()
    found = findings(seen)
    if arguments.repair and any(each.reconciled for each in found):
        releases.deploy(None)
        seen = releases.seen()
        found = findings(seen)
    if arguments.json:
        told = [each.model_dump(mode="json") for each in found]
        print(json.dumps({"seen": seen.model_dump(mode="json"), "findings": told}, indent=2))
        return int(bool(found))
    if seen.holder_runs:
        say(f"{seen.holder} is at work: look again when it has ended")
    for each in found:
        say(f"✗ {each.what}")
        say(f"  {each.fix}{'; `sluice doctor --repair` does it now' if each.reconciled else ''}")
    if not found and not seen.holder_runs:
        say(f"✓ serves {seen.serving or 'nothing'}, and the release record says so; nobody holds the lock")
    return int(bool(found))
