"""JSON as Python values; a large text piece by piece, so that other requests are answered meanwhile."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json.scanner import make_scanner
from typing import Any, NoReturn

from sluice.contract import listed, repeated
from sluice.decoding.bounds import MOST_ROW_CHARACTERS, most_rows
from sluice.errors import RequestError

_BLANKS = re.compile(r"[ \t\n\r]*+")
_OPENING = re.compile(rb"[ \t\n\r]*+(?:\[[ \t\n\r]*+)?+\{")
_ENVELOPES = 3
"""Objects and lists within one another, of which the innermost may hold the rows: {"…": {"data": [row, …]}}."""
_CUT_NUMBER = 2
"""Characters of a number that may stand behind what would be one without them: "e+" of 1e+5."""


def read_json(body: bytes, where: str, columns: int, piece: int = MOST_ROW_CHARACTERS) -> Any:
    """Read a JSON text; no NaN, no infinity, no key twice in an object.

    Args:
        body: UTF-8.
        where: what a refusal calls it.
        columns: how many values a row has: of so many, a longer text is read no further than rows are taken.
        piece: a longer text is read value by value; a row, or a value of a record, may be as long as this.

    Raises:
        RequestError: it is no such text.
    """
    try:
        text = body.decode()
        return _DECODER.decode(text) if len(text) <= piece else _Reader(text, columns, piece).document()
    except _Twice as error:
        raise RequestError(f"{where}: keys there more than once: {error}") from None
    except RecursionError:
        raise RequestError(f"{where} is not valid JSON: it is nested too deeply") from None
    except ValueError as error:  # no UTF-8, no JSON, a whole number of thousands of digits
        raise RequestError(f"{where} is not valid JSON: {error}") from error


def first_names(body: bytes, piece: int = MOST_ROW_CHARACTERS) -> list[str]:
    """Give the keys of the object that a text begins with, or the list that it begins with; none where it is neither.

    Of the text no more is read than that object; one that is no JSON, or longer than `piece` bytes, has no keys.
    """
    opening = _OPENING.match(body)
    if opening is None:
        return []
    try:
        found, _ = _scan(body[opening.end() - 1 : opening.end() + piece].decode(errors="replace"), 0)
    except (StopIteration, ValueError, RecursionError, _Twice):
        return []
    return list(found)


class _Twice(Exception):
    """An object has a key more than once: Python, like most readers, would keep the last one without a word."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice(listed(repeated(name for name, _ in pairs)))
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no NaN or Infinity: send null (found {name})")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)
# (text, start) to (value, end); it holds the interpreter until it is done.
_scan: Callable[[str, int], tuple[Any, int]] = make_scanner(_DECODER)  # type: ignore[arg-type]


class _Reader:
    """Reads the outer objects and lists by itself and leaves to Python's reader no more than a piece at a time."""

    def __init__(self, text: str, columns: int, piece: int) -> None:
        self._text = text
        self._most_elements = max(columns, most_rows(columns))
        self._most_members = 2 * columns + _ENVELOPES
        self._at = 0
        self._piece = piece
        self._window, self._base = text[:piece], 0

    def document(self) -> Any:
        value = self._value(_ENVELOPES)
        self._skip_blanks()
        if self._at < len(self._text):
            raise json.JSONDecodeError("Extra data", self._text, self._at)
        return value

    def _value(self, envelopes: int) -> Any:
        self._skip_blanks()
        if envelopes and self._take("["):
            return self._elements()
        if envelopes and self._take("{"):
            return self._members(envelopes - 1)
        return self._piece_here()

    def _elements(self) -> list[Any]:
        values: list[Any] = []
        if self._take("]"):
            return values
        while True:
            self._skip_blanks()
            values.append(self._piece_here())
            if len(values) > self._most_elements:
                raise RequestError(
                    f"found a list of more than {self._most_elements:,} rows or values, and no more are taken",
                    fix="send the rows in several requests",
                )
            if self._take("]"):
                return values
            self._expect(",")

    def _members(self, envelopes: int) -> dict[str, Any]:
        pairs: list[tuple[str, Any]] = []
        if self._take("}"):
            return {}
        while True:
            self._skip_blanks()
            if not self._text.startswith('"', self._at):
                raise json.JSONDecodeError(
                    "Expecting property name enclosed in double quotes", self._text, self._at
                )
            key = self._piece_here()
            self._expect(":")
            pairs.append((key, self._value(envelopes)))
            if len(pairs) > self._most_members:
                raise RequestError(f"found an object of more than {self._most_members:,} keys")
            if self._take("}"):
                return _object(pairs)
            self._expect(",")

    def _piece_here(self) -> Any:
        """Read the value that begins here, in the window; where that cuts it short, in one that begins here, too."""
        found = self._in_window()
        if found is None:
            self._base, self._window = self._at, self._text[self._at : self._at + self._piece]
            found = self._in_window()
        if found is None:
            raise json.JSONDecodeError(
                f"Expecting value, or one of at most {self._piece:,} characters", self._text, self._at
            )
        value, end = found
        self._at = self._base + end
        return value

    def _in_window(self) -> tuple[Any, int] | None:
        at = self._at - self._base
        if at >= len(self._window):
            return None
        is_last = self._base + len(self._window) == len(self._text)
        try:
            value, end = _scan(self._window, at)
        except (StopIteration, json.JSONDecodeError):
            return None
        # A number may go on where the window ends.
        return None if end + _CUT_NUMBER >= len(self._window) and not is_last else (value, end)

    def _skip_blanks(self) -> None:
        found = _BLANKS.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _take(self, char: str) -> bool:
        self._skip_blanks()
        if not self._text.startswith(char, self._at):
            return False
        self._at += 1
        return True

    def _expect(self, char: str) -> None:
        if not self._take(char):
            raise json.JSONDecodeError(f"Expecting {char!r} delimiter", self._text, self._at)
