"""How features are read online: from the environment once, by the names of AWS's SDKs where they have any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from containers.serve.online.connection import Endpoint
from containers.serve.online.credentials import Source, source_of

Missing: TypeAlias = Literal["error", "null"]
"""What becomes of a row whose features are missing: an error, or nulls for the model to handle."""

DEFAULT_SECONDS = 10


@dataclass(frozen=True)
class OnlineSettings:
    """Where the online store is.

    Attributes:
        store: Feast's project; a view's table is called `{store}.{view}`.
        seconds: the reading for a request may take so long, of the time that the whole request has.
    """

    store: str
    region: str
    endpoint: Endpoint
    credentials: Source
    missing: Missing = "error"
    seconds: float = DEFAULT_SECONDS

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> OnlineSettings | None:
        """Read the environment; None where it names no store.

        Raises:
            ValueError: something in it cannot be used: the text says what, and names the variable.
        """
        store = environment.get("SLUICE_ONLINE_STORE")
        if not store:
            return None
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        if not region:
            raise ValueError("AWS_REGION is missing, in which SLUICE_ONLINE_STORE lies")
        missing = environment.get("SLUICE_MISSING_FEATURES") or "error"
        if missing not in get_args(Missing):
            raise ValueError(f"SLUICE_MISSING_FEATURES = {missing!r}: expected error or null")
        seconds = environment.get("SLUICE_ONLINE_SECONDS") or str(DEFAULT_SECONDS)
        if not seconds.isdecimal() or not 1 <= int(seconds) <= 60:
            raise ValueError(f"SLUICE_ONLINE_SECONDS = {seconds!r}: expected a number from 1 to 60")
        return cls(
            store=store,
            region=region,
            endpoint=_endpoint(environment, region),
            credentials=source_of(environment),
            missing=missing,  # type: ignore[arg-type]  # one of them, as was looked at
            seconds=float(seconds),
        )


def _endpoint(environment: Mapping[str, str], region: str) -> Endpoint:
    for name in ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"):
        if url := environment.get(name):
            try:
                return Endpoint.of(url)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    # https://docs.aws.amazon.com/general/latest/gr/ddb.html
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return Endpoint.of(f"https://dynamodb.{region}.{domain}")
