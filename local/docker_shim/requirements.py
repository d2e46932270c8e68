"""Checks, instead of installing them, that the Python packages an image would install are here."""

from __future__ import annotations

import importlib.metadata
import re
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


def unmet(arguments: list[str], workdir: Path, where: str) -> Iterator[str]:
    """What `pip install ARGUMENTS` would install that the interpreter running the local AWS does not have.

    Also what pip itself would refuse: a requirement without a hash where hashes are required. Raises Refused
    for a requirement that cannot be read.
    """
    hashes = "--require-hashes" in arguments
    waiting = iter(arguments)
    for argument in waiting:
        option, has_value, value = argument.partition("=")
        if option in _REQUIREMENT_FILE:
            path = workdir / (value if has_value else next(waiting, ""))
            yield from _unmet_in_file(path, where, hashes)
        elif option in _WITH_VALUE:
            if not has_value:
                next(waiting, None)
        elif not argument.startswith(("-", ".", "/")):
            yield from _unmet_requirement(argument, hashed=not hashes)


def _unmet_in_file(path: Path, where: str, hashes: bool) -> Iterator[str]:
    if not path.is_file():
        raise Refused(f"{where} installs from {path.name}, which no COPY before it put there")
    text = re.sub(r"\\\n", " ", path.read_text())
    lines = [re.split(r"(?:^|\s)#", raw, maxsplit=1)[0].strip() for raw in text.splitlines()]
    # As in pip, one hash asks for them all.
    hashes = hashes or any("--hash=" in line or line == "--require-hashes" for line in lines)
    for line in lines:
        if line.startswith(_REQUIREMENT_FILE):
            yield from _unmet_in_file(path.parent / re.split(r"[\s=]+", line, maxsplit=1)[1], where, hashes)
        elif line and not line.startswith("-"):
            requirement, *options = re.split(r"\s--", line)
            hashed = any(option.startswith("hash=") for option in options)
            yield from _unmet_requirement(requirement, hashed=hashed or not hashes)


def _unmet_requirement(text: str, *, hashed: bool) -> Iterator[str]:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise Refused(f"{text!r} is no requirement the local image builder can check: {error}") from error
    if requirement.marker is not None and not requirement.marker.evaluate():
        return
    if not hashed:
        yield f"{requirement}: has no hash, and pip requires hashes here"
    try:
        installed = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        yield f"{requirement}: not installed"
        return
    if not requirement.specifier.contains(installed, prereleases=True):
        yield f"{requirement}: {installed} is installed"
