"""What Debian's packages stand for, and whether this machine has it: the local AWS runs on what is here."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from local.docker_shim.errors import Refused

_FLAGS = {"-y", "--yes", "--assume-yes", "--no-install-recommends", "-q", "-qq", "--quiet"}
_WITHOUT_EFFECT = ("update", "clean")
_COMPILERS = ("cc", "gcc", "clang")


@dataclass(frozen=True)
class _Package:
    """`needed` says that an image which lacks it cannot run. Without a compiler, what compiles says so itself."""

    what: str
    present: Callable[[], bool]
    needed: bool


def _library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _openmp() -> bool:
    # On macOS each wheel brings an OpenMP along or looks for Homebrew's: there is nothing to ask the system for.
    return not sys.platform.startswith("linux") or _library("libgomp.so.1")


def _compiler() -> bool:
    return any(shutil.which(name) for name in _COMPILERS)


def _c_headers() -> bool:
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        return False
    arguments = [compiler, "-x", "c", "-fsyntax-only", "-"]
    done = subprocess.run(arguments, input=b"#include <stdlib.h>\n", capture_output=True, check=False)
    return done.returncode == 0


PACKAGES = {
    "libgomp1": _Package("GNU OpenMP, the library libgomp.so.1", _openmp, needed=True),
    "gcc": _Package(f"a C compiler ({', '.join(_COMPILERS)})", _compiler, needed=False),
    "libc6-dev": _Package("the headers of the C library", _c_headers, needed=False),
}


def unmet(arguments: list[str], where: str) -> Iterator[str]:
    """What `apt-get ARGUMENTS` would install and this machine lacks. Raises Refused for what is not known."""
    words = [word for word in arguments if word not in _FLAGS]
    for option in (word for word in words if word.startswith("-")):
        raise Refused(f"{where}: the local image builder does not know apt-get's option {option}")
    operation, *names = words or [""]
    if operation in _WITHOUT_EFFECT:
        return
    if operation != "install":
        raise Refused(f"{where}: the local image builder does not follow apt-get {operation}")
    for text in names:
        name = text.partition("=")[0].partition(":")[0]
        if name not in PACKAGES:
            raise Refused(
                f"{where} installs {name}; the local image builder cannot say whether this machine has it. It "
                f"knows {', '.join(sorted(PACKAGES))}: add {name} and what it stands for to "
                "local/docker_shim/system_packages.py"
            )
        package = PACKAGES[name]
        if package.present():
            continue
        to_do = f"install {name} on this machine (on Debian or Ubuntu: apt-get install {name})"
        if package.needed:
            yield f"{name}: this machine has not {package.what}; {to_do}, and deploy again"
        else:
            print(
                f"local docker: {where}: this machine has not {package.what}; what needs it says so. To have it, "
                f"{to_do}",
                file=sys.stderr,
            )
