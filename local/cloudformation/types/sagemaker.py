"""AWS::SageMaker: models, endpoint configurations, endpoints and model package groups."""

from __future__ import annotations

from local.cloudformation.resource_type import service_type

_ARN = "arn:aws:sagemaker:{region}:{account}:"
_TAGGING = ("ResourceArn", "add_tags", "delete_tags")

MODEL = service_type(
    "AWS::SageMaker::Model",
    service="sagemaker",
    properties="Containers EnableNetworkIsolation ExecutionRoleArn ModelName PrimaryContainer Tags",
    create="create_model",
    delete="delete_model",
    delete_by="ModelName",
    name_property="ModelName",
    ref=_ARN + "model/{id}",
    arn=_ARN + "model/{id}",
    retag=_TAGGING,
    attributes={"ModelName": "{id}", "ModelArn": _ARN + "model/{id}"},
)

ENDPOINT_CONFIG = service_type(
    "AWS::SageMaker::EndpointConfig",
    service="sagemaker",
    properties="DataCaptureConfig EndpointConfigName ProductionVariants Tags",
    create="create_endpoint_config",
    delete="delete_endpoint_config",
    delete_by="EndpointConfigName",
    name_property="EndpointConfigName",
    ref=_ARN + "endpoint-config/{id}",
    arn=_ARN + "endpoint-config/{id}",
    retag=_TAGGING,
    attributes={"EndpointConfigName": "{id}", "EndpointConfigArn": _ARN + "endpoint-config/{id}"},
)

ENDPOINT = service_type(
    "AWS::SageMaker::Endpoint",
    service="sagemaker",
    properties="DeploymentConfig EndpointConfigName EndpointName Tags",
    create="create_endpoint",
    update="update_endpoint",
    delete="delete_endpoint",
    delete_by="EndpointName",
    name_property="EndpointName",
    ready="endpoint_in_service",
    ref=_ARN + "endpoint/{id}",
    arn=_ARN + "endpoint/{id}",
    retag=_TAGGING,
    attributes={"EndpointName": "{id}", "EndpointArn": _ARN + "endpoint/{id}"},
)

MODEL_PACKAGE_GROUP = service_type(
    "AWS::SageMaker::ModelPackageGroup",
    service="sagemaker",
    properties="ModelPackageGroupDescription ModelPackageGroupName Tags",
    create="create_model_package_group",
    delete="delete_model_package_group",
    delete_by="ModelPackageGroupName",
    name_property="ModelPackageGroupName",
    ref=_ARN + "model-package-group/{id}",
    arn=_ARN + "model-package-group/{id}",
    retag=_TAGGING,
    attributes={"ModelPackageGroupArn": _ARN + "model-package-group/{id}"},
)

TYPES = (MODEL, ENDPOINT_CONFIG, ENDPOINT, MODEL_PACKAGE_GROUP)
