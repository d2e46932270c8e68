"""What moto 5.2.5 lacks in the APIs of the resources that are deployed here."""

from __future__ import annotations

from typing import Any

from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.s3.responses import S3Response
from moto.sagemaker.responses import SageMakerResponse


def install() -> None:
    """Adds it to moto's services; an operation that another part of the local AWS has added stays."""
    S3Response.get_bucket_notification = _get_bucket_notification
    if not hasattr(CloudWatchResponse, "put_composite_alarm"):
        CloudWatchResponse.put_composite_alarm = _put_composite_alarm
    if not hasattr(SageMakerResponse, "delete_model_package_group"):
        SageMakerResponse.delete_model_package_group = _delete_model_package_group


_get_moto_bucket_notification = S3Response.get_bucket_notification


def _get_bucket_notification(self: S3Response) -> Any:
    """As moto's answer, with the EventBridge configuration it stores and leaves out."""
    status, headers, body = _get_moto_bucket_notification(self)
    stored = self.backend.get_bucket_notification_configuration(self.bucket_name)
    if stored is not None and stored.event_bridge is not None:
        head, _, rest = body.partition("<NotificationConfiguration")
        attributes, closing, _ = rest.partition("/>")
        element = "<EventBridgeConfiguration></EventBridgeConfiguration>"
        if closing and ">" not in attributes:
            body = f"{head}<NotificationConfiguration{attributes}>{element}</NotificationConfiguration>"
        else:
            body = body.replace("</NotificationConfiguration>", element + "</NotificationConfiguration>")
    return status, headers, body


def _put_composite_alarm(self: CloudWatchResponse) -> ActionResult:
    """Stores the alarm: one with a rule is what DescribeAlarms answers as composite."""
    return self.put_metric_alarm()


def _delete_model_package_group(self: SageMakerResponse) -> ActionResult:
    name, backend = self._get_param("ModelPackageGroupName"), self.sagemaker_backend
    if name not in backend.model_package_groups:
        raise ServiceException("ValidationException", f"ModelPackageGroup {name} does not exist.")
    packages = backend.model_packages.values()
    if any(package.model_package_group_name == name for package in packages):
        raise ServiceException("ConflictException", f"ModelPackageGroup {name} still has model packages.")
    del backend.model_package_groups[name]
    return EmptyResult()
