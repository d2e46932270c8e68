"""SageMaker's answers by the API's own model: its members and no others, and no structure that is empty."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import OperationModel, Shape


@cache
def operation(name: str) -> OperationModel:
    """An operation as the API's model describes it: `DescribeModel`."""
    return botocore.session.get_session().get_service_model("sagemaker").operation_model(name)


def answer(name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """What `name` answers of a record; the shapes of SDKs that check the answer refuse `VpcConfig: {}`.

    SageMaker leaves out what was not given. Of maps, an empty one may have been.
    """
    shape = operation(name).output_shape
    assert shape is not None
    pruned = _pruned(record, shape)
    return {key: value for key, value in pruned.items() if value != []}


def summary(shape: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    """What a list of the API says of a record: the members of the list's `shape`."""
    summarised: dict[str, Any] = _pruned(record, shape.member)
    return summarised


def _pruned(value: Any, shape: Shape) -> Any:
    if shape.type_name == "structure":
        return {
            name: _pruned(value[name], member)
            for name, member in shape.members.items()  # type: ignore[attr-defined]  # a StructureShape
            if value.get(name) is not None and not (member.type_name == "structure" and not value[name])
        }
    if shape.type_name == "list":
        return [_pruned(each, shape.member) for each in value]  # type: ignore[attr-defined]  # a ListShape
    return value
