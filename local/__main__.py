"""`python -m local`: start and stop a local AWS."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from local import server
from local.errors import LocalAwsError, exit_code

_ABOUT = """\
A local AWS for this pipeline: moto's server, with Lambda functions, SageMaker jobs and endpoints as real
processes. It binds to 127.0.0.1 only. Its state is in memory: a restart starts clean. It proves no
permissions: IAM policies are stored, not enforced.
"""


def main() -> int:
    """Run the command line; 0 when it did what it was asked."""
    parser = argparse.ArgumentParser(
        prog="python -m local", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve",
        help="serve until SIGINT or SIGTERM",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("--port", type=int, default=0, help="default: a free one; see ready.json")
    serve.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="end with the process that started it, unless it writes a line to stdin",
    )
    serve.add_argument(
        "--python",
        action="append",
        default=[],
        help="a further interpreter, for images whose packages this one does not have; repeatable",
    )
    stop = commands.add_parser("stop", help="stop the server of a state folder")
    for command in (serve, stop):
        command.add_argument(
            "--state-dir",
            type=Path,
            required=True,
            help="folder of one server: ready.json (endpoint, pid, environment), code, job folders, images",
        )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    return exit_code(lambda: _run(arguments), expected=(LocalAwsError,), failed=1)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "stop":
        running = server.stop(arguments.state_dir)
        print("stopped" if running else f"no local AWS is running on {arguments.state_dir}")
    else:
        server.serve(
            arguments.state_dir,
            port=arguments.port,
            until_stdin_closes=arguments.until_stdin_closes,
            pythons=arguments.python,
        )
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # moto leaves threads that nothing can interrupt (state machines, timers); everything of ours has ended.
    os._exit(code)
