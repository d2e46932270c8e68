"""Reads the commands of a RUN, which the shim does not run: what they would install has to be here."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from local.docker_shim import requirements, system_packages
from local.docker_shim.errors import Refused

_SETTING = re.compile(r"[A-Za-z_]\w*=")


def check(command: str, workdir: Path, where: str) -> list[str]:
    """Checks the packages of every pip and apt-get; returns the commands whose effect will be missing.

    Raises Refused, naming each package that this machine or its Python does not have as it is asked for.
    """
    python: list[str] = []
    system: list[str] = []
    missing = []
    for words in _commands(command, where):
        installs = _after_pip_install(words)
        if installs is not None:
            python += requirements.unmet(installs, workdir, where)
            continue
        match words:
            case ["apt-get" | "apt", *arguments]:
                system += system_packages.unmet(arguments, where)
            case ["rm", "-rf", "/var/lib/apt/lists/*"] | ["python", "-m", "compileall", *_]:
                pass  # there are no package lists here, and Python compiles what it imports
            case _:
                missing.append(shlex.join(words))
    texts = []
    if python:
        texts.append(
            f"{where} would install packages that the local environment does not have as required:\n"
            f"{_lines(python)}\nThe local AWS runs images with {sys.executable} and installs nothing. Install "
            "them there, or change the requirements."
        )
    if system:
        texts.append(f"{where} would install what this machine does not have:\n{_lines(system)}")
    if texts:
        raise Refused("\n".join(texts))
    return missing


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
