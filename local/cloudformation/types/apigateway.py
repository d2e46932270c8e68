"""AWS::ApiGateway: REST APIs, what they are made of, their stages, keys and usage plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.cloudformation.boto_request import as_boolean, as_text
from local.cloudformation.errors import ResourceFailed
from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType, names

_SERVICE = "apigateway"


def _replace(path: str, value: Any) -> dict[str, str]:
    return {"op": "replace", "path": path, "value": as_text(value)}


def _create_api(operation: Operation) -> Resource:
    settings = operation.pick("Description", "EndpointConfiguration", "Tags")
    arguments = {"Name": operation.name("Name"), **settings}
    created = operation.call(_SERVICE, "create_rest_api", arguments)
    return Resource(created["id"], {"RootResourceId": created["rootResourceId"], "RestApiId": created["id"]})


def _update_api(operation: Operation) -> Resource:
    changes = [
        _replace(path, operation.properties.get(name, ""))
        for name, path in (("Name", "/name"), ("Description", "/description"))
        if operation.changed(name)
    ]
    client, api = operation.client(_SERVICE), operation.physical_id
    if changes:
        client.update_rest_api(restApiId=api, patchOperations=changes)
    root = client.get_rest_api(restApiId=api)["rootResourceId"]
    return Resource(api, {"RootResourceId": root, "RestApiId": api})


API = ResourceType(
    name="AWS::ApiGateway::RestApi",
    create=_create_api,
    update=_update_api,
    delete=lambda operation: operation.client(_SERVICE).delete_rest_api(restApiId=operation.physical_id),
    applied=names("Name Description EndpointConfiguration.Types Tags"),
    replacement=names("EndpointConfiguration Tags"),
)


def _create_resource(operation: Operation) -> Resource:
    given = operation.properties
    created = operation.client(_SERVICE).create_resource(
        restApiId=given["RestApiId"], parentId=given["ParentId"], pathPart=given["PathPart"]
    )
    return Resource(created["id"], {"ResourceId": created["id"]})


RESOURCE = ResourceType(
    name="AWS::ApiGateway::Resource",
    create=_create_resource,
    delete=lambda operation: operation.client(_SERVICE).delete_resource(
        restApiId=operation.previous["RestApiId"], resourceId=operation.physical_id
    ),
    applied=names("RestApiId ParentId PathPart"),
)

_METHOD = ("AuthorizationType", "ApiKeyRequired", "OperationName", "RequestModels", "RequestValidatorId")


def _put_method(operation: Operation) -> Resource:
    """Also where it is there already: what a method is, and what it is integrated with, is put as a whole."""
    given = operation.properties
    place = {each: given[each] for each in ("RestApiId", "ResourceId", "HttpMethod")}
    operation.call(_SERVICE, "put_method", {**place, **operation.pick(*_METHOD)})
    name = f"{given['RestApiId']}/{given['ResourceId']}/{given['HttpMethod']}"
    operation.exists(name)
    integration = dict(given.get("Integration") or {})
    if integration:
        if integration.get("Type") != "AWS_PROXY":
            raise ResourceFailed(
                f"Integration.Type {integration.get('Type')}: the local AWS hands requests to Lambda functions by "
                "AWS_PROXY, and to nothing else"
            )
        integration["IntegrationHttpMethod"] = integration.pop("IntegrationHttpMethod", "POST")
        operation.call(_SERVICE, "put_integration", {**place, **integration})
    return Resource(name)


def _delete_method(operation: Operation) -> None:
    api, resource, verb = operation.physical_id.split("/")
    operation.client(_SERVICE).delete_method(restApiId=api, resourceId=resource, httpMethod=verb)


METHOD = ResourceType(
    name="AWS::ApiGateway::Method",
    create=_put_method,
    update=_put_method,
    delete=_delete_method,
    applied=names(
        "RestApiId ResourceId HttpMethod Integration.Type Integration.Uri Integration.IntegrationHttpMethod "
        "Integration.TimeoutInMillis " + " ".join(_METHOD)
    ),
    replacement=names("RestApiId ResourceId HttpMethod"),
)


def _create_model(operation: Operation) -> Resource:
    name = operation.name("Name").replace("-", "")
    settings = operation.pick("RestApiId", "ContentType", "Description", "Schema")
    operation.call(_SERVICE, "create_model", {"ContentType": "application/json", "Name": name, **settings})
    return Resource(name)


def _update_model(operation: Operation) -> Resource:
    """A model of the same name is the same to methods; UpdateModel is not there."""
    _delete_model(operation)
    settings = operation.pick("RestApiId", "ContentType", "Description", "Schema")
    arguments = {"ContentType": "application/json", "Name": operation.physical_id, **settings}
    operation.call(_SERVICE, "create_model", arguments)
    return Resource(operation.physical_id)


def _delete_model(operation: Operation) -> None:
    operation.client(_SERVICE).delete_model(
        restApiId=operation.previous["RestApiId"], modelName=operation.physical_id
    )


MODEL = ResourceType(
    name="AWS::ApiGateway::Model",
    create=_create_model,
    update=_update_model,
    delete=_delete_model,
    applied=names("RestApiId Name ContentType Description Schema"),
    replacement=names("RestApiId Name ContentType"),
    name_property="Name",
)

_VALIDATES = {
    "ValidateRequestBody": "/validateRequestBody",
    "ValidateRequestParameters": "/validateRequestParameters",
}


def _create_validator(operation: Operation) -> Resource:
    arguments = {"Name": operation.name("Name"), **operation.pick("RestApiId", *_VALIDATES)}
    created = operation.call(_SERVICE, "create_request_validator", arguments)
    return Resource(created["id"], {"RequestValidatorId": created["id"]})


def _update_validator(operation: Operation) -> Resource:
    changes = [
        _replace(path, as_boolean(operation.properties.get(name, False), name))
        for name, path in _VALIDATES.items()
        if operation.changed(name)
    ]
    operation.client(_SERVICE).update_request_validator(
        restApiId=operation.properties["RestApiId"],
        requestValidatorId=operation.physical_id,
        patchOperations=changes,
    )
    return Resource(operation.physical_id, {"RequestValidatorId": operation.physical_id})


VALIDATOR = ResourceType(
    name="AWS::ApiGateway::RequestValidator",
    create=_create_validator,
    update=_update_validator,
    delete=lambda operation: operation.client(_SERVICE).delete_request_validator(
        restApiId=operation.previous["RestApiId"], requestValidatorId=operation.physical_id
    ),
    applied=names("RestApiId Name " + " ".join(_VALIDATES)),
    replacement=names("RestApiId Name"),
)


def _put_response(operation: Operation) -> Resource:
    given = operation.properties
    settings = operation.pick(
        "RestApiId", "ResponseType", "StatusCode", "ResponseParameters", "ResponseTemplates"
    )
    operation.call(_SERVICE, "put_gateway_response", settings)
    return Resource(f"{given['RestApiId']}/{given['ResponseType']}")


def _delete_response(operation: Operation) -> None:
    api, response_type = operation.physical_id.split("/")
    operation.client(_SERVICE).delete_gateway_response(restApiId=api, responseType=response_type)


GATEWAY_RESPONSE = ResourceType(
    name="AWS::ApiGateway::GatewayResponse",
    create=_put_response,
    update=_put_response,
    delete=_delete_response,
    applied=names("RestApiId ResponseType StatusCode ResponseParameters ResponseTemplates"),
    replacement=names("RestApiId ResponseType"),
)


def _create_deployment(operation: Operation) -> Resource:
    created = operation.call(_SERVICE, "create_deployment", operation.pick("RestApiId", "Description"))
    return Resource(created["id"], {"DeploymentId": created["id"]})


DEPLOYMENT = ResourceType(
    name="AWS::ApiGateway::Deployment",
    create=_create_deployment,
    delete=lambda operation: operation.client(_SERVICE).delete_deployment(
        restApiId=operation.previous["RestApiId"], deploymentId=operation.physical_id
    ),
    applied=names("RestApiId Description"),
)

# What a stage has without them: the account's own limits.
_METHOD_SETTINGS: Mapping[str, tuple[str, Any]] = {
    "MetricsEnabled": ("metrics/enabled", False),
    "ThrottlingBurstLimit": ("throttling/burstLimit", 5_000),
    "ThrottlingRateLimit": ("throttling/rateLimit", 10_000),
}


def _create_stage(operation: Operation) -> Resource:
    name = operation.name("StageName")
    settings = operation.pick("RestApiId", "DeploymentId", "Description", "Tags")
    operation.call(_SERVICE, "create_stage", {**settings, "StageName": name})
    operation.exists(name)
    _change_stage(operation, name, [])
    return Resource(name)


def _update_stage(operation: Operation) -> Resource:
    given = operation.properties
    changes = [_replace("/deploymentId", given["DeploymentId"])]
    if operation.changed("Description"):
        changes.append(_replace("/description", given.get("Description", "")))
    _change_stage(operation, operation.physical_id, changes)
    if operation.changed("Tags"):
        arn = f"arn:aws:apigateway:{operation.region}::/restapis/{given['RestApiId']}/stages/{operation.physical_id}"
        operation.retag(_SERVICE, {"ResourceArn": arn}, "tag_resource", "untag_resource")
    return Resource(operation.physical_id)


def _change_stage(operation: Operation, name: str, changes: list[dict[str, str]]) -> None:
    wanted, old = _settings_of(operation.properties), _settings_of(operation.previous)
    for path in sorted(old.keys() | wanted.keys()):
        setting = wanted.get(path, {})
        changes = changes + [
            _replace(f"{path}/{key}", setting.get(of, default))
            for of, (key, default) in _METHOD_SETTINGS.items()
            if of in setting or of in old.get(path, {}) or of.startswith("Throttling")
        ]
    if changes:
        operation.client(_SERVICE).update_stage(
            restApiId=operation.properties["RestApiId"], stageName=name, patchOperations=changes
        )


def _settings_of(properties: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The settings by the path that patches them: a resource's has ~1 for /, and that of all is /*."""
    return {
        f"/{setting['ResourcePath'].removeprefix('/')}/{setting['HttpMethod']}": setting
        for setting in properties.get("MethodSettings") or ()
    }


