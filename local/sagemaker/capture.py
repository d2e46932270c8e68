"""Data capture: what went through an endpoint, as JSON Lines in S3, in AWS's own layout.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture.html
"""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from local.sagemaker.errors import unsupported, validation
from local.sagemaker.validation import check_enum

if TYPE_CHECKING:
    from local.context import Context

logger = logging.getLogger(__name__)

# AWS writes after minutes, or when there is enough. Here somebody is waiting.
_FLUSH_SECONDS = 2.0
_FLUSH_RECORDS = 1000
_MODES = {"Input": {"endpointInput"}, "Output": {"endpointOutput"}}


@dataclass(frozen=True)
class Exchange:
    """A request that a variant has answered."""

    variant: str
    content_type: str
    body: bytes
    answer_type: str
    answer: bytes
    inference_id: str | None
    at: datetime


def check(config: Mapping[str, Any]) -> None:
    """Raise the API's ValidationException for a DataCaptureConfig that AWS refuses, or that nothing here can do."""
    if config.get("KmsKeyId"):
        raise unsupported("DataCaptureConfig.KmsKeyId of CreateEndpointConfig")
    percent = config.get("InitialSamplingPercentage")
    if not isinstance(percent, int) or isinstance(percent, bool) or not 0 <= percent <= 100:
        raise validation("DataCaptureConfig.InitialSamplingPercentage must be a whole number from 0 to 100.")
    if not str(config.get("DestinationS3Uri", "")).startswith("s3://"):
        raise validation("DataCaptureConfig.DestinationS3Uri must be an S3 URI.")
    options = config.get("CaptureOptions") or []
    if not 1 <= len(options) <= 32:
        raise validation("DataCaptureConfig.CaptureOptions must have 1 to 32 members.")
    for option in options:
        check_enum(option.get("CaptureMode"), "dataCaptureConfig.captureOptions.captureMode", "CaptureMode")


class Capture:
    """Keeps a share of what goes through one endpoint. `note` costs a request some microseconds; a thread writes."""

    def __init__(self, context: Context, *, region: str, endpoint: str, config: Mapping[str, Any]) -> None:
        self._context = context
        self._region = region
        self._endpoint = endpoint
        self._share = config["InitialSamplingPercentage"] / 100
        bucket, _, prefix = str(config["DestinationS3Uri"]).removeprefix("s3://").partition("/")
        self._bucket, self._prefix = bucket, prefix.strip("/")
        modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
        both = "InputAndOutput" in modes
        self._sides = {side for mode, sides in _MODES.items() if both or mode in modes for side in sides}
        declared = config.get("CaptureContentTypeHeader") or {}
        self._texts = {
            **dict.fromkeys(declared.get("CsvContentTypes") or (), "CSV"),
            **dict.fromkeys(declared.get("JsonContentTypes") or (), "JSON"),
        }
        self._waiting: list[Exchange] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._enough = threading.Event()
        self._writer: threading.Thread | None = None

    def note(self, exchange: Exchange) -> None:
        """Keep it, if it is among the share that is kept."""
        if self._share < 1 and random.random() >= self._share:  # noqa: S311 - sampling, not secrecy
            return
        with self._lock:
            self._waiting.append(exchange)
            # Not before there is something to write: an endpoint may be refused, or never come up.
            if self._writer is None:
                name = f"capture-{self._endpoint}"
                self._writer = threading.Thread(target=self._write_on, name=name, daemon=True)
                self._writer.start()
            enough = len(self._waiting) >= _FLUSH_RECORDS
        if enough:
            self._enough.set()

    def close(self) -> None:
        """Write what is left."""
        self._closed.set()
        self._enough.set()
        self._flush()

    def _write_on(self) -> None:
        while not self._closed.is_set() and not self._context.stopping.is_set():
            self._enough.wait(_FLUSH_SECONDS)
            self._enough.clear()
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        files: dict[tuple[str, str], list[Exchange]] = defaultdict(list)
        for exchange in waiting:
            files[exchange.variant, f"{exchange.at:%Y/%m/%d/%H}"].append(exchange)
        for (variant, hour), exchanges in files.items():
            first = exchanges[0].at
            name = f"{first:%M-%S}-{first.microsecond // 1000:03d}-{uuid4()}.jsonl"
            key = "/".join(part for part in (self._prefix, self._endpoint, variant, hour, name) if part)
            body = "".join(json.dumps(self._record(each)) + "\n" for each in exchanges).encode()
            try:
                self._context.client("s3", self._region).put_object(Bucket=self._bucket, Key=key, Body=body)
            except Exception:
                # As on AWS: capture that fails takes nothing from a caller, who has an answer by now.
                logger.exception("%d requests of %s were not captured", len(exchanges), self._endpoint)

    def _record(self, exchange: Exchange) -> dict[str, Any]:
        sides = {
            "endpointInput": ("INPUT", exchange.content_type, exchange.body),
            "endpointOutput": ("OUTPUT", exchange.answer_type, exchange.answer),
        }
        return {
            "captureData": {
                side: self._side(mode, content_type, body)
                for side, (mode, content_type, body) in sides.items()
                if side in self._sides
            },
            "eventMetadata": {
                "eventId": str(uuid4()),
                **({"inferenceId": exchange.inference_id} if exchange.inference_id else {}),
                "inferenceTime": f"{exchange.at:%Y-%m-%dT%H:%M:%SZ}",
            },
            "eventVersion": "0",
        }

    def _side(self, mode: str, content_type: str, body: bytes) -> dict[str, str]:
        """Give a body as text where its type is declared as one, and is one."""
        encoding = self._texts.get(content_type.partition(";")[0].strip(), "BASE64")
        try:
            data = body.decode() if encoding != "BASE64" else base64.b64encode(body).decode()
        except UnicodeDecodeError:
            encoding, data = "BASE64", base64.b64encode(body).decode()
        return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def summary(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give DescribeEndpoint's DataCaptureConfig; None of a configuration without one."""
    if not config:
        return None
    enabled = bool(config.get("EnableCapture"))
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": "",
    }
