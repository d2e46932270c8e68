"""Condition expressions: AND, OR, NOT, comparisons of paths and values, attribute_exists and attribute_not_exists.

What else there is (functions, BETWEEN, IN) is moto's. Comparisons are DynamoDB's, not moto's: between values of two
types, or with an attribute that is not there, only `<>` holds.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from local.dynamodb import paths, values
from local.dynamodb.errors import PassOn, invalid
from local.dynamodb.paths import Names, Path

Attributes: TypeAlias = Mapping[str, Any]
Condition: TypeAlias = Callable[[Attributes], bool]
"""Whether it holds for an item's attributes; none of an item that is not there."""

_WORDS = {"and", "or", "not", "between", "in"}
_TOKEN = re.compile(rf"[ \t\r\n]*(?:(<>|<=|>=|[=<>(),])|(:\w+)|({paths.PATH_PATTERN}))", re.ASCII)
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EXISTENCE = {"attribute_exists": True, "attribute_not_exists": False}
_ORDERED = ("S", "N", "B")


@dataclass(frozen=True)
class _Joined:
    word: str
    parts: tuple[_Node, ...]


@dataclass(frozen=True)
class _Negated:
    part: _Node


@dataclass(frozen=True)
class _Exists:
    path: Path
    wanted: bool


@dataclass(frozen=True)
class _Compared:
    left: _Operand
    comparator: str
    right: _Operand


_Operand: TypeAlias = "Path | str"  # a path, or the name of a value
_Node: TypeAlias = "_Joined | _Negated | _Exists | _Compared"


def condition_of(request: Mapping[str, Any]) -> Condition | None:
    """The condition of a write, None where it has none.

    Raises:
        PassOn: it holds what is moto's, or moto refuses it.
        Refused: DynamoDB refuses it, and moto does not.
    """
    expression = request.get("ConditionExpression")
    names = request.get("ExpressionAttributeNames")
    given = request.get("ExpressionAttributeValues")
    if expression is None:
        if given:
            raise invalid(
                "ExpressionAttributeValues can only be specified when using expressions: "
                "ConditionExpression is null"
            )
        if names is not None or given is not None:
            raise PassOn
        return None
    if not isinstance(expression, str) or not isinstance(given, dict | None) or given == {}:
        raise PassOn
    if not all(name.startswith(":") for name in given or {}):
        raise PassOn
    known = _Known(Names(names), {name: values.parse(value) for name, value in (given or {}).items()})
    condition = known.compile(_parse(expression))
    if not known.names.all_used():
        raise PassOn
    unused = [name for name in given or {} if name not in known.used]
    if unused:
        raise invalid(
            f"Value provided in ExpressionAttributeValues unused in expressions: keys: {{{', '.join(unused)}}}"
        )
    return condition


class _Known:
    """What a request's expression may name."""

    def __init__(self, names: Names, given: Mapping[str, Any]) -> None:
        self.names = names
        self.used: set[str] = set()
        self._given = given

    def compile(self, node: _Node) -> Condition:
        match node:
            case _Joined(word, parts):
                compiled = [self.compile(part) for part in parts]
                if word == "and":
                    return lambda attributes: all(part(attributes) for part in compiled)
                return lambda attributes: any(part(attributes) for part in compiled)
            case _Negated(part):
                negated = self.compile(part)
                return lambda attributes: not negated(attributes)
            case _Exists(path, wanted):
                at = self.names.resolve(path, "ConditionExpression")
                return lambda attributes: (_find(attributes, at) is not None) is wanted
            case _Compared(left, comparator, right):
                one, two = self._operand(left), self._operand(right)
                return lambda attributes: _compare(one(attributes), comparator, two(attributes))

    def _operand(self, operand: _Operand) -> Callable[[Attributes], Any]:
        if isinstance(operand, tuple):
            at = self.names.resolve(operand, "ConditionExpression")
            return lambda attributes: _find(attributes, at)
        if operand not in self._given:
            raise invalid(
                "Invalid ConditionExpression: An expression attribute value used in expression is not defined; "
                f"attribute value: {operand}"
            )
        self.used.add(operand)
        value = self._given[operand]
        return lambda _attributes: value


def _find(attributes: Attributes, path: Path) -> Any:
    value = attributes.get(path[0])  # type: ignore[arg-type]  # a path begins with a name
    for step in path[1:]:
        if value is None:
            return None
        if isinstance(step, int):
            value = value.value[step] if value.type == "L" and step < len(value.value) else None
        else:
            value = value.value.get(step) if value.type == "M" else None
    return value


def _compare(one: Any, comparator: str, two: Any) -> bool:
    if one is None or two is None:
        return comparator == "<>"
    if comparator in _ORDERS:
        if one.type != two.type or one.type not in _ORDERED:
            return False
        return _ORDERS[comparator](_in_order(one), _in_order(two))
    return (values.comparable(one) == values.comparable(two)) is (comparator == "=")


def _in_order(value: Any) -> Any:
    """What orders as DynamoDB does: numbers by value, texts by their UTF-8, binaries by their bytes."""
    if value.type == "N":
        return Decimal(value.value)
    return value.value.encode() if value.type == "S" else value.value


class _Parser:
    """Recursive descent: OR binds weaker than AND, AND than NOT.

    Raises PassOn of all that it does not understand, mistakes included.
    """

    def __init__(self, expression: str) -> None:
        self._tokens = list(_tokens(expression))
        self._at = 0

    def parse(self) -> _Node:
        return self._joined("or", lambda: self._joined("and", self._negated))

    def is_done(self) -> bool:
        return self._at == len(self._tokens)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise PassOn

    def _joined(self, word: str, part: Callable[[], _Node]) -> _Node:
        parts = [part()]
        while self._peek().lower() == word:
            self._next()
            parts.append(part())
        return parts[0] if len(parts) == 1 else _Joined(word, tuple(parts))

    def _negated(self) -> _Node:
        if self._peek().lower() == "not":
            self._next()
            return _Negated(self._negated())
        return self._primary()

    def _primary(self) -> _Node:
        first = self._next()
        if first == "(":
            if self._peek() == "(":
                raise PassOn  # it may be a pair too many, which moto knows to refuse
            node = self.parse()
            self._expect(")")
            return node
        if self._peek() == "(":
            if first not in _EXISTENCE:
                raise PassOn
            self._expect("(")
            path = self._operand(self._next())
            self._expect(")")
            if not isinstance(path, tuple):
                raise PassOn
            return _Exists(path, _EXISTENCE[first])
        left = self._operand(first)
        comparator = self._next()
        if comparator not in _ORDERS and comparator not in ("=", "<>"):
            raise PassOn
        right = self._operand(self._next())
        if self._peek() == "(":
            raise PassOn
        if left == right:
            raise PassOn
        return _Compared(left, comparator, right)

    def _operand(self, token: str) -> _Operand:
        if token.startswith(":"):
            return token
        if not token or not (token[0].isalpha() or token[0] in "#_") or token.lower() in _WORDS:
            raise PassOn
        return paths.parse_path(token)


@functools.lru_cache(maxsize=256)
def _parse(expression: str) -> _Node:
    parser = _Parser(expression)
    node = parser.parse()
    if not parser.is_done():
        raise PassOn
    return node


def _tokens(expression: str) -> Iterator[str]:
    at, end = 0, len(expression.rstrip(" \t\r\n"))
    while at < end:
        match = _TOKEN.match(expression, at, end)
        if match is None:
            raise PassOn
        yield match[match.lastindex or 0]
        at = match.end()
