"""A deployed stack as the commands see it: its outputs, its clients, and the local AWS it may stand on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cli import toolchain
from cli.progress import step
from sluice import naming
from sluice.errors import SluiceError
from sluice.project import Project

_SESSION = Path(".sluice") / "local.json"
_START_SECONDS = 60.0


class NoStack(SluiceError):
    """There is no stack to talk to."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack. `aws_env` is empty on AWS, where boto3 finds its settings as it always does."""

    outputs: dict[str, str]
    aws_env: dict[str, str]
    project_folder: str | None = None
    state_dir: str | None = None

    def client(self, service: str) -> Any:
        import boto3

        env = self.aws_env
        if not env:
            return boto3.client(service)  # type: ignore[call-overload]
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=env["AWS_ENDPOINT_URL"],
            region_name=env["AWS_DEFAULT_REGION"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )

    def save(self) -> None:
        """Make this the stack that `sluice upload`, `predict` and `down` in this folder mean."""
        _SESSION.parent.mkdir(exist_ok=True)
        _SESSION.write_text(json.dumps(asdict(self), indent=2))


def current(stack_name: str | None) -> Stack:
    """Return the named stack on AWS, or the one `sluice up` left running in this folder.

    Raises:
        NoStack: there is neither.
    """
    if stack_name:
        return _on_aws(stack_name)
    if not _SESSION.exists():
        raise NoStack(
            "no stack is running here",
            where=str(_SESSION.resolve()),
            fix="start one with `sluice up PROJECT`, or name one on AWS with --stack",
        )
    stack = Stack(**json.loads(_SESSION.read_text()))
    if stack.state_dir and not (Path(stack.state_dir) / "ready.json").exists():
        raise NoStack("the local AWS of this folder is gone", fix="start it again with `sluice up PROJECT`")
    return stack


def _on_aws(stack_name: str) -> Stack:
    import boto3
    from botocore.exceptions import ClientError

    try:
        described = boto3.client("cloudformation").describe_stacks(StackName=stack_name)
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        raise NoStack(
            f"there is no stack {stack_name}",
            where=f"CloudFormation, {boto3.session.Session().region_name}",
            why="it was not deployed in this account and region, or is called otherwise",
            fix="name the pipeline's stack, sluice-<project>-<environment>; `cdk deploy --all` makes it",
        ) from None
    outputs = described["Stacks"][0].get("Outputs", [])
    return Stack({o["OutputKey"]: o["OutputValue"] for o in outputs}, {})


class LocalAws:
    """The local AWS of a state folder: one that runs there already, or a process of ours."""

    def __init__(self, state_dir: Path, *, detach: bool = False) -> None:
        self.state_dir = state_dir.resolve()
        self._detach = detach
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_ours(self) -> bool:
        """Whether `start` started it, and `stop` will stop it."""
        return self._process is not None

    def start(self) -> dict[str, str]:
        """Start the server, unless one runs already, and return the environment its clients need.

        Raises:
            ToolFailed: it did not come up.
        """
        self.state_dir.mkdir(parents=True, exist_ok=True)
        ready = self.state_dir / "ready.json"
        if ready.exists() and _answers(json.loads(ready.read_text())["endpoint_url"]):
            running: dict[str, str] = json.loads(ready.read_text())["env"]
            return running
        ready.unlink(missing_ok=True)
        log = self.state_dir / "local-aws.log"
        argv = [sys.executable, "-m", "local", "serve", "--state-dir", str(self.state_dir)]
        with log.open("ab") as sink:
            # Not detached, the server lives as long as the pipe to this process: even kill -9 ends it.
            self._process = subprocess.Popen(
                argv if self._detach else [*argv, "--until-stdin-closes"],
                cwd=toolchain.ROOT,
                stdin=subprocess.DEVNULL if self._detach else subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                raise toolchain.ToolFailed("the local AWS did not start", where=str(log), why="\n" + tail)
            time.sleep(0.02)
        env: dict[str, str] = json.loads(ready.read_text())["env"]
        return env

    def wait(self) -> None:
        if self._process:
            self._process.wait()

    def stop(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
        if self._process.stdin:
            self._process.stdin.close()


def _answers(endpoint_url: str) -> bool:
    address = urlsplit(endpoint_url)
    try:
        socket.create_connection((address.hostname or "", address.port or 0), timeout=5).close()
    except OSError:
        return False
    return True


def stop_detached(stack: Stack) -> None:
    """Stop the local AWS that `sluice up --detach` left running, and forget it."""
    argv = [sys.executable, "-m", "local", "stop", "--state-dir", str(stack.state_dir)]
    result = subprocess.run(argv, cwd=toolchain.ROOT, check=False)
    if result.returncode:
        raise toolchain.ToolFailed("the local AWS did not stop", where=str(stack.state_dir))
    _SESSION.unlink(missing_ok=True)


def deploy(project_folder: Path, local: LocalAws) -> Stack:
    """Start `local` and deploy the project to it with the unmodified CDK CLI."""
    project = Project.load(project_folder)  # a mistake in it is said before anything starts
    toolchain.ensure_installed()
    log = local.state_dir / "cdk.log"
    assembly = local.state_dir / "cdk.out"
    outputs_file = local.state_dir / "outputs.json"
    outputs_file.unlink(missing_ok=True)
    context = ["-c", f"project={project_folder.resolve()}", "-c", "environment=local"]
    with step("local AWS"):
        aws_env = local.start()
    env = toolchain.tool_env(aws_env)
    with step("cdk bootstrap, cdk synth"):
        account = f"aws://{aws_env['CDK_DEFAULT_ACCOUNT']}/{aws_env['CDK_DEFAULT_REGION']}"
        synth = toolchain.start_cdk(
            "synth", "--quiet", *context, "--output", str(assembly), env=env, log=log.with_name("synth.log")
        )
        # Where there is no cdk.json, or the CLI would synthesize the app for it as well.
        bootstrap = toolchain.start_cdk("bootstrap", account, env=env, log=log, cwd=local.state_dir)
        bootstrap.wait()
        synth.wait()
    with step("cdk deploy"):
        toolchain.start_cdk(
            "deploy",
            "--all",
            *("--app", str(assembly)),
            *("--require-approval", "never"),
            *("--outputs-file", str(outputs_file)),
            env=env,
            log=log,
        ).wait()
    outputs = json.loads(outputs_file.read_text())[naming.stack(project.name, "local")]
    return Stack(outputs, aws_env, str(project_folder.resolve()), str(local.state_dir))


def describe(stack: Stack) -> list[str]:
    """Say where to look: lines for a person."""
    lines = [f"  {name:<22} {value}" for name, value in sorted(stack.outputs.items())]
    if stack.aws_env:
        settings = " ".join(
            f"{key}={stack.aws_env[key]}"
            for key in (
                "AWS_ENDPOINT_URL",
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_DEFAULT_REGION",
            )
        )
        lines += ["", "  the aws CLI and boto3 work on it:", f"    export {settings}"]
    return lines


def data_folder() -> Path:
    """The folder for what commands leave behind in the current folder."""
    return Path(os.environ.get("SLUICE_STATE", ".sluice"))
