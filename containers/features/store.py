"""The project's definitions as Feast's objects over given files, in a registry of their own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.repo_config import RepoConfig
from feast.types import Int64, String

from containers.features.definitions import TYPES, Definitions
from sluice.arrow import Table
from sluice.features.plan import FeaturePlan, Type

MOMENT = "event_timestamp"
CREATED = "created_timestamp"
"""Columns of the files that a view is read from: when its values were so, and when that was written down."""

ROW = "sluice_row"
"""Column of the labels: which one it is."""

_OF_TYPE: dict[Type, Any] = {name: each for each, name in TYPES.items()}
_KEYS = {"string": (ValueType.STRING, String), "integer": (ValueType.INT64, Int64)}


@dataclass(frozen=True)
class Source:
    """Where a view's values lie.

    Attributes:
        file: Parquet: the join keys, MOMENT (UTC), the view's features and, where `is_dated`, CREATED.
    """

    file: Path
    is_dated: bool


Join: TypeAlias = Callable[[Table, FeaturePlan, Definitions, Mapping[str, Source], Path], Table]
"""An offline store: from labels to the same rows, in any order, with the features that the model takes.

It is given the labels with their keys, MOMENT (UTC), the fields of a request and ROW; the plan; the objects that it
was made of; where each view's values lie, by its name; and an empty folder.
"""


def joined_here(
    labels: Table, plan: FeaturePlan, definitions: Definitions, sources: Mapping[str, Source], scratch: Path
) -> Table:
    """Join by duckdb, in this process."""
    store = local_store(plan, definitions, sources, scratch)
    references = [each for each in plan.model if ":" in each]
    found: Table = store.get_historical_features(
        entity_df=labels.to_pandas(integer_object_nulls=True), features=references
    ).to_arrow()
    return found


def local_store(
    plan: FeaturePlan, definitions: Definitions, sources: Mapping[str, Source], scratch: Path
) -> FeatureStore:
    """Make a store whose offline side reads these files by duckdb, the one that loses no row (feast#6787).

    Args:
        plan: what features.py declares.
        definitions: the objects it does so with.
        sources: by the view's name.
        scratch: an empty folder, for the registry.
    """
    store = FeatureStore(
        config=RepoConfig(
            project="sluice",
            provider="local",
            registry=str(scratch / "registry.db"),
            online_store={"type": "sqlite", "path": str(scratch / "online.db")},
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is experimental, and of what the objects are made of
        store.apply([*objects(plan, sources), *definitions.on_demand])
    return store


def objects(plan: FeaturePlan, sources: Mapping[str, Source]) -> list[Any]:
    """Make the entities and the views of a plan over given files."""
    entities = {
        key.name: Entity(name=key.name, join_keys=[key.name], value_type=_KEYS[key.type][0])
        for key in plan.keys
    }
    views = []
    for view in plan.views:
        source = sources[view.name]
        views.append(
            FeatureView(
                name=view.name,
                entities=[entities[key.name] for key in view.keys],
                schema=[
                    *(Field(name=key.name, dtype=_KEYS[key.type][1]) for key in view.keys),
                    *(Field(name=value.name, dtype=_OF_TYPE[value.type]) for value in view.features),
                ],
                source=FileSource(
                    name=view.name,
                    path=str(source.file),
                    timestamp_field=MOMENT,
                    created_timestamp_column=CREATED if source.is_dated else "",
                ),
                # Those of a view of aggregations are of the very moment that is asked about.
                ttl=timedelta(microseconds=view.ttl_microseconds or 0)
                if not view.aggregations
                else timedelta(0),
            )
        )
    return [*entities.values(), *views]
