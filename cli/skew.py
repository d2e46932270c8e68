"""`sluice skew`: whether the online store holds what the dataset says, of sampled entities, bit for bit."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from cli import stack
from cli.progress import step
from cli.stack import Stack
from sluice.errors import SluiceError, from_wire

FOUND = 5
"""The status where anything differs."""


class NoOnlineStore(SluiceError):
    """The project declares no features in Feast's objects."""


class SkewNotMeasured(SluiceError):
    """The function that measures it failed."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "skew",
        help="hold the online store against the dataset, for sampled entities",
        description="Sample entities of the dataset, recompute their features, and compare them with the online"
        " store, bit for bit. Publishes the rate as the metric SkewRate, which an alarm watches."
        " Ends with 5 where anything differs.",
        epilog="examples:\n"
        "  sluice skew\n"
        "  sluice skew --sample 10000 --json\n"
        "  sluice skew --stack sluice-churn-prod",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--sample", type=int, default=2_000, metavar="N", help="entities of each view (default: 2,000)"
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="choose the same entities again (default: others each time)"
    )
    parser.add_argument(
        "--stack",
        metavar="NAME",
        help="a stack that runs here, or one on AWS (default: the one that runs here)",
    )
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.set_defaults(command=skew)


def skew(arguments: argparse.Namespace) -> int:
    """Have the stack's function measure it, and print what it found."""
    deployed = stack.current(arguments.stack)
    with step("skew"):
        found = measure(deployed, arguments.sample, arguments.seed)
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        for line in told(found):
            print(line)
    return FOUND if found["rate"] else 0


def measure(deployed: Stack, sample: int, seed: int | None) -> dict[str, Any]:
    """Call the function MeasureSkew; give `sluice.payloads.materialization.MeasuredSkew`.

    Raises:
        NoOnlineStore: the stack has none.
        SluiceError: as the function raised it.
    """
    name = deployed.outputs.get("MeasureSkewFunction")
    if name is None:
        raise NoOnlineStore(
            "this project has no online store",
            where=deployed.name,
            why="its features.py declares no features in Feast's objects",
            fix="docs/features.md says how; then deploy again",
        )
    payload = json.dumps({"sample": sample, "seed": seed}).encode()
    answer = deployed.client("lambda").invoke(FunctionName=name, Payload=payload)
    body = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise from_wire(body.get("errorMessage", "")) or SkewNotMeasured(
            "the skew could not be measured",
            where=name,
            why=json.dumps(body),
            fix="its log group in CloudWatch has the whole of it",
        )
    found: dict[str, Any] = body
    return found


def told(found: dict[str, Any]) -> Iterator[str]:
    """Say what was found, view by view, then the first differences."""
    if found["dataset_version"] is None:
        yield "nothing to compare: no upload has been accepted yet"
        return
    for view in found["views"]:
        wrong = view["missing"] + view["differing"]
        yield f"{view['view']}: {wrong:,} mismatches in {view['sampled']:,} entities"
        if view["missing"]:
            yield f"  {view['missing']:,} are not in the store: {', '.join(view['missing_shown'])}"
        for name, count in sorted(view["features"].items(), key=lambda pair: -pair[1]):
            yield f"  {name}: {count:,}"
        for each in view["shown"]:
            yield f"    {each['entity']}  {each['feature']}: stored {each['stored']}, recomputed {each['recomputed']}"
    yield f"dataset version {found['dataset_version']}, rate {found['rate']:.6g}"
