"""Feast's registry of a project: the file that its own tools open, and a function of the code alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from feast import Entity, FeatureView, Field, OnDemandFeatureView, ValueType
from feast.feature_view import DUMMY_ENTITY
from feast.infra.registry.registry import REGISTRY_SCHEMA_VERSION
from feast.proto_utils import serialize_data_source
from feast.protos.feast.core.Entity_pb2 import Entity as EntityProto
from feast.protos.feast.core.FeatureView_pb2 import FeatureView as FeatureViewProto
from feast.protos.feast.core.OnDemandFeatureView_pb2 import OnDemandFeatureView as OnDemandFeatureViewProto
from feast.protos.feast.core.Project_pb2 import Project as ProjectProto
from feast.protos.feast.core.Project_pb2 import ProjectSpec
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.protos.feast.core.Transformation_pb2 import UserDefinedFunctionV2
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from containers.features.definitions import Definitions
from containers.features.store import FIELD_TYPES, KEY_TYPES
from sluice.features.plan import Aggregation, FeaturePlan, OnDemand, View


def registry_of(definitions: Definitions, plan: FeaturePlan, store: str) -> bytes:
    """Give the registry whole: the same definitions make the same bytes, on any machine and at any time.

    So it holds no times, no version history (the bucket keeps older files), and of an on-demand view the text that
    the plan has of its function, which is what serving runs; Feast's own `apply` would pickle the function with the
    path it was read from. What Feast has no place for is told in words: a feature's aggregation is its description.

    Args:
        definitions: what features.py holds; its names, descriptions, tags and owners are kept.
        plan: what was made of it.
        store: Feast's project, by which the online store's tables are called.
    """
    views = [
        _view(declared, view, definitions, store)
        for declared, view in zip(definitions.views, plan.views, strict=True)
    ]
    registry = Registry(
        registry_schema_version=REGISTRY_SCHEMA_VERSION,
        projects=[ProjectProto(spec=ProjectSpec(name=store))],
        # The last is that of views without one, which Feast takes on-demand views for, and looks up.
        entities=[_entity(each, plan, store) for each in (*definitions.entities, DUMMY_ENTITY)],
        data_sources=_sources(definitions, store),
        feature_views=views,
        on_demand_feature_views=[
            _on_demand(declared, kept, views, store)
            for declared, kept in zip(definitions.on_demand, plan.on_demand, strict=True)
        ],
    )
    _without_times(registry)
    # Feast takes a random one at each of its writes, and caches what it read by it.
    registry.version_id = hashlib.sha256(_bytes(registry)).hexdigest()
    return _bytes(registry)


def _without_times(message: Message) -> None:
    """Clear every moment in a message: Feast's objects keep when they were made, down to the copies of a source."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.full_name == Timestamp.DESCRIPTOR.full_name:
            message.ClearField(field.name)
        elif isinstance(value, Message):
            _without_times(value)
        else:
            for each in value.values() if isinstance(value, Mapping) else value:
                if isinstance(each, Message):
                    _without_times(each)


def _bytes(registry: Registry) -> bytes:
    # Else the order of maps, such as tags, is another in each process.
    made: bytes = registry.SerializeToString(deterministic=True)
    return made


def _entity(declared: Entity, plan: FeaturePlan, store: str) -> EntityProto:
    proto = declared.to_proto()
    proto.spec.project = store
    types = {key.name: KEY_TYPES[key.type][0] for key in plan.keys}
    if declared.value_type == ValueType.UNKNOWN and declared.join_key in types:
        proto.spec.value_type = types[declared.join_key].value
    return proto


def _sources(definitions: Definitions, store: str) -> list[Any]:
    """List what views are read from, each name once: all of them are the project's dataset, or a request."""
    found = {each.name: each for each in _declared_sources(definitions)}
    protos = []
    for each in found.values():
        proto = serialize_data_source(each)
        proto.project = store
        protos.append(proto)
    return protos


def _declared_sources(definitions: Definitions) -> Iterator[Any]:
    for view in definitions.views:
        yield view.batch_source
    for each in definitions.on_demand:
        yield from each.source_request_sources.values()


def _view(declared: FeatureView, view: View, definitions: Definitions, store: str) -> FeatureViewProto:
    entities = {each.name: each for each in definitions.entities}
    stated = {field.name: field for field in declared.features}
    sums = {each.name: each for each in view.aggregations}
    made = FeatureView(
        name=view.name,
        entities=[entities[name] for name in declared.entities],
        schema=[
            *(Field(name=key.name, dtype=KEY_TYPES[key.type][1]) for key in view.keys),
            *(
                Field(
                    name=value.name,
                    dtype=FIELD_TYPES[value.type],
                    description=_description(stated.get(value.name), sums.get(value.name)),
                    tags=stated[value.name].tags if value.name in stated else None,
                )
                for value in view.features
            ),
        ],
        source=declared.batch_source,
        ttl=timedelta(microseconds=view.ttl_microseconds or 0),
        # Every view has a table, whatever is declared: a batch view's default is that it has none.
        online=True,
        description=declared.description,
        tags=declared.tags,
        owner=declared.owner,
        org=declared.org,
    )
    proto: FeatureViewProto = made.to_proto()
    proto.spec.project = store
    return proto


def _description(stated: Field | None, aggregation: Aggregation | None) -> str:
    if stated is not None and stated.description:
        return str(stated.description)
    return "" if aggregation is None else _in_words(aggregation)


def _in_words(aggregation: Aggregation) -> str:
    of = aggregation.column or "events"
    if aggregation.category is not None:
        of = f"{of} {aggregation.category!r}"
    words = f"{aggregation.function} of {of}"
    if aggregation.window_microseconds is None:
        return words
    window = timedelta(microseconds=aggregation.window_microseconds)
    whole_days = window.days if window == timedelta(days=window.days) else None
    return f"{words}, last {window if whole_days is None else f'{whole_days} days'}"


def _on_demand(
    declared: OnDemandFeatureView, kept: OnDemand, views: list[FeatureViewProto], store: str
) -> OnDemandFeatureViewProto:
    proto: OnDemandFeatureViewProto = declared.to_proto()
    proto.spec.project = store
    # A view has to hold the very fields that are read of it, down to their descriptions.
    fields = {(view.spec.name, field.name): field for view in views for field in view.spec.features}
    for source in proto.spec.sources.values():
        projection = source.feature_view_projection
        for column in projection.feature_columns:
            column.CopyFrom(fields[projection.feature_view_name, column.name])
    # Feast takes the text where there is one, and its pickle only where there is none.
    proto.spec.feature_transformation.user_defined_function.CopyFrom(
        UserDefinedFunctionV2(name=kept.function, body_text=kept.source, mode=kept.mode)
    )
    return proto
