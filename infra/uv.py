"""Runs uv, and reads a dependency group's exact versions out of uv.lock with it."""

from __future__ import annotations

import os
import shutil
import subprocess

from infra.build import ROOT
from sluice.errors import SluiceError


class UvError(SluiceError):
    """uv is missing, or could not do what it was asked."""


def find() -> str:
    """Return uv: the environment's UV, else the one on PATH, else the one `make setup` installed.

    Raises:
        UvError: there is none.
    """
    for candidate in (os.environ.get("UV"), "uv", str(ROOT / ".tools" / "bin" / "uv")):
        found = shutil.which(candidate) if candidate else None
        if found:
            return found
    raise UvError(
        "uv was not found",
        where="the environment variable UV, PATH, .tools/bin/uv",
        why="it reads uv.lock and fetches the wheels of the Lambda bundle",
        fix="run `make setup`, or set UV",
    )


def run(*arguments: str) -> str:
    """Run uv in the repository and return what it printed.

    Raises:
        UvError: it failed; `why` is the end of what it said.
    """
    command = [find(), *arguments]
    # Inside a virtual environment uv would warn that it is not the project's own; the Makefile's wish for bytecode
    # is for the environments it makes, and contradicts an option of the bundle's.
    left_out = {"VIRTUAL_ENV", "UV_COMPILE_BYTECODE"}
    env = {name: value for name, value in os.environ.items() if name not in left_out}
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=env)
    if finished.returncode:
        raise UvError(
            f"uv {arguments[0]} failed",
            where=" ".join(command),
            why=finished.stderr.strip()[-1500:],
            fix="the first synth after a change of uv.lock needs a package index, later ones do not",
        )
    return finished.stdout


def export(group: str, *, hashes: bool) -> str:
    """Return the locked requirements of a dependency group and of the package itself, one a line."""
    return run(
        *("export", "--frozen", "--no-default-groups", "--group", group, "--no-emit-project"),
        *("--no-annotate", "--no-header", "--quiet", "--hashes" if hashes else "--no-hashes"),
    )
