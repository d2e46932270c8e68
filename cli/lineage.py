"""`sluice lineage` and `sluice card`: where a model came from and what became of it; what is to be known of it."""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from cli import stack, tables
from cli.models import MODEL, Gone, Model, Models
from cli.recorded import Jobs, Recorded
from cli.versions import Versions
from sluice import keys, naming
from sluice.outcomes import Outcome


class _Model(BaseModel):
    model_uri: str


class _Judged(BaseModel):
    champion: _Model | None


class Reported(BaseModel):
    """As much of a report.json as is looked at here; it may be of another release, with more or less beside it."""

    outcome: str
    model_uri: str | None = None
    report_uri: str | None = None
    rules: list[dict[str, Any]] = []
    evaluation: _Judged | None = None


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both subcommands."""
    for name, command, summary, examples in (
        (
            "lineage",
            lineage,
            "a model's chain from the uploads to the endpoint",
            ("sluice lineage champion", "sluice lineage 3f9a --json --stack sluice-bank-prod"),
        ),
        ("card", card, "a model's card", ("sluice card champion", "sluice card 3f9a > card.md")),
    ):
        parser = subparsers.add_parser(
            name,
            help=summary,
            description=inspect.getdoc(command),
            epilog="\n  ".join(["examples:", *examples]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("model", metavar="MODEL", help=MODEL)
        parser.add_argument(
            "--stack",
            metavar="NAME",
            help="a stack that runs here, or one on AWS (default: the one that runs here)",
        )
        parser.add_argument("--json", action="store_true", help="JSON on stdout")
        parser.set_defaults(command=command)


def lineage(arguments: argparse.Namespace) -> int:
    """Say what a model was made of, how it was judged, and what became of it.

    From the uploads (which object version, who, when) over parts, dataset version, training set, training job and
    archive to evaluation, verdict, release and endpoint. What cannot be known is said to be so.
    """
    deployed = stack.current(arguments.stack)
    models = Models(deployed)
    model = models.named(arguments.model)
    recorded = Recorded(deployed, models)
    told = chain(model, models, recorded, Versions(deployed))
    if arguments.json:
        print(json.dumps(told, indent=2, default=_iso))
    else:
        print("\n".join(lines(told)))
    return 0


def card(arguments: argparse.Namespace) -> int:
    """Print the model card, as it was written when the execution that trained the model ended."""
    models = Models(stack.current(arguments.stack))
    model = models.named(arguments.model)
    body = models.read(keys.card(model.execution))
    if body is None:
        raise Gone(
            f"there is no card of the model {model.name}",
            where=models.uri(keys.card(model.execution)),
            why="its execution runs still, or came to no model that was judged, or somebody deleted the card",
            fix="wait for the execution's end; the bucket keeps versions of what was deleted",
        )
    if arguments.json:
        print(json.dumps({"model_name": model.name, "card": body.decode()}, indent=2))
    else:
        print(body.decode(), end="")
    return 0


def chain(model: Model, models: Models, recorded: Recorded, versions: Versions) -> dict[str, Any]:
    """Gather the chain, link by link, JSON-ready but for times."""
    jobs = recorded.jobs(model)
    manifest = recorded.manifest(jobs)
    lineages = versions.lineages(manifest.parts)
    missing = {part.name for part in versions.missing(manifest)}
    body = models.read(keys.report(model.execution))
    report = None if body is None else Reported.model_validate_json(body)
    made = recorded.training_set(jobs)
    archive = models.read(naming.split_uri(jobs.archive)[1])
    return {
        "model_name": model.name,
        "parts": [
            {
                "name": part.name,
                "sha256": part.sha256,
                "rows": part.rows,
                "there": part.name not in missing,
                "upload": {
                    "uri": each.source.uri,
                    "version_id": each.source.version_id,
                    "by": each.uploaded.by,
                    "at": each.uploaded.at,
                    "accepted": each.accepted,
                    "execution": each.source.execution,
                },
            }
            for part, each in zip(manifest.parts, lineages, strict=True)
        ],
        "dataset": {"version": manifest.dataset_version, "sha256": manifest.sha256, "rows": manifest.rows},
        "training_set": None
        if made is None
        else {
            "train_rows": made.train_rows,
            "held_out_rows": made.held_out_rows,
            "split": made.split.model_dump(mode="json"),
            "train_sha256": made.train_sha256,
            "held_out_sha256": made.held_out_sha256,
        },
        "training": _training(jobs, recorded, there=archive is not None),
        "archive": {"uri": jobs.archive, "there": archive is not None},
        "evaluation": _evaluation(jobs, recorded),
        "verdict": None if report is None else _verdict(report),
        "release": _release(model, models, report),
    }


def _training(jobs: Jobs, recorded: Recorded, *, there: bool) -> dict[str, Any]:
    record = recorded.archive(jobs).record if there else None
    return {
        "job": jobs.train["TrainingJobName"],
        "image": jobs.train["AlgorithmSpecification"]["TrainingImage"],
        "instance_type": jobs.train["ResourceConfig"].get("InstanceType"),
        "hyperparameters": jobs.train.get("HyperParameters") or {},
        "seconds": jobs.train.get("TrainingTimeInSeconds"),
        "began": jobs.train.get("TrainingStartTime"),
        "code_sha256": None if record is None else record.code_sha256,
        "plan_sha256": None if record is None else record.plan_sha256,
        "seed": None if record is None else record.seed,
        "python": None if record is None else record.python,
    }


def _evaluation(jobs: Jobs, recorded: Recorded) -> dict[str, Any] | None:
    found = recorded.evaluation(jobs)
    if found is None:
        return None
    champion = found.champion
    return {
        "uri": jobs.evaluation,
        "held_out_rows": found.held_out_rows,
        "held_out_sha256": found.held_out_sha256,
        "metrics": found.challenger.metrics,
        "unseen": found.challenger.unseen,
        "champion": None
        if champion is None
        else {
            "model_name": _named(champion.model_uri),
            "metrics": champion.metrics,
            "judged": champion.error is None,
            "unseen": champion.unseen,
        },
    }


def _verdict(report: Reported) -> dict[str, Any]:
    return {
        "outcome": report.outcome,
        "rules": report.rules,
        "report": report.report_uri,
    }


def _release(model: Model, models: Models, report: Reported | None) -> dict[str, Any]:
    """Say whether the model was released, instead of which one, and which took its place.

    The releases table knows the model in service alone; who came before and after whom is in the reports.
    """
    now = models.release()
    serving = now is not None and now["model_name"] == model.name
    was = serving or (report is not None and report.outcome == Outcome.DEPLOYED)
    before = None if report is None else _replaced(report)
    return {
        "released": was,
        "serving": serving,
        "released_at": now.get("released_at") if serving and now else None,
        "replaced": before if was else None,
        "replaced_by": _successor(model, models) if was and not serving else None,
    }


def _replaced(report: Reported) -> str | None:
    champion = None if report.evaluation is None else report.evaluation.champion
    return None if champion is None else _named(champion.model_uri)


def _successor(model: Model, models: Models) -> str | None:
    """Find the model that was deployed in the place of this one, by the reports that were written after its own."""
    for key in models.reports_after(model.execution):
        body = models.read(key)
        report = None if body is None else Reported.model_validate_json(body)
        if (
            report is not None
            and report.outcome == Outcome.DEPLOYED
            and report.model_uri is not None
            and _replaced(report) == model.name
        ):
            return _named(report.model_uri)
    return None


def _named(uri: str) -> str:
    return keys.model_name(naming.split_uri(uri)[1])


def lines(told: dict[str, Any]) -> Iterator[str]:
    """Describe a chain, a link after the other."""
    yield f"model {told['model_name']}"
    for part in told["parts"]:
        upload = part["upload"]
        yield f"\nupload        {upload['uri']}, version {upload['version_id'] or 'not kept'}"
        when = tables.moment(upload["at"] or upload["accepted"])
        yield f"              by {upload['by'] or 'not said'}, {when} UTC, in {upload['execution']}"
        gone = "" if part["there"] else ", whose file was deleted"
        yield f"part          {part['name']}, {part['rows']:,} rows{gone}"
    data = told["dataset"]
    yield f"\ndataset       {data['version']}, {data['rows']:,} rows that count"
    made = told["training_set"]
    if made is None:
        yield "training set  its summary is not there any more"
    else:
        share = f"{made['split']['held_out_share']:.0%} of the keys by hash"
        yield f"training set  {made['train_rows']:,} rows, {made['held_out_rows']:,} held out ({share})"
    yield from _training_lines(told["training"])
    there = "" if told["archive"]["there"] else ", which was deleted"
    yield f"archive       {told['archive']['uri']}{there}"
    yield from _judged_lines(told["evaluation"], told["verdict"])
    yield from _release_lines(told["release"])


def _training_lines(job: dict[str, Any]) -> Iterator[str]:
    seconds = "" if job["seconds"] is None else f", {job['seconds']:,} s"
    yield f"training job  {job['job']}, {job['instance_type']}{seconds}"
    yield f"              image {job['image']}"
    yield f"              code {job['code_sha256'] or 'not recorded'}"
    if job["plan_sha256"] is not None:
        yield f"              feature plan {job['plan_sha256']}"
    given = ", ".join(f"{name} {value}" for name, value in sorted(job["hyperparameters"].items()))
    yield f"              hyperparameters {given or 'none'}; seed {'–' if job['seed'] is None else job['seed']}"


def _judged_lines(judged: dict[str, Any] | None, verdict: dict[str, Any] | None) -> Iterator[str]:
    if judged is None:
        yield "evaluation    none"
    else:
        figures = ", ".join(f"{name} {value:.4f}" for name, value in judged["metrics"].items())
        yield f"evaluation    {judged['held_out_rows']:,} held-out rows: {figures}"
        champion = judged["champion"]
        if champion is None:
            yield "              there was no champion"
        elif not champion["judged"]:
            yield f"              the champion {champion['model_name']} could not be judged"
        else:
            shown = {True: "learned from none of them", None: "whether it learned from them is not recorded"}
            yield f"              against {champion['model_name']}, which {shown[champion['unseen']]}"
    if verdict is None:
        yield "verdict       no report: the execution has not ended, or somebody deleted it"
        return
    yield f"verdict       {verdict['outcome']}"
    for rule in verdict["rules"]:
        yield f"              {'✓' if rule['passed'] else '✗'} {rule['sentence']}"


def _release_lines(release: dict[str, Any]) -> Iterator[str]:
    if not release["released"]:
        yield "release       never"
        return
    when = f", {release['released_at']}" if release["released_at"] else ""
    yield f"release       in place of {release['replaced'] or 'none'}{when}"
    if release["serving"]:
        yield "endpoint      serves it now"
    elif release["replaced_by"]:
        yield f"endpoint      serves it no more: {release['replaced_by']} took its place"
    else:
        yield "endpoint      serves it no more; no report says what took its place"


def _iso(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} has no place in a chain")
    return value.isoformat()
