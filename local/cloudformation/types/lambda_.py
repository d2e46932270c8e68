"""AWS::Lambda: functions, versions, aliases and permissions."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from local.cloudformation.errors import ResourceFailed
from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType

_CONFIGURATION = (
    "Description",
    "Environment",
    "EphemeralStorage",
    "Handler",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "Timeout",
    "TracingConfig",
)
_DEFAULTS: Mapping[str, Any] = {
    "Description": "",
    "Environment": {"Variables": {}},
    "EphemeralStorage": {"Size": 512},
    "Layers": [],
    "LoggingConfig": {},
    "MemorySize": 128,
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
}


def _create_function(operation: Operation) -> Resource:
    name = operation.name("FunctionName", longest=64)
    settings = operation.pick(*_CONFIGURATION, "Architectures", "PackageType", "Tags")
    arguments = {"FunctionName": name, "Code": _code(operation), **settings}
    operation.call("lambda", "create_function", arguments)
    operation.exists(name)
    _limit_concurrency(operation, name)
    return _function(operation, name)


def _update_function(operation: Operation) -> Resource:
    name = operation.physical_id
    if operation.changed("Code"):
        operation.call("lambda", "update_function_code", {"FunctionName": name, **_code(operation)})
    changed = {
        key: operation.properties.get(key, _DEFAULTS.get(key))
        for key in _CONFIGURATION
        if operation.changed(key)
    }
    if changed:
        operation.call("lambda", "update_function_configuration", {"FunctionName": name, **changed})
    _limit_concurrency(operation, name)
    function = _function(operation, name)
    operation.retag("lambda", {"Resource": function.attributes["Arn"]}, "tag_resource", "untag_resource")
    return function


def _code(operation: Operation) -> dict[str, Any]:
    code = dict(operation.properties["Code"])
    if "ZipFile" in code:
        code["ZipFile"] = _inline_code(operation, code["ZipFile"])
    return code


def _inline_code(operation: Operation, source: str) -> bytes:
    """`ZipFile` in a template is source text; Lambda stores it as index.<extension>."""
    runtime = operation.properties.get("Runtime", "")
    if not runtime.startswith("python"):
        raise ResourceFailed(f"Code.ZipFile needs a Python runtime in the local AWS, not {runtime!r}")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        # The same source is the same archive, whenever it is deployed.
        target.writestr(zipfile.ZipInfo("index.py", date_time=(1980, 1, 1, 0, 0, 0)), source)
    return archive.getvalue()


def _limit_concurrency(operation: Operation, name: str) -> None:
    if not operation.changed("ReservedConcurrentExecutions"):
        return
    client, limit = operation.client("lambda"), operation.properties.get("ReservedConcurrentExecutions")
    if limit is None:
        client.delete_function_concurrency(FunctionName=name)
    else:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=int(limit))


def _function(operation: Operation, name: str) -> Resource:
    return Resource(name, {"Arn": operation.arn("lambda", f"function:{name}")})


FUNCTION = ResourceType(
    name="AWS::Lambda::Function",
    create=_create_function,
    update=_update_function,
    delete=lambda operation: operation.client("lambda").delete_function(FunctionName=operation.physical_id),
    applied=frozenset(
        {
            "FunctionName",
            "Code.S3Bucket",
            "Code.S3Key",
            "Code.S3ObjectVersion",
            "Code.ZipFile",
            "Code.ImageUri",
            "PackageType",
            "ReservedConcurrentExecutions",
            "Tags",
            *_CONFIGURATION,
        }
        - {"Runtime", "TracingConfig"}
    ),
    no_effect={
        "Architectures": "stored; handlers run on this machine's processor",
        "Runtime": "stored; handlers run on the interpreter that runs the local AWS",
        "TracingConfig": "stored; there is no X-Ray",
    },
    replacement=frozenset({"FunctionName", "PackageType", "Architectures"}),
    name_property="FunctionName",
)


def _create_version(operation: Operation) -> Resource:
    client, function = operation.client("lambda"), operation.properties["FunctionName"]
    code = client.get_function_configuration(FunctionName=function)["CodeSha256"]
    expected = operation.properties.get("CodeSha256", code)
    if expected != code:
        raise ResourceFailed(
            f"CodeSHA256 ({expected}) is different from current CodeSHA256 in $LATEST ({code})"
        )
    existing = client.list_versions_by_function(FunctionName=_bare_name(operation))["Versions"]
    published = operation.call("lambda", "publish_version", operation.pick("FunctionName", "Description"))
    if published["Version"] in [version["Version"] for version in existing]:
        raise ResourceFailed(
            f"A version for this Lambda function exists ( {published['Version']} ). Modify the function to "
            "create a new version."
        )
    arn = operation.arn("lambda", f"function:{_bare_name(operation)}:{published['Version']}")
    return Resource(arn, {"Version": published["Version"], "FunctionArn": arn})


def _bare_name(operation: Operation) -> str:
    """The function's name, which templates also give as its ARN."""
    name: str = operation.properties["FunctionName"]
    return name.split(":function:")[1].split(":")[0] if ":function:" in name else name


def _delete_version(operation: Operation) -> None:
    function, _, version = operation.physical_id.split(":function:")[1].partition(":")
    operation.client("lambda").delete_function(FunctionName=function, Qualifier=version)


VERSION = ResourceType(
    name="AWS::Lambda::Version",
    create=_create_version,
    delete=_delete_version,
    applied=frozenset({"FunctionName", "Description", "CodeSha256"}),
)

_ALIAS = ("FunctionName", "FunctionVersion", "Name", "Description")


def _create_alias(operation: Operation) -> Resource:
    alias = operation.call("lambda", "create_alias", operation.pick(*_ALIAS))
    return Resource(alias["AliasArn"], {"AliasArn": alias["AliasArn"]})


def _update_alias(operation: Operation) -> Resource:
    operation.call("lambda", "update_alias", {"Description": "", **operation.pick(*_ALIAS)})
    return Resource(operation.physical_id, {"AliasArn": operation.physical_id})


def _delete_alias(operation: Operation) -> None:
    function, _, alias = operation.physical_id.split(":function:")[1].partition(":")
    operation.client("lambda").delete_alias(FunctionName=function, Name=alias)


ALIAS = ResourceType(
    name="AWS::Lambda::Alias",
    create=_create_alias,
    update=_update_alias,
    delete=_delete_alias,
    applied=frozenset(_ALIAS),
    replacement=frozenset({"FunctionName", "Name"}),
    name_property="Name",
)

_PERMISSION = ("FunctionName", "Action", "Principal", "SourceArn", "SourceAccount", "EventSourceToken")


def _add_permission(operation: Operation) -> Resource:
    statement = operation.name("Id", longest=100)
    operation.call("lambda", "add_permission", {"StatementId": statement, **operation.pick(*_PERMISSION)})
    return Resource(statement, {"Id": statement})


def _remove_permission(operation: Operation) -> None:
    operation.client("lambda").remove_permission(
        FunctionName=operation.previous["FunctionName"], StatementId=operation.physical_id
    )


PERMISSION = ResourceType(
    name="AWS::Lambda::Permission",
    create=_add_permission,
    delete=_remove_permission,
    applied=frozenset(_PERMISSION),
)

TYPES = (FUNCTION, VERSION, ALIAS, PERMISSION)
