"""Checks, instead of installing them, that an environment has the Python packages an image would install."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from local.docker_shim.errors import Refused
from local.docker_shim.interpreters import Interpreter

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


def unmet(arguments: list[str], workdir: Path, where: str, python: Interpreter) -> Iterator[str]:
    """What `pip install ARGUMENTS` would install that the interpreter's environment does not have.

    Also what pip itself would refuse: a requirement without a hash where hashes are required. Raises Refused
    for a requirement that cannot be read.
    """
    hashes = "--require-hashes" in arguments
    waiting = iter(arguments)
    for argument in waiting:
        option, has_value, value = argument.partition("=")
        if option in _REQUIREMENT_FILE:
            path = workdir / (value if has_value else next(waiting, ""))
            yield from _unmet_in_file(path, where, hashes, python)
        elif option in _WITH_VALUE:
            if not has_value:
                next(waiting, None)
        elif not argument.startswith(("-", ".", "/")):
            yield from _unmet_requirement(argument, python, hashed=not hashes)


def _unmet_in_file(path: Path, where: str, hashes: bool, python: Interpreter) -> Iterator[str]:
    if not path.is_file():
        raise Refused(f"{where} installs from {path.name}, which no COPY before it put there")
    text = re.sub(r"\\\n", " ", path.read_text())
    lines = [re.split(r"(?:^|\s)#", raw, maxsplit=1)[0].strip() for raw in text.splitlines()]
    # As in pip, one hash asks for them all.
    hashes = hashes or any("--hash=" in line or line == "--require-hashes" for line in lines)
    for line in lines:
        if line.startswith(_REQUIREMENT_FILE):
            yield from _unmet_in_file(
                path.parent / re.split(r"[\s=]+", line, maxsplit=1)[1], where, hashes, python
            )
        elif line and not line.startswith("-"):
            requirement, *options = re.split(r"\s--", line)
            hashed = any(option.startswith("hash=") for option in options)
            yield from _unmet_requirement(requirement, python, hashed=hashed or not hashes)


def _unmet_requirement(text: str, python: Interpreter, *, hashed: bool) -> Iterator[str]:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise Refused(f"{text!r} is no requirement the local image builder can check: {error}") from error
    if requirement.marker is not None and not requirement.marker.evaluate():
        return
    if not hashed:
        yield f"{requirement}: has no hash, and pip requires hashes here"
    installed = python.version(requirement.name)
    if installed is None:
        yield f"{requirement}: not installed"
    elif not requirement.specifier.contains(installed, prereleases=True):
        yield f"{requirement}: {installed} is installed"
