"""The tools that Sluice runs: where they keep things, and that none outlives what asked for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli import toolchain
from cli.toolchain import CdkRun, ToolFailed
from tests.support.local_aws import is_running, wait_until


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME"])
def test_a_home_that_cannot_be_written_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    # Of a folder without permissions root knows nothing; below a file nobody can write.
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(variable, str(tmp_path / "file"))

    with pytest.raises(ToolFailed, match="nothing can be written") as caught:
        toolchain.check_cache()

    assert str(tmp_path / "file") in str(caught.value)
    assert "set HOME or XDG_CACHE_HOME" in str(caught.value)


def test_a_home_that_is_not_there_yet_will_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "new"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    toolchain.check_cache()


def test_the_cdk_cli_keeps_nothing_of_ours_in_the_home_folder(tmp_path: Path) -> None:
    env = toolchain.tool_env({"SLUICE_LOCAL_STATE": str(tmp_path)})
    assert Path(env["CDK_HOME"]).is_relative_to(tmp_path)


def test_a_run_that_is_left_has_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    source = (
        "import subprocess, sys, os, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}} ')\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", source], process_group=0)

    def told() -> list[int]:
        text = pids.read_text() if pids.exists() else ""
        return [int(pid) for pid in text.split()] if text.endswith(" ") else []

    def interrupted() -> None:
        with CdkRun("cdk deploy", process, tmp_path / "log"):
            wait_until(told)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not [pid for pid in told() if is_running(pid)]
