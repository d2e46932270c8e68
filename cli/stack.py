"""A deployed stack as the commands see it: its outputs, its clients, and the local AWS it may stand on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli import local_aws, toolchain
from cli.local_aws import LocalAws
from cli.progress import step
from sluice import naming
from sluice.errors import SluiceError
from sluice.project import Project

# Of a local AWS that is gone, people want to hear at once; on AWS, boto3's own patience is right.
_LOCAL_ATTEMPTS = 3


NAME_IT = "name the pipeline's stack, sluice-<project>-<environment>; `cdk deploy --all` makes it"


class NoStack(SluiceError):
    """There is no stack to talk to."""


API_URL = "ApiUrl"
"""The output that says where the HTTP API is."""
MLFLOW = "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT"
"""The variable by which MLflow's clients find the local AWS's server for an ARN."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack. `aws_env` is empty on AWS, where boto3 finds its settings as it always does."""

    outputs: dict[str, str]
    aws_env: dict[str, str]
    project_folder: str | None = None
    state_dir: str | None = None
    name: str = ""

    def client(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        env = self.aws_env
        if not env:
            return boto3.client(service)  # type: ignore[call-overload]
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=env["AWS_ENDPOINT_URL"],
            region_name=env["AWS_DEFAULT_REGION"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"mode": "standard", "total_max_attempts": _LOCAL_ATTEMPTS}),
        )

    def output(self, name: str) -> str:
        """Give an output of the stack.

        Raises:
            NoStack: it has none of this name.
        """
        if name not in self.outputs:
            raise NoStack(
                f"the stack has no output {name}",
                where=f"its outputs: {', '.join(sorted(self.outputs)) or 'none'}",
                why="it is not the pipeline's stack, or was not deployed to its end",
                fix=NAME_IT,
            )
        return self.outputs[name]

    def save(self) -> None:
        """Make this a stack that `sluice upload`, `predict` and `down` in this folder mean."""
        session = _session_file()
        session.parent.mkdir(parents=True, exist_ok=True)
        try:
            before = saved()
        except NoStack:
            before = []
        # What an earlier server held is gone with it.
        url = self.aws_env["AWS_ENDPOINT_URL"]
        others = [
            each for each in before if each.name != self.name and each.aws_env.get("AWS_ENDPOINT_URL") == url
        ]
        session.write_text(json.dumps([asdict(each) for each in (*others, self)], indent=2))


def current(stack_name: str | None) -> Stack:
    """Return the stack that `sluice up` left running in this folder, or the named one: here, or else on AWS.

    Raises:
        NoStack: there is none, or several run here and none is named.
    """
    here = saved() if stack_name is None or _session_file().exists() else []
    named = [each for each in here if stack_name in (None, each.name)]
    if stack_name is not None and not named:
        return _on_aws(stack_name)
    url = named[0].aws_env.get("AWS_ENDPOINT_URL", "")
    if not local_aws.answers(url):
        raise NoStack(
            "the local AWS of this folder is gone",
            where=url,
            why="it was stopped or killed; what it held was in memory and is gone, too",
            fix="start it again with `sluice up PROJECT`",
        )
    if len(named) > 1:
        names = [each.name for each in named]
        raise NoStack(
            f"{len(names)} stacks run here: {', '.join(names)}",
            where=str(_session_file().resolve()),
            why="`sluice up` was called for several projects in this folder",
            fix=f"say which one is meant: --stack {names[-1]}",
        )
    return named[0]


def running(name: str) -> Stack | None:
    """Return the stack of this name that runs in this folder; None where none does."""
    try:
        found = [each for each in saved() if each.name == name]
    except NoStack:
        return None
    return found[0] if found and local_aws.answers(found[0].aws_env.get("AWS_ENDPOINT_URL", "")) else None


def saved() -> list[Stack]:
    """Return the stacks that `sluice up` left in this folder, at least one, whether or not they still run.

    Raises:
        NoStack: there is none, or they cannot be read.
    """
    session = _session_file()
    try:
        told = json.loads(session.read_text())
        stacks = [Stack(**each) for each in told]
        if not stacks:
            raise ValueError("it names no stack")
    except FileNotFoundError:
        raise NoStack(
            "no stack is running here",
            where=str(session.resolve()),
            fix="start one with `sluice up PROJECT`, or name one on AWS with --stack",
        ) from None
    except (ValueError, TypeError) as error:
        raise NoStack(
            "what `sluice up` left here cannot be read",
            where=str(session.resolve()),
            why=str(error),
            fix="delete this file, and start again with `sluice up PROJECT`",
        ) from error
    return stacks


def _session_file() -> Path:
    return data_folder() / "local.json"


