"""The native code's tests under AddressSanitizer and UndefinedBehaviorSanitizer: `make sanitize`.

Run as a program, it builds the extension with both into a folder of its own and starts pytest with their libraries
loaded first; as pytest's plugin there, it puts that extension in the place of the ordinary one. What a sanitizer
finds ends the process at once, with a report and not with success.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from containers.compiled.build import SANITIZE, build, compiler, target
from containers.compiled.sources import source_hash

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "sanitized"
TESTS = ["tests/unit/containers/compiled", "tests/unit/containers/test_quick.py"]
NAME = "containers.compiled._native"
# The C++ runtime, too: without it an exception of LightGBM's or XGBoost's own could not be thrown.
RUNTIMES = ("libasan.so", "libubsan.so", "libstdc++.so.6")
ENVIRONMENT = {
    # CPython keeps much until its end, which no leak is.
    "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    # Each Python object in memory of its own, with a guarded zone around it; CPython's pools have none.
    "PYTHONMALLOC": "malloc",
    "OMP_NUM_THREADS": "1",
}


# Reads the byte after its memory: whoever does not hear of it would hear of nothing.
CANARY = "#include <stdlib.h>\nint beyond(int n) { char *p = malloc(n); int v = p[n]; free(p); return v; }\n"


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    why_not = build(FOLDER, SANITIZE)
    if why_not:
        print(f"nothing to sanitize: {why_not}", file=sys.stderr)
        return 1
    environment = {**os.environ, **ENVIRONMENT, "LD_PRELOAD": " ".join(map(_runtime, RUNTIMES))}
    _see_that_it_bites(environment)
    # A report goes to the process's own standard error, which pytest otherwise would take, and end with it.
    options = ["-q", "--capture=sys", "-p", "tests.sanitized", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, *(sys.argv[1:] or TESTS)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _see_that_it_bites(environment: dict[str, str]) -> None:
    source, library = FOLDER / "canary.c", FOLDER / "canary.so"
    source.write_text(CANARY)
    subprocess.run(
        [*(compiler() or []), *SANITIZE, "-shared", "-fPIC", str(source), "-o", str(library)], check=True
    )
    script = f"import ctypes; ctypes.CDLL({str(library)!r}).beyond(10)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode == 0 or "heap-buffer-overflow" not in done.stderr:
        raise SystemExit(f"the sanitizer does not find what it should:\n{done.stderr}")


def _runtime(name: str) -> str:
    command = [*(compiler() or []), f"-print-file-name={name}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if not Path(found).is_absolute():
        raise SystemExit(f"{command[0]} has no {name}: its sanitizers are not installed")
    return found


def pytest_configure() -> None:
    """Load the sanitized extension under the ordinary one's name."""
    spec = importlib.util.spec_from_file_location(NAME, target(FOLDER))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert source_hash() == module.SOURCE_HASH
    sys.modules[NAME] = module


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"sanitized: {sys.modules[NAME].__file__}")


if __name__ == "__main__":
    sys.exit(main())
