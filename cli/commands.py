"""The commands that work on a stack: up, down, upload, materialize, predict, run, demo."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from cli import (
    answers,
    batch,
    emptying,
    executions,
    failures,
    left_views,
    materialization,
    prediction,
    stack,
    tracked,
)
from cli.local_aws import LocalAws
from cli.progress import counted, say, step
from cli.serving import Served
from cli.toolchain import ROOT
from sluice import keys, naming
from sluice.errors import SluiceError
from sluice.outcomes import Outcome
from sluice.splits import KEY_COLUMN


def up(arguments: argparse.Namespace) -> int:
    """Start the local AWS with the project deployed, and stay until interrupted unless detached.

    Where the local AWS of this folder runs already, the project as it now is gets deployed to it.
    """
    project = failures.load_project(arguments.project)
    local = LocalAws(stack.data_folder() / "local")
    earlier = stack.running(naming.stack(project.name, "local"))
    before = left_views.tables(earlier) if earlier else set()
    try:
        deployed = stack.deploy(arguments.project, local, wake=True)
        deployed.save()
        say("\n".join(["", f"{arguments.project} is up:", *stack.describe(deployed)]))
        for note in left_views.notes(deployed, before):
            say(f"\n{note}")
        if arguments.detach or not local.is_ours:
            local.release()
            say("\nstop it with `sluice down`")
            return 0
        say("\nit stays up until you press Ctrl-C")
        local.wait()
    except KeyboardInterrupt:
        say("\nstopping")
    except BaseException:
        local.stop()
        raise
    local.stop()
    return 0


def down(_: argparse.Namespace) -> int:
    """Stop the local AWS of this folder. What it held was in memory and is gone."""
    stack.stop_detached(stack.saved()[0])
    return 0


def empty(arguments: argparse.Namespace) -> int:
    """Delete what executions made: the endpoint, its configurations and models, and every object of both buckets.

    `cdk destroy` then finds nothing in its way. Without --yes it says what it would delete, and deletes nothing.
    """
    try:
        target = stack.current(arguments.stack)
    except stack.NoStack as gone:
        if not arguments.stack:
            raise
        # `cdk destroy --all` takes the pipeline's stack first, and then stops at a bucket that is not empty.
        try:
            target = stack.current(f"{arguments.stack}-data")
        except stack.NoStack:
            raise gone from None
    deployment = emptying.Deployment(target)
    contents = deployment.contents()
    if not contents:
        say("there is nothing to delete")
        return 0
    say("\n".join(["this is deleted for good:", *(f"  {line}" for line in contents.lines())]))
    if not arguments.yes:
        say("\nnothing was deleted; add --yes to delete it")
        return 1
    if target.outputs["Environment"] == "prod" and not arguments.prod:
        raise emptying.NotEmptied(
            "this is a prod stack",
            where=target.outputs["EndpointName"],
            why="its data and its endpoint would be gone",
            fix="add --prod if that is what you want",
        )
    deployment.delete(contents)
    return 0


def upload(arguments: argparse.Namespace) -> int:
    """Put a file where the pipeline picks it up; with --wait, follow what comes of it.

    With --dvc, FILE is a .dvc file: what it tracks is copied within S3 where it is in this project's DVC remote
    already, and is uploaded from the working tree where it is not.
    """
    failures.readable_file(arguments.file, "FILE", "name a CSV, TSV or Parquet file")
    if arguments.key is not None and (not arguments.key or arguments.key.endswith("/")):
        raise SluiceError(
            "the key names no object",
            where=f"--key {arguments.key!r}",
            fix=f"name one, such as {keys.INCOMING_TRAINING}{arguments.file.name}, or leave it out",
        )
    target = stack.current(arguments.stack)
    place = keys.INCOMING_EVENTS if arguments.events else keys.INCOMING_TRAINING
    said = executions.caller(target)
    if arguments.dvc:
        done = tracked.upload(target, arguments.file, arguments.key, place, said)
    else:
        done = executions.upload(target, arguments.file, arguments.key, place, said)
    arn = executions.execution_arn(target, done)
    say(f"  ↑ {done.uri}\n  → {arn}")
    if not arguments.wait:
        return 0
    summary = executions.follow(target, arn)
    _show(summary, as_json=arguments.json)
    return Outcome(summary["outcome"]).exit_status


def materialize(arguments: argparse.Namespace) -> int:
    """Write features to the online store now; with --wait, follow it.

    It happens by itself after each upload, and on a schedule. What is there already is not written again.
    """
    as_of = None if arguments.moment is None else materialization.moment(arguments.moment)
    target = stack.current(arguments.stack)
    arn = materialization.start(target, dataset=arguments.dataset, as_of=as_of)
    say(f"  → {arn}")
    if not arguments.wait:
        return 0
    summary = materialization.follow(target, arn)
    if arguments.json:
        print(json.dumps(summary, indent=2, default=str))
    else:
        say(f"\n{summary['outcome']}")
        materialization.tell(summary)
    return 0 if summary["outcome"] == materialization.MATERIALIZED else 1


def predict(arguments: argparse.Namespace) -> int:
    """Predict entities by id, or the rows of a file: CSV in any delimiter, Parquet, JSON, JSON Lines, gzipped or not.

    By id, the endpoint reads the features from the online store; what a request brings itself is given by --with. A
    file whose columns are exactly the join keys and those fields asks by id, too. Any other file holds full rows: the
    columns the model takes are sent, others are left out. What is refused is told, and its prediction is left empty;
    the exit status is 1 then. Predictions are CSV, or what --output names.

    With --batch a transform job predicts the rows of a file of any size. The result lies in S3: the file's rows in
    their order, with prediction, probability and problem. --wait follows it, --output fetches the result.
    """
    if arguments.batch is not None:
        return _predict_batch(arguments)
    if arguments.wait:
        raise SluiceError(
            "--wait goes with --batch", where="--wait", fix="leave it out: --id and --file answer at once"
        )
    if arguments.file is not None:
        failures.readable_file(arguments.file, "--file", "name a CSV, Parquet, JSON or JSON Lines file")
        if arguments.given:
            raise SluiceError(
                "--with goes with --id", where="--with", fix="give the field as a column of the file"
            )
    output = None if arguments.output == Path("-") else arguments.output
    if output is not None:
        answers.check(output, arguments.file)
    served = Served.by(stack.current(arguments.stack))
    if arguments.file is None:
        records = served.by_id().records(arguments.id, arguments.given)
        made = prediction.predict_ids(served, records)
    else:
        served.describe()
        made = prediction.predict_file(served, arguments.file)
    refused = 0
    with closing(made) as predictions:

        def seen() -> Iterator[prediction.Answer]:
            nonlocal refused
            for answer in prediction.tell(predictions, names=arguments.id):
                refused += answer.prediction is None
                yield answer

        shown = output is None and sys.stdout.isatty()
        told = counted(seen(), "rows predicted", quiet=shown)
        answers.write(told, served.contract.target, output, as_json=arguments.json)
    return 1 if refused else 0


def _predict_batch(arguments: argparse.Namespace) -> int:
    output = None if arguments.output == Path("-") else arguments.output
    if arguments.given:
        raise SluiceError(
            "--with goes with --id", where="--with", fix="give the field as a column of the file"
        )
    if arguments.output is not None and not arguments.wait:
        raise SluiceError(
            "there is no result to write yet",
            where=f"--output {arguments.output}",
            fix="add --wait, or leave it out: the result stays in S3",
        )
    batch.check(arguments.batch, output)
    target = stack.current(arguments.stack)
    done = batch.bring(target, arguments.batch)
    arn = executions.execution_arn(target, done)
    say(f"  ↑ {done.uri}\n  → {arn}")
    if not arguments.wait:
        name = keys.predictions(
            arn.rsplit(":", 1)[1], ".parquet" if done.key.endswith(".parquet") else ".csv"
        )
        say(f"  the result will be {naming.uri(target.output('ArtifactsBucketName'), name)}")
        return 0
    summary = executions.follow(target, arn)
    _show(summary, as_json=arguments.json)
    if summary["outcome"] == Outcome.PREDICTED:
        batch.fetch(target, summary, output)
    return batch.status_of(summary)


def run(arguments: argparse.Namespace) -> int:
    """Everything once, unattended, in a local AWS of its own: deploy, upload, follow, predict, stop.

    Exits with 0 if the model was deployed and predicted, 3 if it did not pass its gates, 4 if it was rolled back,
    1 if something failed.
    """
    project = failures.load_project(arguments.project)
    if project.approval.expires_seconds("local") is not None:
        raise SluiceError(
            "nobody can approve a model of this run",
            where=f'{arguments.project / "project.toml"}: [approval] environments names "local"',
            why="the local AWS of a run is known to the run alone",
            fix="use `sluice up` and `sluice upload --wait`, or take `local` out",
        )
    failures.readable_file(arguments.data, "--data", "name a CSV, TSV or Parquet file")
    _check_folder(arguments.reports)
    reports = arguments.reports or stack.data_folder() / "runs" / project.name
    with tempfile.TemporaryDirectory(prefix="sluice-run-") as folder:
        local = LocalAws(Path(folder) / "local")
        try:
            deployed = stack.deploy(arguments.project, local, wake=True)
            summary = _train_and_predict(deployed, arguments.data, reports)
        finally:
            local.stop()
    _show(summary, as_json=arguments.json)
    return Outcome(summary["outcome"]).exit_status


def demo(arguments: argparse.Namespace) -> int:
    """examples/churn from its generator to predictions, with where to look at the end."""
    project = ROOT / "examples" / "churn"
    folder = stack.data_folder() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "transactions.csv"
    with step("generating transactions"):
        argv = [sys.executable, str(project / "generate.py"), "--out", str(data)]
        subprocess.run(argv, check=True, stdout=sys.stderr)
    local = LocalAws((stack.data_folder() if arguments.keep else folder) / "local")
    try:
        deployed = stack.deploy(project, local, wake=True)
        summary = _train_and_predict(deployed, data, folder)
        _show(summary, as_json=arguments.json)
    except BaseException:
        local.stop()
        raise
    say(f"\nwhere to look:\n  {folder / 'report.html'}  the report, as it also lies in S3")
    if arguments.keep and (runs := stack.runs_page(deployed)) is not None:
        say(f"  {runs}  MLflow's page: the run and the registered model")
    if arguments.keep:
        deployed.save()
        local.release()
        say("\n".join([*stack.describe(deployed), "", "it stays up until `sluice down`"]))
    else:
        local.stop()
        say(
            f"  {folder / 'local'}  logs of the local AWS and of the CDK CLI\n"
            "stopped; `sluice demo --keep` leaves it running, for the aws CLI, `sluice upload`, `sluice predict`"
        )
    return Outcome(summary["outcome"]).exit_status


def _check_folder(folder: Path | None) -> None:
    """Check that reports can be written to a folder, which need not be there yet."""
    if folder is None:
        return
    there = next(each for each in (folder, *folder.resolve().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise failures.FileTrouble(
            f"nothing can be written to {there}", where="--reports", fix="name a folder that can be written"
        )


def _train_and_predict(deployed: stack.Stack, data: Path, reports: Path) -> dict[str, Any]:
    done = executions.upload(deployed, data)
    say(f"  ↑ {done.uri}")
    summary = executions.follow(deployed, executions.execution_arn(deployed, done))
    if summary["outcome"] == Outcome.DEPLOYED:
        with step("predictions for held-out rows"):
            summary["predictions"] = _predict_held_out(deployed, summary)
        for line in map(json.dumps, summary["predictions"]):
            say(f"      {line}")
    _keep_reports(deployed, summary, reports)
    if summary["outcome"] == Outcome.DEPLOYED and materialization.OUTPUT in deployed.outputs:
        _predict_by_id(deployed, summary)
    return summary


def _predict_by_id(deployed: stack.Stack, summary: dict[str, Any]) -> None:
    """Ask the endpoint by the held-out rows' ids: a model is deployed when its features are in the online store."""
    done = materialization.follow(deployed, materialization.of(deployed, summary["execution_arn"]))
    summary["materialization"] = done
    materialization.tell(done)
    served = Served.by(deployed)
    entities = served.entities
    if entities is None or entities.fields or len(entities.keys) != 1:
        say("  predict by id with what only a request knows: `sluice predict --help`")
        return
    (key,) = entities.keys
    with step(f"predictions by {key.name}"):
        ids = _held_out_ids(deployed, summary)
        told = []
        for answer in prediction.predict_ids(served, entities.records(ids, [])):
            found = answer.prediction or {"problem": answer.problem}
            told.append({key.name: ids[answer.number - 1], **found})
        summary["predictions_by_id"] = told
    for line in map(json.dumps, summary["predictions_by_id"]):
        say(f"      {line}")


