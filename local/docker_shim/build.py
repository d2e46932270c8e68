"""`docker build` without Docker: follows a Dockerfile as far as files and metadata go."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local.docker_shim import dockerfile, run
from local.docker_shim.dockerfile import Instruction
from local.docker_shim.errors import Refused
from local.docker_shim.interpreters import Interpreter, known
from local.docker_shim.layers import Layers, files
from local.images import OCI_MANIFEST, ImageStore, Manifest, inside


@dataclass
class _Build:
    """An image in the making."""

    context: Path
    rootfs: Path
    build_args: Mapping[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    workdir: str = "/"
    layers: Layers | None = None
    base: str = ""
    stage: str = ""
    pythons: list[Interpreter] = field(default_factory=lambda: [*known()])
    """Those that have every package that the stage has asked for so far; the first of them runs it."""
    finished: dict[str, Path] = field(default_factory=dict)
    """The files of the stages before this one, by name and by number."""

    def begin_stage(self, base: str, name: str) -> None:
        """Start a stage: nothing of the one before it is kept but its files, for COPY --from."""
        if self.base:
            number = len({*self.finished.values()})
            for label in filter(None, (self.stage, str(number))):
                self.finished[label] = self.rootfs
            self.rootfs = self.rootfs.with_name(f"rootfs-{number + 1}")
            self.rootfs.mkdir()
            self.env, self.labels, self.entrypoint, self.command, self.workdir = {}, {}, [], [], "/"
            self.variables = {"PATH": os.environ["PATH"]}
            self.pythons = [*known()]
        self.base, self.stage = base, name

    def directory(self, path: str) -> Path:
        """Where an absolute path of the image lies."""
        return self.rootfs / path.lstrip("/")

    def absolute(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.workdir, path))


def build(
    store: ImageStore,
    context: Path,
    file: Path,
    build_args: Mapping[str, str],
    target: str | None,
    *,
    media_type: str = OCI_MANIFEST,
    layers: Layers | None = None,
) -> str:
    """Builds the image a Dockerfile describes; returns its id. Raises Refused for what it cannot follow.

    `layers` is where it looks for what an earlier build made, and keeps what it makes.
    """
    scratch = store.scratch()
    try:
        making = _Build(
            context, scratch / "rootfs", build_args, variables={"PATH": os.environ["PATH"]}, layers=layers
        )
        making.rootfs.mkdir()
        for instruction in dockerfile.read(file.read_text()):
            _follow(making, instruction)
        manifest = _manifest(making, file, target, media_type)
        image_id = _digest(making.rootfs, manifest)
        store.add(image_id, making.rootfs, manifest)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return image_id


def _manifest(making: _Build, file: Path, target: str | None, media_type: str) -> Manifest:
    if target is not None and target != making.stage:
        raise Refused(f"--target {target}: {file.name} has no stage of that name")
    if not making.base:
        raise Refused(f"{file.name} has no FROM")
    if not making.entrypoint:
        raise Refused(
            f"{file.name} has no ENTRYPOINT in exec form, which SageMaker's `train` and `serve` need"
        )
    return Manifest(
        entrypoint=making.entrypoint,
        command=making.command,
        env=making.env,
        workdir=making.workdir,
        labels=making.labels,
        base=making.base,
        media_type=media_type,
        python=making.pythons[0].path,
    )


def _follow(making: _Build, instruction: Instruction) -> None:
    if instruction.name not in _INSTRUCTIONS:
        raise Refused(f"{instruction.where}: the local image builder does not follow {instruction.name}")
    if not making.base and instruction.name not in ("FROM", "ARG"):
        raise Refused(f"{instruction.where} stands before FROM")
    _INSTRUCTIONS[instruction.name](making, instruction)


def _from(making: _Build, instruction: Instruction) -> None:
    for flag in instruction.flags:
        if not flag.startswith("--platform="):
            raise Refused(f"{instruction.where}: the option {flag} is not supported")
    base, _, stage = _expanded(making, instruction).partition(" ")
    if base in making.finished or (making.base and base == making.stage):
        raise Refused(f"{instruction.where}: a stage that goes on from another is not supported")
    making.begin_stage(base, stage.strip()[3:].strip() if stage.strip().lower().startswith("as ") else "")
    _say(f"FROM {base}: not pulled; the image starts empty and runs on a Python of this machine")


def _arg(making: _Build, instruction: Instruction) -> None:
    name, _, default = instruction.text.partition("=")
    if name in making.build_args:
        making.variables[name] = making.build_args[name]
    elif default or "=" in instruction.text:
        (pair,) = dockerfile.pairs(instruction)
        making.variables[name] = dockerfile.expand(pair[1], making.variables, instruction.where)


def _env(making: _Build, instruction: Instruction) -> None:
    expanded = {
        name: dockerfile.expand(value, making.variables, instruction.where)
        for name, value in dockerfile.pairs(instruction)
    }
    making.env |= expanded
    making.variables |= expanded


def _label(making: _Build, instruction: Instruction) -> None:
    for name, value in dockerfile.pairs(instruction):
        making.labels[name] = dockerfile.expand(value, making.variables, instruction.where)


def _workdir(making: _Build, instruction: Instruction) -> None:
    making.workdir = making.absolute(_expanded(making, instruction))
    making.directory(making.workdir).mkdir(parents=True, exist_ok=True)


def _copy(making: _Build, instruction: Instruction) -> None:
    context = making.context
    for flag in instruction.flags:
        if flag.startswith("--from="):
            name = flag.removeprefix("--from=")
            if name not in making.finished:
                raise Refused(
                    f"{instruction.where}: {flag} is no earlier stage; images are not pulled locally"
                )
            context = making.finished[name]
            continue
        if flag.split("=")[0] not in ("--chown", "--chmod", "--link"):
            raise Refused(f"{instruction.where}: the option {flag} is not supported")
        if not flag.startswith("--link"):
            _say(f"{instruction.where}: {flag} has no effect; files keep their owner and mode")
    listed = instruction.as_list() or instruction.text.split()
    *sources, destination = [dockerfile.expand(word, making.variables, instruction.where) for word in listed]
    if not sources:
        raise Refused(f"{instruction.where} needs a source and a destination")
    found = [path for source in sources for path in _matches(context, source, instruction)]
    target = making.directory(making.absolute(destination))
    into_directory = destination.endswith(("/", ".")) or len(found) > 1 or target.is_dir()
    for path in found:
        if path.is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True, symlinks=True)
        else:
            copied = target / path.name if into_directory else target
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copied)


def _matches(context: Path, source: str, instruction: Instruction) -> list[Path]:
    """What a COPY source names. The CDK has already left out of the context what .dockerignore excludes."""
    relative = posixpath.normpath(source.lstrip("/") or ".")
    if relative.startswith(".."):
        raise Refused(f"{instruction.where}: {source} lies outside the build context")
    found = [context] if relative == "." else sorted(context.glob(relative))
    if not found:
        raise Refused(f"{instruction.where}: {source} matches nothing in the build context {context}")
    return found


def _run(making: _Build, instruction: Instruction) -> None:
    words = instruction.as_list()
    command = shlex.join(words) if words else instruction.text
    if module := _own_module(making, command):
        _run_module(making, module, instruction)
        return
    checked = run.check(command, making.directory(making.workdir), instruction.where, making.pythons)
    making.pythons = checked.pythons
    if checked.missing:
        effect = "; ".join(checked.missing)
        _say(f"{instruction.where}: NOT RUN, its effect is missing from the local image: {effect}")
    else:
        _say(f"{instruction.where}: not run; the packages it installs are present: {command}")


def _own_module(making: _Build, command: str) -> list[str]:
    """The arguments of `python -m MODULE …` where the module is one of the image's own files; else nothing."""
    if re.search(r"[;&|<>`(]", command):
        return []
    try:
        words = shlex.split(command)
    except ValueError:
        return []  # for run.check() to refuse
    if len(words) < 3 or words[0] not in ("python", "python3") or words[1] != "-m":
        return []
    module = making.directory(making.workdir) / words[2].replace(".", "/")
    return words[1:] if module.with_suffix(".py").is_file() or (module / "__main__.py").is_file() else []


