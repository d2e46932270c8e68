"""The runner of `make mutants`: what survives, what is caught, and a list that has fallen behind the code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants.__main__ import LIST, Mutation, main, read, run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of one function and one test."""
    (tmp_path / "adding.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "test_adding.py").write_text(
        "from adding import add\n\ndef test_add():\n    assert add(2, 0) == 2\n"
    )
    (tmp_path / "test_broken.py").write_text("def test_broken():\n    assert False\n")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / ".gitignore").write_text(".venv/\n")
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def mutation(replace: str, find: str = "a + b", tests: str = "test_adding.py") -> Mutation:
    return Mutation("a mistake", "adding.py", find, replace, (tests,))


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (mutation("a * b"), "caught"),
        (mutation("a - b"), "SURVIVED"),
        (mutation("a + b +"), "caught"),  # does not even compile
        (mutation("a * b", find="a plus b"), "broken"),
        (mutation("x", find="a"), "broken"),  # stands there more than once
        (mutation("a * b", tests="test_broken.py"), "broken"),
        (mutation("a * b", tests="test_nothing.py"), "broken"),
    ],
)
def test_a_mistake_is_caught_survives_or_cannot_be_made(
    repository: Path, made: Mutation, verdict: str
) -> None:
    before = (repository / "adding.py").read_text()

    [result] = run([made], repository)

    assert result.verdict == verdict
    assert (repository / "adding.py").read_text() == before, "mistakes are made in a copy"


@pytest.fixture
def sigterm_as_it_was() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("sigterm_as_it_was")
@pytest.mark.parametrize(
    ("find", "replace", "status"),
    [("a + b", "a * b", 0), ("a + b", "a - b", 1), ("a plus b", "a * b", 1)],
    ids=["caught", "survived", "not found"],
)
def test_the_status_says_whether_all_were_caught(
    repository: Path, tmp_path: Path, find: str, replace: str, status: int
) -> None:
    mutations = tmp_path / "mutations.toml"
    mutations.write_text(
        "[[mutation]]\nname = 'a mistake'\nfile = 'adding.py'\ntests = ['test_adding.py']\n"
        f"find = '{find}'\nreplace = '{replace}'\n"
    )

    assert main(["--file", str(mutations)], repository) == status


def test_a_run_that_is_ended_takes_its_tests_with_it(repository: Path) -> None:
    """Seen at a pipe that the test holds open: it ends when the test has."""
    pipe = repository.parent / "held-by-the-test"
    os.mkfifo(pipe)
    (repository / "test_waiting.py").write_text(
        "import time\n\ndef test_waiting():\n"
        f"    with open({str(pipe)!r}, 'wb', buffering=0) as held:\n"
        "        held.write(b'waiting')\n        time.sleep(60)\n"
    )
    (repository / "mutations.toml").write_text(
        "[[mutation]]\nname = 'a mistake'\nfile = 'adding.py'\ntests = ['test_waiting.py']\n"
        "find = 'a + b'\nreplace = 'a * b'\n"
    )
    arguments = ["--file", str(repository / "mutations.toml")]
    program = (
        "import sys; from pathlib import Path; from tests.mutants.__main__ import main; "
        f"sys.exit(main({arguments!r}, Path({str(repository)!r})))"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as process, pipe.open("rb") as held:
        assert held.read(7) == b"waiting"
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
        assert held.read() == b"", "the test has ended too"


def test_one_mistake_is_taken_back_before_the_next(repository: Path) -> None:
    verdicts = [each.verdict for each in run([mutation("a * b"), mutation("a - b")], repository)]

    assert verdicts == ["caught", "SURVIVED"]


def test_every_mutation_of_the_list_can_be_made() -> None:
    """Also without running them: a text that stands no longer once in its file is seen in every test run."""
    for each in read(LIST):
        assert (ROOT / each.file).read_text(encoding="utf-8").count(each.find) == 1, each.name
        assert each.find != each.replace, each.name
        for test in each.tests:
            assert (ROOT / test).exists(), each.name


def test_no_two_mutations_are_called_alike() -> None:
    names = [each.name for each in read(LIST)]
    assert len(set(names)) == len(names)
