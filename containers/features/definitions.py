"""From the Feast objects of a project's features.py to its feature plan."""

from __future__ import annotations

import ast
import builtins
import difflib
import dis
import inspect
import textwrap
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from feast import Entity, FeatureView, FileSource, OnDemandFeatureView, RequestSource, ValueType
from feast.types import Bool, Float64, Int64, String, UnixTimestamp
from pydantic import ValidationError

from containers.hooks import load_hooks
from sluice.errors import ProjectError
from sluice.features.names import alike, lost_in_join, refused
from sluice.features.plan import Aggregation, FeaturePlan, Function, Key, KeyType, OnDemand, Type, Value, View
from sluice.project import Project

TYPES: dict[Any, Type] = {
    Float64: "number",
    Int64: "integer",
    String: "string",
    Bool: "boolean",
    UnixTimestamp: "timestamp",
}
"""Feast's types that a feature may have. None of 32 bits: they would be a skew in a model trained on 64."""

_KEY_TYPES: dict[Any, KeyType] = {ValueType.STRING: "string", ValueType.INT64: "integer"}
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Definitions:
    """What features.py holds.

    Attributes:
        module: features.py itself, for its hooks.
        entities, views, on_demand: Feast's objects, in the order of their names in the file.
    """

    module: ModuleType
    entities: tuple[Entity, ...]
    views: tuple[FeatureView, ...]
    on_demand: tuple[OnDemandFeatureView, ...]

    @property
    def build_labels(self) -> Callable[[Any], Any] | None:
        """The hook that says who is learned from at which moments; without it the dataset's rows are."""
        return getattr(self.module, "build_labels", None)


def load(folder: Path) -> Definitions:
    """Import the project's features.py.

    Raises:
        ProjectError: it does not compile, raises, imports what the image has not, or defines no feature view.
    """
    with warnings.catch_warnings():
        # Each batch view warns that it is experimental: what of it is used here is the declaration.
        warnings.simplefilter("ignore", RuntimeWarning)
        module = load_hooks(folder / "features.py", ProjectError)
    found = {id(each): each for each in vars(module).values()}.values()
    views = tuple(each for each in found if isinstance(each, FeatureView))
    if not views:
        raise ProjectError(
            "features.py defines no feature view",
            where="features.py",
            fix="define one (docs/features.md), or import nothing of feast and have build_features alone",
        )
    return Definitions(
        module=module,
        entities=tuple(each for each in found if isinstance(each, Entity)),
        views=views,
        on_demand=tuple(each for each in found if isinstance(each, OnDemandFeatureView)),
    )


def plan_of(definitions: Definitions, project: Project) -> FeaturePlan:
    """Say in a plan what was defined.

    Raises:
        ProjectError: a definition does not fit the dataset that project.toml describes, or is none that can be kept.
    """
    entities = {each.name: each for each in definitions.entities}
    views = tuple(_view(each, entities, project) for each in definitions.views)
    on_demand = tuple(_on_demand(each) for each in definitions.on_demand)
    request = _request(definitions.on_demand)
    try:
        plan = FeaturePlan(
            timestamp=project.entity.timestamp,
            views=views,
            on_demand=on_demand,
            request=_with_own_fields(request, views, on_demand, project),
            model=tuple(
                _reference(name, views, on_demand, request, project) for name in project.features.names
            ),
            own_labels=definitions.build_labels is not None,
        )
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ProjectError(said, where="features.py", fix="give each a name of its own") from error
    _check_names(plan)
    return plan


