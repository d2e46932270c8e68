"""Signs MLflow's client in, for a project's own calls: by the secret that the job is told of."""

from __future__ import annotations

from collections.abc import MutableMapping

from sluice.errors import TrainingFailed
from sluice.tracking.login import VARIABLE, Login


def sign_in(environment: MutableMapping[str, str]) -> None:
    """Put the login into the process's own environment, where no description of the job shows it.

    Raises:
        TrainingFailed: the secret cannot be read.
        TrackingRefused: it holds no login.
    """
    secret = environment.get(VARIABLE)
    if secret is None:
        return
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = boto3.client("secretsmanager").get_secret_value(SecretId=secret)
    except (BotoCoreError, ClientError) as error:
        raise TrainingFailed(
            "the secret for the tracking server cannot be read",
            where=f"tracking.secret, {secret}",
            why=str(error),
            fix="make a secret of that name in this account and region; docs/tracking.md says what it holds",
        ) from error
    environment.update(Login.of(secret, str(answer.get("SecretString", ""))).environment)