def _held_out_ids(deployed: stack.Stack, summary: dict[str, Any], most: int = 3) -> list[str]:
    """Give the entities of the first held-out rows, each once."""
    import pyarrow.parquet as pq

    column = pq.read_table(_held_out(deployed, summary), columns=[KEY_COLUMN])[KEY_COLUMN]
    return [str(each) for each in column.unique().to_pylist()[:most]]


def _held_out(deployed: stack.Stack, summary: dict[str, Any]) -> io.BytesIO:
    execution = summary["execution_arn"].rsplit(":", 1)[-1]
    answer = deployed.client("s3").get_object(
        Bucket=deployed.output("ArtifactsBucketName"), Key=keys.held_out(execution)
    )
    return io.BytesIO(answer["Body"].read())


def _keep_reports(deployed: stack.Stack, summary: dict[str, Any], folder: Path) -> None:
    """Copy what a person wants to read out of the local S3, which is gone when the command ends."""
    if not summary.get("report_uri"):
        return
    folder.mkdir(parents=True, exist_ok=True)
    page_uri = summary["report_uri"].removesuffix(".json") + ".html"
    for uri in filter(None, (page_uri, summary["report_uri"], summary.get("quarantine_uri"))):
        bucket, key = naming.split_uri(uri)
        deployed.client("s3").download_file(bucket, key, str(folder / key.rsplit("/", 1)[-1]))
    summary["report_file"] = str(folder / "report.html")


