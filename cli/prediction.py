"""Predictions through InvokeEndpoint: rows of a file in, answers out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from cli.progress import say
from cli.stack import Stack
from sluice.errors import SluiceError
from sluice.project import Project

_BATCH_ROWS = 500  # far below the 6 MiB that InvokeEndpoint takes


def predict_file(stack: Stack, file: Path) -> Iterator[dict[str, Any]]:
    """Yield one prediction per row of a CSV, JSON or JSON Lines file, in order.

    Of a CSV only the model's features are sent (its target or key columns would be refused); null tokens
    of the project are sent as null. JSON is sent as it stands.

    Raises:
        SluiceError: no such file, or the endpoint refused a request.
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
        rows = csv.reader(source, delimiter=delimiter)
        header = next(rows, None)
        if header is None:
            raise SluiceError("the file is empty", where=str(file))
        kept = [i for i, name in enumerate(header) if features is None or name in features]
        left_out = [name for i, name in enumerate(header) if i not in set(kept)]
        if left_out:
            say(f"  left out, being no features of the model: {', '.join(left_out)}")
        while chunk := list(islice(rows, _BATCH_ROWS)):
            buffer = io.StringIO()
            writer = csv.writer(buffer, lineterminator="\n")
            writer.writerow([header[i] for i in kept])
            for number, row in enumerate(chunk):
                if len(row) != len(header):
                    raise SluiceError(
                        f"row {number + 1} of a batch has {len(row)} fields, the header {len(header)}",
                        where=str(file),
                    )
                writer.writerow(["" if row[i] in nulls else row[i] for i in kept])
            yield buffer.getvalue().encode()
