"""Predictions through InvokeEndpoint: rows of a file in, answers out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from cli.progress import say
from cli.stack import Stack
from sluice.datasets.header import read_header
from sluice.errors import SluiceError
from sluice.project import Project

_HEAD_CHARACTERS = 1 << 16
_BATCH_ROWS = 500  # far below the 6 MiB that InvokeEndpoint takes


def predict_file(stack: Stack, file: Path) -> Iterator[dict[str, Any]]:
    """Yield one prediction per row of a CSV, JSON or JSON Lines file, in order.

    Of a CSV only the model's features are sent (its target or key columns would be refused); null tokens
    of the project are sent as null. JSON is sent as it stands.

    Raises:
        SluiceError: no such file, no rows in it, a column missing, or the endpoint refused a request.
    """
    if not file.is_file():
        raise SluiceError("there is no such file", where=str(file))
    if file.suffix in {".json", ".jsonl", ".ndjson"}:
        content_type = "application/json" if file.suffix == ".json" else "application/jsonlines"
        yield from invoke(stack, file.read_bytes(), content_type)
        return
    for batch in _csv_batches(stack, file):
        yield from invoke(stack, batch, "text/csv")


def invoke(stack: Stack, body: bytes, content_type: str) -> list[dict[str, Any]]:
    """Send one request and return its predictions.

    Raises:
        SluiceError: the endpoint answered with an error; the text is the container's.
    """
    runtime = stack.client("sagemaker-runtime")
    try:
        response = runtime.invoke_endpoint(
            EndpointName=stack.outputs["EndpointName"],
            ContentType=content_type,
            Accept="application/json",
            Body=body,
        )
    except runtime.exceptions.ModelError as error:
        message = error.response.get("OriginalMessage", str(error))
        raise SluiceError(
            "the model refused the request", where=stack.outputs["EndpointName"], why=message
        ) from error
    predictions: list[dict[str, Any]] = json.loads(response["Body"].read())["predictions"]
    return predictions


def _csv_batches(stack: Stack, file: Path) -> Iterator[bytes]:
    project = Project.load(Path(stack.project_folder)) if stack.project_folder else None
    features = [*project.features.numeric, *project.features.categorical] if project else None
    nulls = set(project.data.null_values) if project else {""}
    delimiter = project.data.delimiter if project else ","
    with file.open(newline="", encoding="utf-8-sig") as source:
        header = read_header(source.read(_HEAD_CHARACTERS), delimiter)
        if not any(header.names):
            raise SluiceError("the file is empty", where=str(file))
        source.seek(0)
        rows = filter(None, csv.reader(islice(source, header.lines, None), delimiter=delimiter))
        kept = [i for i, name in enumerate(header.names) if features is None or name in features]
        _require_all(features or [], header.names, file)
        left_out = [name for i, name in enumerate(header.names) if i not in set(kept)]
        if left_out:
            say(f"  left out, being no features of the model: {', '.join(left_out)}")
        done = 0
        while chunk := list(islice(rows, _BATCH_ROWS)):
            buffer = io.StringIO()
            writer = csv.writer(buffer, lineterminator="\n")
            writer.writerow([header.names[i] for i in kept])
            for number, row in enumerate(chunk, start=done + 1):
                if len(row) != len(header.fields):
                    raise SluiceError(
                        f"row {number:,} has {len(row)} fields, the header {len(header.fields)}",
                        where=str(file),
                    )
                values = [row[i].strip() for i in kept]
                writer.writerow(["" if value in nulls else value for value in values])
            yield buffer.getvalue().encode()
            done += len(chunk)
        if not done:
            raise SluiceError("the file has a header and no rows", where=str(file))


def _require_all(features: Sequence[str], names: Sequence[str], file: Path) -> None:
    missing = [name for name in features if name not in names]
    if missing:
        raise SluiceError(
            f"columns the model takes are missing: {', '.join(map(repr, missing))}",
            where=str(file),
            why=f"its first line has to be a header; it reads {', '.join(map(repr, names))}",
            fix="send the columns of the training data, with their header; the target may be left out",
        )
