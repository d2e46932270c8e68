"""The rows of a file as records of a model's features, in order: CSV, Parquet or JSON, gzipped or not."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import tempfile
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from cli.progress import say
from sluice.column_names import normal
from sluice.contract import Feature, ModelContract
from sluice.datasets import signatures
from sluice.datasets.header import read_header
from sluice.datasets.reading import RaggedRow, read_batches
from sluice.errors import EmptyFile, NoRows, UnreadableFile
from sluice.project import Column, Data

_HEAD_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_TABLES = (".csv", ".tsv", ".txt", ".parquet")
_JSON = (".json", ".jsonl", ".ndjson")
_DELIMITERS = ",;\t| "
_LONGEST_LINE = 64 << 20
"""Bytes. A line of JSON Lines that is longer is no row."""

Record: TypeAlias = dict[str, Any]
Refuse: TypeAlias = Callable[[Sequence[str]], Exception]


@dataclass(frozen=True)
class Row:
    """One row; `number` 1 is the first one. Without a record it cannot be read, and `problem` says why."""

    number: int
    record: Record | None
    problem: str = ""


def read_rows(
    file: Path, contract: ModelContract, missing: Refuse, seen: Callable[[Sequence[str]], None] | None = None
) -> Generator[Row, None, None]:
    """Yield the rows of a CSV, Parquet, JSON or JSON Lines file, each with the model's features and no others.

    Cells of a CSV or Parquet file are read as those of an upload are: nulls, spelled numbers, words for true and
    false. One that is not what its feature is stays a text, for the endpoint to refuse. The values of JSON stay
    as they are. The delimiter is the one under which the header names most of the features.

    Args:
        file: there is one.
        contract: the model's.
        missing: makes the error for features that the file does not hold, of its column names.
        seen: is given the column names before the first row; by default those that are left out are told.

    Raises:
        DataError: nothing can be had from the file.
    """
    source = _Given.of(file)
    seen = seen or (lambda names: _tell_left_out(names, _by_normal_name(contract)))
    if source.is_json:
        return _only_features(source, contract, missing, seen)
    return _table_rows(source, contract, missing, seen)


@dataclass(frozen=True)
class _Given:
    """The file, unpacked where it is gzipped. What is in it decides what it is, where its name does not."""

    path: Path
    gzipped: bool
    suffix: str
    is_json: bool

    @classmethod
    def of(cls, path: Path) -> _Given:
        with path.open("rb") as file:
            gzipped = file.read(2) == _GZIP
        name = path.name.lower().removesuffix(".gz") if gzipped else path.name.lower()
        suffix = Path(name).suffix
        given = cls(path, gzipped, suffix, is_json=False)
        head = given.head(64)
        if signatures.is_parquet(head):
            return cls(path, gzipped, ".parquet", is_json=False)
        begins = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
        is_json = suffix in _JSON or (suffix not in _TABLES and begins in (b"{", b"["))
        return cls(path, gzipped, suffix, is_json)

    @property
    def where(self) -> str:
        return str(self.path)

    def open(self) -> BinaryIO:
        return cast("BinaryIO", gzip.open(self.path)) if self.gzipped else self.path.open("rb")

    def head(self, size: int = _HEAD_BYTES) -> bytes:
        try:
            with self.open() as stream:
                return stream.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self.broken_gzip(error) from error

    def broken_gzip(self, error: Exception) -> UnreadableFile:
        return UnreadableFile(
            "the gzip file cannot be unpacked",
            where=self.where,
            why=str(error),
            fix="it may be cut off: look at it with `gzip -t`, and write it again",
        )


@dataclass(frozen=True)
class _AnyColumns:
    """What the reader has to know of a file of which any columns are taken."""

    data: Data
    columns: None = None


def _table_rows(
    source: _Given, contract: ModelContract, missing: Refuse, seen: Callable[[Sequence[str]], None]
) -> Generator[Row, None, None]:
    known = _by_normal_name(contract)
    delimiter = "," if source.suffix == ".parquet" else _delimiter(source.head(), known)
    layout = _AnyColumns(Data(delimiter=delimiter, null_values=contract.null_values))
    ragged: list[RaggedRow] = []
    number = 0
    with tempfile.TemporaryDirectory(prefix="sluice-predict-") as scratch:
        try:
            for batch in read_batches(source, layout, Path(scratch) / "spool.parquet", ragged):
                names = batch.schema.names
                places = {known[normal(name)]: i for i, name in enumerate(names) if normal(name) in known}
                if len(places) < len(known):
                    raise missing(names)
                if not number:
                    seen(names)
                for record in _typed(contract, {name: batch.column(i) for name, i in places.items()}):
                    yield from (misfits := list(_misfits(ragged, number + 1)))
                    number += len(misfits) + 1
                    yield Row(number, record)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise source.broken_gzip(error) from error
    yield from (misfits := list(_misfits(ragged, number + 1)))
    if not number and not misfits:
        if source.suffix != ".parquet":
            header = read_header(_text(source.head()), delimiter).names
            if len(known.keys() & set(map(normal, header))) < len(known):
                raise missing(header)
        raise NoRows("the file has a header and no rows", where=source.where, fix="give rows to predict")


def _misfits(ragged: list[RaggedRow], number: int) -> Iterator[Row]:
    """Take the ragged rows that come next, the first of them being the row `number`."""
    while ragged and ragged[0].number == number:
        row = ragged.pop(0)
        yield Row(
            number,
            None,
            f"it has {row.fields} field{'s' if row.fields != 1 else ''}, the header {row.expected}",
        )
        number += 1


def _delimiter(head: bytes, known: dict[str, str]) -> str:
    """Find the mark under which the header names most of the features; a usual one, if any does."""
    text = _text(head)
    lines = text[:_HEAD_BYTES].splitlines()[:50]
    unusual = {mark for mark in "".join(lines) if mark.isascii() and not mark.isalnum() and mark not in '"'}
    candidates = _DELIMITERS + "".join(sorted(unusual - set(_DELIMITERS) - set("\r\n\0._-")))

    def features(mark: str) -> int:
        with suppress(csv.Error):  # under the wrong mark, a line may be one field, and too long for one
            return len(known.keys() & set(map(normal, read_header(text, mark).names)))
        return 0

    best = max(_DELIMITERS, key=features)
    return best if features(best) >= min(len(known), 2) else max(candidates, key=features)


def _text(head: bytes) -> str:
    # What is not UTF-8 is the reader's to refuse, with its place.
    return codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode(head)


def _typed(contract: ModelContract, cells: dict[str, Any]) -> Iterator[Record]:
    """Turn columns of cells into records; a cell that is not what its feature is stays a text."""
    # Only here: a file of JSON needs no pyarrow.
    import pyarrow as pa

    from sluice.datasets import schema

    columns: dict[str, list[Any]] = {}
    for feature in contract.features:
        raw = cells[feature.name]
        checked = schema.check(_column(feature), raw, null_values=contract.null_values, required=False)
        values = checked.values.to_pylist()
        for _, mask in checked.rejections:
            texts = raw.cast(pa.string()).to_pylist()
            for place, rejected in enumerate(mask.to_pylist()):
                if rejected:
                    values[place] = texts[place]
        columns[feature.name] = values
    for row in zip(*columns.values(), strict=True):
        yield dict(zip(columns, row, strict=True))


def _column(feature: Feature) -> Column:
    return Column(type=feature.type, nullable=True, spelling=feature.spelling)


def _json_rows(source: _Given) -> Generator[tuple[int, Any], None, None]:
    """Yield documents and their numbers; a UnicodeDecodeError or ValueError stands for one that is none."""
    try:
        with source.open() as stream:
            first = _first_line(stream, source)
            document = _parsed(first)
            if isinstance(document, ValueError) or _is_whole(document):
                # Not one object a line: one document, on as many lines as it likes.
                with source.open() as whole:
                    yield from enumerate(_documents(whole.read(), source), start=1)
                return
            yield 1, document
            number = 1
            while line := stream.readline(_LONGEST_LINE):
                if line.strip():
                    number += 1
                    yield number, _parsed(line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise source.broken_gzip(error) from error


def _first_line(stream: BinaryIO, source: _Given) -> bytes:
    while line := stream.readline(_LONGEST_LINE):
        if line.removeprefix(codecs.BOM_UTF8).strip():
            return line
    raise EmptyFile("the file is empty", where=source.where, fix="give rows to predict")


def _parsed(line: bytes) -> Any:
    try:
        return _document(line)
    except ValueError as error:
        return error


def _document(text: bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: it is none, or an object has a key twice, of which one would be lost without a word.
    """
    try:
        return json.loads(text.decode("utf-8-sig"), object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {normal(key): value for key, value in pairs}
    if len(found) < len(pairs):
        keys = [normal(key) for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there more than once")
    return found


def _is_whole(document: Any) -> bool:
    """Tell whether a first line is all of a document: a list of rows, or rows in an envelope."""
    if isinstance(document, dict):
        return isinstance(document.get("instances"), list)
    return isinstance(document, list) and (
        not document or any(isinstance(each, dict | list) for each in document)
    )


def _documents(content: bytes, source: _Given) -> list[Any]:
    try:
        document = _document(content)
    except ValueError as error:
        raise UnreadableFile(
            "the file is no JSON",
            where=source.where,
            why=str(error),
            fix="give one object a line, or one list of objects; JSON is UTF-8",
        ) from error
    if isinstance(document, dict):
        document = document["instances"] if _is_whole(document) else [document]
    if not isinstance(document, list) or not document:
        raise NoRows("there are no rows in the file", where=source.where, fix="give a list of objects")
    return document


def _only_features(
    source: _Given, contract: ModelContract, missing: Refuse, seen: Callable[[Sequence[str]], None]
) -> Generator[Row, None, None]:
    known = _by_normal_name(contract)
    names = list(contract.names)
    with closing(_json_rows(source)) as documents:
        for number, document in documents:
            if isinstance(document, ValueError):
                yield Row(number, None, f"it is no JSON: {document}")
            elif isinstance(document, list):
                fits = len(document) == len(names)
                problem = "" if fits else f"it has {len(document)} values, the model takes {len(names)}"
                yield Row(number, dict(zip(names, document, strict=False)) if fits else None, problem)
            elif not isinstance(document, dict):
                yield Row(number, None, f"it is {json.dumps(document)[:60]}, not an object")
            else:
                record = {
                    known[normal(key)]: value for key, value in document.items() if normal(key) in known
                }
                absent = [name for name in names if name not in record]
                if absent and number == 1:
                    raise missing(list(document))
                if number == 1:
                    seen(list(document))
                told = f"it has no {', '.join(map(repr, absent))}" if absent else ""
                yield Row(number, None if absent else record, told)


def _tell_left_out(names: Sequence[str], known: dict[str, str]) -> None:
    left_out = [name for name in names if normal(name) not in known]
    if left_out:
        say(f"  left out, being no features of the model: {', '.join(left_out)}")


def _by_normal_name(contract: ModelContract) -> dict[str, str]:
    return {normal(name): name for name in contract.names}
