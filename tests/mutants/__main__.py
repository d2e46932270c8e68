"""Makes each mistake of mutations.toml in a copy of the repository and runs the tests that must catch it.

    python -m tests.mutants [--list] [--only NAME …] [--file FILE]

A mutation replaces a text that stands exactly once in its file: a list that has fallen behind the code is an error,
not a mutation less. The tests it names must pass without it. The status is 0 if every mutation was caught.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).parent / "mutations.toml"
_SECONDS = 300
# pytest's: 1 a test failed, 2 a test file could not be loaded.
_CAUGHT_BY = {1, 2}
_ENVIRONMENTS = {"dev": ".venv", "infra": ".venv-infra", "features": ".venv-features"}
_LINKED = (*_ENVIRONMENTS.values(), "node_modules", "build", ".tools")

Verdict = Literal["caught", "SURVIVED", "broken"]


@dataclass(frozen=True)
class Mutation:
    """One mistake, and the tests that must catch it."""

    name: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]
    environment: str = "dev"


@dataclass(frozen=True)
class Result:
    """What became of a mutation; `why` says what is broken about it."""

    mutation: Mutation
    verdict: Verdict
    seconds: float
    why: str = ""


class Copy:
    """A copy of the repository's files, with its environments linked, to make mistakes in."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0")
        # The compiled scorer is no file of the repository, and is where the sources are.
        built = [path.relative_to(root).as_posix() for path in root.glob("containers/compiled/*.so")]
        for name in filter(None, (*listed, *built)):
            if (root / name).is_file():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / name, target)
        for name in _LINKED:
            if (root / name).exists():
                (folder / name).symlink_to(root / name)

    def test(self, tests: Sequence[str], environment: str) -> tuple[int, str]:
        """Run tests; give pytest's status and the end of what it said. A hang counts as a failed test."""
        python = self.folder / _ENVIRONMENTS[environment] / "bin" / "python"
        process = subprocess.Popen(
            [str(python), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            return 1, f"no end after {_SECONDS} s"
        finally:
            # Whatever the tests started goes with them, also when we are interrupted.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return process.returncode, said[-2_000:]


def read(file: Path) -> list[Mutation]:
    """Read a list of mutations; `tests` of the file's top level hold where a mutation names none."""
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    return [Mutation(**{**each, "tests": tuple(each["tests"])}) for each in found["mutation"]]


def judge(mutation: Mutation, copy: Copy) -> Result:
    """Make the mistake, see whether it is caught, and take it back."""
    started = time.monotonic()

    def result(verdict: Verdict, why: str = "") -> Result:
        return Result(mutation, verdict, time.monotonic() - started, why)

    file = copy.folder / mutation.file
    text = file.read_text(encoding="utf-8")
    count = text.count(mutation.find)
    if count != 1:
        return result("broken", f"the text to replace stands {count} times in {mutation.file}")
    file.write_text(text.replace(mutation.find, mutation.replace), encoding="utf-8")
    try:
        status, said = copy.test(mutation.tests, mutation.environment)
    finally:
        file.write_text(text, encoding="utf-8")
    if status in _CAUGHT_BY:
        return result("caught")
    return result("SURVIVED") if status == 0 else result("broken", f"pytest ended with {status}: {said}")


def run(mutations: Sequence[Mutation], root: Path = ROOT) -> list[Result]:
    """Judge mutations one after the other, after a look at whether their tests pass without them."""
    with tempfile.TemporaryDirectory(prefix="sluice-mutants-") as folder:
        copy = Copy(root, Path(folder))
        sound: dict[tuple[tuple[str, ...], str], str] = {}
        results = []
        for mutation in mutations:
            selection = (mutation.tests, mutation.environment)
            if selection not in sound:
                status, said = copy.test(*selection)
                sound[selection] = "" if status == 0 else f"its tests fail without it: {said}"
            broken = sound[selection]
            result = Result(mutation, "broken", 0, broken) if broken else judge(mutation, copy)
            print(f"{result.verdict:<9} {result.seconds:6.1f} s  {mutation.name}", flush=True)
            if result.why:
                print(f"          {result.why}", flush=True)
            results.append(result)
        return results


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the mutations and end")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", default=[], help="those whose name holds one of these"
    )
    parser.add_argument("--file", type=Path, default=LIST, help="another list")
    arguments = parser.parse_args(argv)
    mutations = [
        each
        for each in read(arguments.file)
        if not arguments.only or any(part in each.name for part in arguments.only)
    ]
    if not mutations:
        print("there is no such mutation", file=sys.stderr)
        return 2
    if arguments.list:
        print("\n".join(f"{each.file}: {each.name}" for each in mutations))
        return 0
    # A night that is called off ends what it started: by default SIGTERM would pass over every `finally`.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    results = run(mutations, root)
    by_verdict = {
        verdict: [each for each in results if each.verdict == verdict]
        for verdict in ("caught", "SURVIVED", "broken")
    }
    print(", ".join(f"{len(each)} {verdict}" for verdict, each in by_verdict.items()))
    return 0 if len(by_verdict["caught"]) == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
