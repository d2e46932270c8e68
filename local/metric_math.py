"""Metric math, as far as alarms need it: arithmetic, comparisons, AND, OR, IF, FILL, ABS, MIN, MAX, by the period.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Collection, Mapping

_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARGUMENTS = {"IF": (2, 3), "FILL": (2, 2), "ABS": (1, 1), "MIN": (1, 99), "MAX": (1, 99)}
# As Python reads it. A power is written ^, which Python knows for something else.
_WORDS = ((r"\bAND\b|&&", " and "), (r"\bOR\b|\|\|", " or "), (r"\^", "**"))


class InvalidExpression(Exception):
    """No expression, or one of more than is known here."""


class Expression:
    """An expression over the values of metrics.

    Raises:
        InvalidExpression: it cannot be read, or names an id that is not among `known`.
    """

    def __init__(self, text: str, known: Collection[str]) -> None:
        self._text = text
        self._known = known
        python = text
        for word, instead in _WORDS:
            python = re.sub(word, instead, python)
        try:
            self._tree = ast.parse(python.strip(), mode="eval").body
        except (SyntaxError, ValueError) as error:
            raise self._invalid("it cannot be read") from error
        self._check(self._tree)

    @property
    def names(self) -> set[str]:
        """The ids whose values it needs."""
        called = {id(node.func) for node in ast.walk(self._tree) if isinstance(node, ast.Call)}
        return {
            node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name) and id(node) not in called
        }

    def value(self, values: Mapping[str, float | None]) -> float | None:
        """The value of a period; None where a metric that it needs has none, or something is divided by zero."""
        try:
            return self._value(self._tree, values)
        except (ZeroDivisionError, OverflowError):
            return None

    def _check(self, node: ast.expr) -> None:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return
            case ast.Name(id=name):
                if name not in self._known:
                    raise self._invalid(f"there is no {name}")
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                self._check(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                self._check(left)
                self._check(right)
            case ast.BoolOp(values=parts):
                for part in parts:
                    self._check(part)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
                self._check(left)
                self._check(right)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _ARGUMENTS:
                least, most = _ARGUMENTS[name]
                if not least <= len(arguments) <= most:
                    raise self._invalid(f"{name} has {len(arguments)} arguments")
                for each in arguments:
                    self._check(each)
            case _:
                raise self._invalid(f"the local AWS does not know {ast.unparse(node)}")

    def _value(self, node: ast.expr, values: Mapping[str, float | None]) -> float | None:
        match node:
            case ast.Constant(value=value):
                return float(value)  # type: ignore[arg-type]  # _check has seen to it
            case ast.Name(id=name):
                return values.get(name)
            case ast.UnaryOp(operand=operand):
                found = self._value(operand, values)
                return None if found is None else -found
            case ast.BinOp(left=left, op=op, right=right):
                a, b = self._value(left, values), self._value(right, values)
                return None if a is None or b is None else float(_ARITHMETIC[type(op)](a, b))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                a, b = self._value(left, values), self._value(right, values)
                return None if a is None or b is None else float(_COMPARISONS[type(op)](a, b))
            case ast.BoolOp(op=op, values=parts):
                truths = [self._value(part, values) for part in parts]
                if None in truths:
                    return None
                return float(all(truths) if isinstance(op, ast.And) else any(truths))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._called(name, arguments, values)
        raise AssertionError(ast.dump(node))

    def _called(
        self, name: str, arguments: list[ast.expr], values: Mapping[str, float | None]
    ) -> float | None:
        first = self._value(arguments[0], values)
        if name == "FILL":
            return self._value(arguments[1], values) if first is None else first
        if name == "IF":
            if first is None:
                return None
            branch = arguments[1:2] if first else arguments[2:3]
            return self._value(branch[0], values) if branch else None
        if name == "ABS":
            return None if first is None else abs(first)
        found = [value for each in arguments if (value := self._value(each, values)) is not None]
        return (min if name == "MIN" else max)(found, default=None)

    def _invalid(self, why: str) -> InvalidExpression:
        return InvalidExpression(f"Error in expression '{self._text}': {why}")
