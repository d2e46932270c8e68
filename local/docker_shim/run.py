"""Reads the commands of a RUN, which the shim does not run: what they would install has to be here."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from local.docker_shim import requirements, system_packages
from local.docker_shim.errors import Refused
from local.docker_shim.interpreters import Interpreter

_SETTING = re.compile(r"[A-Za-z_]\w*=")


@dataclass(frozen=True)
class Checked:
    """What a RUN comes to: the commands whose effect will be missing, the interpreters that have its packages."""

    missing: list[str]
    pythons: list[Interpreter]


def check(command: str, workdir: Path, where: str, pythons: Sequence[Interpreter]) -> Checked:
    """Checks the packages of every pip and apt-get.

    Raises Refused, naming each package that this machine does not have as it is asked for; of Python's those of the
    first interpreter, where none has them all.
    """
    python: dict[str, list[str]] = {each.path: [] for each in pythons}
    system: list[str] = []
    missing = []
    for words in _commands(command, where):
        installs = _after_pip_install(words)
        if installs is not None:
            for each in pythons:
                python[each.path] += requirements.unmet(installs, workdir, where, each)
            continue
        match words:
            case ["apt-get" | "apt", *arguments]:
                system += system_packages.unmet(arguments, where)
            case ["rm", "-rf", "/var/lib/apt/lists/*"] | ["python", "-m", "compileall", *_]:
                pass  # there are no package lists here, and Python compiles what it imports
            case _:
                missing.append(shlex.join(words))
    texts = []
    fit = [each for each in pythons if not python[each.path]]
    if not fit:
        texts.append(
            f"{where} would install packages that the local environment does not have as required:\n"
            f"{_lines(python[pythons[0].path])}\nThe local AWS runs images with "
            f"{' or '.join(python)} and installs nothing. Install them there, or change the requirements."
        )
    if system:
        texts.append(f"{where} would install what this machine does not have:\n{_lines(system)}")
    if texts:
        raise Refused("\n".join(texts))
    return Checked(missing, fit)


def _after_pip_install(words: list[str]) -> list[str] | None:
    """The arguments of `pip install`, `python -m pip install` or `uv pip install`."""
    for index, (program, operation) in enumerate(itertools.pairwise(words)):
        if PurePosixPath(program).name in ("pip", "pip3") and operation == "install":
            return words[index + 2 :]
    return None


def _lines(problems: list[str]) -> str:
    return "\n".join(f"  {problem}" for problem in problems)


def _commands(command: str, where: str) -> Iterator[list[str]]:
    """The words of each simple command, without the settings before it and the folder of its program."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for token in lexer:
            if token and set(token) <= set("();|&"):
                yield from _named(words)
                words = []
            else:
                words.append(token)
    except ValueError as error:
        raise Refused(f"{where} cannot be read as a shell command: {error}") from error
    yield from _named(words)


def _named(words: list[str]) -> Iterator[list[str]]:
    while words and _SETTING.match(words[0]):
        words = words[1:]
    if words:
        yield [PurePosixPath(words[0]).name, *words[1:]]
