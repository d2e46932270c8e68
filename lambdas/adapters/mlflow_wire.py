"""MLflow's REST API over one connection that is kept: where a server is, how it is asked, what its answers mean."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from sluice.errors import TrackingRefused, TrackingUnavailable

_ANSWER_SECONDS = 25.0
_JSON = "application/json"
# Of what an ARN names: where it answers, which header names it, for which service requests are signed.
# https://github.com/aws/sagemaker-mlflow
_MANAGED = {
    "mlflow-app": ("https://mlflow.sagemaker.{region}.app.aws", "x-sm-mlflow-app-arn", "sagemaker"),
    "mlflow-tracking-server": (
        "https://{region}.experiments.sagemaker.aws",
        "x-mlflow-sm-tracking-server-arn",
        "sagemaker-mlflow",
    ),
}
_ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:(?P<region>[a-z0-9-]+):\d{12}:(?P<kind>[a-z-]+)/.+")
# Aliases came with 2.3; what a fourth one will take nobody knows yet.
_OLDEST, _TOO_NEW = (2, 3), (4, 0)

Headers = Callable[[str, str, bytes, Mapping[str, str]], Mapping[str, str]]
"""Gives the headers of a request: method, URL, body, those it has already."""


class Refused(Exception):
    """MLflow's own refusal, by its error code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.code = code


class Wire(Protocol):
    """A way to one server; a fake of it is a few lines.

    `call` raises Refused, TrackingUnavailable and TrackingRefused.
    """

    @property
    def where(self) -> str: ...
    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]: ...
    def put(self, path: str, body: bytes, media_type: str) -> None: ...


