"""AWS::SageMaker: models, endpoint configurations, endpoints and model package groups."""

from __future__ import annotations

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

TYPES = (MODEL, ENDPOINT_CONFIG, ENDPOINT, MODEL_PACKAGE_GROUP)