def _on_aws(stack_name: str) -> Stack:
    import boto3
    from botocore.exceptions import ClientError

    try:
        described = boto3.client("cloudformation").describe_stacks(StackName=stack_name)
    except ClientError as error:
        # A name that no stack can have is told by the pattern it breaks.
        if "does not exist" not in str(error) and "stackName" not in str(error):
            raise
        raise NoStack(
            f"there is no stack {stack_name}",
            where=f"CloudFormation, {boto3.session.Session().region_name}",
            why="it was not deployed in this account and region, or is called otherwise",
            fix=NAME_IT,
        ) from None
    outputs = described["Stacks"][0].get("Outputs", [])
    return Stack({o["OutputKey"]: o["OutputValue"] for o in outputs}, {}, name=stack_name)


def stop_detached(stack: Stack) -> None:
    """Stop the local AWS that `sluice up --detach` left running, and forget it."""
    local_aws.stop(Path(str(stack.state_dir)))
    _session_file().unlink(missing_ok=True)


def deploy(project_folder: Path, local: LocalAws, *, wake: bool = False) -> Stack:
    """Start `local` and deploy the project to it with the unmodified CDK CLI.

    With `wake` what keeps runs starts beside it, where an execution is to follow: it takes longer than to deploy.
    """
    project = Project.load(project_folder)  # a mistake in it is said before anything starts
    toolchain.check_cache()
    toolchain.ensure_installed()
    log = local.state_dir / "cdk.log"
    assembly = local.state_dir / "cdk.out"
    outputs_file = local.state_dir / "outputs.json"
    outputs_file.unlink(missing_ok=True)
    context = ["-c", f"project={project_folder.resolve()}", "-c", "environment=local"]
    with step("local AWS"):
        aws_env = local.start()
    if wake and project.tracking.own_app:
        local_aws.wake(aws_env[MLFLOW])
    env = toolchain.tool_env(aws_env)
    account = f"aws://{aws_env['CDK_DEFAULT_ACCOUNT']}/{aws_env['CDK_DEFAULT_REGION']}"
    with (
        step("cdk bootstrap, cdk synth"),
        toolchain.start_cdk(
            "synth", "--quiet", *context, "--output", str(assembly), env=env, log=log.with_name("synth.log")
        ) as synth,
        # Where there is no cdk.json, or the CLI would synthesize the app for it as well.
        toolchain.start_cdk("bootstrap", account, env=env, log=log, cwd=local.state_dir) as bootstrap,
    ):
        bootstrap.wait()
        synth.wait()
    with (
        step("cdk deploy"),
        toolchain.start_cdk(
            "deploy",
            "--all",
            *("--app", str(assembly)),
            *("--require-approval", "never"),
            *("--outputs-file", str(outputs_file)),
            env=env,
            log=log,
        ) as deployment,
    ):
        deployment.wait()
    name = naming.stack(project.name, "local")
    outputs = json.loads(outputs_file.read_text())[name]
    return Stack(outputs, aws_env, str(project_folder.resolve()), str(local.state_dir), name)


def describe(stack: Stack) -> list[str]:
    """Say where to look: lines for a person."""
    outputs = dict(stack.outputs)
    url = api_url(stack)
    if url is not None:
        outputs[API_URL] = url
    lines = [f"  {name:<22} {value}" for name, value in sorted(outputs.items())]
    page = runs_page(stack)
    if page is not None:
        lines.append(f"  {'MLflow':<22} {page}")
    if stack.aws_env:
        lines += ["", "  the aws CLI and boto3 work on it:", f"    export {settings(stack)}"]
    return lines


def api_url(stack: Stack) -> str | None:
    """Give the address of the HTTP API's stage; None where there is no API.

    On AWS an API has a host of its own. The local AWS has one host for all, and the API in the path.
    """
    url = stack.outputs.get(API_URL)
    if url is None or not stack.aws_env:
        return url
    host, _, stage = url.removeprefix("https://").partition("/")
    return f"{stack.aws_env['AWS_ENDPOINT_URL']}/_aws/execute-api/{host.partition('.')[0]}/{stage}"


def runs_page(stack: Stack) -> str | None:
    """Give the address of MLflow's page, where it is of this machine, or told by its URL."""
    uri = stack.outputs.get("TrackingUri", "")
    return stack.aws_env.get(MLFLOW) if uri.startswith("arn:") else uri or None


def settings(stack: Stack) -> str:
    """Give what a shell has to export for clients of the local AWS that a stack stands on."""
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    return " ".join(f"{name}={stack.aws_env[name]}" for name in names)


def data_folder() -> Path:
    """The folder for what commands leave behind in the current folder."""
    return Path(os.environ.get("SLUICE_STATE", ".sluice"))
