"""`sluice feast`: a feature_store.yaml by which Feast's own tools open a stack's registry and online store."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from cli import left_views, materialization, stack
from cli.progress import say
from cli.skew import NoOnlineStore
from cli.stack import Stack
from cli.toolchain import FEATURES_PYTHON
from sluice import keys, naming
from sluice.errors import SluiceError

FILE = "feature_store.yaml"
_OURS = "# Written by `sluice feast`"
_TEXT = """\
{ours} for the stack {name}. Feast's own tools read its online store by it:
#   feast feature-views list
#   feast ui --host 127.0.0.1
# Not `feast apply`: it deletes the table of a view that left, and the registry has one writer, the state machine
# materialization, which puts back what was deployed. Not `feast teardown`, which deletes all tables, and not
# `feast materialize`, which writes other values than the model was trained on. Views are changed in features.py, and
# deployed.
project: {project}
provider: local
registry:
  path: {registry}
  cache_ttl_seconds: 60
online_store:
  type: dynamodb
  region: {region}
{endpoint}  table_name_template: "{{project}}.{{table_name}}"
offline_store:
  type: duckdb
entity_key_serialization_version: 3
"""


class NotOurs(SluiceError):
    """There is a file of this name that `sluice feast` did not write."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "feast",
        help="write a feature_store.yaml, for `feast` and `feast ui`",
        description=f"Write a {FILE} through which Feast's own tools (`feast feature-views list`, `feast ui`,"
        " get_online_features) open the registry and the online store of a stack. It changes nothing there, and says"
        " which tables are of views that have left features.py.",
        epilog="examples:\n"
        "  sluice feast\n"
        "  sluice feast feast-churn\n"
        "  sluice feast feast-prod --stack sluice-churn-prod",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), metavar="FOLDER", help="where to (default: here)"
    )
    parser.add_argument(
        "--stack",
        metavar="NAME",
        help="a stack that runs here, or one on AWS (default: the one that runs here)",
    )
    parser.add_argument("--force", action="store_true", help=f"overwrite a {FILE} of somebody else's")
    parser.set_defaults(command=feast)


def feast(arguments: argparse.Namespace) -> int:
    """Write the file, and say what to do with it."""
    deployed = stack.current(arguments.stack)
    text = configuration(deployed)
    file: Path = arguments.folder / FILE
    if file.exists() and not arguments.force and not file.read_text().startswith(_OURS):
        raise NotOurs(
            f"there is a {FILE} that `sluice feast` did not write",
            where=str(file),
            fix="name another folder, or --force to overwrite it",
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    say(f"wrote {file}")
    for line in _next(deployed, file):
        say(line)
    for note in left_views.notes(deployed):
        say(note)
    return 0


def configuration(deployed: Stack) -> str:
    """Give the text of the file.

    Raises:
        NoOnlineStore: the stack has none.
    """
    if materialization.OUTPUT not in deployed.outputs:
        raise NoOnlineStore(
            "this project has no online store",
            where=deployed.name,
            why="its features.py declares no features in Feast's objects",
            fix="docs/features.md says how; then deploy again",
        )
    about: Any = deployed.client("dynamodb").meta
    return _TEXT.format(
        ours=_OURS,
        name=naming.stack(deployed.output("Project"), deployed.output("Environment")),
        project=naming.online_store(deployed.output("Project"), deployed.output("Environment")),
        registry=json.dumps(naming.uri(deployed.output("ArtifactsBucketName"), keys.registry())),
        region=about.region_name,
        endpoint=f"  endpoint_url: {json.dumps(about.endpoint_url)}\n" if deployed.aws_env else "",
    )


def _next(deployed: Stack, file: Path) -> list[str]:
    """Say what to do next: a line, and before it what it stands on."""
    tool = FEATURES_PYTHON.with_name("feast")
    called = shlex.join([str(tool) if tool.exists() else "feast", "-c", str(file.parent)])
    lines = [f"next: `{called} feature-views list`, `{called} ui --host 127.0.0.1`"]
    if deployed.aws_env:
        # The file has a place for the endpoint of the table, and none for that of the registry.
        lines.insert(0, f"first, for the local AWS: `export {stack.settings(deployed)}`")
    if not _is_published(deployed):
        lines.insert(0, "first, for there is no registry yet: `sluice materialize --wait`")
    return lines


def _is_published(deployed: Stack) -> bool:
    found = deployed.client("s3").list_objects_v2(
        Bucket=deployed.output("ArtifactsBucketName"), Prefix=keys.registry(), MaxKeys=1
    )
    return bool(found.get("Contents"))
