"""Document paths of expressions, and projections: `entity_id, #v.f1, list[2]`."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeAlias

from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from local.dynamodb import values
from local.dynamodb.errors import PassOn, invalid

Path: TypeAlias = tuple[str | int, ...]
"""Names, some of which are placeholders, and indexes of lists."""

Tree: TypeAlias = dict[str | int, Any]
"""What a projection keeps of a value: by name or index, a tree or None for all of it."""

PATH_PATTERN = r"(?:[A-Za-z_]\w*|#\w+)(?:\[\d{1,9}\])*(?:\.(?:[A-Za-z_]\w*|#\w+)(?:\[\d{1,9}\])*)*"
_PATH = re.compile(PATH_PATTERN, re.ASCII)
_STEP = re.compile(r"\[(\d+)\]|([#\w]+)", re.ASCII)
_PLACEHOLDER = re.compile(r"#\w+", re.ASCII)


class Names:
    """The ExpressionAttributeNames of a request, and which of them its expressions have used.

    Raises PassOn, when made, of what moto refuses, and Refused of what it does not.
    """

    def __init__(self, names: Any) -> None:
        if names is not None and not isinstance(names, dict):
            raise PassOn
        if names == {}:
            raise invalid("ExpressionAttributeNames must not be empty")
        for key, name in (names or {}).items():
            if not isinstance(name, str):
                raise PassOn
            if not _PLACEHOLDER.fullmatch(key):
                raise invalid(f'ExpressionAttributeNames contains invalid key: Syntax error; key: "{key}"')
        self._names: Mapping[str, str] = names or {}
        self._used: set[str] = set()

    def resolve(self, path: Path, expression: str) -> Path:
        """The path with the names that its placeholders stand for.

        Raises:
            Refused: one stands for none, or a name is a reserved word.
        """
        return tuple(self._name(step, expression) if isinstance(step, str) else step for step in path)

    def all_used(self) -> bool:
        return len(self._used) == len(self._names)

    def _name(self, step: str, expression: str) -> str:
        if step[0] == "#":
            if step not in self._names:
                raise invalid(
                    f"Invalid {expression}: An expression attribute name used in the document path is not "
                    f"defined; attribute name: {step}"
                )
            self._used.add(step)
            return self._names[step]
        if step.upper() in _reserved():
            raise invalid(
                f"Invalid {expression}: Attribute name is a reserved keyword; reserved keyword: {step}"
            )
        return step


class Projection:
    """What a ProjectionExpression keeps of an item; `asked` is equal where two keep the same."""

    def __init__(self, tree: Tree, asked: Hashable) -> None:
        self._tree = tree
        self.asked = asked

    def apply(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        return dict(_kept(attributes, self._tree))


def parse_path(text: str) -> Path:
    """The steps of a path that PATH_PATTERN matches."""
    return tuple(int(index) if index else name for index, name in _STEP.findall(text))


def projection_of(request: Mapping[str, Any]) -> Projection | None:
    """The projection that a request asks for, None for whole items.

    Raises:
        PassOn: moto refuses it, or it is spelled as is not understood here.
        Refused: DynamoDB refuses it, and moto does not.
    """
    expression = request.get("ProjectionExpression")
    names = request.get("ExpressionAttributeNames")
    if expression is None:
        if names is not None:
            raise PassOn
        return None
    if not isinstance(expression, str):
        raise PassOn
    try:
        return _projection(expression, None if names is None else tuple(names.items()))
    except (AttributeError, TypeError):
        raise PassOn from None  # of names that are no texts


@functools.lru_cache(maxsize=256)
def _projection(expression: str, names: tuple[tuple[str, str], ...] | None) -> Projection:
    written = _parse_projection(expression)
    known = Names(None if names is None else dict(names))
    tree: Tree = {}
    resolved = [known.resolve(path, "ProjectionExpression") for path in written]
    for number, path in enumerate(resolved):
        if not _plant(tree, path):
            raise _clash(resolved[:number], path)
    if not known.all_used():
        raise PassOn
    return Projection(tree, (expression, names))


def _parse_projection(expression: str) -> tuple[Path, ...]:
    parts = [part.strip(" ") for part in expression.split(",")]
    if len(set(parts)) != len(parts) or not all(map(_PATH.fullmatch, parts)):
        raise PassOn
    if any(part.upper() in _reserved() for part in parts):
        raise PassOn
    return tuple(map(parse_path, parts))


@functools.cache
def _reserved() -> frozenset[str]:
    return frozenset(ReservedKeywords.get_reserved_keywords())


def _plant(tree: Tree, path: Path) -> bool:
    """Add a path to a tree; False where it clashes with one that is there."""
    at = tree
    for step in path[:-1]:
        if (step in at and at[step] is None) or not _suits(at, step):
            return False
        at = at.setdefault(step, {})
    if path[-1] in at or not _suits(at, path[-1]):
        return False
    at[path[-1]] = None
    return True


def _suits(at: Tree, step: str | int) -> bool:
    """Whether a step is a name among names, or an index among indexes."""
    return not at or type(next(iter(at))) is type(step)


def _clash(planted: list[Path], path: Path) -> Exception:
    for other in planted:
        shared = list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(other, path, strict=False)))
        beyond = (other[len(shared) :], path[len(shared) :])
        if not all(beyond):
            how = "overlap"
        elif type(beyond[0][0]) is not type(beyond[1][0]):
            how = "conflict"
        else:
            continue
        return invalid(
            f"1 validation error detected: Invalid ProjectionExpression: Two document paths {how} with each "
            "other; must remove or rewrite one of these paths; "
            f"path one: [{_shown(other)}], path two: [{_shown(path)}]"
        )
    raise AssertionError(f"{path} clashes with none of {planted}")


def _shown(path: Path) -> str:
    return ", ".join(f"[{step}]" if isinstance(step, int) else step for step in path)


def _kept(content: Mapping[str, Any], tree: Tree) -> Iterator[tuple[str, Any]]:
    for name, below in tree.items():
        value = content.get(name) if isinstance(name, str) else None
        if value is not None and below is not None:
            value = _part(value, below)
        if value is not None:
            yield str(name), value


def _part(value: Any, tree: Tree) -> Any:
    """What a tree keeps of a map or list; None where that is nothing."""
    if value.type == "M":
        kept = dict(_kept(value.value, tree))
        return values.made("M", kept) if kept else None
    if value.type == "L":
        elements = [
            each if tree[index] is None else _part(each, tree[index])
            for index, each in enumerate(value.value)
            if index in tree
        ]
        elements = [each for each in elements if each is not None]
        return values.made("L", elements) if elements else None
    return None
