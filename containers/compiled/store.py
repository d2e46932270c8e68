"""The file of a compiled model: `compiled.sluice`, data and nothing else.

8 bytes   b"SLUICE\\r\\n"
4 bytes   version, little-endian as all numbers here
4 bytes   length of the header
8 bytes   length of the arrays
32 bytes  SHA-256 of header and arrays
header    JSON: the plan, with arrays as {"array": [type, offset, shape]}
arrays    one after the other, each at a multiple of 8 bytes
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from containers.compiled.plan import (
    CompiledModelError,
    Fill,
    Labels,
    Linear,
    Link,
    LinkKind,
    Number,
    NumberLookup,
    Op,
    Plan,
    Step,
    Sum,
    TextLookup,
    Trees,
)
from sluice.contract import Feature

FILE_NAME = "compiled.sluice"
VERSION = 2
_MAGIC = b"SLUICE\r\n"
_HEAD = struct.Struct("<8sIIQ32s")
_TYPES = {"f8": "<f8", "u4": "<u4", "i4": "<i4", "u1": "|u1"}
_NATIVE = {"f8": np.float64, "u4": np.uint32, "i4": np.int32, "u1": np.uint8}


def to_bytes(plan: Plan) -> bytes:
    """Write a plan."""
    arrays = _Arrays()
    trees = plan.model if isinstance(plan.model, Trees) else None
    header = {
        "features": [feature.model_dump() for feature in plan.features],
        "numbers": [[n.column, n.slot, _steps(n.steps)] for n in plan.numbers],
        "texts": [{"column": t.column, "keys": t.keys, "fill": arrays.fill(t.fill)} for t in plan.texts],
        "number_lookups": [
            {
                "column": lookup.column,
                "steps": _steps(lookup.steps),
                "keys": arrays.add(lookup.keys, "f8"),
                "fill": arrays.fill(lookup.fill),
            }
            for lookup in plan.number_lookups
        ],
        "base": arrays.add(plan.base, "f8"),
        "start": arrays.add(plan.start, "f8"),
        "weights": None if trees else arrays.add(plan.model.weights, "f8"),  # type: ignore[union-attr]
        "trees": arrays.trees(trees) if trees else None,
        "link": {
            "kind": plan.link.kind.name,
            "labels": plan.link.labels.name,
            "sum": plan.link.sum.name,
            "factor": plan.link.factor.hex(),
            "numpy_exp": plan.link.numpy_exp,
        },
        "made_with": plan.made_with,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(_HEAD.size + len(text)) % 8)
    body = bytes(arrays.body)
    digest = hashlib.sha256(text + body).digest()
    return _HEAD.pack(_MAGIC, VERSION, len(text), len(body), digest) + text + body


def from_bytes(content: bytes) -> Plan:
    """Read a plan.

    Raises:
        CompiledModelError: it is damaged, no such file, or of a version that this code does not know.
    """
    if len(content) < _HEAD.size or content[: len(_MAGIC)] != _MAGIC:
        raise CompiledModelError("this is no compiled model")
    _, version, header_size, body_size, digest = _HEAD.unpack_from(content)
    if version != VERSION:
        raise CompiledModelError(f"a compiled model of version {version}; this code knows version {VERSION}")
    if len(content) != _HEAD.size + header_size + body_size:
        raise CompiledModelError(
            f"{len(content):,} bytes, expected {_HEAD.size + header_size + body_size:,}: cut off or added to"
        )
    if hashlib.sha256(content[_HEAD.size :]).digest() != digest:
        raise CompiledModelError("its checksum does not match: it was damaged")
    header_end = _HEAD.size + header_size
    try:
        return _plan(json.loads(content[_HEAD.size : header_end]), _Reader(content[header_end:]))
    except CompiledModelError:
        raise
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
        ValidationError,
    ) as error:
        raise CompiledModelError(f"its header is not one of ours: {type(error).__name__}: {error}") from error


def save(plan: Plan, folder: Path) -> None:
    (folder / FILE_NAME).write_bytes(to_bytes(plan))


def load(folder: Path) -> Plan:
    """Read the compiled model of a model folder.

    Raises:
        CompiledModelError: it cannot be used.
        FileNotFoundError: there is none.
    """
    return from_bytes((folder / FILE_NAME).read_bytes())


def _steps(steps: tuple[Step, ...]) -> list[list[str]]:
    return [[step.op.name, float(step.operand).hex()] for step in steps]


@dataclass
class _Arrays:
    body: bytearray = field(default_factory=bytearray)

    def add(self, values: npt.NDArray[Any], kind: str) -> dict[str, Any]:
        offset = len(self.body)
        raw = np.ascontiguousarray(values).astype(_TYPES[kind], casting="equiv").tobytes()
        self.body += raw + bytes(-len(raw) % 8)
        return {"array": [kind, offset, list(values.shape)]}

    def fill(self, fill: Fill) -> dict[str, Any]:
        return {
            "start": self.add(fill.start, "u4"),
            "slot": self.add(fill.slot, "u4"),
            "value": self.add(fill.value, "f8"),
            "refused": self.add(fill.refused, "u1"),
        }

    def trees(self, trees: Trees) -> dict[str, Any]:
        return {
            "root": self.add(trees.root, "u4"),
            "slot": self.add(trees.slot, "i4"),
            "threshold": self.add(trees.threshold, "f8"),
            "left": self.add(trees.left, "u4"),
            "null_left": self.add(trees.null_left, "u1"),
            "category_set": self.add(trees.category_set, "i4"),
            "set_start": self.add(trees.set_start, "u4"),
            "set_words": self.add(trees.set_words, "u4"),
            "row": self.add(trees.row, "u4"),
            "values": self.add(trees.values, "f8"),
            "divisor": trees.divisor.hex(),
            "single": trees.single,
        }


@dataclass(frozen=True)
class _Reader:
    body: bytes

    def __call__(self, place: dict[str, Any], kind: str, dimensions: int = 1) -> npt.NDArray[Any]:
        found, offset, shape = place["array"]
        if found != kind or len(shape) != dimensions or not all(type(n) is int for n in (offset, *shape)):
            raise CompiledModelError(f"an array of {found} and shape {shape}, expected {kind}")
        if offset < 0 or min(shape) < 0 or max(shape) > len(self.body):
            raise CompiledModelError("an array lies outside of the file")
        count = 1
        for length in shape:
            count *= length
        end = offset + count * np.dtype(_TYPES[kind]).itemsize
        if end > len(self.body):
            raise CompiledModelError("an array lies outside of the file")
        flat = np.frombuffer(self.body[offset:end], dtype=_TYPES[kind])
        return flat.astype(_NATIVE[kind]).reshape(shape)

    def fill(self, places: dict[str, Any]) -> Fill:
        return Fill(
            start=self(places["start"], "u4"),
            slot=self(places["slot"], "u4"),
            value=self(places["value"], "f8"),
            refused=self(places["refused"], "u1"),
        )

    def trees(self, places: dict[str, Any]) -> Trees:
        return Trees(
            root=self(places["root"], "u4"),
            slot=self(places["slot"], "i4"),
            threshold=self(places["threshold"], "f8"),
            left=self(places["left"], "u4"),
            null_left=self(places["null_left"], "u1"),
            category_set=self(places["category_set"], "i4"),
            set_start=self(places["set_start"], "u4"),
            set_words=self(places["set_words"], "u4"),
            row=self(places["row"], "u4"),
            values=self(places["values"], "f8", 2),
            divisor=float.fromhex(places["divisor"]),
            single=_flag(places["single"]),
        )


def _plan(header: dict[str, Any], read: _Reader) -> Plan:
    model = (
        read.trees(header["trees"])
        if header["trees"] is not None
        else Linear(read(header["weights"], "f8", 2))
    )
    link = header["link"]
    return Plan(
        features=tuple(Feature.model_validate(feature) for feature in header["features"]),
        numbers=tuple(
            Number(_whole(column), _whole(slot), _read_steps(steps))
            for column, slot, steps in header["numbers"]
        ),
        texts=tuple(
            TextLookup(_whole(t["column"]), tuple(map(_text, t["keys"])), read.fill(t["fill"]))
            for t in header["texts"]
        ),
        number_lookups=tuple(
            NumberLookup(
                _whole(n["column"]), _read_steps(n["steps"]), read(n["keys"], "f8"), read.fill(n["fill"])
            )
            for n in header["number_lookups"]
        ),
        base=read(header["base"], "f8"),
        model=model,
        start=read(header["start"], "f8"),
        link=Link(
            LinkKind[link["kind"]],
            Labels[link["labels"]],
            float.fromhex(link["factor"]),
            Sum[link["sum"]],
            _flag(link["numpy_exp"]),
        ),
        made_with={_text(name): _text(version) for name, version in header["made_with"].items()},
    )


def _read_steps(steps: list[list[str]]) -> tuple[Step, ...]:
    return tuple(Step(Op[op], float.fromhex(operand)) for op, operand in steps)


def _whole(value: object) -> int:
    if type(value) is not int:
        raise CompiledModelError("a number is no whole one")
    return value


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise CompiledModelError("a flag is neither true nor false")
    return value


def _text(value: object) -> str:
    if type(value) is not str:
        raise CompiledModelError("a text is none")
    value.encode()  # a lone surrogate has no UTF-8
    return value
