"""The `sluice` command: its arguments, and which function each subcommand runs."""

from __future__ import annotations

import argparse
import atexit
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from cli import (
    approvals,
    commands,
    cost,
    dataset,
    drift,
    failures,
    feature_store,
    http_api,
    init,
    lineage,
    preflight,
    releases,
    reproduction,
    skew,
    stack,
)
from cli.subcommands import add, stack_and_json

_EXAMPLES = """\
examples:
  sluice init mybank --from bank.csv --target y    write a project from a data file
  sluice up mybank --detach                        local AWS + cdk deploy
  sluice preflight mybank                          may this AWS account start the instances?
  sluice cost mybank --predictions 20M/month       what it costs on AWS, on paper
  sluice upload bank.csv --wait                    S3 put → EventBridge → Step Functions, state by state
  sluice predict --file rows.csv                   through InvokeEndpoint, CSV out
  sluice predict --id C00001                       by id, where features.py declares features
  sluice predict --batch rows.parquet --wait       by a transform job, a file of any size
  sluice api                                       where the HTTP API is, and a curl line
  sluice dataset diff 3f9a current                 rows, schema and distributions of two dataset versions
  sluice reproduce champion                        built again from what was recorded: the same, bit for bit?
  sluice lineage champion                          from the uploads to the endpoint, and back
  sluice card champion                             what is to be known of it, as Markdown
  sluice skew                                      does the online store hold what the dataset says?
  sluice drift                                     has the traffic moved away from what the model knows?
  sluice approvals                                 which models wait for somebody's word
  sluice rollback --reason "it flags everybody"    bring back the model before
  sluice doctor                                    do endpoint, record, lock and alarms agree?
  sluice feast                                     a feature_store.yaml for `feast` and `feast ui`
  sluice down                                      stop the local AWS
  sluice empty --stack sluice-bank-dev --yes       delete what executions made, before `cdk destroy --all`
  sluice run mybank --data bank.csv --json         all of it once, unattended
"""
_BROKEN_PIPE = 141  # as a shell says of a process that SIGPIPE ended


