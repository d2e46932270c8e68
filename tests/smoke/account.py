"""An account and the tools that work on it, as the smoke test needs them: commands run, answers kept and printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).resolve().parents[2]
CDK = ROOT / "node_modules" / ".bin" / "cdk"


class Broken(Exception):
    """What follows needs what did not come about."""


@dataclass(frozen=True)
class Answer:
    """What an account said to a question; `as_expected` is None where nothing was expected of it."""

    question: str
    text: str
    as_expected: bool | None


@dataclass
class Account:
    """The account that the environment's credentials are for. `local` is the local AWS: some of it is only on AWS."""

    local: bool
    folder: Path
    answers: list[Answer] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return boto3.client(service)  # type: ignore[call-overload]

    @property
    def number(self) -> str:
        return str(self.client("sts").get_caller_identity()["Account"])

    @property
    def region(self) -> str:
        return str(self.client("cloudformation").meta.region_name)

    def answer(self, question: str, text: object, as_expected: bool | None = None) -> None:
        """Keep and print an answer."""
        self.answers.append(Answer(question, str(text), as_expected))
        mark = {None: " ", True: "✓", False: "✗"}[as_expected]
        print(f"  {mark} {question}\n      {text}", flush=True)

    def sluice(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `sluice`; what it tells people goes by, its stdout is kept."""
        print(f"    $ sluice {' '.join(arguments)}", flush=True)
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )

    def cdk(self, *arguments: str) -> None:
        """Run the CDK CLI; its output goes to cdk.log.

        Raises:
            Broken: it ended with an error.
        """
        print(f"    $ cdk {' '.join(arguments)}", flush=True)
        log = self.folder / "cdk.log"
        with log.open("ab") as sink:
            done = subprocess.run(
                [str(CDK), *arguments, "--no-notices", "--ci", "true"],
                cwd=ROOT,
                env={**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-25:])
            raise Broken(f"cdk {arguments[0]} failed, {log}:\n{tail}")

    def upload(self, file: Path, stack: str) -> dict[str, Any]:
        """Upload a file and follow its execution to the end; give its summary."""
        done = self.sluice("upload", str(file), "--wait", "--json", "--stack", stack)
        if not done.stdout.strip():
            raise Broken(f"`sluice upload {file}` ended with {done.returncode} and no summary")
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary

    def until(self, found: Callable[[], Any], seconds: float, what: str) -> Any:
        """Ask again and again until there is an answer.

        Raises:
            Broken: there is none within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not (answer := found()):
            if time.monotonic() > deadline:
                raise Broken(f"{what}: not within {seconds:.0f} s")
            time.sleep(0.1 if self.local else 5)
        return answer
