"""Reads a Dockerfile into instructions, with variables expanded as they come."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.docker_shim.errors import Refused

_VARIABLE = re.compile(r"\\\$|\$(?:\{(?P<braced>\w+)(?:(?P<operator>:[-+])(?P<word>[^}]*))?\}|(?P<bare>\w+))")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name in capitals, its `--flags`, what follows, and the line it starts on."""

    name: str
    flags: tuple[str, ...]
    text: str
    line: int

    @property
    def where(self) -> str:
        return f"Dockerfile line {self.line} ({self.name})"

    def as_list(self) -> list[str] | None:
        """The arguments of the exec (JSON) form, None for the shell form."""
        if not self.text.startswith("["):
            return None
        try:
            parsed: Any = json.loads(self.text)
        except json.JSONDecodeError:
            return None
        return [str(item) for item in parsed]


def read(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile. Raises Refused for here-documents and another escape character."""
    instructions = []
    pending, started = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if re.match(r"#\s*escape\s*=\s*`", line):
            raise Refused("the parser directive escape=` is not supported by the local image builder")
        if line.startswith("#") or (not line and not pending):
            continue
        if not pending:
            started = number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        instructions.append(_instruction(pending + line, started))
        pending = ""
    if pending:
        instructions.append(_instruction(pending, started))
    return instructions


def _instruction(line: str, number: int) -> Instruction:
    name, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    flags = []
    while rest.startswith("--"):
        flag, _, rest = rest.partition(" ")
        flags.append(flag)
        rest = rest.lstrip()
    if "<<" in rest and re.search(r"<<-?[\"']?\w", rest):
        raise Refused(f"line {number}: here-documents are not supported by the local image builder")
    return Instruction(name.upper(), tuple(flags), rest, number)


def expand(text: str, variables: Mapping[str, str], where: str) -> str:
    """`text` with $NAME, ${NAME}, ${NAME:-word} and ${NAME:+word} replaced; Refused for an unknown one."""

    def value(match: re.Match[str]) -> str:
        if match.group(0) == "\\$":
            return "$"
        name = match.group("braced") or match.group("bare")
        if match.group("operator") == ":-":
            return variables.get(name) or match.group("word")
        if match.group("operator") == ":+":
            return match.group("word") if variables.get(name) else ""
        if name not in variables:
            raise Refused(
                f"{where} uses ${name}, which neither ARG nor ENV sets. What the base image sets is not "
                "known to the local image builder."
            )
        return variables[name]

    return _VARIABLE.sub(value, text)


def pairs(instruction: Instruction) -> list[tuple[str, str]]:
    """The KEY=value pairs of ENV, LABEL and ARG, quotes removed; also the old form `ENV KEY value`."""
    tokens = _tokens(instruction.text)
    if tokens and "=" not in tokens[0]:
        name, _, value = instruction.text.partition(" ")
        return [(name, value.strip())]
    return [(name, value) for name, _, value in (token.partition("=") for token in tokens)]


def _tokens(text: str) -> list[str]:
    """Words split at blanks outside quotes; `\\$` stays escaped, for expand()."""
    found = re.findall(r"(?:[^\s\"'\\]|\\.|\"(?:[^\"\\]|\\.)*\"|'[^']*')+", text)
    return [re.sub(r"\"((?:[^\"\\]|\\.)*)\"|'([^']*)'", _unquoted, token) for token in found]


def _unquoted(match: re.Match[str]) -> str:
    if match.group(2) is not None:
        return match.group(2).replace("$", "\\$")
    return re.sub(r"\\([^$])", r"\1", match.group(1))
