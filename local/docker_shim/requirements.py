"""Checks, instead of installing them, that the packages an image would install are here."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from local.docker_shim.errors import Refused

_REQUIREMENT_FILE = ("-r", "--requirement")
_WITH_VALUE = {
    "-c",
    "--constraint",
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "-t",
    "--target",
    "--prefix",
    "--root",
    "--python",
    "--platform",
    "--trusted-host",
}


def check_run(command: str, workdir: Path, where: str) -> bool:
    """Checks the packages of every `pip install` in a RUN; False if there is none.

    Raises Refused, naming each requirement that the interpreter running the local AWS does not meet.
    """
    installs = list(_pip_installs(command))
    unmet = [problem for arguments in installs for problem in _unmet(arguments, workdir, where)]
    if unmet:
        lines = "\n".join(f"  {problem}" for problem in unmet)
        raise Refused(
            f"{where} would install packages that the local environment does not have as required:\n{lines}\n"
            f"The local AWS runs images with {sys.executable} and installs nothing. Install them there, or "
            "change the requirements."
        )
    return bool(installs)


def _pip_installs(command: str) -> Iterator[list[str]]:
    for part in re.split(r"&&|\|\||;", command):
        words = shlex.split(part)
        for index in range(len(words) - 1):
            program = Path(words[index]).name
            if program in ("pip", "pip3") and words[index + 1] == "install":
                yield words[index + 2 :]
                break


def _unmet(arguments: list[str], workdir: Path, where: str) -> Iterator[str]:
    waiting = iter(arguments)
    for argument in waiting:
        option, has_value, value = argument.partition("=")
        if option in _REQUIREMENT_FILE:
            path = workdir / (value if has_value else next(waiting, ""))
            yield from _unmet_in_file(path, where)
        elif option in _WITH_VALUE:
            if not has_value:
                next(waiting, None)
        elif not argument.startswith("-") and not argument.startswith((".", "/")):
            yield from _unmet_requirement(argument)


def _unmet_in_file(path: Path, where: str) -> Iterator[str]:
    if not path.is_file():
        raise Refused(f"{where} installs from {path.name}, which no COPY before it put there")
    text = re.sub(r"\\\n", " ", path.read_text())
    for raw in text.splitlines():
        line = re.split(r"(?:^|\s)#", raw, maxsplit=1)[0].strip()
        if line.startswith(_REQUIREMENT_FILE):
            yield from _unmet_in_file(path.parent / re.split(r"[\s=]+", line, maxsplit=1)[1], where)
        elif line and not line.startswith("-"):
            yield from _unmet_requirement(re.split(r"\s--", line, maxsplit=1)[0])


def _unmet_requirement(text: str) -> Iterator[str]:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise Refused(f"{text!r} is no requirement the local image builder can check: {error}") from error
    if requirement.marker is not None and not requirement.marker.evaluate():
        return
    try:
        installed = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        yield f"{requirement}: not installed"
        return
    if not requirement.specifier.contains(installed, prereleases=True):
        yield f"{requirement}: {installed} is installed"
