"""What a model is sent of a file: its rows as lines, in parts that instances share."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from sluice import keys
from sluice.artifacts import Artifacts
from sluice.contract import Feature, ModelContract, category_text

JSON_LINES: Literal["application/jsonlines"] = "application/jsonlines"
CSV: Literal["text/csv"] = "text/csv"
MediaType = Literal["application/jsonlines", "text/csv"]
SUFFIXES: dict[MediaType, str] = {JSON_LINES: ".jsonl", CSV: ".csv"}

MOST_LINE_BYTES = 1024 * 1024
"""The transform job's MaxPayloadInMB in statemachines/batch.asl.yaml: a request holds whole lines."""
MOST_PART_ROWS = 50_000
"""An answer may be longer than its row, and a part's answers are read at once."""
_MEGABYTE = 1_000_000
_LEAST_PART_BYTES = 1 * _MEGABYTE
_MOST_PART_BYTES = 16 * _MEGABYTE
# So that the instances have about the same to do, whichever of them gets the last part.
_PARTS_AN_INSTANCE = 4


class Unsendable(Exception):
    """A row that keeps to the contract, and cannot be written as a line.

    The text says why; `reason` says it for all rows that are so.
    """

    def __init__(self, reason: str, more: str = "") -> None:
        self.reason = reason
        super().__init__(reason + more)


def media_type_of(contract: ModelContract) -> MediaType:
    """Say how the model's container is spoken to.

    JSON Lines tell null from an empty text and a line break in a text from the end of a row. An image of the user's
    own has to read CSV alone (docs/project.md); its contract names no versions, for Sluice did not train the model.
    """
    return JSON_LINES if contract.versions else CSV


def line_of(values: Sequence[Any], contract: ModelContract, media_type: MediaType) -> bytes:
    """Write typed values in contract order as a line, its end included.

    Raises:
        Unsendable: it is too long, or no line.
    """
    if media_type == JSON_LINES:
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"
    else:
        text = _csv_line(values, contract)
    line = text.encode()
    if len(line) > MOST_LINE_BYTES:
        most = f"it is longer than the {MOST_LINE_BYTES:,} bytes that a request may have"
        raise Unsendable(most, f": {len(line):,}")
    return line


def _csv_line(values: Sequence[Any], contract: ModelContract) -> str:
    fields = [_field(value, feature) for value, feature in zip(values, contract.features, strict=True)]
    for field, feature in zip(fields, contract.features, strict=True):
        # The job parts what it sends by lines, and knows nothing of quotation marks.
        if isinstance(field, str) and ("\n" in field or "\r" in field):
            raise Unsendable(
                f"column {feature.name!r}: a text with a line break, which cannot be sent to an image of your own"
            )
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(fields)
    return buffer.getvalue()


def _field(value: Any, feature: Feature) -> Any:
    if value is None:
        return ""
    return float(value) if feature.kind == "number" else category_text(value, feature.type)


class PartWriter:
    """Writes lines to objects of about the same size, in order.

    Args:
        instance_mb: what an instance gets; a part is a fraction of it.
        key: names the object of a part by its number.
        scratch: a free path.

    Attributes:
        part_rows: of each part, once closed.
        bytes: of all lines.
    """

    def __init__(
        self, artifacts: Artifacts, key: Callable[[int], str], scratch: Path, *, instance_mb: int
    ) -> None:
        self._artifacts = artifacts
        self._key = key
        self._scratch = scratch
        share = instance_mb * _MEGABYTE // _PARTS_AN_INSTANCE
        self._most_bytes = min(max(share, _LEAST_PART_BYTES), _MOST_PART_BYTES)
        self._instance_bytes = instance_mb * _MEGABYTE
        self._sink: io.BufferedWriter | None = None
        self._rows = self._bytes = 0
        self.part_rows: list[int] = []
        self.bytes = 0

    def write(self, line: bytes) -> None:
        if self._rows and (self._rows == MOST_PART_ROWS or self._bytes + len(line) > self._most_bytes):
            self.close()
        if self._sink is None:
            self._sink = self._scratch.open("wb")
        self._sink.write(line)
        self._rows += 1
        self._bytes += len(line)
        self.bytes += len(line)

    def close(self) -> None:
        """Store the part that was begun, if there is one."""
        if self._sink is None:
            return
        self._sink.close()
        self._artifacts.upload(self._scratch, self._key(len(self.part_rows)))
        self._scratch.unlink()
        self.part_rows.append(self._rows)
        self._sink, self._rows, self._bytes = None, 0, 0

    def instances(self, most: int) -> int:
        """How many instances share the parts: one for each `instance_mb`, and none without a part."""
        wanted = max(1, math.ceil(self.bytes / self._instance_bytes))
        return min(wanted, most, len(self.part_rows))


def part_key(execution: str, media_type: MediaType) -> Callable[[int], str]:
    """Give the key of a part by its number."""
    return lambda number: keys.batch_rows(execution, number, SUFFIXES[media_type])
