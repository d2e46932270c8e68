"""The base of every payload, and of every document in S3."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """What is handed over: unknown keys are refused, so that a renamed field fails where it was renamed."""

    # Figures that are not finite are written as NaN and Infinity: null, pydantic's own way, is no figure to
    # whoever reads it again.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Document(Payload):
    """What lies in S3 and outlives a release: it says in which form it is written.

    A document without a version was written before there was one, in the form of version 1.
    """

    version: Literal[1] = 1

    def body(self) -> bytes:
        """Write it as it lies in S3: indented JSON, UTF-8."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    def save(self, file: Path) -> None:
        file.write_bytes(self.body())
