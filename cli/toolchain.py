"""Where the project's own tools are, and how the CDK CLI is run with them."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sluice.errors import SluiceError

ROOT = Path(__file__).resolve().parent.parent
_CDK = ROOT / "node_modules" / ".bin" / "cdk"
_INFRA_PYTHON = ROOT / ".venv-infra" / "bin" / "python"
FEATURES_PYTHON = ROOT / ".venv-features" / "bin" / "python"
"""Of the environment that has Feast, which cannot be one with ours."""


class ToolFailed(SluiceError):
    """A tool that Sluice runs (make, cdk) ended with an error."""


def ensure_installed() -> None:
    """Install the CDK CLI and the infra environment, as `make setup` does, where they are not there yet."""
    if not (_CDK.exists() and _INFRA_PYTHON.exists()):
        result = subprocess.run(["make", "setup"], cwd=ROOT, check=False)
        if result.returncode:
            raise ToolFailed(
                "setting up failed", where=str(ROOT), fix="run `make setup` there and read its output"
            )


def tool_env(aws_env: dict[str, str]) -> dict[str, str]:
    """Return the environment for a tool: ours, the AWS in `aws_env`, and the locked Node."""
    env = {
        k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "AWS_PROFILE", "AWS_SESSION_TOKEN"}
    }
    env.update(aws_env)
    env["PATH"] = os.pathsep.join([str(ROOT / ".venv" / "bin"), env.get("PATH", os.defpath)])
    env["CDK_DISABLE_CLI_TELEMETRY"] = "1"
    # CloudFormation's rules, of which the CDK warns, cost 2 s: `make check` hears them, and the local AWS refuses
    # what it does not know.
    env["CDK_VALIDATION"] = "false"
    # What the CDK CLI keeps for good (which account an access key is of) is none of the person's own CLI.
    env["CDK_HOME"] = str(Path(aws_env["SLUICE_LOCAL_STATE"]) / "cdk-home")
    return env


def check_cache() -> None:
    """Check that the tools can keep what they unpack; where they cannot, jsii waits for a lock for minutes.

    Raises:
        ToolFailed: they cannot.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    there = next(each for each in (cache, *cache.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ToolFailed(
            f"nothing can be written to {cache}",
            where=str(there),
            why="the CDK CLI and uv keep there what they unpack and download",
            fix="set HOME or XDG_CACHE_HOME to a folder that can be written",
        )


@dataclass(frozen=True)
class CdkRun:
    """A started `cdk` command whose output goes to a log file; left as a context it has ended."""

    command: str
    process: subprocess.Popen[bytes]
    log: Path

    def __enter__(self) -> CdkRun:
        return self

    def __exit__(self, *_: object) -> None:
        # It leads a group: node, and the app that it runs.
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait(self) -> None:
        """Wait for the end.

        Raises:
            ToolFailed: it ended with an error; the text holds the end of its output.
        """
        if self.process.wait():
            tail = "\n".join(self.log.read_text(errors="replace").strip().splitlines()[-25:])
            raise ToolFailed(f"`{self.command}` failed", where=str(self.log), why="\n" + tail)


def start_cdk(*arguments: str, env: dict[str, str], log: Path, cwd: Path = ROOT) -> CdkRun:
    """Start the CDK CLI of package-lock.json in `cwd`; its output is appended to `log`."""
    argv = [str(_CDK), *arguments, "--no-notices", "--ci", "true"]
    with log.open("ab") as sink:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    return CdkRun(f"cdk {arguments[0]}", process, log)
