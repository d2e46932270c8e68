"""The image store: what the Docker shim built and pushed, found by URI when a job or endpoint starts."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIGS = {
    DOCKER_MANIFEST: "application/vnd.docker.container.image.v1+json",
    OCI_MANIFEST: "application/vnd.oci.image.config.v1+json",
}


class _HasStateDir(Protocol):
    """What this module needs of local.context.Context."""

    state_dir: Path


class ImageNotFound(Exception):
    """No image of that URI was pushed to this local AWS; the text says what to do."""


class ImageNotRunnable(Exception):
    """The image's entrypoint does not exist on this machine; the text names it."""


@dataclass(frozen=True)
class Image:
    """How to start an image as a process: `argv` takes `train`, `serve` or ContainerArguments at its end."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path


@dataclass(frozen=True)
class Manifest:
    """What a Dockerfile says of an image besides its files; paths are those inside the image.

    But that of `python`: the interpreter of this machine that has the packages which the image installs.
    """

    entrypoint: list[str]
    command: list[str] = field(default_factory=list)
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    labels: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    media_type: str = DOCKER_MANIFEST
    python: str = sys.executable

    @property
    def config_media_type(self) -> str:
        return _CONFIGS[self.media_type]


class ImageStore:
    """Images under `<state_dir>/images/<id>`; names are files, so that parallel builds need no lock."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / "images"

    def add(self, image_id: str, rootfs: Path, manifest: Manifest) -> None:
        """Moves a built root file system into the store; the same id means the same content."""
        target = self._root / image_id
        if not target.exists():
            staged = Path(tempfile.mkdtemp(dir=self._directory("staging")))
            (staged / "image.json").write_text(json.dumps(asdict(manifest), indent=2))
            shutil.move(rootfs, staged / "rootfs")
            try:
                staged.rename(target)
            except OSError:
                if not target.exists():  # else a parallel build of the same image was faster
                    raise
                shutil.rmtree(staged)

    def tag(self, image_id: str, reference: str) -> None:
        self._write(self._directory("tags") / quote(reference, safe=""), image_id)

    def tagged(self, reference: str) -> str | None:
        """The id of the image a local tag names."""
        return self._read(self._directory("tags") / quote(reference, safe=""))

    def tags(self) -> list[str]:
        return sorted(unquote(entry.name) for entry in self._directory("tags").iterdir())

    def publish(self, image_id: str, uri: str) -> None:
        """Makes an image known under an ECR URI, by tag or digest."""
        self._write(self._directory("pushed") / quote(uri, safe=""), image_id)

    def pushed(self, uri: str) -> str | None:
        return self._read(self._directory("pushed") / quote(uri, safe=""))

    def manifest(self, image_id: str) -> Manifest:
        return Manifest(**json.loads((self._root / image_id / "image.json").read_text()))

    def rootfs(self, image_id: str) -> Path:
        return self._root / image_id / "rootfs"

    def scratch(self) -> Path:
        """A new directory on the store's file system, to build in."""
        return Path(tempfile.mkdtemp(dir=self._directory("staging")))

    def clear(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    def _directory(self, name: str) -> Path:
        directory = self._root / name
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    @staticmethod
    def _write(path: Path, text: str) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent.parent)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).replace(path)

    @staticmethod
    def _read(path: Path) -> str | None:
        return path.read_text() if path.exists() else None


def media_type(state_dir: Path, image_uri: str) -> str | None:
    """The manifest type of the image pushed as `image_uri`; None where none was."""
    store = ImageStore(state_dir)
    image_id = store.pushed(image_uri)
    return None if image_id is None else store.manifest(image_id).media_type


def resolve(state_dir: Path, image_uri: str) -> Image:
    """The image pushed as `image_uri`, ready to start.

    Raises ImageNotFound, and ImageNotRunnable if its entrypoint is a program this machine does not have.
    """
    store = ImageStore(state_dir)
    image_id = store.pushed(image_uri)
    if image_id is None:
        raise ImageNotFound(
            f"The image {image_uri} was not pushed to this local AWS, which cannot pull images "
            "from anywhere. Give the folder with its Dockerfile instead of a URI and deploy again, or run it "
            "on AWS."
        )
    manifest, rootfs = store.manifest(image_id), store.rootfs(image_id)
    env = {name: inside(value, rootfs) for name, value in manifest.env.items()}
    program, *arguments = manifest.entrypoint
    cwd = rootfs / manifest.workdir.lstrip("/")
    argv = [
        _program(program, rootfs, cwd, manifest.python),
        *(inside(argument, rootfs) for argument in arguments),
    ]
    return Image(argv=argv, env=env, cwd=cwd)


def inside(value: str, rootfs: Path) -> str:
    """`value` with every path (of a `:` separated list) that the image's own files hold moved to `rootfs`."""
    parts = value.split(":")
    return ":".join(str(rootfs / part.lstrip("/")) if _is_held(part, rootfs) else part for part in parts)


def _is_held(path: str, rootfs: Path) -> bool:
    return path.startswith("/") and path != "/" and (rootfs / path.lstrip("/")).exists()


def _program(name: str, rootfs: Path, cwd: Path, python: str) -> str:
    if Path(name).name in ("python", "python3", f"python3.{sys.version_info.minor}"):
        return python
    if _is_held(name, rootfs):
        return str(rootfs / name.lstrip("/"))
    if "/" in name and (cwd / name).exists():
        return str(cwd / name)
    # Console scripts of packages that the image installs are those of its interpreter's environment.
    beside = Path(python).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise ImageNotRunnable(
            f"The image's entrypoint {name} is neither in the image's own files nor on this machine. The "
            "local AWS copies an image's files and runs none of its RUN steps; start it with python, or with "
            "a file that COPY puts there."
        )
    return found


def install(context: _HasStateDir) -> None:
    """Empties the store: the registry is in memory, and what it has forgotten must not be found here."""
    ImageStore(context.state_dir).clear()
