"""What a column of a file may hold, and how its values are written."""

from __future__ import annotations

from typing import Literal

ColumnType = Literal["string", "integer", "number", "boolean", "timestamp"]

TRUE_WORDS = ("true", "t", "yes", "y", "1")
"""In lower case; whichever way they are written, they mean true in a column of booleans."""
FALSE_WORDS = ("false", "f", "no", "n", "0")
