"""How a tracking server is told who asks: a user's password, or a token, as a secret keeps it."""

from __future__ import annotations

import base64
import json
from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, model_validator

from sluice.errors import TrackingRefused

VARIABLE = "SLUICE_TRACKING_SECRET"
"""Names the secret to a training job: what a job is given in its environment, its description shows."""


class Login(BaseModel):
    """What the secret holds, as JSON: `{"username": …, "password": …}` or `{"token": …}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    username: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        by_password = (self.username is not None, self.password is not None)
        if by_password != ((False, False) if self.token is not None else (True, True)):
            raise ValueError("neither username and password nor a token alone")
        return self

    @classmethod
    def of(cls, secret: str, text: str) -> Self:
        """Read the text of the secret of this name; what it holds is in no message.

        Raises:
            TrackingRefused: it is neither of the two.
        """
        try:
            return cls.model_validate(json.loads(text))
        except (ValueError, ValidationError):
            raise TrackingRefused(
                "the secret for the tracking server cannot be used",
                where=f"tracking.secret, {secret}",
                why="it is neither of the two JSON objects that are understood",
                fix='store {"username": "…", "password": "…"} or {"token": "…"} as its SecretString',
            ) from None

    @property
    def authorization(self) -> str:
        """The header of that name, of HTTP: RFC 7617 and RFC 6750."""
        if self.token is not None:
            return f"Bearer {self.token.get_secret_value()}"
        assert self.password is not None
        pair = f"{self.username}:{self.password.get_secret_value()}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which MLflow's own client signs in."""
        if self.token is not None:
            return {"MLFLOW_TRACKING_TOKEN": self.token.get_secret_value()}
        assert self.username is not None
        assert self.password is not None
        return {
            "MLFLOW_TRACKING_USERNAME": self.username,
            "MLFLOW_TRACKING_PASSWORD": self.password.get_secret_value(),
        }
