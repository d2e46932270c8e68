"""Search: the records that an expression of filters holds for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult

from local.sagemaker import answers
from local.sagemaker.errors import unsupported, validation
from local.sagemaker.listings import moment, paged

Record = Mapping[str, Any]
_DEFAULT_OPERATOR = "Equals"


def _with_tags(record: Record, tags: Iterable[Mapping[str, str]]) -> Record:
    return {**record, "Tags": list(tags)}


# Of the API's resources those that the local AWS runs itself.
_RESOURCES: dict[str, Callable[[Any], list[Record]]] = {
    "TrainingJob": lambda backend: [
        _with_tags(j.record, j.tags) for j in list(backend.training_jobs.values())
    ],
    "Endpoint": lambda backend: [
        _with_tags(e.response_object, e.tags) for e in list(backend.endpoints.values())
    ],
    "ModelPackageGroup": lambda backend: [
        _with_tags(group.gen_response_object(), group.tags or [])
        for group in list(backend.model_package_groups.values())
    ],
}


def search(response: Any) -> ActionResult:
    """Answer Search; the resources and operators that the local AWS has not are refused by name."""
    request = response.params
    resource = request.get("Resource")
    if resource not in _RESOURCES:
        raise unsupported(f"Search of {resource}", f"It searches {', '.join(_RESOURCES)}.")
    if request.get("VisibilityConditions") or request.get("CrossAccountFilterOption") == "CrossAccount":
        raise unsupported("VisibilityConditions and CrossAccountFilterOption of Search")
    expression = request.get("SearchExpression") or {}
    found = [r for r in _RESOURCES[resource](response.sagemaker_backend) if _holds(expression, r)]
    by = request.get("SortBy") or "LastModifiedTime"
    descending = request.get("SortOrder", "Descending") == "Descending"
    # Those that have no such property come last, whichever way.
    found.sort(key=lambda record: _rank(_first(record, by), descending), reverse=descending)
    page, token = paged(found, request)
    shape = answers.operation("Search").output_shape
    assert shape is not None
    results = [answers.summary(shape.members["Results"], {resource: record}) for record in page]
    total = {"TotalHits": {"Value": len(found), "Relation": "EqualTo"}}
    return ActionResult({"Results": results, **total, **({"NextToken": token} if token else {})})


def _holds(expression: Mapping[str, Any], record: Record) -> bool:
    if expression.get("NestedFilters"):
        raise unsupported("NestedFilters of Search")
    tests = [
        *(_matches(each, record) for each in expression.get("Filters") or []),
        *(_holds(each, record) for each in expression.get("SubExpressions") or []),
    ]
    return any(tests) if expression.get("Operator") == "Or" and tests else all(tests)


def _matches(condition: Mapping[str, Any], record: Record) -> bool:
    name, operator = condition["Name"], condition.get("Operator") or _DEFAULT_OPERATOR
    values = list(_values(record, name))
    if operator in ("Exists", "NotExists"):
        return bool(values) == (operator == "Exists")
    wanted = condition.get("Value")
    if wanted is None:
        raise validation(f"Value must be provided for the operator {operator} on the property {name}.")
    if operator == "NotEquals":
        return all(_compared(value, wanted) != 0 for value in values)
    if operator == "In":
        return any(_compared(value, each.strip()) == 0 for value in values for each in wanted.split(","))
    if operator not in _OPERATORS:
        raise validation(f"Operator {operator} is not valid.")
    return any(_OPERATORS[operator](value, wanted) for value in values)


def _compared(value: Any, wanted: str) -> int | None:
    """-1, 0 or 1: the record's value against the filter's text; None where they cannot be compared."""
    if isinstance(value, datetime):
        try:
            pair: tuple[Any, Any] = (moment(value), moment(datetime.fromisoformat(wanted)))
        except ValueError as error:
            raise validation(f"{wanted} is no time: write it as 2026-01-31T12:00:00Z") from error
    elif isinstance(value, bool):
        pair = (str(value).lower(), wanted.lower())
    elif isinstance(value, int | float):
        try:
            pair = (float(value), float(wanted))
        except ValueError:
            return None
    else:
        pair = (str(value), wanted)
    return int(pair[0] > pair[1]) - int(pair[0] < pair[1])


_OPERATORS: dict[str, Callable[[Any, str], bool]] = {
    "Equals": lambda value, wanted: _compared(value, wanted) == 0,
    "Contains": lambda value, wanted: wanted in str(value),
    "GreaterThan": lambda value, wanted: _compared(value, wanted) == 1,
    "GreaterThanOrEqualTo": lambda value, wanted: _compared(value, wanted) in (0, 1),
    "LessThan": lambda value, wanted: _compared(value, wanted) == -1,
    "LessThanOrEqualTo": lambda value, wanted: _compared(value, wanted) in (-1, 0),
}


def _values(value: Any, path: str) -> Iterator[Any]:
    """The values at a property's path: `ResourceConfig.InstanceType`, `Tags.team`, `Metrics.score`.

    A key may hold dots itself; in a list, every entry counts.
    """
    if not path:
        yield value
    elif isinstance(value, list):
        for each in value:
            named = each.get("Key", each.get("MetricName")) if isinstance(each, Mapping) else None
            if named is not None and named == path:
                yield each["Value"]
            else:
                yield from _values(each, path)
    elif isinstance(value, Mapping):
        if path.startswith("Metrics."):
            yield from _values(value.get("FinalMetricDataList") or [], path.removeprefix("Metrics."))
        for key, each in value.items():
            if path == key or path.startswith(f"{key}."):
                yield from _values(each, path[len(key) + 1 :])


def _first(record: Record, path: str) -> Any:
    return next(_values(record, path), None)


def _rank(value: Any, descending: bool) -> tuple[bool, Any]:
    present = value is not None
    comparable = moment(value).timestamp() if isinstance(value, datetime) else value
    return (present == descending, comparable if present else 0)
