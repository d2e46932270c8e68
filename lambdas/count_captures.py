"""CountCaptures: a part of a window's captured traffic, counted in the bins of the model's reference."""

from __future__ import annotations

from typing import Any

from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import settings
from lambdas.adapters.wire import on_the_wire
from sluice import keys
from sluice.monitoring.captures import CaptureReader, lines_of
from sluice.monitoring.model_reference import ModelReference
from sluice.monitoring.parts import PartCounts
from sluice.monitoring.windows import read_window
from sluice.payloads.drift import CountedPart, PartToCount


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.drift.CountedPart`; whoever counts a part again writes the same."""
    part = PartToCount.model_validate(event)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    window = read_window(part.window, artifacts)
    model = ModelReference.find(window.model_uri, artifacts)
    reference, reader = model.reference, CaptureReader(model.contract, window.since)
    counts, bare, gone = reference.empty(), [], 0
    for key in window.parts[part.part]:
        if not artifacts.exists(key):
            bare.append(key)
            gone += 1
            continue
        before = counts.rows
        # Opened, and not read as a whole: what is held at once does not grow with the object.
        with artifacts.open(key) as source:
            for batch in reader.batches(key, lines_of(source)):
                counts += reference.count(batch)
        if counts.rows == before:
            bare.append(key)
    counted = PartCounts.of(counts, reader, bare, gone)
    artifacts.write(keys.drift_counts(window.name, part.part), counted.body(), "application/json")
    decided(
        "captures counted",
        execution=window.name,
        part=part.part,
        rows=counts.rows,
        records=reader.records,
        earlier=reader.earlier,
        unread=dict(reader.unread),
    )
    return CountedPart(rows=counts.rows, records=reader.records).model_dump(mode="json")
