"""What all tables of project.toml are."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

Environment: TypeAlias = Literal["local", "dev", "prod"]


class Table(BaseModel):
    """A table: a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
