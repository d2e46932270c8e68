"""UpdateItem, Query and Scan: done by moto's own code, without moto's parsing before it and serializing after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.dynamodb.responses import DynamoHandler

from local.dynamodb import requests, values
from local.dynamodb.errors import PassOn

# By the parameters that are taken, their types. Legacy ones are moto's from beginning to end.
_EXPRESSIONS = {
    "TableName": str,
    "ReturnConsumedCapacity": str,
    "ExpressionAttributeNames": dict,
    "ExpressionAttributeValues": dict,
}
_FIND = {
    **_EXPRESSIONS,
    "IndexName": str,
    "Select": str,
    "Limit": int,
    "ConsistentRead": bool,
    "ExclusiveStartKey": dict,
    "ProjectionExpression": str,
    "FilterExpression": str,
}
UPDATE = {
    **_EXPRESSIONS,
    "Key": dict,
    "UpdateExpression": str,
    "ConditionExpression": str,
    "ReturnValues": str,
    "ReturnValuesOnConditionCheckFailure": str,
}
QUERY = {**_FIND, "KeyConditionExpression": str, "ScanIndexForward": bool}
SCAN = {**_FIND, "Segment": int, "TotalSegments": int}
_HOLDING_VALUES = ("Key", "ExclusiveStartKey", "ExpressionAttributeValues")
_ANSWERED = ("Items", "Count", "ScannedCount", "LastEvaluatedKey", "Attributes", "ConsumedCapacity")


def action(name: str, taken: Mapping[str, type]) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    """The operation that is moto's method of a name.

    It raises PassOn where a request holds anything else, and where moto refuses it: a request that is refused has
    changed nothing, so moto may refuse it again, in all its words.
    """

    def call(backend: Any, request: Mapping[str, Any]) -> dict[str, Any]:
        requests.check_parameters(request, taken.keys())
        if not all(type(given) is taken[each] for each, given in request.items()):
            raise PassOn
        requests.table_of(backend, request.get("TableName"))
        handler = DynamoHandler()
        handler.current_account = backend.account_id
        handler.region = backend.region_name
        handler.body = {
            each: _as_parsed(given) if each in _HOLDING_VALUES else given for each, given in request.items()
        }
        try:
            result = getattr(handler, name)().result
        except JsonRESTError as error:
            raise PassOn from error
        return {each: result[each] for each in _ANSWERED if each in result}

    return call


def _as_parsed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Attribute values by name, as moto's parser gives them: JSON in which binaries are bytes."""
    return {name: _plain(values.parse(value)) for name, value in given.items()}


def _plain(value: Any) -> dict[str, Any]:
    content = value.value
    if value.type == "M":
        content = {name: _plain(each) for name, each in content.items()}
    elif value.type == "L":
        content = [_plain(each) for each in content]
    return {value.type: content}
