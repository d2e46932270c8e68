"""`states:startExecution` with `.sync` and `.sync:2`: a stopped parent stops its child."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
    StateTaskServiceSfn,
)
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for


def install() -> None:
    for name in ("_build_sync_resolver", "_build_sync2_resolver"):
        _stop_the_child(name)


class ChildResolver:
    """Called until it gives a child's DescribeExecution answer; `cancel` stops the child."""

    def __init__(self, resolve: Any, client: Any, execution_arn: str) -> None:
        self._resolve = resolve
        self._client = client
        self._execution_arn = execution_arn

    def __call__(self) -> dict[str, Any] | None:
        answer: dict[str, Any] | None = self._resolve()
        return answer

    def cancel(self) -> None:
        try:
            self._client.stop_execution(
                executionArn=self._execution_arn, cause="The execution that started this one was stopped."
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise


def _stop_the_child(name: str) -> None:
    build = getattr(StateTaskServiceSfn, name)

    def _build(
        self: Any, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> ChildResolver:
        execution_arn = env.stack[-1]["ExecutionArn"]
        resolve = build(
            self,
            env=env,
            resource_runtime_part=resource_runtime_part,
            normalised_parameters=normalised_parameters,
            state_credentials=state_credentials,
        )
        client = boto_client_for(
            service="stepfunctions", region=resource_runtime_part.region, state_credentials=state_credentials
        )
        return ChildResolver(resolve, client, execution_arn)

    setattr(StateTaskServiceSfn, name, _build)
