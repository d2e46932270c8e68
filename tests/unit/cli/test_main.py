"""Every command's help shows how it is used."""

from __future__ import annotations

import argparse

import pytest

from cli import main


def commands() -> list[str]:
    (subparsers,) = (
        action for action in main._parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return list(subparsers.choices)


@pytest.mark.parametrize("command", commands())
def test_every_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main.main([command, "--help"])

    assert end.value.code == 0
    assert f"sluice {command}" in capsys.readouterr().out.split("example", 1)[1]
