"""Batch prediction from a client's side: bring a file of rows, follow its execution, fetch the result."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from cli import answers, executions, failures
from cli.executions import Upload
from cli.progress import say, step
from cli.stack import Stack
from sluice import keys, naming
from sluice.datasets import signatures
from sluice.errors import SluiceError
from sluice.outcomes import Outcome

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
_COPY_LIMIT = 5 * 1024**3
_FIX = "name a CSV, TSV or Parquet file, or an object, s3://BUCKET/KEY"


def check(given: str, output: Path | None) -> None:
    """Check, before anything is asked, that a file can be brought and its result be written to `output`.

    Raises:
        SluiceError: it cannot.
    """
    if _is_uri(given):
        bucket, _, key = given.removeprefix("s3://").partition("/")
        if not bucket or not key or key.endswith("/"):
            raise SluiceError("the URI names no object", where=f"--batch {given}", fix=_FIX)
        file = None
    else:
        file = Path(given)
        failures.readable_file(file, "--batch", _FIX)
    if output is None:
        return
    answers.check(output, file)
    if file is not None and _is_parquet(file) != (output.suffix.lower() == ".parquet"):
        kind = ".parquet" if _is_parquet(file) else ".csv"
        raise SluiceError(
            f"the result of this file is {kind}",
            where=f"--output {output}",
            why="a CSV becomes a CSV, a Parquet file becomes a Parquet file",
            fix=f"name it {output.with_suffix(kind).name}",
        )


def bring(stack: Stack, given: str) -> Upload:
    """Put a file, or a copy of an object, where the pipeline picks up rows to be predicted.

    Raises:
        SluiceError: there is no such object.
    """
    said = executions.caller(stack)
    if _is_uri(given):
        return _copied(stack, *naming.split_uri(given), said)
    return executions.upload(stack, Path(given), None, keys.INCOMING_BATCH, said)


def fetch(stack: Stack, summary: dict[str, Any], output: Path | None) -> None:
    """Tell what became of the rows, and where the result is; with `output` it is written there.

    Raises:
        SluiceError: it is of another format than `output` says.
    """
    batch = summary["batch"]
    say(f"  {'rows predicted':<17} {batch['predicted']:,}\n  {'rows set aside':<17} {batch['set_aside']:,}")
    for each in batch["reasons"]:
        first = ", ".join(map(str, each["first"])) + (", …" if each["rows"] > len(each["first"]) else "")
        say(f"    {each['reason']} ({each['rows']:,} ×, row {first})")
    uri: str = batch["predictions_uri"]
    if output is None:
        say(f"  {'result':<17} {uri}")
        return
    bucket, key = naming.split_uri(uri)
    if PurePosixPath(key).suffix != output.suffix.lower():
        raise SluiceError(
            f"the result is {PurePosixPath(key).suffix}, and is not written as {output.suffix or 'that'}",
            where=f"--output {output}",
            why="a CSV becomes a CSV, a Parquet file becomes a Parquet file",
            fix=f"`aws s3 cp {uri} .`",
        )
    partial = output.with_name(f".{output.name}.partial")
    try:
        with step(f"→ {output}"):
            stack.client("s3").download_file(bucket, key, str(partial))
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def status_of(summary: dict[str, Any]) -> int:
    """Give the status to end with: the outcome's, but 1 where a row has no prediction, as for any `predict`."""
    outcome = Outcome(summary["outcome"])
    if outcome is Outcome.PREDICTED and summary["batch"]["set_aside"]:
        return 1
    return outcome.exit_status


def _is_uri(given: str) -> bool:
    return given.startswith("s3://")


def _is_parquet(file: Path) -> bool:
    """Tell whether a file is brought as one: by its name, or where that says nothing, by how it begins."""
    suffix = file.suffix.lower()
    if suffix in keys.TRAINING_SUFFIXES:
        return suffix == ".parquet"
    with file.open("rb") as body:
        return signatures.is_parquet(body.read(4))


def _copied(stack: Stack, bucket: str, key: str, said: dict[str, str]) -> Upload:
    s3 = stack.client("s3")
    origin = {"Bucket": bucket, "Key": key}
    try:
        size = s3.head_object(**origin)["ContentLength"]
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404:
            raise
        raise SluiceError(
            "there is no such object", where=f"--batch {naming.uri(bucket, key)}", fix=_FIX
        ) from None

    def start() -> bytes:
        body: bytes = s3.get_object(**origin, Range="bytes=0-3")["Body"].read()
        return body

    uploads = stack.output("UploadsBucketName")
    target = keys.INCOMING_BATCH + executions.name_with_format(PurePosixPath(key).name, start)
    # Also onto itself, which is a new version: each time somebody asks is an execution of its own.
    more = {"Metadata": executions.metadata(said), "MetadataDirective": "REPLACE"}
    if size <= _COPY_LIMIT:
        version_id = s3.copy_object(Bucket=uploads, Key=target, CopySource=origin, **more)["VersionId"]
    else:
        s3.copy(origin, uploads, target, ExtraArgs=more)
        version_id = s3.head_object(Bucket=uploads, Key=target)["VersionId"]
    return Upload(uploads, target, version_id)
