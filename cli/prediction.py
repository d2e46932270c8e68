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
_MISSING = (404, 409)
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
    is_missing: bool = False
    """It was asked by id, and the online store has no features of it, or none to be used."""


def predict_file(served: Served, file: Path) -> Generator[Answer, None, None]:
    """Yield an answer for each row of a file, in its order.

    A file whose columns are exactly those of a request by id is one; every other one holds full rows.

    Raises:
        SluiceError: no rows can be had from the file, or a column is missing.
        Refused: half of all rows, and at least twenty, were refused.
    """
    asked = Asked(served)
    refused = 0
    contract = _contract_of(served, file)
    # Closed, whatever comes: the file, and what was unpacked of it.
    with closing(read_rows(file, contract, lambda names: served.missing(names, file))) as rows:
        for answer in (answer for request in in_requests(rows) for answer in asked.answers(request)):
            # That entities are unknown is no mistake of the file.
            refused += answer.prediction is None and not answer.is_missing
            if refused >= _ENOUGH_REFUSED and 2 * refused > answer.number:
                raise Refused(
                    f"{refused:,} of the first {answer.number:,} rows were refused",
                    where=f"{file}, row {answer.number:,}",
                    why=answer.problem,
                    fix=f"look at the file: the model takes {_listed(contract.names)}",
                )
            yield answer


def predict_ids(served: Served, records: Sequence[Record]) -> Generator[Answer, None, None]:
    """Yield an answer for each record of join keys and request fields, in order."""
    asked = Asked(served)
    rows = (Row(number, record) for number, record in enumerate(records, start=1))
    yield from (answer for request in in_requests(rows) for answer in asked.answers(request))


def _contract_of(served: Served, file: Path) -> ModelContract:
    """Give the contract that the rows of a file follow: the model's, or that of requests by id."""
    entities = served.entities
    if entities is None:
        return served.contract
    try:
        names: list[str] = []
        with closing(read_rows(file, entities.contract, _OtherColumns, names.extend)) as rows:
            next(rows, None)
    except _OtherColumns:
        return served.contract
    return entities.contract if entities.are_columns(names) else served.contract


class _OtherColumns(Exception):
    """A file does not hold the columns that were looked for."""


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
        except _MissingFeatures as missing:
            if len(rows) == 1:
                yield _without(rows[0].row.number, missing.document)
                return
            half = len(rows) // 2
            yield from self._predictions(rows[:half])
            yield from self._predictions(rows[half:])
            return
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
            if "error" in prediction and "message" in prediction:
                yield _without(each.row.number, prediction)
            else:
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
        text = response.get("OriginalMessage", str(error))
        message = _message(text)
        document = _document(text)
        if status in _MISSING and document.get("error") in _TO_DO:
            return _MissingFeatures(document)
        if document.get("error") == _UNAVAILABLE:
            return Refused(
                "the endpoint cannot read the online store",
                where=self.served.endpoint,
                why=_in_one_line(message),
                fix="try again in a moment; docs/features.md says how a table that is gone is made anew",
            )
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


class _MissingFeatures(Exception):
    """A request of one entity, whose features are not there."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        super().__init__()


_UNAVAILABLE = "FeatureStoreUnavailable"
_TO_DO = {
    "UnknownEntity": "upload its events, and `sluice materialize --wait`, or mend the id",
    "StaleFeatures": "write them again: `sluice materialize --wait`",
    "IncompleteFeatures": "write them again: `sluice materialize --wait`, or send full rows",
}
"""By the container's error: what somebody at this command line does about it."""


def _without(number: int, document: dict[str, Any]) -> Answer:
    """Say of an entity without a prediction, in one sentence, what is missing and what to do."""
    lines = str(document["message"]).splitlines()
    why = [line.split(None, 1)[-1] for line in lines[1:] if line.startswith("  why ")]
    told = lines[0] + (f" ({why[0]})" if why else "")
    to_do = _TO_DO.get(str(document["error"]), "")
    return Answer(number, None, f"{told}: {to_do}" if to_do else told, is_missing=True)


def _in_one_line(message: str) -> str:
    return "; ".join(" ".join(line.split()) for line in message.splitlines())


def _document(text: str) -> dict[str, Any]:
    """Give the container's answer where it comes as Sluice's JSON, else nothing."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) and isinstance(document.get("message"), str) else {}


def _message(text: str) -> str:
    """Give the container's message alone, where it comes as Sluice's JSON."""
    return str(_document(text).get("message", text))


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


def tell(
    answers: Iterable[Answer], most: int = _ENOUGH_REFUSED, names: Sequence[str] = ()
) -> Iterator[Answer]:
    """Pass answers on, and tell the first rows without a prediction by their numbers, and how many there are.

    Rows with `names`, as --id gives them, are told by those.
    """
    rows = refused = 0
    for answer in answers:
        rows += 1
        if answer.prediction is None:
            refused += 1
            if refused <= most:
                name = names[answer.number - 1] if names else f"row {answer.number:,}"
                say(f"  {name}: {answer.problem}")
        yield answer
    if refused:
        more = f" (the first {most} are told above)" if refused > most else ""
        what = "ids have no prediction" if names else "rows were refused"
        say(f"{refused:,} of {rows:,} {what}{more}; their predictions are left empty")


def _listed(names: Sequence[str], most: int = 40) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