def _check_names(plan: FeaturePlan) -> None:
    """Refuse names that would be taken for something else on the way from the dataset to the model.

    Raises:
        ProjectError: there is such a name.
    """
    views: tuple[View | OnDemand, ...] = (*plan.views, *plan.on_demand)
    kinds = {
        "join key": [key.name for key in plan.keys],
        "feature": [value.name for view in views for value in view.features],
        "request field": [field.name for field in plan.request],
    }
    stored = [value.name for view in plan.views for value in view.features]
    for kind, names in kinds.items():
        for name in names:
            why = refused(name)
            if why is None and not plan.rows_are_examples and name in stored:
                why = lost_in_join(name)
            if why is None and kind == "request field" and name in kinds["join key"]:
                why = "it is a join key: who names an entity brings it already"
            if why is not None:
                raise ProjectError(
                    f"there can be no {kind} {name!r}",
                    where="features.py and project.toml",
                    why=why,
                    fix="give the column another name in the file that is uploaded",
                )
    same = alike(view.name for view in views)
    if same is not None:
        raise ProjectError(
            f"the views {same[0]!r} and {same[1]!r} differ in capitals only",
            where="features.py",
            why="to Feast they have one name",
            fix="give each a name of its own",
        )
    same = None if plan.rows_are_examples else alike(name for names in kinds.values() for name in names)
    if same is not None:
        raise ProjectError(
            f"{same[0]!r} and {same[1]!r} differ in capitals only",
            where="features.py and project.toml",
            why="to Feast's join they are one column",
            fix="give one of the columns another name in the file that is uploaded",
        )


def _view(view: FeatureView, entities: dict[str, Entity], project: Project) -> View:
    where = f"features.py: view {view.name!r}"
    if not isinstance(view.batch_source, FileSource):
        raise ProjectError(
            f"its source is a {type(view.batch_source).__name__}",
            where=where,
            why="the rows of a view are those of the project's dataset",
            fix='source=FileSource(name="…", path="dataset.parquet", timestamp_field="…")',
        )
    _check_timestamp(view.batch_source, where, project)
    keys = tuple(_key(entities, name, where, project) for name in view.entities)
    if getattr(view, "aggregations", None) and project.entity.timestamp is None:
        raise ProjectError(
            "it sums up events, and the dataset has no event times",
            where=f"{where} and project.toml: entity.timestamp",
            fix="name the column that says when a row happened",
        )
    aggregations = tuple(_aggregation(each, where) for each in getattr(view, "aggregations", None) or ())
    if aggregations:
        features = tuple(_aggregated(each, where, project) for each in aggregations)
        _check_schema(view, features, where)
    else:
        features = tuple(_column(field, where, project) for field in view.features)
    if not features:
        raise ProjectError("it has no features", where=where, fix="name its columns in schema=[Field(…), …]")
    return View(
        name=view.name,
        keys=keys,
        features=features,
        aggregations=aggregations,
        ttl_microseconds=view.ttl // _MICROSECOND if view.ttl else None,
    )


def _check_timestamp(source: FileSource, where: str, project: Project) -> None:
    stated, named = source.timestamp_field, project.entity.timestamp
    if (stated or None) != named:
        raise ProjectError(
            f"its source has the event time {stated!r}, and project.toml says {named!r}"
            if named
            else f"its source has the event time {stated!r}, and project.toml names none",
            where=f"{where} and project.toml: entity.timestamp",
            fix=f"name {named!r} in both" if named else "set entity.timestamp, or leave it out",
        )


def _key(entities: dict[str, Entity], name: str, where: str, project: Project) -> Key:
    entity = entities.get(name)
    if entity is None:
        raise ProjectError(
            f"its entity {name!r} is not in features.py", where=where, fix="define it there by a name"
        )
    column = project.columns.get(entity.join_key)
    if column is None:
        raise ProjectError(
            f"the join key {entity.join_key!r} of entity {name!r} is no column of the dataset"
            f"{_near(entity.join_key, project.columns)}",
            where=where,
            fix='name a column of project.toml: Entity(name="…", join_keys=["…"])',
        )
    if column.type not in ("string", "integer"):
        raise ProjectError(
            f"the join key {entity.join_key!r} is of type {column.type}",
            where=where,
            why="an entity is named by a string or by a whole number",
            fix=f'[columns.{entity.join_key}] type = "string" or "integer"',
        )
    declared = _KEY_TYPES.get(entity.value_type)
    if entity.value_type != ValueType.UNKNOWN and declared != column.type:
        raise ProjectError(
            f"entity {name!r} has keys of type {entity.value_type.name}, and column {entity.join_key!r} is of type"
            f" {column.type}",
            where=f"{where} and project.toml: columns.{entity.join_key}.type",
            fix=f"Entity(…, value_type=ValueType.{'STRING' if column.type == 'string' else 'INT64'})",
        )
    return Key(name=entity.join_key, type=column.type)