class RestWire:
    """A server by its URL or ARN.

    Args:
        uri: https://…, http://… or the ARN of a managed app or server.
        custom_endpoint: where ARNs are answered instead (SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT).
        authorization: gives the header of that name, of a URL.
    """

    def __init__(
        self,
        uri: str,
        *,
        custom_endpoint: str | None = None,
        authorization: Callable[[], str] | None = None,
    ) -> None:
        self.where = uri
        managed = _ARN.fullmatch(uri)
        if managed is None:
            self._url = uri.rstrip("/")
            self._headers: Headers = _unsigned if authorization is None else _signed_in(authorization)
        else:
            if managed["kind"] not in _MANAGED:
                raise TrackingRefused(
                    f"a {managed['kind']} is no tracking server",
                    where=uri,
                    fix="give the ARN of an mlflow-app or of an mlflow-tracking-server",
                )
            host, header, service = _MANAGED[managed["kind"]]
            self._url = (custom_endpoint or host.format(region=managed["region"])).rstrip("/")
            self._headers = _signed(header, uri, service, managed["region"])
        self._connection: http.client.HTTPConnection | None = None
        self._is_known = False

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask MLflow's REST API 2.0; `path` is what follows `mlflow/`.

        Raises:
            Refused: MLflow refuses, by its code.
            TrackingUnavailable: it cannot be reached, or is too busy.
            TrackingRefused: what answers is no MLflow, one of a wrong version, or does not let us in.
        """
        self._check_version()
        raw = b"" if body is None else json.dumps(body).encode()
        status, answer = self._ask(method, f"/api/2.0/mlflow/{path}", raw, _JSON)
        try:
            told = json.loads(answer or b"{}")
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise self._no_mlflow(f"{method} {path} answered {status} {answer[:200]!r}")
        if status == 200:
            return told
        if "error_code" not in told:
            raise self._no_mlflow(f"{method} {path} answered {status} {answer[:200]!r}")
        raise Refused(status, str(told["error_code"]), str(told.get("message", "")))

    def put(self, path: str, body: bytes, media_type: str) -> None:
        """Write a file through the server itself; `path` follows `mlflow-artifacts/artifacts/`."""
        self._check_version()
        status, answer = self._ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}", body, media_type)
        if status != 200:
            raise Refused(status, "ARTIFACT", answer[:200].decode(errors="replace"))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _check_version(self) -> None:
        if self._is_known:
            return
        status, answer = self._ask("GET", "/version", b"", _JSON)
        found = re.match(rb"(\d+)\.(\d+)", answer)
        # A managed app need not say it: AWS sees to its version.
        if status == 200 and found:
            version = (int(found[1]), int(found[2]))
            if not _OLDEST <= version < _TOO_NEW:
                raise TrackingRefused(
                    "the MLflow server is of a version that cannot be used",
                    where=self.where,
                    why=f"it is MLflow {answer[:20].decode(errors='replace')}; aliases need 2.3, "
                    "and after 3 nothing was tried",
                    fix="use a server of MLflow 2.3 to 3, or leave tracking.uri out of project.toml",
                )
        elif not _ARN.fullmatch(self.where):
            raise self._no_mlflow(f"/version answered {status} {answer[:200]!r}")
        self._is_known = True

    def _ask(self, method: str, path: str, body: bytes, media_type: str) -> tuple[int, bytes]:
        """Ask once; where a kept connection has ended meanwhile, on a new one."""
        base = urlsplit(self._url)
        url = f"{self._url}{path}"
        own = {"Content-Type": media_type} if body else {}
        headers = {**own, **self._headers(method, url, body, own)}
        for fresh in (self._connection is None, True):
            try:
                if self._connection is None:
                    self._connection = self._connect()
                self._connection.request(method, f"{base.path}{path}", body or None, headers)
                response = self._connection.getresponse()
                status, answer = response.status, response.read()
                break
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if fresh or isinstance(error, TimeoutError):
                    raise self._unavailable(f"{type(error).__name__}: {error}") from error
        if status == 429 or status >= 500:
            raise self._unavailable(f"{method} {path} answered {status} {answer[:200]!r}")
        if status in (401, 403):
            raise TrackingRefused(
                "the tracking server does not let the pipeline in",
                where=self.where,
                why=f"{method} {path} answered {status} {answer[:200]!r}",
                fix="of an app, deploy the stack again; of a server that asks for a password or token, name a secret "
                "with it as tracking.secret in project.toml",
            )
        return status, answer

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._url)
        assert parts.hostname is not None
        if parts.scheme == "https":
            from botocore.httpsession import get_cert_path

            context = ssl.create_default_context(cafile=get_cert_path(True))
            return http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=_ANSWER_SECONDS, context=context
            )
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=_ANSWER_SECONDS)

    def _unavailable(self, why: str) -> TrackingUnavailable:
        return TrackingUnavailable(
            "the tracking server does not answer as it should",
            where=self.where,
            why=why,
            fix='start the execution again in a few minutes; tracking.on_failure = "continue" lets it go on without',
        )

    def _no_mlflow(self, why: str) -> TrackingRefused:
        return TrackingRefused(
            "what answers is no MLflow server",
            where=self.where,
            why=why,
            fix="look at tracking.uri in project.toml: MLflow's own page opens at that address",
        )


def _unsigned(_method: str, _url: str, _body: bytes, _own: Mapping[str, str]) -> Mapping[str, str]:
    return {}


def _signed_in(authorization: Callable[[], str]) -> Headers:
    def headers(_method: str, _url: str, _body: bytes, _own: Mapping[str, str]) -> Mapping[str, str]:
        return {"Authorization": authorization()}

    return headers


def _signed(name: str, arn: str, service: str, region: str) -> Headers:
    def headers(method: str, url: str, body: bytes, own: Mapping[str, str]) -> Mapping[str, str]:
        import boto3
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import NoCredentialsError

        credentials = boto3.session.Session().get_credentials()
        if credentials is None:
            raise NoCredentialsError
        told = {**own, name: arn, "X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest()}
        request = AWSRequest(method, url, headers=told, data=body)
        SigV4Auth(credentials.get_frozen_credentials(), service, region).add_auth(request)
        return dict(request.headers.items())

    return headers
