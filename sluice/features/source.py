"""Whether a project declares its features in Feast's objects: seen in the text of features.py, which is not run."""

from __future__ import annotations

import ast
from pathlib import Path

from sluice.errors import ProjectError

PLAN = "features.json"
"""The feature plan's file: beside project.toml in a project's code, beside the contract in a model."""

REGISTRY = "registry.db"
"""Feast's registry of the same definitions: beside the plan in the code of the function that publishes it."""


def declares_features(folder: Path) -> bool:
    """Say whether the project's features.py imports feast.

    Raises:
        ProjectError: it is no Python.
    """
    file = folder / "features.py"
    if not file.is_file():
        return False
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ProjectError("features.py is no Python", where=str(file), why=str(error)) from error
    return any(name.partition(".")[0] == "feast" for node in ast.walk(tree) for name in _imported(node))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
        return [node.module]
    return []
