"""The table as it is now: a list of parts that an upload replaces or is appended to, never lost and never twice.

What is written for a part comes in this order: its rows and lineage, the lists of the version it makes, the version's
manifest, and last current.json, by a write that succeeds only if nobody wrote it since it was read. Who loses reads
again and appends again. An execution that finds a move of its own there has moved the table before, and its answer
was lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sluice import keys, naming
from sluice.artifacts import Artifacts
from sluice.datasets import dataset_file, dvc, schema
from sluice.datasets.overlaps import Arrivals
from sluice.errors import NoDataset, NotAppendable, PartMissing, PipelineFailed, StorageUnavailable
from sluice.payloads.documents import Current, Lineage, Manifest, Move, Part
from sluice.project import Column, Project

_ATTEMPTS = 20
# More than move the table while an execution's state is tried again.
_KEPT_MOVES = 500
_AFRESH = f"delete {keys.current()}, and upload the table under {keys.INCOMING_TRAINING}"


@dataclass(frozen=True)
class NewPart:
    """Accepted rows that are to be stored: what is known of them, and the Parquet file."""

    part: Part
    file: Path
    lineage: Lineage


@dataclass(frozen=True)
class Placed:
    """The version that a part made: `unchanged` where it was there already, `began` where there was no table."""

    manifest: Manifest
    unchanged: bool = False
    began: bool = False

    def part(self, sha256: str) -> Part:
        return next(part for part in self.manifest.parts if part.sha256 == sha256)


def find(version: str | None, artifacts: Artifacts) -> Manifest:
    """Give a dataset version; the current one where none is named.

    Raises:
        NoDataset: there is none.
    """
    if version is None:
        return _manifest(_current(artifacts).dataset_version, artifacts)
    body = artifacts.read(keys.manifest(version))
    if body is None:
        raise NoDataset(
            f"there is no dataset version {version!r}",
            where=artifacts.uri(keys.manifest(version)),
            fix="name one that an execution has reported, or leave it out: {} trains on the current one",
        )
    return _parsed(body, version, artifacts)


def latest(artifacts: Artifacts) -> tuple[Manifest, datetime | None]:
    """Give the current version, and when it became so; None where that was not written down yet. Raises as `find`."""
    seen = _current(artifacts)
    return _manifest(seen.dataset_version, artifacts), seen.moves[-1].at if seen.moves else None


def replace(new: NewPart, project: Project, artifacts: Artifacts) -> Placed:
    """Make the part the whole table."""
    return _move(new, project, artifacts, lambda _: (new.part,))


def append(new: NewPart, project: Project, artifacts: Artifacts) -> Placed:
    """Append the part to the table; where there is none it is the table.

    Raises:
        NotAppendable: the project has no key or no timestamp to tell rows apart by, or the table has other columns.
    """
    key, timestamp = _told_apart_by(project, new.part.source.uri)
    arrivals = Arrivals(new.file, key, timestamp)

    def listed(before: Manifest | None) -> tuple[Part, ...]:
        if before is None:
            return (new.part,)
        _check_columns(before, project, new.part.source.uri)
        if any(part.sha256 == new.part.sha256 for part in before.parts):
            return before.parts
        for part in before.parts:
            if arrivals.may_meet(part) and not arrivals.has_met(part):
                check_part(part, before.dataset_version, artifacts)
                with artifacts.open(part.key) as file:
                    arrivals.meet(part, file)
        repeats = arrivals.repeats(before.parts)
        return (*before.parts, new.part.model_copy(update={"repeats": repeats}))

    return _move(new, project, artifacts, listed)


def _move(
    new: NewPart,
    project: Project,
    artifacts: Artifacts,
    listed: Callable[[Manifest | None], tuple[Part, ...]],
) -> Placed:
    """Make a version of the parts that `listed` gives for the current one, and make that the current one."""
    execution = new.part.source.execution
    for _ in range(_ATTEMPTS):
        seen, tag = _look(artifacts)
        moves = () if seen is None else seen.moves
        own = next((move for move in reversed(moves) if move.execution == execution), None)
        if own is not None:
            manifest = _manifest(own.dataset_version, artifacts)
            return Placed(manifest, began=own is moves[0] and len(manifest.parts) == 1)
        before = None if seen is None else _manifest(seen.dataset_version, artifacts)
        parts = listed(before)
        _write_rows(new, artifacts)
        if before is not None and [part.sha256 for part in parts] == [part.sha256 for part in before.parts]:
            return Placed(before, unchanged=True)
        manifest = _made_of(parts, project)
        _write(manifest, artifacts)
        move = Move(execution=execution, dataset_version=manifest.dataset_version, at=datetime.now(UTC))
        body = Current(dataset_version=manifest.dataset_version, moves=(*moves, move)[-_KEPT_MOVES:]).body()
        moved = (
            artifacts.create(keys.current(), body, "application/json")
            if tag is None
            else artifacts.replace(keys.current(), body, "application/json", tag)
        )
        if moved:
            return Placed(manifest, began=before is None)
    raise StorageUnavailable(
        "the table is written by too many uploads at once",
        where=artifacts.uri(keys.current()),
        why=f"another one was there first {_ATTEMPTS} times",
        fix="upload again in a few minutes",
    )


def _current(artifacts: Artifacts) -> Current:
    seen = _look(artifacts)[0]
    if seen is None:
        raise NoDataset(
            "there is no dataset to train on yet",
            where=artifacts.uri(keys.current()),
            why="no upload has been accepted",
            fix=f"upload a table under {keys.INCOMING_TRAINING}",
        )
    return seen


def _look(artifacts: Artifacts) -> tuple[Current | None, str | None]:
    found = artifacts.read_tagged(keys.current())
    return (None, None) if found is None else (Current.model_validate_json(found.body), found.tag)


def _manifest(version: str, artifacts: Artifacts) -> Manifest:
    body = artifacts.read(keys.manifest(version))
    if body is None:
        raise PipelineFailed(
            f"the manifest of the dataset version {version} is not there any more",
            where=artifacts.uri(keys.manifest(version)),
            why=f"{artifacts.uri(keys.current())} names it",
            fix=f"restore the object, or {_AFRESH}",
        )
    return _parsed(body, version, artifacts)


def _parsed(body: bytes, version: str, artifacts: Artifacts) -> Manifest:
    try:
        return Manifest.model_validate_json(body)
    except ValidationError as error:
        raise PipelineFailed(
            f"the manifest of the dataset version {version} cannot be read",
            where=artifacts.uri(keys.manifest(version)),
            why=f"another release wrote it, or somebody changed it: {error.errors()[0]['msg']} "
            f"({'.'.join(map(str, error.errors()[0]['loc']))})",
            fix=_AFRESH,
        ) from error


def contract(project: Project) -> dict[str, dict[str, Any]]:
    """Give [columns] of project.toml as documents hold it: without defaults."""
    return {
        name: column.model_dump(mode="json", exclude_defaults=True)
        for name, column in project.columns.items()
    }


def _made_of(parts: tuple[Part, ...], project: Project) -> Manifest:
    sha256 = naming.list_of_parts([part.sha256 for part in parts])
    return Manifest(
        dataset_version=naming.dataset_version(sha256),
        sha256=sha256,
        bytes=sum(part.bytes for part in parts),
        rows=sum(part.rows - part.repeats for part in parts),
        project=project.name,
        columns=contract(project),
        source=parts[-1].source,
        parts=parts,
    )


def _write_rows(new: NewPart, artifacts: Artifacts) -> None:
    """Write a part where it is not there; also one that the table has already, whose file somebody deleted."""
    if not artifacts.exists(new.part.key):
        artifacts.upload(new.file, new.part.key)
    artifacts.create(keys.lineage(new.part.name), new.lineage.body(), "application/json")


def _write(manifest: Manifest, artifacts: Artifacts) -> None:
    version = manifest.dataset_version
    folder = dvc.folder(manifest.parts)
    artifacts.create(keys.folder_of_parts(folder.md5), folder.listing, "application/json")
    # By this list jobs are given the parts:
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
    prefix = f"{keys.DATASETS}/"
    listed = [part.key.removeprefix(prefix) for part in manifest.parts]
    body = json.dumps([{"prefix": artifacts.uri(prefix)}, *listed], indent=2).encode()
    artifacts.create(keys.parts(version), body, "application/json")
    # Last and conditional: a version exists if and only if its manifest does.
    artifacts.create(keys.manifest(version), manifest.body(), "application/json")


def check_parts(manifest: Manifest, artifacts: Artifacts) -> None:
    """Check that the file of each part is there, before a job is started for them.

    Raises:
        PartMissing: one is not.
    """
    for part in manifest.parts:
        check_part(part, manifest.dataset_version, artifacts)


def check_part(part: Part, version: str, artifacts: Artifacts) -> None:
    """Check that the file of a part is there.

    Raises:
        PartMissing: it is not.
    """
    if not artifacts.exists(part.key):
        raise part_missing(part, version, artifacts.uri(part.key))


def part_missing(part: Part, version: str, uri: str) -> PartMissing:
    """Say that the file of a part, which lies at `uri`, is not there."""
    return PartMissing(
        f"the part {part.name} of the dataset version {version} is not there any more",
        where=uri,
        why=f"somebody deleted the object; it held {part.rows:,} rows of {part.source.uri}",
        fix="take its delete marker away (the bucket keeps versions), or upload that file again",
    )


def _told_apart_by(project: Project, where: str) -> tuple[str, str]:
    key, timestamp = project.entity.key, project.entity.timestamp
    if key is None or timestamp is None:
        missing = " and ".join(
            name for name, given in (("entity.key", key), ("entity.timestamp", timestamp)) if given is None
        )
        raise NotAppendable(
            "nothing can be appended to the table of this project",
            where=where,
            why=f"project.toml has no {missing}, and rows of events are told apart by key and time",
            fix=f"name the columns in [entity], or upload the whole table under {keys.INCOMING_TRAINING}",
        )
    return key, timestamp


def _check_columns(before: Manifest, project: Project, where: str) -> None:
    there = {
        name: schema.arrow_type(Column.model_validate(column)) for name, column in before.columns.items()
    }
    wanted = dataset_file.arrow_schema(project)
    asked = dict(zip(wanted.names, wanted.types, strict=True))
    differing = sorted(name for name in there.keys() | asked.keys() if there.get(name) != asked.get(name))
    if differing:
        raise NotAppendable(
            f"the table has other columns than project.toml: {', '.join(map(repr, differing))}",
            where=where,
            why=f"the dataset version {before.dataset_version} was made before [columns] was changed",
            fix=f"upload the whole table once more under {keys.INCOMING_TRAINING}, then what is to be appended",
        )
