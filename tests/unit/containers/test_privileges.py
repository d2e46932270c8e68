"""The server starts as root and answers as nobody in particular. What needs root is skipped without it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from containers import privileges

ROOT = Path(__file__).resolve().parents[3]


def _for_everybody(program: str) -> bool:
    path = Path(program).resolve()
    return path.is_file() and all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents))


# Root's own interpreter may be where nobody else may go.
INTERPRETER = next(filter(_for_everybody, [sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"]), "")
as_root = pytest.mark.skipif(
    os.geteuid() != 0 or not INTERPRETER, reason="needs root, and a Python that another user may start"
)

DROPS = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, {modules!r})
from containers import privileges
model = Path({model!r})
privileges.drop(model)
def refused(act):
    try:
        act()
    except PermissionError:
        return True
    return False
print(json.dumps({{
    "ids": [*os.getresuid(), *os.getresgid(), *os.getgroups()],
    "arguments": sys.argv[1:],
    "home": os.environ["HOME"],
    "read": sorted(p.read_text() for p in model.rglob("*") if p.is_file() and not p.is_symlink()),
    "link is closed": refused((model / "link").read_text),
    "cannot write": refused(lambda: (model / "new").write_text("x")),
    "cannot go back": refused(lambda: os.setuid(0)),
    "its /proc is owned by": os.stat("/proc/self").st_uid,
}}))
"""


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that any user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def model_for_root_alone(folder: Path) -> Path:
    secret = folder / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    model = folder / "ml" / "model"
    (model / "code").mkdir(parents=True)
    for name in ("model.joblib", "code/train.py"):
        (model / name).write_text(name)
        (model / name).chmod(0o600)
    (model / "link").symlink_to(secret)
    for each in (model / "code", model, model.parent):
        each.chmod(0o700)
    return model


def run(model: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    folder = model.parent.parent
    for module in (
        "containers/__init__.py",
        "containers/privileges.py",
        "sluice/__init__.py",
        "sluice/errors.py",
    ):
        (folder / module).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / module, folder / module)
    script = folder / "drops.py"
    script.write_text(DROPS.format(modules=str(folder), model=str(model)))
    return subprocess.run(
        [INTERPRETER, str(script), "serve"], capture_output=True, text=True, check=False, **options
    )


@as_root
def test_root_opens_the_model_and_goes_on_as_a_user_who_may_only_read_it(reachable: Path) -> None:
    done = run(model_for_root_alone(reachable))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "ids": [10001] * 6,
        "arguments": ["serve"],
        "home": "/",
        "read": ["code/train.py", "model.joblib"],
        "link is closed": True,
        "cannot write": True,
        "cannot go back": True,
        "its /proc is owned by": 10001,
    }
    assert stat.S_IMODE((reachable / "secret").stat().st_mode) == 0o600


@as_root
def test_root_who_may_not_become_another_says_so_and_serves_nothing(reachable: Path) -> None:
    def lose_capabilities() -> None:
        import ctypes

        # PR_CAPBSET_DROP of CAP_SETGID and CAP_SETUID: what `docker run --cap-drop` does.
        for capability in (6, 7):
            assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0

    done = run(model_for_root_alone(reachable), preexec_fn=lose_capabilities)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "started as root and cannot go on as anybody else" in done.stderr
    assert "capabilities" in done.stderr


def test_whoever_is_not_root_stays_who_he_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name in ("setuid", "setgid", "setgroups", "execv"):
        monkeypatch.setattr(os, name, lambda *_: pytest.fail("it changed who it is"))
    privileges.drop(tmp_path / "not there")


@pytest.mark.parametrize(
    ("before", "after"), [(0o600, 0o604), (0o640, 0o644), (0o644, 0o644), (0o444, 0o444), (0o750, 0o754)]
)
def test_files_are_opened_to_all_for_reading_alone(tmp_path: Path, before: int, after: int) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "file").write_text("")
    (folder / "file").chmod(before)
    folder.chmod(0o700)
    privileges.open_to_all(tmp_path)
    assert stat.S_IMODE((folder / "file").stat().st_mode) == after
    assert stat.S_IMODE(folder.stat().st_mode) == 0o705


def test_a_link_leads_nobody_to_open_what_is_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "elsewhere").chmod(0o600)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "model" / "broken").symlink_to(tmp_path / "nowhere")
    privileges.open_to_all(tmp_path / "model")
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o600
