"""The `sluice` command: its arguments, and which function each subcommand runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from cli import commands, init
from sluice.errors import SluiceError
from sluice.outcomes import Outcome

_EXAMPLES = """\
examples:
  sluice init mybank --from bank.csv --target y    write a project from a data file
  sluice up mybank --detach                        local AWS + cdk deploy
  sluice upload bank.csv --wait                    S3 put → EventBridge → Step Functions, state by state
  sluice predict --file rows.csv                   through InvokeEndpoint
  sluice down                                      stop the local AWS
  sluice empty --stack sluice-bank-dev --yes       delete what executions made, before `cdk destroy --all`
  sluice run mybank --data bank.csv --json         all of it once, unattended
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its status.

    0 done, 1 failed, 2 not understood, 130 interrupted; what waits for an execution ends with
    `sluice.outcomes.Outcome.exit_status`.
    """
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except SluiceError as error:
        return commands.fail(error, as_json=getattr(arguments, "json", False))
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sluice",
        description="From a table to a served model on AWS, or on a laptop.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    init.add_parser(subparsers)

    up = _add(
        subparsers, "up", commands.up, "start the local AWS and deploy a project", "sluice up examples/telco"
    )
    up.add_argument("project", type=Path, help="the project's folder")
    up.add_argument("--detach", action="store_true", help="return when it is up; `sluice down` stops it")

    _add(subparsers, "down", commands.down, "stop the local AWS of this folder", "sluice down")

    empty = _add(
        subparsers,
        "empty",
        commands.empty,
        "delete what executions made, so that `cdk destroy` works",
        "sluice empty --stack sluice-bank-dev --yes",
    )
    empty.add_argument(
        "--stack", metavar="NAME", help="a CloudFormation stack on AWS (default: the local one)"
    )
    empty.add_argument("--yes", action="store_true", help="delete it (default: only say what there is)")
    empty.add_argument("--prod", action="store_true", help="also where the stack is of the environment prod")

    upload = _add(
        subparsers,
        "upload",
        commands.upload,
        "put a file where the pipeline picks it up",
        "sluice upload bank.csv --wait",
        follows=True,
    )
    upload.add_argument("file", type=Path)
    upload.add_argument("--key", help="the object's key (default: incoming/training/FILE)")
    upload.add_argument("--wait", action="store_true", help="follow the execution to its end")
    _stack_and_json(upload)

    predict = _add(
        subparsers,
        "predict",
        commands.predict,
        "predict the rows of a file",
        "sluice predict --file rows.csv",
    )
    predict.add_argument("--file", type=Path, required=True, help="CSV with a header, JSON or JSON Lines")
    _stack_and_json(predict)

    run = _add(
        subparsers,
        "run",
        commands.run,
        "deploy, upload, train, predict once in a local AWS of its own",
        "sluice run mybank --data bank.csv --json",
        follows=True,
    )
    run.add_argument("project", type=Path, help="the project's folder")
    run.add_argument("--data", type=Path, required=True, help="the file to upload")
    run.add_argument(
        "--reports",
        type=Path,
        metavar="FOLDER",
        help="where the report and the rejected rows are kept (default: .sluice/runs/PROJECT)",
    )
    run.add_argument("--json", action="store_true", help="the summary as JSON on stdout")

    demo = _add(
        subparsers,
        "demo",
        commands.demo,
        "examples/churn from generated data to predictions",
        "sluice demo",
        follows=True,
    )
    demo.add_argument("--keep", action="store_true", help="leave the local AWS running")
    demo.add_argument("--json", action="store_true", help="the summary as JSON on stdout")
    return parser


def _add(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
    summary: str,
    example: str,
    *,
    follows: bool = False,
) -> argparse.ArgumentParser:
    """Add a command; one that `follows` an execution ends with the status of its outcome."""
    statuses = ", ".join(f"{outcome.exit_status} {outcome}" for outcome in Outcome)
    parser = subparsers.add_parser(
        name,
        help=summary,
        description=command.__doc__,
        epilog=f"example: {example}" + (f" | exit status: {statuses}" if follows else ""),
    )
    parser.set_defaults(command=command)
    return parser


def _stack_and_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stack", metavar="NAME", help="a CloudFormation stack on AWS (default: the local one)"
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout")


if __name__ == "__main__":
    sys.exit(main())
