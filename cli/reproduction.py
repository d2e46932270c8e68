"""`sluice reproduce`: a model built again from what was recorded, and whether it is the same, bit for bit."""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Iterator
from dataclasses import replace

from cli import stack
from cli.models import MODEL, Models
from cli.progress import say
from cli.rebuilding import Rebuilding, check_images
from cli.recorded import Jobs, Recorded
from cli.versions import Versions
from sluice.datasets.current import part_missing
from sluice.payloads.documents import Manifest
from sluice.reproducing import rows
from sluice.reproducing.builds import Build
from sluice.reproducing.comparing import (
    HELD_OUT_ROWS,
    TRAINING_ROWS,
    Compared,
    Difference,
    Finding,
    compare,
)

DIFFERS = 5
"""The status where the model that was built again is another one."""
_MARKS = {"identical": "✓", "differs": "✗", "unknown": "–"}
_HEADINGS = {"ingredient": "made of", "result": "came out", "circumstance": "made on"}
_SHOWN = 20


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "reproduce",
        help="build a model again from what was recorded, and compare",
        description=inspect.getdoc(reproduce),
        epilog="examples:\n"
        "  sluice reproduce champion\n"
        "  sluice reproduce 3f9a --json --stack sluice-bank-prod\n"
        f"exit status: 0 identical, {DIFFERS} differs, 1 could not be built again",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument(
        "--again",
        action="store_true",
        help="build it once more (default: where it was built again before, only compare)",
    )
    parser.add_argument(
        "--stack",
        metavar="NAME",
        help="a stack that runs here, or one on AWS (default: the one that runs here)",
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    parser.set_defaults(command=reproduce)


def reproduce(arguments: argparse.Namespace) -> int:
    """Build a model again from the recorded dataset version, code, hyperparameters and images, and compare.

    The same jobs are asked of SageMaker under names of their own, and what they make lies beside what was made
    before. Release, endpoint, registry and the current dataset are not touched. Whoever interrupts it leaves a job
    that ends by itself; called again, the command goes on from there.
    """
    deployed = stack.current(arguments.stack)
    models = Models(deployed)
    model = models.named(arguments.model)
    recorded = Recorded(deployed, models)
    jobs = recorded.jobs(model)
    # What is gone is told before anything is started.
    before = recorded.build(jobs)
    _check_parts(recorded.manifest(jobs), Versions(deployed))
    check_images(deployed, jobs)
    rebuilding = Rebuilding(deployed, model, jobs, anew=arguments.again)
    again = rebuilding.jobs()
    compared = _compared(recorded, jobs, before, again)
    if arguments.json:
        told = {
            "model_name": model.name,
            "execution": model.execution,
            "jobs": rebuilding.names,
            "identical": compared.identical,
            **compared.model_dump(mode="json"),
        }
        print(json.dumps(told, indent=2))
    else:
        print("\n".join(lines(model.name, compared)))
    if before.own_image:
        say("  its image is your own: what its containers answer is not compared, its archive is")
    return 0 if compared.identical else DIFFERS


def _check_parts(manifest: Manifest, versions: Versions) -> None:
    for part in versions.missing(manifest):
        raise part_missing(part, manifest.dataset_version, versions.uri(part.key))


def _compared(recorded: Recorded, jobs: Jobs, before: Build, again: Jobs) -> Compared:
    after = recorded.build(again)
    if before.own_image:
        # The evaluation is not made again: nothing of it is another's.
        after = replace(after, own_image=True, images={**before.images, **after.images})
    told = {}
    for name, output, hashes in (
        (TRAINING_ROWS, "train", (before.train_sha256, after.train_sha256)),
        (HELD_OUT_ROWS, "held_out", (before.held_out_sha256, after.held_out_sha256)),
    ):
        differences = _rows(recorded, jobs, again, output) if hashes[0] != hashes[1] else None
        if differences is not None:
            told[name] = differences
    evaluation = recorded.evaluation(again)
    champion = None if evaluation is None else evaluation.champion
    return compare(before, after, told, None if champion is None else champion.predictions_sha256)


def _rows(recorded: Recorded, jobs: Jobs, again: Jobs, output: str) -> tuple[Difference, ...] | None:
    """Say in what the rows differ; None where those of the training are not there any more."""
    import pyarrow.parquet as pq

    before = recorded.rows(jobs, output, f"{output}.parquet")
    after = recorded.rows(again, output, f"{output}.parquet")
    if before is None or after is None:
        return None
    return rows.differences(pq.read_table(before), pq.read_table(after))


def lines(name: str, compared: Compared) -> Iterator[str]:
    """Say what was compared, what differs, and the verdict."""
    yield f"model {name}, built again:"
    for kind, heading in _HEADINGS.items():
        yield f"\n{heading}"
        for finding in (each for each in compared.findings if each.kind == kind):
            yield from _told(finding)
    deciding = [each for each in compared.findings if each.decides]
    differing = [each.name for each in deciding if each.state == "differs"]
    unknown = [each.name for each in deciding if each.state == "unknown"]
    yield ""
    yield f"differs in {', '.join(differing)}" if differing else "identical"
    if unknown:
        yield f"not recorded, so not compared: {', '.join(unknown)}"


def _told(finding: Finding) -> Iterator[str]:
    remark = "" if finding.state != "unknown" else "  (not recorded)"
    if finding.state == "differs" and not finding.decides:
        remark = "  (decides nothing)"
    yield f"  {_MARKS[finding.state]} {finding.name}{remark}"
    for each in finding.differences[:_SHOWN]:
        what = "" if each.what == finding.name else f"{each.what}: "
        yield f"      {what}{_side(each.recorded)} → {_side(each.again)}"
    if len(finding.differences) > _SHOWN:
        yield f"      and {len(finding.differences) - _SHOWN} more; --json has all"


def _side(value: str | None) -> str:
    return "none" if value is None else value
