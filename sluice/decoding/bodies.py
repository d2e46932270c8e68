"""Request bodies, by content type, as columns of the model's contract."""

from __future__ import annotations

import csv
import gc
import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sluice.contract import Columns, ModelContract, listed
from sluice.decoding.bounds import MOST_ROW_CHARACTERS, refuse_long_row, refuse_too_many
from sluice.decoding.json_text import read_json
from sluice.decoding.npy import from_npy
from sluice.decoding.parquet import from_parquet
from sluice.errors import RequestError

_SHAPES = 'send {"feature": value, …}, [{…}, …], [[…], …], [value, …], {"instances": […]} or {"dataframe_split": {…}}'


def decode(body: bytes, media_type: str, contract: ModelContract) -> Columns:
    """Read a body.

    Args:
        body: as it came.
        media_type: one of DECODERS' keys.
        contract: what the columns have to keep to.

    Raises:
        RequestError: the body is empty, is not what its type says, holds too much, or breaks the contract.
    """
    # Of a CSV with one column, a line of nothing but blanks is a null.
    is_one_column = media_type == "text/csv" and len(contract.features) == 1
    if not body.strip(b"\r\n" if is_one_column else None):
        raise RequestError("the request has no body", fix="send at least one row of feature values")
    with _uncollected():
        return DECODERS[media_type](body, contract)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from looking through millions of new lists, in which nobody else is answered."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def looks_like(body: bytes) -> str:
    """Tell the type of a body that came without one: JSON where it begins like an object or a list, else CSV."""
    return "application/json" if body.lstrip()[:1] in (b"{", b"[") else "text/csv"


def _from_json(body: bytes, contract: ModelContract) -> Columns:
    document = read_json(body, "the body", len(contract.features))
    if isinstance(document, dict):
        return _from_object(document, contract)
    if (
        isinstance(document, list)
        and document
        and not any(isinstance(each, dict | list) for each in document)
    ):
        document = [document]
    return _from_documents(document, contract)


def _from_object(document: dict[str, Any], contract: ModelContract) -> Columns:
    """Read one record, or rows in an envelope; a feature may be called like one of those, and then it is none."""
    for name, read in _ENVELOPES.items():
        if name in document and name not in contract.names:
            if len(document) > 1:
                others = listed(sorted(set(document) - {name}))
                raise RequestError(f'unknown keys beside "{name}": {others}')
            return read(document[name], contract)
    return _from_documents([document], contract)


def _from_json_lines(body: bytes, contract: ModelContract) -> Columns:
    columns = len(contract.features)
    documents = []
    lines = (found[0] for found in re.finditer(rb"[^\r\n]+", body))
    for row, line in enumerate((line for line in lines if line.strip()), start=1):
        refuse_too_many(row, columns)
        if len(line) > MOST_ROW_CHARACTERS:
            refuse_long_row(row)
        documents.append(read_json(line, f"row {row}", columns))
    return _from_documents(documents, contract)


def _from_documents(documents: Any, contract: ModelContract) -> Columns:
    if not isinstance(documents, list):
        raise RequestError(
            f"found a {type(documents).__name__}, expected a record or a list of records or of lists",
            fix=_SHAPES,
        )
    refuse_too_many(len(documents), len(contract.features))
    if "features" not in contract.names:
        documents = [_features(each) for each in documents]
    if documents and isinstance(documents[0], list):
        return contract.columns_from_lists(documents)
    return contract.columns_from_records(documents)


def _features(document: Any) -> Any:
    """Give the values of {"features": [value, …]}, as SageMaker's own algorithms are sent a row; else what it is."""
    if isinstance(document, dict) and len(document) == 1 and isinstance(document.get("features"), list):
        return document["features"]
    return document


def _from_split(split: Any, contract: ModelContract) -> Columns:
    """Read what pandas writes with orient="split"; without columns the rows are in contract order."""
    if not isinstance(split, dict) or not isinstance(split.get("data"), list):
        raise RequestError(
            '"dataframe_split": expected an object with "columns" and "data"',
            fix='send {"dataframe_split": {"columns": [name, …], "data": [[value, …], …]}}',
        )
    unknown = sorted(set(split) - {"columns", "index", "data"})
    if unknown:
        raise RequestError(f'"dataframe_split": unknown keys: {listed(unknown)}')
    rows, names = split["data"], split.get("columns", list(contract.names))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError('"dataframe_split": expected names in "columns"')
    if names == list(contract.names) or not all(isinstance(row, list) for row in rows):
        return _from_documents(rows, contract)
    names = contract.checked_names(names, '"dataframe_split"')
    places = [names.index(name) for name in contract.names]
    # A row that is too short or too long is left as it is, for the contract to refuse.
    ordered = [[row[place] for place in places] if len(row) == len(names) else row for row in rows]
    return _from_documents(ordered, contract)


_ENVELOPES: dict[str, Callable[[Any, ModelContract], Columns]] = {
    "instances": _from_documents,
    "dataframe_split": _from_split,
    "dataframe_records": _from_documents,
}


def _from_csv(body: bytes, contract: ModelContract) -> Columns:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"the CSV is not UTF-8: byte {error.start} is {body[error.start]:#04x}") from error
    rows: list[list[str]] = []
    columns = len(contract.features)
    try:
        for row in csv.reader(_short(io.StringIO(text, newline="")), strict=True):
            if row:
                rows.append(row)
                refuse_too_many(len(rows) - 1, columns)  # one may be the header
    except csv.Error as error:
        raise RequestError(f"not valid CSV: {error}") from error
    return contract.columns_from_text(rows)


def _short(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if len(line) > MOST_ROW_CHARACTERS:
            refuse_long_row(number)
        yield line


DECODERS: dict[str, Callable[[bytes, ModelContract], Columns]] = {
    "text/csv": _from_csv,
    "application/json": _from_json,
    "application/jsonlines": _from_json_lines,
    "application/x-jsonlines": _from_json_lines,
    "application/x-ndjson": _from_json_lines,
    "application/x-npy": from_npy,
    "application/x-parquet": from_parquet,
}
