"""[api] of project.toml: predictions over HTTP, by API Gateway in front of the endpoint.

The limits are API Gateway's: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sluice.tables import Table

MOST_SECONDS = 29
"""A REST API waits no longer for its integration."""
# An account's own limits, which all of its APIs share.
_MOST_RATE, _MOST_BURST = 10_000, 5_000
# API Gateway hands the function a body as text in JSON, where each quote takes two bytes, with the request's headers
# beside it; Lambda takes 6 MB.
_MOST_KB = 2_900


class Api(Table):
    """[api]: without this table there is no API.

    Attributes:
        authorization: who may ask: whoever may sign for it in IAM, or whoever has the API key.
        rate_per_second, burst: so many requests a second, and at once; the rest is answered 429.
        quota_per_day: of the API key; none by default.
        max_rows: in a request.
        max_body_kb: of a request, in 1,024 bytes.
        timeout_seconds: for so long the API waits for the model.
    """

    authorization: Literal["iam", "api_key"] = "iam"
    rate_per_second: Annotated[int, Field(ge=1, le=_MOST_RATE)] = 50
    burst: Annotated[int, Field(ge=1, le=_MOST_BURST)] = 100
    quota_per_day: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    max_rows: Annotated[int, Field(ge=1, le=10_000)] = 500
    max_body_kb: Annotated[int, Field(ge=1, le=_MOST_KB)] = 1_024
    timeout_seconds: Annotated[int, Field(ge=2, le=MOST_SECONDS)] = 10

    @model_validator(mode="after")
    def _a_quota_is_a_keys(self) -> Self:
        if self.quota_per_day is not None and self.authorization != "api_key":
            raise ValueError(
                f'quota_per_day: API Gateway counts by API key, and authorization = "{self.authorization}" has none'
            )
        return self

    @property
    def max_body_bytes(self) -> int:
        return self.max_body_kb * 1_024
