"""SageMaker's training, tuning, processing and transform jobs and endpoints, as real processes of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.sagemaker import actions, interruptions
from local.sagemaker.endpoints import Endpoints
from local.sagemaker.metrics import EndpointMetrics
from local.sagemaker.runtime import Runtime

if TYPE_CHECKING:
    from local.context import Context


def install(context: Context) -> None:
    """Give moto's SageMaker the processes it lacks; call it once, before the server answers."""
    endpoints = Endpoints(context)
    interruptions.install(context)
    actions.install(context, endpoints, Runtime(endpoints, EndpointMetrics(context)))