def entry() -> None:
    """Run the command line and end the process.

    pyarrow's readers read ahead on threads of their own, and what they still do while the interpreter is taken down
    ends in SIGABRT now and then (apache/arrow#34314, #43604): a command that failed well would report 134. So
    exit handlers run and the streams are flushed, and then nothing is taken down.
    """
    try:
        status = main()
    except SystemExit as end:  # argparse's
        status = _status(end.code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            status = status or _BROKEN_PIPE
    os._exit(status)


def _status(code: object) -> int:
    """Give the status that the interpreter would end with, and write what it would write."""
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its status.

    0 done, 1 failed, 2 not understood, 130 interrupted, 141 nobody reads on; what waits for an execution ends with
    `sluice.outcomes.Outcome.exit_status`.
    """
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        # A variable of the shell that is not set does not mean the local stack.
        if getattr(arguments, "stack", None) == "":
            raise stack.NoStack("--stack names no stack", where='--stack ""', fix=stack.NAME_IT)
        return command(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _BROKEN_PIPE
    except Exception as error:
        told = failures.explain(error)
        if told is None:
            raise
        return commands.fail(told, as_json=getattr(arguments, "json", False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sluice",
        description="From a table to a served model on AWS, or on a laptop.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sluice {metadata.version('sluice')}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    init.add_parser(subparsers)
    preflight.add_parser(subparsers)
    cost.add_parser(subparsers)
    skew.add_parser(subparsers)
    drift.add_parser(subparsers)
    dataset.add_parser(subparsers)
    feature_store.add_parser(subparsers)
    http_api.add_parser(subparsers)
    approvals.add_parsers(subparsers)
    releases.add_parsers(subparsers)
    reproduction.add_parser(subparsers)
    lineage.add_parser(subparsers)

    up = add(
        subparsers,
        "up",
        commands.up,
        "start the local AWS and deploy a project",
        "sluice up examples/telco",
        "sluice up mybank --detach",
    )
    up.add_argument("project", type=Path, help="the project's folder")
    up.add_argument("--detach", action="store_true", help="return when it is up; `sluice down` stops it")

    add(subparsers, "down", commands.down, "stop the local AWS of this folder", "sluice down")

    empty = add(
        subparsers,
        "empty",
        commands.empty,
        "delete what executions made, so that `cdk destroy` works",
        "sluice empty --stack sluice-bank-dev",
        "sluice empty --stack sluice-bank-dev --yes",
    )
    empty.add_argument(
        "--stack",
        metavar="NAME",
        help="a stack that runs here, or one on AWS (default: the one that runs here)",
    )
    empty.add_argument("--yes", action="store_true", help="delete it (default: only say what there is)")
    empty.add_argument("--prod", action="store_true", help="also where the stack is of the environment prod")

    upload = add(
        subparsers,
        "upload",
        commands.upload,
        "put a file where the pipeline picks it up",
        "sluice upload bank.csv --wait",
        "sluice upload --events today.csv --wait",
        "sluice upload --dvc data/bank.csv.dvc --wait",
        "sluice upload bank.parquet --wait --json --stack sluice-bank-prod",
        follows=True,
    )
    upload.add_argument(
        "file", type=Path, metavar="FILE", help="CSV, TSV or Parquet; with --dvc its .dvc file"
    )
    upload.add_argument("--dvc", action="store_true", help="FILE is a .dvc file: upload what it tracks")
    where = upload.add_mutually_exclusive_group()
    where.add_argument(
        "--events",
        action="store_true",
        help="append the rows to the table, and train nothing (default: replace it)",
    )
    where.add_argument("--key", help="the object's key (default: incoming/training/FILE)")
    upload.add_argument("--wait", action="store_true", help="follow the execution to its end")
    stack_and_json(upload)

    materialize = add(
        subparsers,
        "materialize",
        commands.materialize,
        "write features to the online store now",
        "sluice materialize --wait",
        "sluice materialize --wait --moment 2026-03-01T00:00:00Z",
    )
    materialize.add_argument(
        "--wait", action="store_true", help="follow it to its end; status 1 if it failed"
    )
    materialize.add_argument(
        "--moment", metavar="TIME", help="features as of then, in UTC (default: what [online] as_of says)"
    )
    materialize.add_argument(
        "--dataset", metavar="VERSION", help="of this version (default: the current one)"
    )
    stack_and_json(materialize)

    predict = add(
        subparsers,
        "predict",
        commands.predict,
        "predict entities by id, or the rows of a file",
        "sluice predict --id C00001 --id C00002",
        "sluice predict --id customer_id=C1,shop=7 --with amount=3.0",
        "sluice predict --file ids.csv",
        "sluice predict --file rows.csv",
        "sluice predict --file rows.parquet --output predictions.parquet",
        "sluice predict --file rows.jsonl.gz --stack sluice-bank-prod --output predictions.csv",
        "sluice predict --batch customers.csv --wait --output predictions.csv",
        "sluice predict --batch s3://warehouse/exports/customers.parquet --wait --stack sluice-bank-prod",
    )
    what = predict.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--id",
        action="append",
        default=[],
        metavar="ID",
        help="an entity, as often as you like; with several join keys KEY=ID,KEY=ID",
    )
    what.add_argument(
        "--file",
        type=Path,
        help="CSV with a header, Parquet, JSON or JSON Lines; gzipped, too",
    )
    what.add_argument(
        "--batch",
        metavar="FILE|S3_URI",
        help="a CSV, TSV or Parquet file of any size, here or in S3: a transform job predicts its rows",
    )
    predict.add_argument("--wait", action="store_true", help="with --batch: follow it to its end")
    predict.add_argument(
        "--with",
        dest="given",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="a field that a request by --id brings itself; without a value it is null",
    )
    predict.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="CSV, JSON Lines or Parquet, by its name (default: -, which is stdout); with --batch --wait, where "
        "the result is copied to, CSV or Parquet as the file is (default: it stays in S3)",
    )
    stack_and_json(predict, "JSON Lines on stdout; with --batch --wait, the summary as JSON")

    run = add(
        subparsers,
        "run",
        commands.run,
        "deploy, upload, train, predict once in a local AWS of its own",
        "sluice run mybank --data bank.csv",
        "sluice run mybank --data bank.csv --json --reports reports",
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

    demo = add(
        subparsers,
        "demo",
        commands.demo,
        "examples/churn from generated data to predictions",
        "sluice demo",
        "sluice demo --keep",
        follows=True,
    )
    demo.add_argument("--keep", action="store_true", help="leave the local AWS running")
    demo.add_argument("--json", action="store_true", help="the summary as JSON on stdout")
    return parser


if __name__ == "__main__":
    entry()
