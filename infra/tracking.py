"""Where runs and registered models are kept, as the other constructs are told of it."""

from __future__ import annotations

from dataclasses import dataclass

from infra.config import DeployConfig
from infra.data_stack import DataStack
from infra.grants import Grant, arn
from sluice import keys, naming
from sluice.project import Project


@dataclass(frozen=True)
class Tracking:
    """The tracking server of a deployment.

    Attributes:
        uri: a URL, or an ARN; None where no runs are kept.
        told: what functions that speak to it are told.
        grants: what they, and a project's own code, need to speak to it.
    """

    uri: str | None
    told: dict[str, str]
    grants: tuple[Grant, ...]

    @classmethod
    def of(cls, project: Project, config: DeployConfig, data: DataStack) -> Tracking:
        uri = data.tracking_arn if project.tracking.own_app else project.tracking.uri
        if not project.tracking.enabled or uri is None:
            return cls(None, {}, ())
        told = {
            "TRACKING_URI": uri,
            "TRACKING_EXPERIMENT": naming.experiment(project.name, config.environment),
            "TRACKING_ENVIRONMENT": config.environment,
        }
        if project.tracking.own_app:
            told["TRACKING_ARTIFACTS"] = naming.uri(data.artifacts.bucket_name, keys.TRACKING)
        if (secret := project.tracking.secret) is not None:
            told["TRACKING_SECRET"] = secret
            return cls(uri, told, (Grant(("secretsmanager:GetSecretValue",), (_secret(secret),)),))
        return cls(uri, told, _grants(uri, managed=project.tracking.own_app or uri.startswith("arn:")))


def _secret(name: str) -> str:
    """Name a secret by its ARN: behind a name the service puts six characters of its own.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_iam-permissions.html
    """
    return (
        name if name.startswith("arn:") else arn("secretsmanager", "secret", f"{name}-??????", separator=":")
    )


def _grants(uri: str, *, managed: bool) -> tuple[Grant, ...]:
    """An app knows one action for all of its REST API, a tracking server one for each operation.

    https://docs.aws.amazon.com/sagemaker/latest/dg/mlflow-create-tracking-server-iam.html
    """
    if not managed:
        return ()
    if ":mlflow-tracking-server/" in uri:
        return (Grant(("sagemaker-mlflow:*",), (uri,)),)
    return (Grant(("sagemaker:CallMlflowAppApi",), (uri,)),)
