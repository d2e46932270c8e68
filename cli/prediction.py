"""Predictions through InvokeEndpoint: rows of a file in, answers out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from cli.progress import say
from cli.stack import Stack
from sluice.datasets.header import Header, read_header
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
    asked = _Asked.of(stack)
    with file.open(newline="", encoding="utf-8-sig") as source:
        header = _header(source, file, asked)
        for rows in _in_batches(_rows(source, file, header, asked)):
            yield from invoke(stack, _as_csv(rows, header, asked), "text/csv")


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


@dataclass(frozen=True)
class _Asked:
    """What is known of the model's input: how the file is written, and which columns it takes."""

    delimiter: str = ","
    nulls: frozenset[str] = frozenset({""})
    features: tuple[str, ...] | None = None
    """None: not known, so every column is sent."""

    @classmethod
    def of(cls, stack: Stack) -> _Asked:
        if not stack.project_folder:
            return cls()
        project = Project.load(Path(stack.project_folder))
        return cls(project.data.delimiter, frozenset(project.data.null_values), project.features.names)

    def takes(self, header: Header) -> list[int]:
        """The positions of the columns that are sent."""
        return [i for i, name in enumerate(header.names) if self.features is None or name in self.features]


def _header(source: TextIO, file: Path, asked: _Asked) -> Header:
    """Read the header, and leave `source` at its beginning."""
    header = read_header(source.read(_HEAD_CHARACTERS), asked.delimiter)
    if not any(header.names):
        raise SluiceError("the file is empty", where=str(file))
    _require_all(asked.features or (), header.names, file)
    sent = set(asked.takes(header))
    left_out = [name for i, name in enumerate(header.names) if i not in sent]
    if left_out:
        say(f"  left out, being no features of the model: {', '.join(left_out)}")
    source.seek(0)
    return header


def _rows(source: TextIO, file: Path, header: Header, asked: _Asked) -> Iterator[list[str]]:
    """Read the rows below the header."""
    number = 0
    for row in csv.reader(islice(source, header.lines, None), delimiter=asked.delimiter):
        if not row:
            continue
        number += 1
        if len(row) != len(header.fields):
            raise SluiceError(
                f"row {number:,} has {len(row)} fields, the header {len(header.fields)}", where=str(file)
            )
        yield row
    if not number:
        raise SluiceError("the file has a header and no rows", where=str(file))


def _in_batches(rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    while batch := list(islice(rows, _BATCH_ROWS)):
        yield batch


def _as_csv(rows: Sequence[Sequence[str]], header: Header, asked: _Asked) -> bytes:
    """Write what is sent of some rows: the model's columns, with nothing for a null."""
    sent = asked.takes(header)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([header.names[i] for i in sent])
    for row in rows:
        values = [row[i].strip() for i in sent]
        writer.writerow(["" if value in asked.nulls else value for value in values])
    return buffer.getvalue().encode()


def _require_all(features: Sequence[str], names: Sequence[str], file: Path) -> None:
    missing = [name for name in features if name not in names]
    if missing:
        raise SluiceError(
            f"columns the model takes are missing: {', '.join(map(repr, missing))}",
            where=str(file),
            why=f"its first line has to be a header; it reads {', '.join(map(repr, names))}",
            fix="send the columns of the training data, with their header; the target may be left out",
        )
