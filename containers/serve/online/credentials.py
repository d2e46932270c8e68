"""Where credentials come from: the environment, or the endpoint that AWS gives a container, before they expire."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from containers.serve.online.connection import Broken, Endpoint, Pool, connecting
from containers.serve.online.failures import FeatureStoreUnavailable
from containers.serve.online.signing import Credentials

logger = logging.getLogger(__name__)

# https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
_CONTAINER_HOST = "http://169.254.170.2"
# Over plain HTTP a secret goes to this machine, or to the addresses of ECS and EKS on the link, and nowhere else.
_PLAIN_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"})

_RENEW_SECONDS = 600.0
"""So long before their end new ones are asked for, while the old ones are used."""
_UNUSABLE_SECONDS = 30.0
"""So long before their end they are not used any more."""
_PAUSE_SECONDS = 10.0
"""Between two askings, where the first one failed."""
_ANSWER_SECONDS = 5.0


class Source(Protocol):
    """What gives credentials."""

    async def current(self) -> Credentials:
        """Give credentials to sign with."""

    async def renewed(self, refused: Credentials) -> Credentials | None:
        """Give others than those that were refused; None where there are none."""


class Fixed:
    """Credentials of the environment."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def current(self) -> Credentials:
        return self._credentials

    async def renewed(self, refused: Credentials) -> Credentials | None:  # noqa: ARG002
        return None


class Container:
    """Credentials of the role that a container runs under.

    Args:
        url: of the endpoint that gives them.
        token: gives what it wants to see as Authorization; empty for nothing.
        pool: the connections to it.
    """

    def __init__(
        self, url: str, token: Callable[[], str], pool: Pool, clock: Callable[[], float] = time.time
    ) -> None:
        parts = urlsplit(url)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._host = Endpoint.of(url).authority
        self._token = token
        self._pool = pool
        self._clock = clock
        self._found: Credentials | None = None
        self._asking: asyncio.Task[Credentials] | None = None
        self._failed = -_PAUSE_SECONDS

    async def current(self) -> Credentials:
        """Give credentials that do not end at once.

        Raises:
            FeatureStoreUnavailable: the endpoint does not give any.
        """
        found, now = self._found, self._clock()
        if found is None or (found.expires is not None and found.expires - now < _UNUSABLE_SECONDS):
            return await asyncio.shield(self._ask())
        may_ask = self._asking is None and now - self._failed >= _PAUSE_SECONDS
        if may_ask and found.expires is not None and found.expires - now < _RENEW_SECONDS:
            self._ask()
        return found

    async def renewed(self, refused: Credentials) -> Credentials | None:
        if self._found is refused or self._found is None:
            return await asyncio.shield(self._ask())
        return self._found

    def _ask(self) -> asyncio.Task[Credentials]:
        """Ask, once for all who want to know."""
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._fetch())
            self._asking.add_done_callback(self._asked)
        return self._asking

    def _asked(self, task: asyncio.Task[Credentials]) -> None:
        self._asking = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._found = task.result()
        else:
            self._failed = self._clock()
            logger.warning("%s", error)

    async def _fetch(self) -> Credentials:
        head = f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nAccept: application/json\r\n"
        try:
            token = self._token()
            head += f"Authorization: {token}\r\n" if token else ""
            reply = await self._pool.exchange(f"{head}\r\n".encode(), _ANSWER_SECONDS)
            if reply.status != 200:
                raise ValueError(f"it answered {reply.status}")
            return _read(json.loads(reply.body))
        except (Broken, OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise FeatureStoreUnavailable(
                "no credentials to read the online store with",
                where=f"{self._host}{self._path.partition('?')[0]}",
                why=f"{type(error).__name__}: {error}",
                fix="look at the role of the model: its container gets credentials from there",
            ) from error


def _read(document: Any) -> Credentials:
    if not isinstance(document, dict):
        raise ValueError("it answered no object")
    expires = document.get("Expiration")
    return Credentials(
        key=document["AccessKeyId"],
        secret=document["SecretAccessKey"],
        token=document.get("Token") or "",
        expires=datetime.fromisoformat(expires).timestamp() if expires else None,
    )


def source_of(environment: Mapping[str, str]) -> Source:
    """Find credentials as AWS's SDKs do in a container.

    Raises:
        ValueError: the environment names none, or an endpoint that is not to be trusted with them.
    """
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return Fixed(Credentials(key, secret, environment.get("AWS_SESSION_TOKEN", "")))
    relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = _CONTAINER_HOST + relative if relative else environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not url:
        raise ValueError(
            "there are no credentials: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor "
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI"
        )
    endpoint = Endpoint.of(url)
    if not endpoint.is_tls and endpoint.host not in _PLAIN_HOSTS:
        raise ValueError(
            f"AWS_CONTAINER_CREDENTIALS_FULL_URI = {url!r}: no credentials over plain HTTP from there"
        )
    file, fixed = (environment.get(f"AWS_CONTAINER_AUTHORIZATION_TOKEN{end}", "") for end in ("_FILE", ""))

    def token() -> str:
        # Read each time: it is replaced by and by.
        return Path(file).read_text(encoding="utf-8").strip() if file else fixed

    return Container(url, token, Pool(connecting(endpoint)))
