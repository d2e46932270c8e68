"""Predictions as a file or on stdout: CSV, JSON Lines or Parquet, a line for each row of the input."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TextIO

from cli.prediction import Answer
from sluice.contract import TargetContract
from sluice.errors import SluiceError

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_GROUP_ROWS = 64 * 1024


class _Writer(Protocol):
    def write(self, answer: Answer) -> None: ...
    def close(self) -> None: ...


def check(output: Path, file: Path | None) -> None:
    """Check, before anything is asked, that predictions, of `file` if of one, can be written to `output`.

    Raises:
        SluiceError: its name says no format, or it cannot be there.
    """
    if output.suffix.lower() not in FORMATS:
        raise SluiceError(
            f"predictions cannot be written as {output.suffix or 'a file without an ending'}",
            where=f"--output {output}",
            fix=f"its name says the format: {', '.join(FORMATS)}",
        )
    if output.is_dir():
        raise SluiceError("this is a folder", where=f"--output {output}", fix="name a file in it")
    if not output.parent.is_dir():
        raise SluiceError(
            "there is no such folder", where=f"--output {output}", fix=f"make it: mkdir -p {output.parent}"
        )
    if file is not None and output.exists() and output.samefile(file):
        raise SluiceError(
            "the predictions would replace the file they are made from",
            where=f"--output {output}",
            fix="name another file",
        )


def write(answers: Iterable[Answer], target: TargetContract, output: Path | None, *, as_json: bool) -> None:
    """Write a line or row for each answer; where there is no prediction, an empty one.

    A file is there when it is whole, and not before. Without one it is stdout: CSV, or JSON Lines.
    """
    with ExitStack() as stack:
        if output is None:
            writer: _Writer = (_JsonLines if as_json else _Csv)(sys.stdout, target)
            for answer in answers:
                writer.write(answer)
            writer.close()
            return
        partial = output.with_name(f".{output.name}.partial")
        stack.callback(partial.unlink, missing_ok=True)
        suffix = output.suffix.lower()
        if suffix == ".parquet":
            writer = _Parquet(partial, target)
        else:
            sink = stack.enter_context(partial.open("w", newline="", encoding="utf-8"))
            make: Callable[..., _Writer] = _JsonLines if suffix in (".jsonl", ".ndjson") else _Csv
            writer = make(sink, target, "\t") if suffix == ".tsv" else make(sink, target)
        for answer in answers:
            writer.write(answer)
        writer.close()
        partial.replace(output)


def columns(target: TargetContract) -> list[str]:
    """Name what is written of a prediction: the label and its probability, or those of all classes, or the value."""
    if not target.classes:
        return ["value"]
    if target.positive is not None:
        return ["label", "probability"]
    # A class may be called "label", too.
    return ["label", *(f"probability of {c}" if c == "label" else str(c) for c in target.classes)]


def _values(answer: Answer, target: TargetContract) -> list[Any]:
    prediction = answer.prediction
    if prediction is None:
        return [None] * len(columns(target))
    if "probabilities" in prediction:
        # JSON has names for keys; True is "True" there, as in the endpoint's answer.
        return [prediction["label"], *(prediction["probabilities"][str(c)] for c in target.classes)]
    return [prediction[name] for name in columns(target)]


class _Csv:
    def __init__(self, sink: TextIO, target: TargetContract, delimiter: str = ",") -> None:
        self._target = target
        self._writer = csv.writer(sink, lineterminator="\n", delimiter=delimiter)
        self._begun = False

    def write(self, answer: Answer) -> None:
        if not self._begun:
            self._writer.writerow(columns(self._target))
            self._begun = True
        cells = _values(answer, self._target)
        self._writer.writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in cells])

    def close(self) -> None:
        """There is nothing left to write."""


class _JsonLines:
    def __init__(self, sink: TextIO, target: TargetContract) -> None:
        self._sink = sink
        self._target = target

    def write(self, answer: Answer) -> None:
        document = answer.prediction
        if document is None:
            document = dict.fromkeys(columns(self._target))
            if self._target.classes and self._target.positive is None:
                document = {"label": None, "probabilities": None}
        self._sink.write(json.dumps(document) + "\n")

    def close(self) -> None:
        """There is nothing left to write."""


class _Parquet:
    def __init__(self, path: Path, target: TargetContract) -> None:
        # Only here: the other formats need no pyarrow.
        import pyarrow as pa
        import pyarrow.parquet as pq

        labels: dict[type, pa.DataType] = {bool: pa.bool_(), int: pa.int64(), str: pa.string()}
        types: list[pa.DataType] = [labels[type(target.classes[0])]] if target.classes else []
        types += [pa.float64()] * (len(columns(target)) - len(types))
        self._target = target
        self._pa = pa
        self._schema = pa.schema(list(zip(columns(target), types, strict=True)))
        self._writer = pq.ParquetWriter(path, self._schema)
        self._waiting: list[list[Any]] = []

    def write(self, answer: Answer) -> None:
        self._waiting.append(_values(answer, self._target))
        if len(self._waiting) == _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        arrays = [
            self._pa.array(column, field.type)
            for column, field in zip(zip(*self._waiting, strict=True), self._schema, strict=True)
        ]
        self._writer.write_table(self._pa.Table.from_arrays(arrays, schema=self._schema))
        self._waiting = []

    def close(self) -> None:
        if self._waiting:
            self._flush()
        self._writer.close()
