"""Which side of the split a row is on: decided by a salted hash of its entity key, never by chance.

An entity stays on its side in every dataset version, so that a champion has never trained on the rows it is
judged on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

KEY_COLUMN = "__key"
"""The column of a training set that holds each row's key; no feature and no target may be called so."""
_BUCKETS = 1 << 64
# With it, a fold says nothing about the side of the split, and the other way round.
_OF_FOLDS = b"sluice.folds"


def is_held_out(key: str, *, salt: str, share: float) -> bool:
    """Tell whether the entity `key` belongs to the held-out side, which gets `share` (0–1) of them."""
    digest = hashlib.blake2b(key.encode(), key=salt.encode()[:64], digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * _BUCKETS


def held_out_mask(keys: Iterable[str], *, salt: str, share: float) -> list[bool]:
    """`is_held_out` for each key; an entity with many rows is hashed once."""
    seen: dict[str, bool] = {}
    mask = []
    for key in keys:
        side = seen.get(key)
        if side is None:
            side = seen[key] = is_held_out(key, salt=salt, share=share)
        mask.append(side)
    return mask


def fold_of(key: str, *, salt: str, folds: int) -> int:
    """Tell in which of `folds` parts of the training rows, from 0, an entity is: for searches of hyperparameters."""
    digest = hashlib.blake2b(key.encode(), key=salt.encode()[:64], person=_OF_FOLDS, digest_size=8).digest()
    return int.from_bytes(digest, "big") * folds // _BUCKETS


def folds_of(keys: Sequence[str], *, salt: str, folds: int) -> list[int]:
    """`fold_of` for each key; an entity with many rows is hashed once."""
    seen = {key: fold_of(key, salt=salt, folds=folds) for key in dict.fromkeys(keys)}
    return [seen[key] for key in keys]
