"""The `docker` the CDK CLI calls: login, inspect, images, build, tag and push, and an error for all else."""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from local.docker_shim.build import build
from local.docker_shim.errors import Refused
from local.docker_shim.layers import FOLDER, Layers
from local.docker_shim.registry import push
from local.errors import exit_code
from local.images import DOCKER_MANIFEST, OCI_MANIFEST, ImageStore


class _Parser(argparse.ArgumentParser):
    """Refuses what it does not know, by name."""

    def error(self, message: str) -> NoReturn:
        raise Refused(
            f"{self.prog}: {message}; the local AWS has no Docker, only what the CDK CLI needs of it"
        )


def main(arguments: list[str]) -> int:
    """Runs one docker command; returns its exit code."""
    return exit_code(
        lambda: _run(arguments),
        expected=(Refused, OSError, ClientError, BotoCoreError),
        # 1 would mean "no such image" to the CDK CLI when it inspects.
        failed=2,
        name="local docker",
    )


def _run(arguments: list[str]) -> int:
    state_dir = os.environ.get("SLUICE_LOCAL_STATE")
    if not state_dir:
        raise Refused("SLUICE_LOCAL_STATE is not set: this docker works for a running local AWS only")
    parser = _Parser(prog="docker", allow_abbrev=False)
    parser.add_argument("--config", help="accepted: there are no credentials to read")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    for name, (declare, _) in _COMMANDS.items():
        declare(commands.add_parser(name, allow_abbrev=False))
    options = parser.parse_args(arguments)
    return _COMMANDS[options.command][1](ImageStore(Path(state_dir)), options)


def _declare_login(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--username", required=True)
    parser.add_argument("--password-stdin", action="store_true", required=True)
    parser.add_argument("server")


def _login(_: ImageStore, __: argparse.Namespace) -> int:
    sys.stdin.read()  # the local registry has no password; unread, the CLI would see a broken pipe
    print("Login Succeeded")
    return 0


def _declare_reference(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference")


def _inspect(store: ImageStore, options: argparse.Namespace) -> int:
    image_id = store.tagged(options.reference)
    if image_id is None:
        print(f"Error: No such object: {options.reference}", file=sys.stderr)
        return 1
    print(json.dumps([{"Id": f"sha256:{image_id}", "RepoTags": [options.reference]}]))
    return 0


def _declare_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=["{{.Repository}}:{{.Tag}}"], required=True)
    parser.add_argument("--filter", required=True)


def _images(store: ImageStore, options: argparse.Namespace) -> int:
    kind, _, pattern = options.filter.partition("=")
    if kind != "reference":
        raise Refused(f"docker images: the filter {kind} is not supported")
    for reference in store.tags():
        if fnmatch.fnmatchcase(reference, pattern):
            print(reference)
    return 0


def _declare_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--build-arg", action="append", default=[])
    parser.add_argument("--file", "-f", type=Path)
    parser.add_argument("--platform", help="accepted: an image's processes run on this machine's")
    parser.add_argument("--tag", "-t", action="append", required=True)
    parser.add_argument("--target")
    parser.add_argument("--output", "-o", type=_media_type, default="type=docker")
    parser.add_argument("--no-cache", action="store_true", help="run what an earlier build has run, too")
    parser.add_argument("context", type=Path)


def _media_type(output: str) -> str:
    """Give the manifest type of an image that stays with docker: OCI's, as current ones have it, unless told."""
    given = dict(part.partition("=")[::2] for part in output.split(","))
    oci = given.pop("oci-mediatypes", "true")
    if given != {"type": "docker"} or oci not in ("true", "false"):
        raise Refused(f"docker build: --output {output} is not supported; type=docker[,oci-mediatypes=…] is")
    return OCI_MANIFEST if oci == "true" else DOCKER_MANIFEST


def _build(store: ImageStore, options: argparse.Namespace) -> int:
    build_args = dict(argument.partition("=")[::2] for argument in options.build_arg)
    file = options.file or options.context / "Dockerfile"
    if not file.is_absolute() and not file.exists():
        file = options.context / file
    layers = None if options.no_cache else Layers(FOLDER)
    image_id = build(
        store,
        options.context.resolve(),
        file,
        build_args,
        options.target,
        media_type=options.output,
        layers=layers,
    )
    for reference in options.tag:
        store.tag(image_id, reference)
    print(f"sha256:{image_id}")
    return 0


def _declare_tag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source")
    parser.add_argument("target")


def _tag(store: ImageStore, options: argparse.Namespace) -> int:
    image_id = store.tagged(options.source)
    if image_id is None:
        raise Refused(f"No such image: {options.source}")
    store.tag(image_id, options.target)
    return 0


def _push(store: ImageStore, options: argparse.Namespace) -> int:
    push(store, options.reference)
    return 0


_Command = tuple[Callable[[argparse.ArgumentParser], None], Callable[[ImageStore, argparse.Namespace], int]]
_COMMANDS: dict[str, _Command] = {
    "login": (_declare_login, _login),
    "inspect": (_declare_reference, _inspect),
    "images": (_declare_images, _images),
    "build": (_declare_build, _build),
    "tag": (_declare_tag, _tag),
    "push": (_declare_reference, _push),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
