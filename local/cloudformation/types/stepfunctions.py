"""AWS::StepFunctions: state machines."""

from __future__ import annotations

import json
import re
from typing import Any

from local.cloudformation.boto_request import as_text
from local.cloudformation.errors import ResourceFailed
from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType

_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")


def _create(operation: Operation) -> Resource:
    name = operation.name("StateMachineName", longest=80)
    arguments = {"Name": name, "Definition": _definition(operation), **_settings(operation)}
    arguments |= operation.pick("Tags")
    if "StateMachineType" in operation.properties:
        arguments["Type"] = operation.properties["StateMachineType"]
    arn = operation.call("stepfunctions", "create_state_machine", arguments)["stateMachineArn"]
    return Resource(arn, {"Arn": arn, "Name": name})


def _update(operation: Operation) -> Resource:
    arn = operation.physical_id
    arguments = {"StateMachineArn": arn, "Definition": _definition(operation), **_settings(operation)}
    if "LoggingConfiguration" in operation.previous:
        arguments.setdefault("LoggingConfiguration", {"Level": "OFF"})
    operation.call("stepfunctions", "update_state_machine", arguments)
    operation.retag("stepfunctions", {"ResourceArn": arn}, "tag_resource", "untag_resource")
    return Resource(arn, {"Arn": arn, "Name": arn.rsplit(":", 1)[1]})


def _settings(operation: Operation) -> dict[str, Any]:
    return operation.pick("RoleArn", "LoggingConfiguration", "TracingConfiguration")


def _definition(operation: Operation) -> str:
    """The ASL text, wherever it is given, with `${Name}` replaced by DefinitionSubstitutions."""
    given = [name for name in _DEFINITIONS if name in operation.properties]
    if len(given) != 1:
        raise ResourceFailed(f"exactly one of {', '.join(_DEFINITIONS)} is needed, not {given or 'none'}")
    value = operation.properties[given[0]]
    if given[0] == "DefinitionS3Location":
        client = operation.client("s3")
        text = client.get_object(Bucket=value["Bucket"], Key=value["Key"])["Body"].read().decode()
    else:
        text = value if isinstance(value, str) else json.dumps(value)
    substitutions = operation.properties.get("DefinitionSubstitutions")
    return text if substitutions is None else _substitute(text, substitutions)


def _substitute(text: str, substitutions: dict[str, Any]) -> str:
    missing = {name for name in _PLACEHOLDER.findall(text) if name not in substitutions}
    if missing:
        raise ResourceFailed(
            f"the definition has ${{{min(missing)}}}, which DefinitionSubstitutions does not define"
        )
    return _PLACEHOLDER.sub(lambda match: as_text(substitutions[match.group(1)]), text)


_DEFINITIONS = ("DefinitionString", "Definition", "DefinitionS3Location")

STATE_MACHINE = ResourceType(
    name="AWS::StepFunctions::StateMachine",
    create=_create,
    update=_update,
    delete=lambda operation: operation.client("stepfunctions").delete_state_machine(
        stateMachineArn=operation.physical_id
    ),
    applied=frozenset(
        {
            *_DEFINITIONS[:2],
            "DefinitionS3Location.Bucket",
            "DefinitionS3Location.Key",
            "DefinitionSubstitutions",
            "LoggingConfiguration",
            "RoleArn",
            "StateMachineName",
            "StateMachineType",
            "Tags",
        }
    ),
    no_effect={"TracingConfiguration": "stored; there is no X-Ray"},
    replacement=frozenset({"StateMachineName", "StateMachineType"}),
    name_property="StateMachineName",
)

TYPES = (STATE_MACHINE,)
