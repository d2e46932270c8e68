"""Builds the native extension with the machine's C compiler: `python -m containers.compiled.build`.

Without a compiler, or without Python's headers, it says so and ends well: the numpy engine stands in.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from containers.compiled.sources import FLAGS, FOLDER, SOURCES, source_hash

# `make sanitize`: tests/sanitized.py. A later -O holds.
SANITIZE = (
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    "-g",
    "-O1",
)
_COMPILERS = ("cc", "gcc", "clang")


def target(folder: Path = FOLDER) -> Path:
    """Give where the extension of this interpreter lies."""
    return folder / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"


def compiler() -> list[str] | None:
    """Give the command of a C compiler: $CC, or the machine's."""
    chosen = shlex.split(os.environ.get("CC", ""))
    names = [chosen] if chosen else [[name] for name in _COMPILERS]
    return next((name for name in names if shutil.which(name[0])), None)


def build(folder: Path = FOLDER, more_flags: Sequence[str] = ()) -> str:
    """Compile into `folder`, with more flags if need be; give the reason where that is not possible, else "".

    Raises:
        RuntimeError: the compiler does not take our sources.
    """
    command = compiler()
    if command is None:
        return f"no C compiler ({', '.join(_COMPILERS)})"
    headers = Path(sysconfig.get_paths()["include"])
    if not (headers / "Python.h").is_file():
        return f"no Python headers for {sys.executable}"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / "made.so"
        done = subprocess.run(
            [
                *command,
                *FLAGS,
                *more_flags,
                "-shared",
                "-fPIC",
                "-fvisibility=hidden",
                *(("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()),
                f"-DSOURCE_HASH={source_hash()}",
                "-isystem",
                str(headers),
                *map(str, sorted(SOURCES.glob("*.c"))),
                "-lm",
                "-o",
                str(made),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stderr}")
        made.replace(target(folder))
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--require", action="store_true", help="fail where it cannot be built")
    required = parser.parse_args().require
    try:
        why_not = build()
    except RuntimeError as error:
        why_not = str(error)
    if why_not:
        print(
            f"the native scorer is not built: {why_not}; numpy stands in, slower and as exact",
            file=sys.stderr,
        )
        return int(required)
    print(f"built {target().name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
