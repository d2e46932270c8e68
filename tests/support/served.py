"""An endpoint without AWS: it reads requests as Sluice's container does, and answers by one feature."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cli.prediction import Answer, predict_file
from cli.serving import Served
from sluice.contract import ModelContract
from sluice.decoding.bodies import DECODERS, decode
from sluice.errors import RequestError

LIMIT = 6_291_456


class ModelError(ClientError):
    """As botocore makes it of an answer of the container that is no success."""

    def __init__(self, status: int, message: str) -> None:
        body = json.dumps({"error": "RequestError", "message": message})
        response: Any = {"Error": {"Code": "ModelError", "Message": message}}
        super().__init__(response | {"OriginalStatusCode": status, "OriginalMessage": body}, "InvokeEndpoint")


class _Exceptions:
    ModelError = ModelError


@dataclass
class Endpoint:
    """Answers each row with the value of the feature `answers_by`; remembers what it was sent."""

    contract: ModelContract
    answers_by: str
    reads: tuple[str, ...] = tuple(DECODERS)
    bodies: list[bytes] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    exceptions = _Exceptions

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        body: bytes = request["Body"]
        assert len(body) <= LIMIT
        self.bodies.append(body)
        if request["ContentType"] not in self.reads:
            raise ModelError(415, "it reads " + ", ".join(self.reads))
        try:
            columns = decode(body, request["ContentType"], self.contract)
        except RequestError as error:
            raise ModelError(400, str(error)) from error
        self.rows += (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        values = columns[self.answers_by]
        if request["Accept"] == "text/csv":
            return {"ContentType": "text/csv", "Body": io.BytesIO("\n".join(map(str, values)).encode())}
        predictions = [{"value": value} for value in values]
        answer = json.dumps({"predictions": predictions}).encode()
        return {"ContentType": "application/json", "Body": io.BytesIO(answer)}

    def predict(self, file: Path) -> list[Answer]:
        return list(predict_file(self.served(), file))

    def served(self, **known: Any) -> Served:
        return Served("bank", self, self.contract, **known)
