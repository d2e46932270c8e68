"""`sluice api`: where a stack's HTTP API is, how it is asked, and its OpenAPI document."""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import failures, stack
from cli.progress import say
from cli.serving import NotServed, Served
from cli.subcommands import add, stack_and_json
from sluice import keys, naming
from sluice.api.openapi import PATH, document
from sluice.errors import SluiceError
from sluice.project import Project


class NoApi(SluiceError):
    """The stack has no HTTP API, or none that can be asked so."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = add(
        subparsers,
        "api",
        api,
        "where the HTTP API is, a curl line, and its OpenAPI document",
        "sluice api",
        "sluice api --openapi openapi.json",
        "sluice api --openapi openapi.json --project mybank --stack sluice-bank-prod",
        'curl -H "x-api-key: $(sluice api --key)" …',
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--openapi", type=Path, metavar="FILE", help="write the OpenAPI document; - for stdout")
    what.add_argument("--key", action="store_true", help="print the API key alone, on stdout")
    parser.add_argument(
        "--project", type=Path, metavar="FOLDER", help="for --openapi (default: what was deployed here)"
    )
    stack_and_json(parser, "address, authorization and curl line as JSON on stdout")


def api(arguments: argparse.Namespace) -> int:
    """Print the address of the HTTP API and a curl line that asks it for a prediction.

    With --openapi the OpenAPI document is written, which is of the model in service and of the project's [api] table.
    With an API key, --key prints it: it is in no template and no other output.
    """
    deployed = stack.current(arguments.stack)
    found = Found.of(deployed)
    if arguments.key:
        print(found.key())
        return 0
    served = _served(deployed)
    example = None if served is None else _example(deployed, served)
    if arguments.openapi is not None:
        _write(arguments.openapi, _document(found, arguments.project, served, example))
        return 0
    told = {
        "url": found.url + PATH,
        "authorization": found.authorization,
        "curl": found.curl(example, arguments.stack),
    }
    if arguments.json:
        print(json.dumps(told, indent=2))
        return 0
    print(f"{told['url']}\n  {found.who()}\n\n{told['curl']}")
    return 0


@dataclass(frozen=True)
class Found:
    """The API of a stack. `key_id` is of its API key, where one opens it."""

    deployed: stack.Stack
    url: str
    key_id: str | None

    @classmethod
    def of(cls, deployed: stack.Stack) -> Found:
        """Look into the stack's outputs.

        Raises:
            NoApi: it has none.
        """
        url = stack.api_url(deployed)
        if url is None:
            raise NoApi(
                "the stack has no HTTP API",
                where=deployed.name or deployed.outputs.get("EndpointName", ""),
                why="its project.toml has no [api] table",
                fix="add one, and deploy again: docs/api.md",
            )
        return cls(deployed, url, deployed.outputs.get("ApiKeyId"))

    @property
    def authorization(self) -> str:
        return "iam" if self.key_id is None else "api_key"

    def who(self) -> str:
        """Say who may ask."""
        if self.key_id is not None:
            return "whoever has the API key: `sluice api --key` prints it"
        policy = self.deployed.outputs.get("ApiCallersPolicyArn", "")
        return f"whoever may by IAM: attach {policy} to the role that asks"

    def key(self) -> str:
        """Give the API key.

        Raises:
            NoApi: no key opens this API.
        """
        if self.key_id is None:
            raise NoApi(
                "there is no API key",
                where=self.url,
                why='authorization = "iam": requests are signed',
                fix='sign them, or set authorization = "api_key" under [api] and deploy again',
            )
        client = self.deployed.client("apigateway")
        return str(client.get_api_key(apiKey=self.key_id, includeValue=True)["value"])

    def curl(self, example: Any, stack_name: str | None) -> str:
        """Write the line that asks for a prediction of `example`; what a row holds is left open without one."""
        body = json.dumps(example, ensure_ascii=False) if example is not None else '{"column": "value"}'
        parts = [
            f"curl {shlex.quote(self.url + PATH)}",
            *self._proof(stack_name),
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(body)}",
        ]
        return " \\\n  ".join(parts)

    def _proof(self, stack_name: str | None) -> list[str]:
        if self.key_id is not None:
            named = f" --stack {shlex.quote(stack_name)}" if stack_name else ""
            return [f'-H "x-api-key: $(sluice api --key{named})"']
        proof = [
            f"--aws-sigv4 aws:amz:{self._region}:execute-api",
            '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
        ]
        if not self.deployed.aws_env:
            # A role's credentials, which are not whole without it; curl leaves out a header without a value.
            proof.append('-H "x-amz-security-token: $AWS_SESSION_TOKEN"')
        return proof

    @property
    def _region(self) -> str:
        return self.deployed.aws_env.get("AWS_DEFAULT_REGION") or self.url.split(".")[2]


def _served(deployed: stack.Stack) -> Served | None:
    try:
        return Served.by(deployed)
    except NotServed as none:
        say(f"no model is in service: {none.what}; which columns a request has, the first one says")
        return None


def _example(deployed: stack.Stack, served: Served) -> Any:
    bucket, model = naming.split_uri(served.uri)
    s3 = deployed.client("s3")
    try:
        found = s3.get_object(Bucket=bucket, Key=keys.input_example(model))
    except s3.exceptions.NoSuchKey:
        return None  # of a model that was trained before examples were kept
    return json.loads(found["Body"].read())


def _document(found: Found, folder: Path | None, served: Served | None, example: Any) -> dict[str, Any]:
    folder = folder or (Path(found.deployed.project_folder) if found.deployed.project_folder else None)
    if folder is None:
        raise NoApi(
            "which project's API is it?",
            where="--openapi",
            why="its limits and its name are in project.toml, and the stack on AWS does not hold that",
            fix="name the folder: --project FOLDER",
        )
    project: Project = failures.load_project(folder)
    name = found.deployed.output("Project")
    if project.name != name or project.api is None:
        raise NoApi(
            "this is not the project of the stack"
            if project.name != name
            else "this project has no [api] table",
            where=str(folder / "project.toml"),
            why=f"it says {project.name!r}, and the stack is of {name!r}" if project.name != name else "",
            fix="name the folder that was deployed: --project FOLDER",
        )
    contracts = [] if served is None else [served.contract]
    if served is not None and served.entities is not None:
        contracts.append(served.entities.contract)
    return document(project, contracts, url=found.url, example=example)


def _write(file: Path, made: dict[str, Any]) -> None:
    text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    if file == Path("-"):
        print(text, end="")
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SluiceError(
            "the document cannot be written", where=str(file), why=str(error), fix="name another file"
        ) from error
    say(f"{file} is written")
