"""A flat table with an entity key as one feature view: features.py in Feast's objects, or why there is none."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from pathlib import Path
from string import Template

from sluice.arrow import compute as pc
from sluice.cells import ColumnType
from sluice.drafting.draft import Draft
from sluice.drafting.profiling import ColumnProfile
from sluice.drafting.roles import words_of
from sluice.drafting.sampling import shown
from sluice.drafting.toml import WIDTH
from sluice.features.names import refused

_TEMPLATE = Path(__file__).parent / "templates" / "features.py.template"

_KEY_TYPES: dict[ColumnType, str] = {"string": "STRING", "integer": "INT64"}
_TYPES: dict[ColumnType, str] = {
    "string": "String",
    "integer": "Int64",
    "number": "Float64",
    "boolean": "Bool",
}
# What a key's name says besides whom it names: customer_id, EmployeeNumber.
_OF_A_KEY = frozenset(("id", "ids", "uuid", "guid", "identifier", "key", "number", "no", "nr", "num", "ref"))
_ENDS_IN_ID = re.compile(r"(?<=[a-z]{3})id$")
_LONGEST_NAME = 40

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html: of an item, names and values.
_MOST_ITEM_BYTES = 400 * 1024
_OWN_BYTES = 512
_BYTES: dict[ColumnType, int] = {"integer": 11, "number": 9, "boolean": 2, "string": 6}
"""What a value takes in Feast's form; of a text besides its own bytes."""


def is_view(draft: Draft) -> bool:
    """Tell whether the table is one that can be looked up by its entity."""
    return draft.entity is not None and obstacle(draft) is None


def obstacle(draft: Draft) -> str | None:
    """Say why a table with an entity is no view; None where it is one.

    Rows that are each true at a time are none: whether what counts of an entity is its last row, as for a monthly
    snapshot, or a sum of them, as for a log, no file says.
    """
    if draft.timestamp is not None:
        return f"{shown(draft.timestamp)} makes a history of it; docs/features.md says how to sum one up"
    key = _key(draft)
    if key.type not in _KEY_TYPES:
        return f"an entity is named by a text or a whole number, and {shown(key.name)} is of type {key.type}"
    features = _features(draft)
    for column in (key, *features):
        why = refused(column.name)
        if why is not None:
            return f"{shown(column.name)} cannot be called so there: {why}"
    size = _OWN_BYTES + sum(map(_stored_bytes, features))
    if size > _MOST_ITEM_BYTES:
        return f"a row takes up to {size / 1024:,.0f} KB, and an item of DynamoDB holds {_MOST_ITEM_BYTES // 1024}"
    return None


def render_features(draft: Draft) -> str:
    """Render features.py of a table that `is_view`, formatted as ruff and black do."""
    key, features = _key(draft), _features(draft)
    name = entity_name(key.name)
    fields = [
        _call("Field", [f"name={literal(each.name)}", f"dtype={_TYPES[each.type]}"], "        ", ",")
        for each in features
    ]
    entity = [f"name={literal(name)}", f"join_keys=[{literal(key.name)}]"]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        types=", ".join(sorted({_TYPES[each.type] for each in features})),
        name=name,
        entity=_call(f"{name} = Entity", [*entity, f"value_type=ValueType.{_KEY_TYPES[key.type]}"]),
        fields="\n".join(fields),
    )


def entity_name(key: str) -> str:
    """Name what a key names, as a Python variable: `customer` for customerID; `entity` where it says nothing."""
    plain = unicodedata.normalize("NFKD", key).encode("ascii", "ignore").decode()
    found = words_of(plain)
    while found and (found[-1] in _OF_A_KEY or found[-1].isdecimal()):
        found.pop()
    name = _ENDS_IN_ID.sub("", "_".join(found))[:_LONGEST_NAME].strip("_")
    usable = (
        re.fullmatch(r"[a-z][a-z0-9_]*", name) and not keyword.iskeyword(name) and not hasattr(builtins, name)
    )
    return name if usable else "entity"


def literal(text: str) -> str:
    """Write a text as Python: in double quotes, unless single ones need fewer escapes."""
    plain = "".join(each if each in "'\"" else repr(each)[1:-1] for each in text)
    quote = "'" if plain.count('"') > plain.count("'") else '"'
    return f"{quote}{plain.replace(quote, chr(92) + quote)}{quote}"


def _key(draft: Draft) -> ColumnProfile:
    return next(column.profile for column in draft.columns if column.name == draft.entity)


def _features(draft: Draft) -> list[ColumnProfile]:
    """Give the model's columns in the order of project.toml. None of them is a timestamp: a model takes none."""
    profiles = {column.name: column.profile for column in draft.columns}
    return [profiles[name] for name in (*draft.named("numeric"), *draft.named("categorical"))]


def _stored_bytes(column: ColumnProfile) -> int:
    longest = pc.max(pc.binary_length(column.values)).as_py() or 0 if column.type == "string" else 0
    return len(column.name.encode()) + 1 + _BYTES[column.type] + int(longest)


def _call(function: str, arguments: list[str], indent: str = "", after: str = "") -> str:
    """Write a call on one line where it fits, its arguments on one of their own, or each on one."""
    inner = ", ".join(arguments)
    line = f"{indent}{function}({inner}){after}"
    if _width(line) <= WIDTH:
        return line
    within = f"{indent}    {inner}"
    if _width(within) > WIDTH:
        within = "\n".join(_argument(each, f"{indent}    ") for each in arguments)
    return f"{indent}{function}(\n{within}\n{indent}){after}"


def _argument(text: str, indent: str) -> str:
    line = f"{indent}{text},"
    if _width(line) <= WIDTH or not text.endswith("]"):
        return line
    name, _, item = text[:-1].partition("[")
    return f"{indent}{name}[\n{indent}    {item}\n{indent}],"


def _width(line: str) -> int:
    """Count columns as formatters do: wide characters are two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in line)