STAGE = ResourceType(
    name="AWS::ApiGateway::Stage",
    create=_create_stage,
    update=_update_stage,
    delete=lambda operation: operation.client(_SERVICE).delete_stage(
        restApiId=operation.previous["RestApiId"], stageName=operation.physical_id
    ),
    applied=names(
        "RestApiId StageName DeploymentId Description Tags MethodSettings.ResourcePath MethodSettings.HttpMethod "
        + " ".join(f"MethodSettings.{name}" for name in _METHOD_SETTINGS)
    ),
    replacement=names("RestApiId StageName"),
    name_property="StageName",
)


def _create_key(operation: Operation) -> Resource:
    arguments = {"Name": operation.name("Name"), **operation.pick("Description", "Enabled", "Value", "Tags")}
    created = operation.call(_SERVICE, "create_api_key", arguments)
    return Resource(created["id"], {"APIKeyId": created["id"]})


def _update_key(operation: Operation) -> Resource:
    changes = [
        _replace(path, operation.properties.get(name, default))
        for name, path, default in (("Description", "/description", ""), ("Enabled", "/enabled", False))
        if operation.changed(name)
    ]
    if changes:
        operation.client(_SERVICE).update_api_key(apiKey=operation.physical_id, patchOperations=changes)
    return Resource(operation.physical_id, {"APIKeyId": operation.physical_id})


