"""JSON schemas of requests and answers.

Of a request there are two. The gateway's is of every model alike: the forms a request can have, and how many rows.
It is part of the template, and a template stands before the first model and beside each later one, while a model's
contract goes over to the next one in the middle of a deployment. Which columns there are, and of which types, says
the model that is asked, in its own words. The contract's is for people and programs that write requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sluice.contract import Feature, ModelContract, TargetContract

Schema = dict[str, Any]

FORMS = (
    'a record {"column": value, …}, a list of records or of lists of values, or such a list as '
    '{"instances": […]}, {"dataframe_records": […]} or {"dataframe_split": {"columns": […], "data": […]}}'
)
_TYPES = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "string"}
_LISTED = ("instances", "dataframe_records")
_SPLIT = "dataframe_split"


def forms(max_rows: int) -> Schema:
    """Give the schema that API Gateway holds a body against: a Model, which is of JSON Schema draft 4.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/models-mappings-models.html
    """
    value = {"type": ["string", "number", "boolean", "null"]}
    values = {"type": "array", "items": value, "minItems": 1}
    of_sagemaker = {
        "type": "object",
        "required": ["features"],
        "additionalProperties": False,
        "properties": {"features": values},
    }
    record = {"type": "object", "minProperties": 1, "additionalProperties": value}
    rows = {
        "type": "array",
        "minItems": 1,
        "maxItems": max_rows,
        "items": {"anyOf": [record, values, of_sagemaker]},
    }
    split = _dataframe_split(rows)
    return {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": "PredictionRequest",
        "anyOf": [
            record,
            rows,
            of_sagemaker,
            *(_envelope(name, rows) for name in _LISTED),
            _envelope(_SPLIT, split),
        ],
    }


def request(contracts: Sequence[ModelContract], max_rows: int) -> Schema:
    """Give the schema of a request that the model takes, of JSON Schema 2020-12.

    A record keeps to any of the contracts: the model's own, and that of requests by id, if there is one. A list of
    values keeps to the first one. Without a contract the forms are all that is known.
    """
    if not contracts:
        return {name: part for name, part in forms(max_rows).items() if name != "$schema"}
    record = _any_of([_record(each) for each in contracts])
    values = _values(contracts[0])
    names = {name for each in contracts for name in each.names}
    # A column may be called like a form, which then is a record.
    row = [record, values]
    if "features" not in names:
        row.append(_envelope("features", values))
    rows = {"type": "array", "minItems": 1, "maxItems": max_rows, "items": _any_of(row)}
    split = _dataframe_split({"type": "array", "minItems": 1, "maxItems": max_rows})
    envelopes = [_envelope(name, rows) for name in _LISTED if name not in names]
    if _SPLIT not in names:
        envelopes.append(_envelope(_SPLIT, split))
    if "features" not in names:
        envelopes.append(_envelope("features", values))
    return {"title": "PredictionRequest", "anyOf": [record, rows, *envelopes]}


def answer(target: TargetContract) -> Schema:
    """Give the schema of the predictions, one for each row in order."""
    if target.problem == "regression":
        prediction = _object({"value": {"type": "number"}})
    else:
        label = (
            {"enum": list(target.classes)} if target.classes else {"type": ["string", "integer", "boolean"]}
        )
        chance = {"type": "number", "minimum": 0, "maximum": 1}
        if target.problem == "binary":
            of = {} if target.positive is None else {"description": f"That it is {target.positive!r}."}
            prediction = _object({"label": label, "probability": {**chance, **of}})
        else:
            prediction = _object(
                {"label": label, "probabilities": {"type": "object", "additionalProperties": chance}}
            )
    return {
        "title": "Predictions",
        **_object({"predictions": {"type": "array", "minItems": 1, "items": prediction}}),
    }


def _record(contract: ModelContract) -> Schema:
    return {
        "type": "object",
        "required": list(contract.names),
        "additionalProperties": False,
        "properties": {feature.name: _value(feature) for feature in contract.features},
    }


def _values(contract: ModelContract) -> Schema:
    return {
        "type": "array",
        "prefixItems": [{"title": feature.name, **_value(feature)} for feature in contract.features],
        "minItems": len(contract.features),
        "maxItems": len(contract.features),
    }


def _value(feature: Feature) -> Schema:
    types = [_TYPES[feature.type]]
    described: Schema = {}
    if feature.spelling is not None:
        types.append("string")
        described = {"description": f"A number, or a text with {feature.spelling.describe()}."}
    if feature.nullable:
        # A text of blanks, or one of data.null_values, is null, too.
        types.append("null")
    return {"type": types[0] if len(types) == 1 else types, **described}


def _envelope(name: str, content: Schema) -> Schema:
    return _object({name: content})


def _object(properties: Schema) -> Schema:
    return {
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }


def _any_of(schemas: Sequence[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}


def _dataframe_split(data: dict[str, Any]) -> dict[str, Any]:
    """What pandas makes of a frame by `to_dict("split")`, as MLflow's clients send it."""
    return {
        "type": "object",
        "required": ["data"],
        "additionalProperties": False,
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "index": {"type": "array"},
            "data": data,
        },
    }