def _aggregation(declared: Any, where: str) -> Aggregation:
    function, _, category = declared.function.partition(":")
    name = declared.name or declared.resolved_name(declared.time_window)
    window = declared.time_window
    if window is not None and window <= timedelta(0):
        raise ProjectError(
            f"aggregation {name!r} has a window of {window}",
            where=where,
            fix="time_window=timedelta(days=30), say; or none for all events up to the moment",
        )
    if declared.slide_interval not in (None, window):
        raise ProjectError(
            f"aggregation {name!r} has a slide_interval",
            where=where,
            why="a window ends at the moment it is asked for, and not at steps",
            fix="leave it out",
        )
    try:
        return Aggregation(
            name=name,
            function=function,
            column=None if function == "count" else declared.column or None,
            category=category or None,
            window_microseconds=window // _MICROSECOND if window is not None else None,
        )
    except ValidationError as error:
        raise ProjectError(
            f"aggregation {name!r}: {error.errors()[0]['msg']}",
            where=where,
            fix=f'functions are {", ".join(get_args(Function))}; share takes its category: "share:app"',
        ) from error


def _aggregated(aggregation: Aggregation, where: str, project: Project) -> Value:
    column = None if aggregation.column is None else _type_of(aggregation.column, where, project)
    try:
        return Value(name=aggregation.name, type=aggregation.result(column))
    except ProjectError as error:
        raise ProjectError(error.what, where=where, why=error.why, fix=error.fix) from error


def _check_schema(view: FeatureView, features: Sequence[Value], where: str) -> None:
    stated = {field.name: TYPES.get(field.dtype) for field in view.features}
    made = {each.name: each.type for each in features}
    if stated and stated != made:
        raise ProjectError(
            f"its schema is {stated}, and its aggregations make {made}",
            where=where,
            fix="leave the schema out",
        )


def _column(field: Any, where: str, project: Project) -> Value:
    type_, found = TYPES.get(field.dtype), _type_of(field.name, where, project)
    if type_ != found:
        right = next(name for name, each in TYPES.items() if each == found)
        raise ProjectError(
            f"field {field.name!r} is declared as {field.dtype}, and the column is of type {found}",
            where=where,
            fix=f"Field(name={field.name!r}, dtype={right})",
        )
    return Value(name=field.name, type=found)


def _type_of(name: str, where: str, project: Project) -> Type:
    column = project.columns.get(name)
    if column is None:
        raise ProjectError(
            f"there is no column {name!r} in the dataset{_near(name, project.columns)}",
            where=where,
            why=f"project.toml has {', '.join(project.columns)}",
            fix=f"describe it under [columns.{name}], or name another one",
        )
    return column.type


def _on_demand(view: OnDemandFeatureView) -> OnDemand:
    where = f"features.py: on-demand view {view.name!r}"
    if view.mode not in ("python", "pandas") or getattr(view, "singleton", False):
        raise ProjectError(
            f"its mode is {view.mode}{', singleton' if getattr(view, 'singleton', False) else ''}",
            where=where,
            why="a singleton answers one value for several ids (feast#6815)",
            fix='mode="python" or mode="pandas", without singleton',
        )
    function = view.feature_transformation.udf
    projections = view.source_feature_view_projections.values()
    unnamed = [each.name for each in projections if not each.features]
    if unnamed:
        raise ProjectError(
            f"its source {unnamed[0]!r} has no features to give it",
            where=where,
            why="a view of aggregations that an on-demand view stands on needs its schema",
            fix="schema=[Field(name=…, dtype=…), …], one for each aggregation",
        )
    sources = view.source_request_sources.values()
    _try(view, where)
    return OnDemand(
        name=view.name,
        mode=view.mode,
        function=function.__name__,
        source=_standing_alone(function, where),
        inputs=(
            *(field.name for projection in projections for field in projection.features),
            *(field.name for source in sources for field in source.schema),
        ),
        features=tuple(_declared(field, where) for field in view.features),
    )


