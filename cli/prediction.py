"""Predictions through InvokeEndpoint: the rows of a file in, an answer for each of them out."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cli.progress import say
from cli.rows import Record, Row, read_rows
from cli.serving import Served
from sluice.contract import ModelContract
from sluice.errors import RequestError, SluiceError

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
MOST_BYTES = 6_291_456
MOST_ROWS = 500
_REFUSED = (400, 422)
_UNSUPPORTED = 415
_ENOUGH_REFUSED = 20
_OF_ONE = re.compile(r"^row 1(, |: )")


class Refused(SluiceError):
    """The endpoint refused a request, or so many of them that the file cannot be meant for it."""


@dataclass(frozen=True)
class Answer:
    """What came of one row: a prediction, as the endpoint writes it, or none and the problem."""

    number: int
    prediction: dict[str, Any] | None
    problem: str = ""


def predict_file(served: Served, file: Path) -> Generator[Answer, None, None]:
    """Yield an answer for each row of a file, in its order.

    Raises:
        SluiceError: no rows can be had from the file, or a column is missing.
        Refused: half of all rows, and at least twenty, were refused.
    """
    asked = Asked(served)
    refused = 0
    # Closed, whatever comes: the file, and what was unpacked of it.
    with closing(read_rows(file, served.contract, lambda names: served.missing(names, file))) as rows:
        for answer in (answer for request in in_requests(rows) for answer in asked.answers(request)):
            refused += answer.prediction is None
            if refused >= _ENOUGH_REFUSED and 2 * refused > answer.number:
                raise Refused(
                    f"{refused:,} of the first {answer.number:,} rows were refused",
                    where=f"{file}, row {answer.number:,}",
                    why=answer.problem,
                    fix=f"look at the file: the model takes {_listed(served.contract.names)}",
                )
            yield answer


@dataclass(frozen=True)
class Written:
    """A row as a line of JSON Lines; one without a line is not sent."""

    row: Row
    line: bytes = b""


def in_requests(
    rows: Iterable[Row], most_rows: int = MOST_ROWS, most_bytes: int = MOST_BYTES
) -> Iterator[list[Written]]:
    """Part rows into requests of at most `most_rows` rows and `most_bytes` bytes, in order.

    A row that is too long for a request of its own comes without a line, and with the problem.
    """
    request: list[Written] = []
    size = 0
    for row in rows:
        written = _written(row, most_bytes)
        if request and (len(request) == most_rows or size + len(written.line) > most_bytes):
            yield request
            request, size = [], 0
        request.append(written)
        size += len(written.line)
    if request:
        yield request


def _written(row: Row, most_bytes: int) -> Written:
    if row.record is None:
        return Written(row)
    # A lone surrogate, which JSON may hold, is no UTF-8: the endpoint says so.
    line = json.dumps(row.record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    if len(line) + 1 > most_bytes:
        problem = f"it takes {len(line) + 1:,} bytes, and a request {most_bytes:,} at most"
        return Written(Row(row.number, None, problem))
    return Written(row, line + b"\n")


@dataclass
class Asked:
    """An endpoint that is asked, in JSON Lines, or in the CSV that an image of the user's own reads."""

    served: Served
    _as_csv: bool = field(default=False, init=False)

    def predictions(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        """Predict records of plain values.

        Raises:
            Refused: the endpoint refused one of them.
        """
        answers = [
            answer
            for request in in_requests(Row(number, each) for number, each in enumerate(records, start=1))
            for answer in self.answers(request)
        ]
        for answer in answers:
            if answer.prediction is None:
                raise Refused(
                    "the model refused a row",
                    where=f"{self.served.endpoint}, row {answer.number}",
                    why=answer.problem,
                )
        return [answer.prediction for answer in answers if answer.prediction is not None]

    def answers(self, request: Sequence[Written]) -> Iterator[Answer]:
        """Send rows and yield what comes of each; which of them are refused shows when fewer are sent at a time."""
        sent = [each for each in request if each.line]
        predictions = iter(self._predictions(sent))
        for each in request:
            if each.line:
                yield next(predictions)
            else:
                yield Answer(each.row.number, None, each.row.problem)

    def _predictions(self, rows: Sequence[Written]) -> Iterator[Answer]:
        if not rows:
            return
        try:
            found = self._invoke(rows)
        except _RefusedRows as refusal:
            if len(rows) == 1:
                yield Answer(rows[0].row.number, None, _OF_ONE.sub("", str(refusal)))
                return
            half = len(rows) // 2
            yield from self._predictions(rows[:half])
            yield from self._predictions(rows[half:])
            return
        if len(found) != len(rows):
            raise Refused(
                f"the endpoint answered {len(found):,} predictions to {len(rows):,} rows",
                where=self.served.endpoint,
                fix="look into the model's container: it has to answer one a row",
            )
        for each, prediction in zip(rows, found, strict=True):
            yield Answer(each.row.number, prediction)

    def _invoke(self, rows: Sequence[Written]) -> list[dict[str, Any]]:
        if not self._as_csv:
            try:
                return self._sent(b"".join(each.line for each in rows), "application/jsonlines")
            except _Unsupported:
                # An image of the user's own; docs/project.md says that it has to read CSV.
                self._as_csv = True
        # Never longer than its JSON, which names the columns in each row.
        records = [each.row.record for each in rows if each.row.record is not None]
        try:
            return self._sent(_as_csv(records, self.served.contract), "text/csv")
        except _Unsupported as error:
            raise Refused(
                "the endpoint reads neither JSON Lines nor CSV", where=self.served.endpoint, why=str(error)
            ) from None

    def _sent(self, body: bytes, content_type: str) -> list[dict[str, Any]]:
        runtime = self.served.runtime
        try:
            response = runtime.invoke_endpoint(
                EndpointName=self.served.endpoint,
                ContentType=content_type,
                Accept="text/csv" if self._as_csv else "application/json",
                Body=body,
            )
        except runtime.exceptions.ModelError as error:
            raise self._refusal(error) from error
        answer: bytes = response["Body"].read()
        if response["ContentType"].startswith("application/json"):
            predictions: list[dict[str, Any]] = json.loads(answer)["predictions"]
            return predictions
        return [self.served.named(line) for line in answer.decode().split("\n") if line.strip()]

    def _refusal(self, error: ClientError) -> Exception:
        response: Any = error.response
        status = int(response.get("OriginalStatusCode", 0))
        message = _message(response.get("OriginalMessage", str(error)))
        if status in _REFUSED:
            return _RefusedRows(message)
        if status == _UNSUPPORTED:
            return _Unsupported(message)
        return Refused(
            f"the model failed ({status})" if status else "the model did not answer",
            where=self.served.endpoint,
            why=message,
            fix=f"read the endpoint's log, /aws/sagemaker/Endpoints/{self.served.endpoint}",
        )


class _RefusedRows(Exception):
    """The endpoint refused a request for what is in it."""


class _Unsupported(Exception):
    """The endpoint does not read this type."""


def _message(text: str) -> str:
    """Give the container's message alone, where it comes as Sluice's JSON."""
    try:
        document = json.loads(text)
    except ValueError:
        return text
    found = document.get("message") if isinstance(document, dict) else None
    return found if isinstance(found, str) else text


def _as_csv(records: Sequence[Record], contract: ModelContract) -> bytes:
    """Write records as docs/project.md promises an image of the user's own: 36.0 for 36, nothing for null.

    Raises:
        _RefusedRows: one breaks the contract, which such an image knows nothing of.
    """
    try:
        columns = contract.columns_from_records(records)
    except RequestError as error:
        raise _RefusedRows(str(error)) from None
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in zip(*columns.values(), strict=True):
        writer.writerow(["" if value is None or value != value else value for value in row])
    return buffer.getvalue().encode()


def tell(answers: Iterable[Answer], most: int = _ENOUGH_REFUSED) -> Iterator[Answer]:
    """Pass answers on, and tell the first rows without a prediction by their numbers, and how many there are."""
    rows = refused = 0
    for answer in answers:
        rows += 1
        if answer.prediction is None:
            refused += 1
            if refused <= most:
                say(f"  row {answer.number:,}: {answer.problem}")
        yield answer
    if refused:
        more = f" (the first {most} are told above)" if refused > most else ""
        say(f"{refused:,} of {rows:,} rows were refused{more}; their predictions are left empty")


def _listed(names: Sequence[str], most: int = 40) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
