"""AWS::SageMaker: models, endpoint configurations, endpoints, model package groups and MLflow apps."""

from __future__ import annotations

from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType
from local.cloudformation.service_type import Calls, Identity, Tagging, service_type

_TAGGING = Tagging("ResourceArn", "add_tags", "delete_tags")


def _identity(name_property: str, kind: str, *attributes: str) -> Identity:
    """Ref gives the ARN; so do the `attributes` that end in Arn, and the others give the name."""
    arn = f"arn:aws:sagemaker:{{region}}:{{account}}:{kind}/{{id}}"
    values = {name: arn if name.endswith("Arn") else "{id}" for name in attributes}
    return Identity(name_property, arn=arn, ref=arn, attributes=values)


def _calls(kind: str, deleted_by: str, update: str | None = None, ready: str | None = None) -> Calls:
    return Calls("sagemaker", f"create_{kind}", f"delete_{kind}", deleted_by, update, ready)


MODEL = service_type(
    "AWS::SageMaker::Model",
    properties="Containers EnableNetworkIsolation ExecutionRoleArn ModelName PrimaryContainer",
    calls=_calls("model", "ModelName"),
    identity=_identity("ModelName", "model", "ModelName", "ModelArn"),
    tagging=_TAGGING,
)

ENDPOINT_CONFIG = service_type(
    "AWS::SageMaker::EndpointConfig",
    properties="DataCaptureConfig EndpointConfigName ProductionVariants",
    calls=_calls("endpoint_config", "EndpointConfigName"),
    identity=_identity("EndpointConfigName", "endpoint-config", "EndpointConfigName", "EndpointConfigArn"),
    tagging=_TAGGING,
)

ENDPOINT = service_type(
    "AWS::SageMaker::Endpoint",
    properties="DeploymentConfig EndpointConfigName EndpointName",
    calls=_calls("endpoint", "EndpointName", update="update_endpoint", ready="endpoint_in_service"),
    identity=_identity("EndpointName", "endpoint", "EndpointName", "EndpointArn"),
    tagging=_TAGGING,
)

MODEL_PACKAGE_GROUP = service_type(
    "AWS::SageMaker::ModelPackageGroup",
    properties="ModelPackageGroupDescription ModelPackageGroupName",
    calls=_calls("model_package_group", "ModelPackageGroupName"),
    identity=_identity("ModelPackageGroupName", "model-package-group", "ModelPackageGroupArn"),
    tagging=_TAGGING,
)

_APP_SETTINGS = ("ArtifactStoreUri", "ModelRegistrationMode", "Name", "WeeklyMaintenanceWindowStart")


def _create_app(operation: Operation) -> Resource:
    settings = {**operation.pick(*_APP_SETTINGS, "RoleArn"), "Name": operation.name("Name")}
    arn = operation.call("sagemaker", "create_mlflow_app", settings)["Arn"]
    operation.exists(arn)
    return _app(operation, arn)


def _update_app(operation: Operation) -> Resource:
    arn = operation.physical_id
    operation.call("sagemaker", "update_mlflow_app", {"Arn": arn, **operation.pick(*_APP_SETTINGS)})
    return _app(operation, arn)


def _app(operation: Operation, arn: str) -> Resource:
    found = operation.client("sagemaker").describe_mlflow_app(Arn=arn)
    attributes = {"Arn": arn, "MlflowAppId": arn.rsplit("/", 1)[1]}
    return Resource(arn, attributes | {name: found[name] for name in ("MlflowVersion", "Status")})


MLFLOW_APP = ResourceType(
    name="AWS::SageMaker::MlflowApp",
    create=_create_app,
    update=_update_app,
    delete=lambda operation: operation.client("sagemaker").delete_mlflow_app(Arn=operation.physical_id),
    applied=frozenset({*_APP_SETTINGS, "RoleArn"}),
    no_effect={"Tags": "moto keeps none of an app"},
    replacement=frozenset({"RoleArn"}),
    name_property="Name",
)

TYPES = (MODEL, ENDPOINT_CONFIG, ENDPOINT, MODEL_PACKAGE_GROUP, MLFLOW_APP)