def _predict_held_out(deployed: stack.Stack, summary: dict[str, Any], rows: int = 3) -> list[dict[str, Any]]:
    """Send the first held-out rows of the execution to the endpoint."""
    import pyarrow.parquet as pq

    served = Served.by(deployed)
    held_out = _held_out(deployed, summary)
    columns = pq.read_table(held_out, columns=list(served.contract.names)).slice(0, rows).to_pydict()
    return prediction.Asked(served).predictions(served.contract.records(columns))


def _show(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary, indent=2, default=str))
        return
    say(f"\n{summary['outcome']}")
    shown = (
        "dataset_version",
        "rows",
        "rejected_rows",
        "scoring",
        "model_version",
        "endpoint_name",
        "report_uri",
        "report_file",
    )
    for key in shown:
        if summary.get(key) is not None:
            say(f"  {key.replace('_', ' '):<17} {summary[key]}")
    for name, value in (summary.get("metrics") or {}).items():
        say(f"  {name:<17} {value:.4f}")
    for line in [*(summary.get("reasons") or []), *(summary.get("notes") or [])]:
        say(f"  - {line}")
    if "error" in summary:
        say(f"  {summary['error']}: {summary['cause']}")


def fail(error: SluiceError, *, as_json: bool) -> int:
    """Say what went wrong before, or outside of, an execution."""
    if as_json:
        print(json.dumps({"outcome": "Failed", "error": error.name, "cause": str(error)}, indent=2))
    say(f"{error.name}: {error}")
    return 1
