"""`sluice dataset`: which versions there are, what one is made of, how two differ, a pointer to one for DVC."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cli import dataset_diff, dataset_shown, pointers, stack, tables
from cli.progress import say
from cli.subcommands import add, stack_and_json
from cli.versions import CURRENT, Versions

_NEWEST = 20
_VERSION = f"the first digits of its name, or {CURRENT!r}"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand, which has subcommands of its own."""
    parser = subparsers.add_parser(
        "dataset",
        help="list dataset versions, show one, compare two, write a pointer for DVC",
        description="What an accepted upload makes is a dataset version: a list of parts that never changes. It is"
        " named by 16 hexadecimal digits of a hash of the rows.",
        epilog="examples:\n"
        "  sluice dataset list\n"
        "  sluice dataset show current\n"
        "  sluice dataset diff 3f9a current\n"
        "  sluice dataset pointer current --output data/bank.dvc",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    listing = add(
        actions,
        "list",
        show_list,
        "the newest versions",
        "sluice dataset list",
        "sluice dataset list --all --json",
    )
    listing.add_argument("--all", action="store_true", help=f"all of them (default: the newest {_NEWEST})")
    stack_and_json(listing)

    one = add(
        actions,
        "show",
        show,
        "where a version came from, and what its columns hold",
        "sluice dataset show current",
        "sluice dataset show 3f9a --json",
    )
    one.add_argument("version", metavar="VERSION", help=_VERSION)
    stack_and_json(one)

    two = add(
        actions,
        "diff",
        diff,
        "how two versions differ: rows, schema, the distribution of each column",
        "sluice dataset diff 3f9a current",
        "sluice dataset diff 3f9a 77c0 --stack sluice-bank-prod --json",
    )
    two.add_argument("before", metavar="A", help=_VERSION)
    two.add_argument("after", metavar="B", help=_VERSION)
    stack_and_json(two)

    pointing = add(
        actions,
        "pointer",
        pointer,
        "write a .dvc file by which `dvc pull` brings a version",
        "sluice dataset pointer current --output data/bank.dvc",
        "sluice dataset pointer 3f9a --output data/bank.parquet.dvc",
    )
    pointing.add_argument("version", metavar="VERSION", help=_VERSION)
    pointing.add_argument(
        "--output",
        type=Path,
        metavar="FILE.dvc",
        help="NAME.dvc for a folder with a file for each part, NAME.parquet.dvc for one file (default: PROJECT.dvc)",
    )
    stack_and_json(pointing)


def show_list(arguments: argparse.Namespace) -> int:
    """List the versions, the newest first; a star marks the one that is the table now."""
    versions = Versions(stack.current(arguments.stack))
    current = versions.current()
    found = versions.newest(None if arguments.all else _NEWEST)
    if arguments.json:
        listed = [
            {
                "dataset_version": each.dataset_version,
                "current": each.dataset_version == current,
                "rows": each.rows,
                "parts": len(each.parts),
                "bytes": each.bytes,
                "accepted": each.parts[-1].model_dump(mode="json")["accepted"],
                "source": each.source.model_dump(mode="json"),
            }
            for each in found
        ]
        print(json.dumps(listed, indent=2))
        return 0
    if not found:
        print("there is no dataset version yet: no upload has been accepted")
        return 0
    rows = [
        [
            f"{'*' if each.dataset_version == current else ' '} {each.dataset_version}",
            f"{each.rows:,}",
            str(len(each.parts)),
            f"{each.bytes:,}",
            tables.moment(each.parts[-1].accepted),
            each.source.uri.rsplit("/", 1)[-1],
        ]
        for each in found
    ]
    header = ("  version", "rows", "parts", "bytes", "accepted (UTC)", "last file")
    print("\n".join(tables.lines(header, rows, right="rows parts bytes")))
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Say where a version came from, part by part, and what its columns hold."""
    versions = Versions(stack.current(arguments.stack))
    manifest = versions.named(arguments.version)
    lineages = versions.lineages(manifest.parts)
    missing = [part.name for part in versions.missing(manifest)]
    is_current = manifest.dataset_version == versions.current()
    if arguments.json:
        told = {
            "current": is_current,
            "missing": missing,
            "manifest": manifest.model_dump(mode="json"),
            "keys": {part.name: versions.uri(part.key) for part in manifest.parts},
            "lineage": [each.model_dump(mode="json") for each in lineages],
        }
        print(json.dumps(told, indent=2))
    else:
        print("\n".join(dataset_shown.lines(manifest, lineages, missing, is_current=is_current)))
    return 0


def diff(arguments: argparse.Namespace) -> int:
    """Say how version B differs from version A: rows and parts, schema, and the distribution of each column.

    The shift of a column is 0 where both hold the same, and 1 where they have nothing in common: of numbers and times
    the greatest difference of the cumulative distributions, of all others half the sum of the differences of shares.
    A star marks what is more than chance makes of so many rows.
    """
    versions = Versions(stack.current(arguments.stack))
    before, after = versions.named(arguments.before), versions.named(arguments.after)
    parts = list({part.name: part for part in (*before.parts, *after.parts)}.values())
    known = {lineage.part: lineage for lineage in versions.lineages(parts)}
    sides = [[known[part.name] for part in manifest.parts] for manifest in (before, after)]
    found = dataset_diff.compared(before, after, sides)
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(dataset_diff.lines(found)))
    return 0


def pointer(arguments: argparse.Namespace) -> int:
    """Write a .dvc file by which `dvc pull` brings the bytes of a version into a repository.

    NAME.dvc is pulled as a folder with one file for each part, in the order in which they count; of two rows with the
    same key and time the one in the later part counts. NAME.parquet.dvc is pulled as that file, which only a version
    of one part can be.
    """
    deployed = stack.current(arguments.stack)
    versions = Versions(deployed)
    manifest = versions.named(arguments.version)
    output = arguments.output or Path(f"{manifest.project}.dvc")
    pointers.check_name(output, manifest)
    pointers.check_parts(manifest, versions)
    told = pointers.write(output, manifest, deployed.name)
    if arguments.json:
        print(
            json.dumps(
                {"pointer": str(output), "remote": {"name": deployed.name, "url": versions.remote}, **told},
                indent=2,
            )
        )
    say(f"  {output} points to the dataset version {manifest.dataset_version}")
    for line in pointers.advice(output, deployed, versions.remote):
        say(f"  {line}")
    return 0