def _run_module(making: _Build, arguments: list[str], instruction: Instruction) -> None:
    """Run a module of the image on its interpreter, in the image's own files."""
    expanded = [dockerfile.expand(word, making.variables, instruction.where) for word in arguments]
    command = [making.pythons[0].path, *filter(None, expanded)]

    def execute() -> str:
        done = subprocess.run(
            command,
            cwd=making.directory(making.workdir),
            env={**os.environ, **{name: inside(value, making.rootfs) for name, value in making.env.items()}},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Refused(f"{instruction.where} ended with {done.returncode}:\n{done.stderr.strip()}")
        return (done.stdout + done.stderr).strip()

    if making.layers is None:
        said, kept = execute(), False
    else:
        said, kept = making.layers.made(making.rootfs, [*command, making.workdir], making.env, execute)
    how = "as an earlier build made it" if kept else f"run on {command[0]}"
    _say(f"{instruction.where}: {how}: {said}")


def _entrypoint(making: _Build, instruction: Instruction) -> None:
    words = instruction.as_list()
    if not words:
        raise Refused(f'{instruction.where} must have the exec form, ["program", …]: SageMaker appends to it')
    making.entrypoint = words


def _cmd(making: _Build, instruction: Instruction) -> None:
    making.command = instruction.as_list() or ["/bin/sh", "-c", instruction.text]


def _without_effect(reason: str) -> Callable[[_Build, Instruction], None]:
    def say(_: _Build, instruction: Instruction) -> None:
        _say(f"{instruction.where}: no effect locally; {reason}")

    return say


_INSTRUCTIONS: dict[str, Callable[[_Build, Instruction], None]] = {
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _without_effect("the server is told which port to bind"),
    "FROM": _from,
    "HEALTHCHECK": _without_effect("SageMaker asks /ping"),
    "LABEL": _label,
    "RUN": _run,
    "USER": _without_effect("the process runs as you"),
    "WORKDIR": _workdir,
}


def _expanded(making: _Build, instruction: Instruction) -> str:
    return dockerfile.expand(instruction.text, making.variables, instruction.where)


def _digest(rootfs: Path, manifest: Manifest) -> str:
    """SHA-256 over the metadata and every file's path and content: the same build has the same id."""
    told = {"manifest": asdict(manifest), "files": files(rootfs)}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _say(text: str) -> None:
    print(f"local docker: {text}", file=sys.stderr)
