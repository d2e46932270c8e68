"""What a RUN made is made once: for the same files, words and environment, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.docker_shim import layers
from local.docker_shim.build import build
from local.docker_shim.errors import Refused
from local.docker_shim.layers import Layers
from local.images import ImageStore

# Each run leaves a line outside of the image.
MAKE = """\
import os, pathlib, sys
with open(LOG, "a") as log:
    log.write("run\\n")
pathlib.Path("made").write_text(" ".join([*sys.argv[1:], os.environ.get("TONE", "")]))
print("made it")
"""
DOCKERFILE = """\
FROM compiler
ARG WORD=hello
{env}
WORKDIR /made
COPY *.py ./
RUN python -m {module} ${{WORD}}
ENTRYPOINT ["python"]
"""


class Builder:
    """Builds one context again and again; every build has a store of its own, as every local AWS has."""

    def __init__(self, folder: Path) -> None:
        self.context, self.layers = folder / "context", Layers(folder / "layers")
        self.context.mkdir()
        self._log, self._stores = folder / "log", folder / "stores"
        self.write("make.py", MAKE)

    def write(self, name: str, source: str) -> None:
        (self.context / name).write_text(source.replace("LOG", repr(str(self._log))))

    @property
    def runs(self) -> int:
        return len(self._log.read_text().splitlines()) if self._log.exists() else 0

    def made(self, module: str = "make", env: str = "", **arguments: str) -> Path:
        """Build, and give the folder in which the command ran."""
        file = self.context.with_name("Dockerfile")
        file.write_text(DOCKERFILE.format(module=module, env=env))
        store = ImageStore(self._stores / str(len([*self._stores.glob("*")])))
        image = build(store, self.context, file, arguments, None, layers=self.layers)
        return store.rootfs(image) / "made"


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_the_same_is_run_once_and_is_the_same(builder: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = builder.made(), builder.made()

    assert builder.runs == 1
    assert (first / "made").read_text() == (second / "made").read_text() == "hello "
    first_said, second_said = (line for line in capsys.readouterr().err.splitlines() if "made it" in line)
    assert ": run on " in first_said
    assert ": as an earlier build made it: made it" in second_said


def test_whatever_the_command_sees_makes_another(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    builder.made()
    assert (builder.made(WORD="goodbye") / "made").read_text() == "goodbye "
    assert (builder.made(env="ENV TONE=loud") / "made").read_text() == "hello loud"
    builder.write("make.py", MAKE + "# later\n")
    builder.made()
    builder.write("beside.py", "")
    builder.made()
    assert builder.runs == 5
    monkeypatch.setenv("CFLAGS", "-O0")
    builder.made()
    assert builder.runs == 6


def test_a_machine_that_got_a_program_runs_it_again(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    builder.made()
    (programs / "cc").write_text("")
    builder.made()
    assert builder.runs == 2


def test_what_failed_is_tried_again(builder: Builder) -> None:
    builder.write("bad.py", MAKE + "raise SystemExit('no such luck')\n")
    for _ in range(2):
        with pytest.raises(Refused, match="no such luck"):
            builder.made("bad")
    assert builder.runs == 2


def test_what_deletes_files_is_run_each_time(builder: Builder) -> None:
    builder.write("tidy.py", MAKE + "pathlib.Path('make.py').unlink()\n")
    for _ in range(2):
        assert not (builder.made("tidy") / "make.py").exists()
    assert builder.runs == 2


def test_layers_lie_in_the_checkout() -> None:
    assert layers.FOLDER.parent == Path(__file__).parents[2] / "build"
