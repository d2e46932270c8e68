"""DynamoDB of the local AWS in this process, without sockets: as the server runs it, and moto alone beside it."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from local.context import ACCESS_KEY_ID, ACCOUNT_ID
from local.dynamodb import Front, tables

OWNERS = (DynamoDBBackend, Table, DynamoType, Item, LimitedSizeDict)
_MOTO = DomainDispatcherApplication(create_backend_app)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> tuple[str, str]:
        """Its name and its text."""
        assert self.status == 400, self
        return self.body["__type"].rpartition("#")[2], self.body.get("message", self.body.get("Message"))


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Moto as the local AWS has patched it; as it was, when it ends."""
    with pytest.MonkeyPatch.context() as patch:
        for owner in OWNERS:
            for name, value in list(vars(owner).items()):
                if callable(value) and name != "__class__":
                    patch.setattr(owner, name, value)  # so that what install() replaces comes back
        patch.setattr(Item, "__new__", object.__new__, raising=False)
        tables.install()
        yield


class Dynamo:
    """One region's DynamoDB: as the local AWS answers, or moto alone.

    Moto is patched for each call, or once by who uses it from several threads (`installed`).
    """

    def __init__(self, region: str, *, fast: bool, patches: bool = True) -> None:
        self.region = region
        self.fast = fast
        self._patches = patches
        self.passed_on = 0
        self._front = Front(self._behind)

    def call(self, operation: str, **request: Any) -> Answer:
        return self.send(operation, json.dumps(request).encode())

    def send(self, operation: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "wsgi.url_scheme": "http",
            "HTTP_HOST": "127.0.0.1",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": "application/x-amz-json-1.0",
            "HTTP_X_AMZ_TARGET": f"DynamoDB_20120810.{operation}",
            "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20260101/{self.region}/dynamodb/"
            "aws4_request, SignedHeaders=host, Signature=0",
            "wsgi.input": io.BytesIO(body),
            **(headers or {}),
        }
        started: list[tuple[str, Any]] = []

        def start(status: str, headers: Any, _error: Any = None) -> None:
            started.append((status, headers))

        if self.fast:
            with installed() if self._patches else contextlib.nullcontext():
                content = b"".join(self._front(environ, start))
        else:
            content = b"".join(_MOTO(environ, start))
        ((status, sent),) = started
        answer = Answer(
            int(status[:3]), {name.lower(): str(value) for name, value in sent}, json.loads(content)
        )
        if operation:
            assert answer.headers["x-amz-crc32"] == str(binascii.crc32(content))
        return answer

    def table(self, name: str) -> Any:
        """Moto's table."""
        return dynamodb_backends[ACCOUNT_ID][self.region].tables[name]

    def create(self, name: str, hash_key: str = "pk:S", range_key: str | None = None, **more: Any) -> None:
        """A table, on demand unless `ProvisionedThroughput` is given, in place of one that has the name."""
        dynamodb_backends[ACCOUNT_ID][self.region].tables.pop(name, None)
        named = [each.split(":") for each in (hash_key, range_key) if each]
        attributes = [{"AttributeName": each, "AttributeType": kind} for each, kind in named]
        answer = self.call(
            "CreateTable",
            TableName=name,
            KeySchema=[
                {"AttributeName": each, "KeyType": role}
                for (each, _), role in zip(named, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=attributes + more.pop("AttributeDefinitions", []),
            **({} if "ProvisionedThroughput" in more else {"BillingMode": "PAY_PER_REQUEST"}),
            **more,
        )
        assert answer.status == 200, answer

    def _behind(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.passed_on += 1
        return _MOTO(environ, start_response)


def canonical(value: Any) -> Any:
    """An answer in which what means the same is the same: numbers by their value, sets without their order."""
    if isinstance(value, dict):
        if len(value) == 1:
            ((kind, content),) = value.items()
            if kind == "N" and isinstance(content, str):
                return {"N": Decimal(content)}
            if kind == "NS" and isinstance(content, list):
                return {"NS": sorted(map(Decimal, content))}
            if kind in ("SS", "BS") and isinstance(content, list):
                return {kind: sorted(content)}
        return {name: canonical(each) for name, each in value.items()}
    return list(map(canonical, value)) if isinstance(value, list) else value


def binary(content: bytes) -> dict[str, str]:
    return {"B": base64.b64encode(content).decode()}
