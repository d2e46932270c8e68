"""NPY bodies as columns: what the header says is judged before an array is made of it."""

from __future__ import annotations

import io
import math
import sys
from typing import Any, TypeAlias

import numpy as np

from sluice.contract import Columns, ModelContract, from_array
from sluice.decoding.bounds import BLOCK_CELLS, refuse_too_many
from sluice.errors import RequestError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def from_npy(body: bytes, contract: ModelContract) -> Columns:
    """Read an array: (rows, features) numbers or texts, or a structured one with a field a feature.

    Raises:
        RequestError: it is none, holds too much, or breaks the contract.
    """
    array = _array_of(body, contract)
    if array.dtype.names is not None:
        return contract.columns_from_arrays(_fields(array.reshape(-1), contract))
    if array.dtype.kind == "U":
        return contract.columns_from_text(_plain(array))
    if array.dtype.kind in "biuf":
        return contract.columns_from_lists(_plain(array), from_array)
    raise RequestError(
        f"found an array of {array.dtype}, expected numbers, unicode strings or a structured array"
    )


def _array_of(body: bytes, contract: ModelContract) -> Array:
    """Give a view of the body, of a size that may be worked with.

    An array's cells may take no bytes at all: the size of a body bounds nothing.
    """
    if body.startswith(b"PK"):
        raise RequestError("found an NPZ archive, expected one NPY array")
    stream = io.BytesIO(body)
    try:
        shape, is_fortran, dtype = _header(stream)
    except Exception as error:
        # A header is Python source: what is wrong with one may be any of a dozen errors.
        raise RequestError(f"not an NPY array: {str(error) or type(error).__name__}") from error
    count, start = math.prod(shape), stream.tell()
    rest = len(body) - start - count * dtype.itemsize
    if rest < 0:
        raise RequestError(
            f"not an NPY array: by its header it has {count * dtype.itemsize:,} bytes, found {len(body) - start:,}"
        )
    if rest:
        raise RequestError(f"found {rest:,} bytes behind the array, expected one NPY array")
    _refuse_shape(shape, dtype, contract)
    # numpy makes no view of cells without a byte.
    flat = np.frombuffer(body, dtype, count, start) if dtype.itemsize and count else np.zeros(count, dtype)
    return flat.reshape(shape, order="F" if is_fortran else "C")


def _header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(stream)
    if version == (3, 0) and dtype.names is not None:
        # It differs from version 2 in the names' encoding only, which is UTF-8 and not Latin-1.
        dtype.names = tuple(name.encode("latin-1").decode() for name in dtype.names)
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read: save it with allow_pickle=False")
    return shape, is_fortran, dtype


def _refuse_shape(shape: tuple[int, ...], dtype: np.dtype[Any], contract: ModelContract) -> None:
    if dtype.names is not None:
        refuse_too_many(math.prod(shape), len(dtype.names))
        return
    refuse_too_many(shape[0] if shape else 0, 0)
    if len(shape) != 2:
        raise RequestError(f"found an array with {len(shape)} dimensions, expected 2: (rows, features)")
    if shape[1] != len(contract.features):
        raise RequestError(
            f"found an array with {shape[1]:,} columns, expected {len(contract.features)}",
            fix=f"send these columns in this order: {', '.join(map(repr, contract.names))}",
        )
    refuse_too_many(*shape)


def _fields(rows: Array, contract: ModelContract) -> dict[str, list[Any]]:
    """Give a structured array's columns; those of another model empty, as nobody will look at them."""
    names = rows.dtype.names or ()
    if set(contract.own_names(names)) != set(contract.names):
        return {name: [] for name in names}
    for name in names:
        if rows[name].ndim != 1 or rows.dtype[name].kind not in "biufU":
            raise RequestError(
                f"column {name!r}: found {rows.dtype[name]}, expected numbers, booleans or unicode strings"
            )
    return {name: _plain(rows[name]) for name in names}


def _plain(array: Array) -> list[Any]:
    """Give (n,) or (n, k) cells as Python's values, a block of rows at a time."""
    block = max(1, BLOCK_CELLS // max(1, math.prod(array.shape[1:])))
    values: list[Any] = []
    for first in range(0, len(array), block):
        rows = array[first : first + block]
        _refuse_no_unicode(rows)
        values += rows.tolist()
    return values


def _refuse_no_unicode(array: Array) -> None:
    """Refuse what numpy makes texts of, any 32 bits, and what Python then fails over, now or later."""
    if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        codes = np.ascontiguousarray(array).view(f"{array.dtype.byteorder}u4")
        if codes.max() > sys.maxunicode:
            raise RequestError(f"a text in the array holds {codes.max():#x}, which is no Unicode character")
