"""MLflow apps: names for the one server of this local AWS, by ARN."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult

from local import mlflow
from local.sagemaker.errors import resource_in_use, unsupported, validation
from local.sagemaker.job_actions import Action

if TYPE_CHECKING:
    from local.context import Context

_SETTINGS = ("Name", "ArtifactStoreUri", "RoleArn", "ModelRegistrationMode", "WeeklyMaintenanceWindowStart")
_UNSUPPORTED = ("KmsKeyId", "AccountDefaultStatus", "DefaultDomainIdList")


def mlflow_app_actions(context: Context) -> dict[str, Action]:
    """The actions by the names of moto's methods."""
    apps: dict[str, dict[str, Any]] = {}

    def find(response: Any) -> dict[str, Any]:
        arn = response.params.get("Arn")
        if arn not in apps:
            raise validation(f"MLflow app {arn} does not exist.")
        return apps[arn]

    def create(response: Any) -> Any:
        request = response.params
        for key in _UNSUPPORTED:
            if request.get(key):
                raise unsupported(f"{key} of CreateMlflowApp")
        if request.get("ModelRegistrationMode") == "AutoModelRegistrationEnabled":
            raise unsupported("ModelRegistrationMode AutoModelRegistrationEnabled of CreateMlflowApp")
        if mlflow.program(context.pythons) is None:
            raise unsupported(
                "MLflow apps without MLflow",
                "None of its interpreters has it: install it into the environment of one that --python names.",
            )
        name = request["Name"]
        # AWS makes an id; this one is the same for the same name, so that a deployment is.
        digits = hashlib.sha256(f"{response.region} {name}".encode()).hexdigest()[:12].upper()
        arn = f"arn:aws:sagemaker:{response.region}:{response.current_account}:mlflow-app/app-{digits}"
        if arn in apps:
            raise resource_in_use(f"An MLflow app with the name {name} already exists.")
        now = datetime.now(tz=UTC)
        apps[arn] = {
            **{key: request[key] for key in _SETTINGS if key in request},
            "Arn": arn,
            "Status": "Created",
            "MlflowVersion": "3",
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        return ActionResult({"Arn": arn})

    def describe(response: Any) -> Any:
        return ActionResult(find(response))

    def update(response: Any) -> Any:
        found = find(response)
        for key in _UNSUPPORTED:
            if response.params.get(key):
                raise unsupported(f"{key} of UpdateMlflowApp")
        found.update({key: response.params[key] for key in _SETTINGS if key in response.params})
        found.update(Status="Updated", LastModifiedTime=datetime.now(tz=UTC))
        return ActionResult({"Arn": found["Arn"]})

    def delete(response: Any) -> Any:
        arn = find(response)["Arn"]
        del apps[arn]
        if not apps and context.forget_runs is not None:
            # An app takes its runs along. Here they are in one store, which is nobody's now.
            context.forget_runs()
        return ActionResult({"Arn": arn})

    def list_apps(response: Any) -> Any:
        shown = ("Arn", "Name", "Status", "CreationTime", "LastModifiedTime", "MlflowVersion")
        refused = response.params.keys() - {"MaxResults", "NextToken"}
        if refused:
            raise unsupported(f"{sorted(refused)[0]} of ListMlflowApps")
        return ActionResult({"Summaries": [{key: app[key] for key in shown} for app in apps.values()]})

    def presigned(response: Any) -> Any:
        find(response)
        return ActionResult({"AuthorizedUrl": context.mlflow_endpoint})

    return {
        "create_mlflow_app": create,
        "describe_mlflow_app": describe,
        "update_mlflow_app": update,
        "delete_mlflow_app": delete,
        "list_mlflow_apps": list_apps,
        "create_presigned_mlflow_app_url": presigned,
    }