KEY = ResourceType(
    name="AWS::ApiGateway::ApiKey",
    create=_create_key,
    update=_update_key,
    delete=lambda operation: operation.client(_SERVICE).delete_api_key(apiKey=operation.physical_id),
    applied=names("Name Description Enabled Value Tags"),
    replacement=names("Name Value Tags"),
    name_property="Name",
)


def _create_plan(operation: Operation) -> Resource:
    settings = operation.pick("ApiStages", "Description", "Quota", "Throttle", "Tags")
    created = operation.call(
        _SERVICE, "create_usage_plan", {"Name": operation.name("UsagePlanName"), **settings}
    )
    return Resource(created["id"], {"Id": created["id"]})


PLAN = ResourceType(
    name="AWS::ApiGateway::UsagePlan",
    create=_create_plan,
    delete=lambda operation: operation.client(_SERVICE).delete_usage_plan(usagePlanId=operation.physical_id),
    applied=names(
        "UsagePlanName Description Quota Throttle.RateLimit Throttle.BurstLimit Tags ApiStages.ApiId ApiStages.Stage"
    ),
)


def _create_plan_key(operation: Operation) -> Resource:
    given = operation.properties
    operation.call(_SERVICE, "create_usage_plan_key", operation.pick("UsagePlanId", "KeyId", "KeyType"))
    return Resource(f"{given['KeyId']}:{given['UsagePlanId']}")


def _delete_plan_key(operation: Operation) -> None:
    key, plan = operation.physical_id.split(":")
    operation.client(_SERVICE).delete_usage_plan_key(usagePlanId=plan, keyId=key)


PLAN_KEY = ResourceType(
    name="AWS::ApiGateway::UsagePlanKey",
    create=_create_plan_key,
    delete=_delete_plan_key,
    applied=names("UsagePlanId KeyId KeyType"),
)

TYPES = (
    API,
    RESOURCE,
    METHOD,
    MODEL,
    VALIDATOR,
    GATEWAY_RESPONSE,
    DEPLOYMENT,
    STAGE,
    KEY,
    PLAN,
    PLAN_KEY,
)
