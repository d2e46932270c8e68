"""Rows as request bodies in each server's dialect, and its answers as probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from benchmarks.serving.model import Example, Record

SINGLES = 256
"""Distinct requests of one row."""

BATCH_ROWS = 1_000
BATCHES = 4
"""Distinct requests of BATCH_ROWS rows."""


@dataclass(frozen=True)
class Dialect:
    """How a server is asked and answers.

    Attributes:
        path: of the URL.
        content_type: of the body, and what is accepted.
        write: gives the body for rows.
        read: gives the positive class's probabilities out of an answer, one a row.
    """

    path: str
    content_type: str
    write: Callable[[Sequence[Record]], bytes]
    read: Callable[[bytes], list[float]]

    def request(self, rows: Sequence[Record]) -> bytes:
        """Give a whole HTTP request."""
        body = self.write(rows)
        return (
            f"POST {self.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {self.content_type}\r\n"
            f"accept: {self.content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body


@dataclass(frozen=True)
class Work:
    """Requests with the rows they hold: request i holds the rows from i * rows_each on.

    Attributes:
        requests: whole HTTP requests.
        rows_each: rows in each.
        expected: the probabilities that each has to be answered with.
        read: as in Dialect.
    """

    requests: list[bytes]
    rows_each: int
    expected: list[list[float]]
    read: Callable[[bytes], list[float]]


def work(example: Example, dialect: Dialect, rows_each: int, count: int) -> Work:
    """Write `count` requests of the example's first rows."""
    starts = [i * rows_each for i in range(count)]
    if starts[-1] + rows_each > len(example.rows):
        raise ValueError(f"{count} requests of {rows_each} rows: there are {len(example.rows)} rows")
    return Work(
        [dialect.request(example.rows[start : start + rows_each]) for start in starts],
        rows_each,
        [example.expected[start : start + rows_each].tolist() for start in starts],
        dialect.read,
    )


def csv(rows: Sequence[Record]) -> bytes:
    """Write CSV in contract order without a header: as SageMaker's own algorithms take it."""
    return b"".join(_csv_line(list(row.values())) for row in rows)


def csv_with_header(rows: Sequence[Record]) -> bytes:
    return ",".join(rows[0]).encode() + b"\n" + csv(rows)


def _csv_line(values: list[float | str | None]) -> bytes:
    fields = ("" if v is None else v if isinstance(v, str) else repr(v) for v in values)
    return ",".join(fields).encode() + b"\n"


def record_or_instances(rows: Sequence[Record]) -> bytes:
    """Write one record as it is, many as SageMaker's and TensorFlow Serving's instances."""
    return orjson.dumps(rows[0] if len(rows) == 1 else {"instances": list(rows)})


def instances(rows: Sequence[Record]) -> bytes:
    return orjson.dumps({"instances": list(rows)})


def records(rows: Sequence[Record]) -> bytes:
    return orjson.dumps(list(rows))


def rows_argument(rows: Sequence[Record]) -> bytes:
    return orjson.dumps({"rows": list(rows)})


def dataframe_split(rows: Sequence[Record]) -> bytes:
    return orjson.dumps(
        {"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}}
    )


def open_inference(rows: Sequence[Record]) -> bytes:
    """Write the V2 protocol: an input for each column."""
    inputs = []
    for name in rows[0]:
        values = [row[name] for row in rows]
        text = any(isinstance(value, str) for value in values) or name.startswith("category")
        inputs.append(
            {"name": name, "shape": [len(rows), 1], "datatype": "BYTES" if text else "FP64", "data": values}
        )
    # With an id of ours the answer is the same each time.
    return orjson.dumps({"id": "1", "parameters": {"content_type": "pd"}, "inputs": inputs})


def read_csv(body: bytes) -> list[float]:
    return [float(line) for line in body.split()]


def read_labelled(body: bytes) -> list[float]:
    """Read our own answers: a label and the positive class's probability a row."""
    return [prediction["probability"] for prediction in orjson.loads(body)["predictions"]]


def read_predictions(body: bytes) -> list[float]:
    return [float(value) for value in orjson.loads(body)["predictions"]]


def read_both_classes(body: bytes) -> list[float]:
    return [float(positive) for _, positive in orjson.loads(body)["predictions"]]


def read_list(body: bytes) -> list[float]:
    return [float(value) for value in orjson.loads(body)]


def read_open_inference(body: bytes) -> list[float]:
    (output,) = orjson.loads(body)["outputs"]
    return [float(value) for value in output["data"]]
