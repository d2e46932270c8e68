"""Puts this package behind moto's SageMaker API: the seams in moto's response and backend classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.sagemaker.models import FakeEndpointConfig, SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from local import images
from local.sagemaker import capture
from local.sagemaker.answers import answer
from local.sagemaker.endpoints import Endpoints, find_config, find_endpoint, find_model
from local.sagemaker.errors import refuse_unsupported, unsupported, validation
from local.sagemaker.job_actions import Action, job_actions
from local.sagemaker.listings import listing_actions
from local.sagemaker.mlflow_apps import mlflow_app_actions
from local.sagemaker.runtime import Invocation, Runtime
from local.sagemaker.searching import search
from local.sagemaker.validation import check_environment, check_instance_type, check_name

if TYPE_CHECKING:
    from local.context import Context

# Operations that moto answers with an invented success and the local AWS has no process for.
REFUSED = {
    "create_auto_ml_job_v2": "CreateAutoMLJobV2",
    "create_compilation_job": "CreateCompilationJob",
    "start_pipeline_execution": "StartPipelineExecution",
}
CONFIG_UNSUPPORTED = ("AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants", "KmsKeyId")
CONTAINER_UNSUPPORTED = (
    "ModelDataSource",
    "AdditionalModelDataSources",
    "ModelPackageName",
    "MultiModelConfig",
    "ImageConfig",
)


def install(context: Context, endpoints: Endpoints, runtime: Runtime) -> None:
    """Replace the actions of moto that only pretend, and add those it has not."""
    actions: dict[str, Action] = {
        **job_actions(context),
        **_endpoint_actions(context, endpoints),
        **_describe_actions(),
        **listing_actions(),
        **mlflow_app_actions(context),
        "search": search,
        **{name: _refusal(operation) for name, operation in REFUSED.items()},
    }
    for name, action in actions.items():
        setattr(SageMakerResponse, name, action)
    FakeEndpointConfig.validate_instance_type = check_instance_type
    # CloudFormation creates and deletes endpoints through the backend, not through the API.
    SageMakerModelBackend.create_endpoint = lambda backend, endpoint_name, endpoint_config_name, tags: (
        endpoints.create(backend, endpoint_name, endpoint_config_name, tags)
    )
    SageMakerModelBackend.delete_endpoint = lambda backend, endpoint_name: endpoints.delete(
        backend, endpoint_name
    )
    _install_runtime(runtime)


def _endpoint_actions(context: Context, endpoints: Endpoints) -> dict[str, Action]:
    moto_create_model = SageMakerResponse.create_model
    moto_create_endpoint_config = SageMakerResponse.create_endpoint_config

    def create_model(response: Any) -> Any:
        request = response.params
        check_name(request.get("ModelName"), "modelName")
        refuse_unsupported(request, ("Containers", "InferenceExecutionConfig"), "CreateModel")
        container = request.get("PrimaryContainer") or {}
        refuse_unsupported(container, CONTAINER_UNSUPPORTED, "CreateModel's PrimaryContainer")
        if container.get("Mode", "SingleModel") != "SingleModel":
            raise unsupported("PrimaryContainer.Mode MultiModel")
        if not container.get("Image"):
            raise validation("You must specify PrimaryContainer.Image.")
        # Hosting takes no OCI manifest: https://github.com/aws/amazon-sagemaker-feedback/issues/180
        media_type = images.media_type(context.state_dir, container["Image"])
        if media_type == images.OCI_MANIFEST:
            raise validation(
                f"Unsupported manifest media type {media_type} for image {container['Image']}. Ensure that valid "
                "manifest media type is used for specified image."
            )
        check_environment(container.get("Environment") or {})
        backend = response.sagemaker_backend
        existing = backend._models.get(request["ModelName"])
        if existing is not None:
            raise validation(f'Cannot create already existing model "{existing.arn}".')
        made = moto_create_model(response)
        # moto forgets it. Nothing is isolated here; Describe says what was asked for.
        created = backend._models[request["ModelName"]]
        created.enable_network_isolation = bool(request.get("EnableNetworkIsolation"))
        return made

    def create_endpoint_config(response: Any) -> Any:
        request = response.params
        check_name(request.get("EndpointConfigName"), "endpointConfigName")
        refuse_unsupported(request, CONFIG_UNSUPPORTED, "CreateEndpointConfig")
        if request.get("DataCaptureConfig"):
            capture.check(request["DataCaptureConfig"])
        existing = response.sagemaker_backend.endpoint_configs.get(request["EndpointConfigName"])
        if existing is not None:
            text = f'Cannot create already existing endpoint configuration "{existing.endpoint_config_arn}".'
            raise validation(text)
        for variant in request.get("ProductionVariants") or []:
            if not variant.get("ModelName"):
                raise unsupported(f"a production variant without ModelName ({variant.get('VariantName')})")
        return moto_create_endpoint_config(response)

    def create_endpoint(response: Any) -> Any:
        request = response.params
        record = endpoints.create(
            response.sagemaker_backend,
            request.get("EndpointName"),
            request.get("EndpointConfigName"),
            request.get("Tags"),
            request.get("DeploymentConfig"),
        )
        return ActionResult({"EndpointArn": record.arn})

    def update_endpoint(response: Any) -> Any:
        request = response.params
        excluded = {
            entry["VariantPropertyType"] for entry in request.get("ExcludeRetainedVariantProperties") or []
        }
        record = endpoints.update(
            response.sagemaker_backend,
            request["EndpointName"],
            request["EndpointConfigName"],
            retain=bool(request.get("RetainAllVariantProperties")),
            excluded=excluded,
            deployment_config=request.get("DeploymentConfig"),
            retain_deployment_config=bool(request.get("RetainDeploymentConfig")),
        )
        return ActionResult({"EndpointArn": record.arn})

    def update_endpoint_weights_and_capacities(response: Any) -> Any:
        request = response.params
        record = endpoints.resize(
            response.sagemaker_backend, request["EndpointName"], request["DesiredWeightsAndCapacities"]
        )
        return ActionResult({"EndpointArn": record.arn})

    return {
        "create_model": create_model,
        "create_endpoint_config": create_endpoint_config,
        "create_endpoint": create_endpoint,
        "update_endpoint": update_endpoint,
        "update_endpoint_weights_and_capacities": update_endpoint_weights_and_capacities,
    }


def _describe_actions() -> dict[str, Action]:
    def describe_model(response: Any) -> Any:
        model = find_model(response.sagemaker_backend, response.params["ModelName"])
        return ActionResult(answer("DescribeModel", model.response_object))

    def describe_endpoint_config(response: Any) -> Any:
        config = find_config(response.sagemaker_backend, response.params["EndpointConfigName"])
        return ActionResult(answer("DescribeEndpointConfig", config.response_object))

    def describe_endpoint(response: Any) -> Any:
        endpoint = find_endpoint(response.sagemaker_backend, response.params["EndpointName"])
        return ActionResult(answer("DescribeEndpoint", endpoint.response_object))

    return {
        "describe_model": describe_model,
        "describe_endpoint_config": describe_endpoint_config,
        "describe_endpoint": describe_endpoint,
    }


def _refusal(operation: str) -> Action:
    def refuse(_response: Any) -> Any:
        raise unsupported(operation)

    return refuse


def _install_runtime(runtime: Runtime) -> None:
    def invoke_endpoint(response: Any) -> Any:
        status, headers, body = runtime.invoke(
            Invocation(
                account=response.current_account,
                region=response.region,
                endpoint=response.path.split("/")[2],
                headers=response.headers,
                body=response.raw_body,
            )
        )
        # moto takes the status from the headers.
        return status, {**headers, "status": status}, body

    def invoke_endpoint_async(_response: Any) -> Any:
        raise unsupported("InvokeEndpointAsync")

    SageMakerRuntimeResponse.use_raw_body = True  # a body is bytes (NPY, say), not text
    SageMakerRuntimeResponse.invoke_endpoint = invoke_endpoint
    SageMakerRuntimeResponse.invoke_endpoint_async = invoke_endpoint_async
