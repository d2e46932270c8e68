"""Names of columns: two that differ in their Unicode normalisation only are one name."""

from __future__ import annotations

import unicodedata

PREDICTION = "__prediction"
"""What a model's own answers are called where they stand beside its features: it can be no feature."""


def normal(name: str) -> str:
    """Give the name in its composed form (NFC): a Mac may write é as e and an accent, and it is the same letter."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)