def _try(view: OnDemandFeatureView, where: str) -> None:
    """Have Feast run the function on values of its own making, as it does whenever the view is registered."""
    try:
        view.infer_features()
    except Exception as error:
        raise ProjectError(
            f"its function does not run on sample values: {type(error).__name__}",
            where=where,
            why=str(error),
            fix='give each feature a value of its declared type for any input; where there is none, float("nan")',
        ) from error


def _declared(field: Any, where: str) -> Value:
    if field.dtype not in TYPES:
        raise ProjectError(
            f"field {field.name!r} is declared as {field.dtype}",
            where=where,
            fix=f"features and request fields are of {', '.join(map(str, TYPES))}",
        )
    return Value(name=field.name, type=TYPES[field.dtype])


def _standing_alone(function: Any, where: str) -> str:
    """Give a function's text without its decorators, which says all that it needs.

    Raises:
        ProjectError: it uses a name of the module around it, which serving does not have (feast#6815).
    """
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    if not isinstance(definition, ast.FunctionDef):
        raise ProjectError("it is no function written with def", where=where, fix="write it as one")
    known = {*dir(builtins), function.__name__}
    outer = sorted({name for name in _globals_of(function.__code__) if name not in known})
    if outer:
        raise ProjectError(
            f"its function uses {', '.join(outer)} from outside of itself",
            where=where,
            why="only the function itself is kept, and runs at training and in the endpoint",
            fix="import and define within the function what it needs",
        )
    definition.decorator_list = []
    for argument in (*definition.args.posonlyargs, *definition.args.args, *definition.args.kwonlyargs):
        argument.annotation = None
    definition.returns = None
    return ast.unparse(definition) + "\n"


def _globals_of(code: Any) -> Iterable[str]:
    for each in dis.get_instructions(code):
        if each.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield each.argval
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _globals_of(constant)


def _request(on_demand: Iterable[OnDemandFeatureView]) -> tuple[Value, ...]:
    sources: list[RequestSource] = [
        source for view in on_demand for source in view.source_request_sources.values()
    ]
    fields = (
        _declared(field, f"features.py: request source {source.name!r}")
        for source in sources
        for field in source.schema
    )
    return tuple(dict.fromkeys(fields))


def _with_own_fields(
    request: tuple[Value, ...], views: tuple[View, ...], on_demand: tuple[OnDemand, ...], project: Project
) -> tuple[Value, ...]:
    """Add what the model takes of the dataset's columns without any view: a request brings it."""
    all_views: tuple[View | OnDemand, ...] = (*views, *on_demand)
    made = {value.name for view in all_views for value in view.features} | {each.name for each in request}
    own = (name for name in project.features.names if name not in made and name in project.columns)
    return (*request, *(Value(name=name, type=project.columns[name].type) for name in own))


def _reference(
    name: str,
    views: tuple[View, ...],
    on_demand: tuple[OnDemand, ...],
    request: tuple[Value, ...],
    project: Project,
) -> str:
    all_views: tuple[View | OnDemand, ...] = (*views, *on_demand)
    for view in all_views:
        if name in (value.name for value in view.features):
            return f"{view.name}:{name}"
    if name in project.columns or name in (each.name for each in request):
        return name
    made = [value.name for each in all_views for value in each.features]
    raise ProjectError(
        f"no view makes the feature {name!r}{_near(name, made)}",
        where="project.toml: features",
        why=f"the views of features.py make {', '.join(made)}",
        fix="add it to a view, or take it from the list",
    )


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def read(folder: Path) -> tuple[Definitions, FeaturePlan]:
    """Read a project's folder: what its features.py holds, and the plan that is made of it.

    Raises:
        ProjectError: see `load` and `plan_of`.
    """
    definitions = load(folder)
    return definitions, plan_of(definitions, Project.load_file(folder / "project.toml"))


def compiled(folder: Path) -> FeaturePlan:
    """Read a project's folder, and give its plan. Raises as `read`."""
    return read(folder)[1]
