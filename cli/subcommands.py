"""What every subcommand has in its help, and the arguments that those share which look at a stack."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable

from sluice.outcomes import Outcome


def add(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
    summary: str,
    *examples: str,
    follows: bool = False,
) -> argparse.ArgumentParser:
    """Add a command, described by its docstring; one that `follows` an execution ends with its outcome's status."""
    statuses = ", ".join(f"{outcome.exit_status} {outcome}" for outcome in Outcome)
    parser = subparsers.add_parser(
        name,
        help=summary,
        description=inspect.getdoc(command),
        epilog="\n  ".join(["examples:", *examples]) + (f"\nexit status: {statuses}" if follows else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def stack_and_json(parser: argparse.ArgumentParser, what: str = "JSON on stdout") -> None:
    """Add `--stack` and `--json`, which stand last in a command's help."""
    parser.add_argument(
        "--stack",
        metavar="NAME",
        help="a stack that runs here, or one on AWS (default: the one that runs here)",
    )
    parser.add_argument("--json", action="store_true", help=what)
