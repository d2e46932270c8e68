"""The Pythons that may run an image here: the one of the local AWS itself, then those it was started with."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from local.docker_shim.errors import Refused

VARIABLE = "SLUICE_LOCAL_PYTHONS"
_LIST = (
    "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python, with the versions of the packages that its environment holds, by normalised name."""

    path: str
    packages: Mapping[str, str]

    def version(self, package: str) -> str | None:
        return self.packages.get(normalised(package))


def normalised(package: str) -> str:
    """Write a package's name as all ways to write it agree (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def known() -> tuple[Interpreter, ...]:
    """List the interpreters, the local AWS's own first.

    Raises:
        Refused: one that it was started with does not run.
    """
    own = _own_packages()
    others = list(filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)))
    return (_interpreter(sys.executable, own), *(_interpreter(path, _packages(path)) for path in others))


@cache
def _own_packages() -> dict[str, str]:
    return {each.name: each.version for each in importlib.metadata.distributions()}


def _interpreter(path: str, packages: Mapping[str, str]) -> Interpreter:
    return Interpreter(path, {normalised(name): version for name, version in packages.items()})


@cache
def _packages(python: str) -> dict[str, str]:
    # -I: what this process was told of modules, as by PYTHONPATH, is not that environment's.
    try:
        told = subprocess.run([python, "-I", "-c", _LIST], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused(
            f"{python}, which the local AWS was started with (--python), does not run: {error}"
        ) from error
    found: dict[str, str] = json.loads(told)
    return found
