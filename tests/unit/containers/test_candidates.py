"""A model that cannot be scored: whoever judges is told by whom, what and what to do, however it ended."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest

from containers.process.candidates import ArchivedModel
from sluice.contract import ModelContract
from sluice.errors import EvaluationFailed
from tests.support.jobs import Trained


def refusal(trained: Trained, folder: Path, archive: bytes) -> EvaluationFailed:
    """Let the archive score the training's held-out rows, which it is expected not to."""
    (folder / "held_out").mkdir()
    (folder / "held_out" / "held_out.parquet").write_bytes(trained.held_out_set)
    (folder / "model.tar.gz").write_bytes(archive)
    model = ArchivedModel("champion", folder, folder / "held_out", folder / "scratch")
    try:
        with pytest.raises(EvaluationFailed) as caught:
            model.predictions(ModelContract.load(trained.model / "contract.json"), 0)
    finally:
        model.stop()
    return caught.value


def with_code(trained: Trained, folder: Path, statement: str) -> bytes:
    """Give the model's archive, its train.py beginning with a statement."""
    code = folder / "train.py"
    code.write_text(statement + "\n" + (trained.model / "code" / "train.py").read_text())
    with tarfile.open(folder / "changed.tar.gz", "w:gz") as tar:
        tar.add(
            trained.model, ".", filter=lambda member: None if member.name == "./code/train.py" else member
        )
        tar.add(code, "code/train.py")
    return (folder / "changed.tar.gz").read_bytes()


def spoilt(archive: bytes, how: str) -> bytes:
    middle = len(archive) // 2
    return {
        "no archive": b"no archive",
        "empty": b"",
        "cut off": archive[:middle],
        # Its header and nothing that could be inflated.
        "no deflate": archive[:10] + b"\xff" * 4000,
        "no tar": gzip.compress(b"x" * 2000),
    }[how]


@pytest.mark.parametrize("how", ["no archive", "empty", "cut off", "no deflate", "no tar"])
def test_a_damaged_archive(binary: Trained, tmp_path: Path, how: str) -> None:
    error = refusal(binary, tmp_path, spoilt(with_code(binary, tmp_path, ""), how))
    assert error.what == "champion: the model's archive cannot be unpacked"
    assert error.where == "model.tar.gz"
    assert error.fix == "train again: the artifact is missing or damaged"


@pytest.mark.parametrize(
    ("statement", "what", "told"),
    [
        ("raise ValueError('so be it')", "champion: the model does not load", "so be it"),
        ("import sys; sys.exit(3)", "champion: the model's code called sys.exit(3)", "raise an exception"),
        (
            "import os; os.kill(os.getpid(), 9)",
            "champion: the process that scored the rows ended with exit code -9",
            "it was killed",
        ),
    ],
)
def test_code_that_does_not_come_to_its_end(
    binary: Trained, tmp_path: Path, statement: str, what: str, told: str
) -> None:
    error = refusal(binary, tmp_path, with_code(binary, tmp_path, statement))
    assert error.what.startswith(what)
    assert told in str(error)
    assert error.fix
