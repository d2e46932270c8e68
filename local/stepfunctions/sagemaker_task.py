"""The optimized SageMaker integration: request-response calls, and jobs that `.sync` waits for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_callback,
    state_task_service_factory,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for

from local.stepfunctions import failures
from local.stepfunctions.shapes import from_boto, operation_model
from local.stepfunctions.tasks import client_failure, failure

# https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
_REQUEST_RESPONSE = frozenset(
    {
        "createEndpoint",
        "createEndpointConfig",
        "createHyperParameterTuningJob",
        "createModel",
        "createProcessingJob",
        "createTrainingJob",
        "createTransformJob",
        "updateEndpoint",
    }
)
_MANAGED_TAG = {"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}


@dataclass(frozen=True)
class Job:
    """A kind of job, and what the API calls its parts."""

    kind: str

    @property
    def name_field(self) -> str:
        return f"{self.kind}JobName"

    @property
    def status_field(self) -> str:
        return f"{self.kind}JobStatus"

    def method(self, verb: str) -> str:
        return f"{verb}_{_snake(self.kind)}_job"


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_KINDS = ("Training", "Processing", "Transform", "HyperParameterTuning")
JOBS = {f"create{kind}Job": Job(kind) for kind in _KINDS}


def install() -> None:
    service_for = state_task_service_factory.state_task_service_for

    def state_task_service_for(service_name: str) -> Any:
        return SageMakerTask() if service_name == "sagemaker" else service_for(service_name)

    state_task_service_factory.state_task_service_for = state_task_service_for
    state_task_factory.state_task_service_for = state_task_service_for


class JobResolver:
    """Called until it gives a job's Describe answer; `cancel` stops the job."""

    def __init__(self, task: SageMakerTask, env: Any, client: Any, job: Job, name: str) -> None:
        self._task = task
        self._env = env
        self._client = client
        self._job = job
        self._name = {job.name_field: name}

    def __call__(self) -> dict[str, Any] | None:
        """The Describe answer of a completed job; None while it runs.

        Raises:
            FailureEventException: States.TaskFailed, with the Describe answer as its cause.
        """
        answer = getattr(self._client, self._job.method("describe"))(**self._name)
        answer.pop("ResponseMetadata")
        status = answer[self._job.status_field]
        if status not in ("Completed", "Failed", "Stopped"):
            return None
        shape = operation_model("sagemaker", self._job.method("describe")).output_shape
        described: dict[str, Any] = from_boto(answer, shape, "milliseconds")
        if status == "Completed":
            return described
        cause = json.dumps(described, separators=(",", ":"))
        raise failures.raising(failure(self._task, self._env, failures.TASK_FAILED, cause))

    def cancel(self) -> None:
        try:
            getattr(self._client, self._job.method("stop"))(**self._name)
        except ClientError as error:
            # The job may have ended by itself in the meantime: there is nothing left to stop then.
            if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
                raise


class SageMakerTask(state_task_service_callback.StateTaskServiceCallback):
    """A `sagemaker:*` task."""

    def __init__(self) -> None:
        # Ours never wait for a token, but moto's .sync needs the endpoint that it makes for tasks that could.
        patterns = {ResourceCondition.Sync, ResourceCondition.WaitForTaskToken}
        super().__init__(supported_integration_patterns=patterns)

    def _get_supported_parameters(self) -> None:
        return None

    def _validate_service_integration_is_supported(self) -> None:
        action = self.resource.api_action
        known = JOBS if self.resource.condition else _REQUEST_RESPONSE
        if action not in known or self.resource.condition not in (None, ResourceCondition.Sync):
            raise ValueError(
                f"The resource provided {self.resource.resource_arn} is not recognized. "
                f"The value is not a valid resource ARN, or the resource is not available in this region."
            )

    def _eval_service_task(
        self,
        env: Any,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        request = dict(normalised_parameters)
        if self.resource.condition:
            request["Tags"] = [*request.get("Tags", []), _MANAGED_TAG]
        client = self._client(resource_runtime_part, state_credentials)
        answer = getattr(client, self._get_boto_service_action())(**request)
        answer.pop("ResponseMetadata")
        env.stack.append(answer)

    def _build_sync_resolver(
        self,
        env: Any,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> JobResolver:
        env.stack.pop()  # the Create answer: the state's result is the Describe answer
        job = JOBS[self.resource.api_action]
        client = self._client(resource_runtime_part, state_credentials)
        return JobResolver(self, env, client, job, normalised_parameters[job.name_field])

    def _from_error(self, env: Any, ex: Exception) -> Any:
        if isinstance(ex, FailureEventException):
            return ex.failure_event
        if isinstance(ex, (BotoCoreError, ClientError)):
            return client_failure(self, env, ex)
        return super()._from_error(env=env, ex=ex)

    @staticmethod
    def _client(resource_runtime_part: Any, state_credentials: Any) -> Any:
        return boto_client_for(
            service="sagemaker", region=resource_runtime_part.region, state_credentials=state_credentials
        )
