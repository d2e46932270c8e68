"""The bank's stacks and, of a project with features, the shop's, synthesized once for each environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra import bundle
from infra.asl import load
from infra.functions import FUNCTIONS
from tests.infra.synthesized import Stacks, synthesize, write_project, write_shop

# Rules of which the CDK warns, a third of a second a template: `make check` hears them.
os.environ["CDK_VALIDATION"] = "false"


@pytest.fixture(scope="session")
def project_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    write_project(folder)
    return folder


@pytest.fixture(scope="session")
def synthesized(project_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stacks]:
    """Give the synthesized stacks of an environment."""

    @cache
    def of(environment: str) -> Stacks:
        outdir = tmp_path_factory.mktemp(environment)
        return synthesize(outdir, project=str(project_folder), environment=environment)

    return of


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder, settings="\n[capture]\npercent = 20\ndays = 7\n")
    return folder


@pytest.fixture(scope="session")
def shop(shop_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """The shop in prod."""
    return synthesize(tmp_path_factory.mktemp("shop-prod"), project=str(shop_folder), environment="prod")


@pytest.fixture(scope="session")
def shop_local(shop_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    return synthesize(tmp_path_factory.mktemp("shop-local"), project=str(shop_folder), environment="local")


@pytest.fixture(scope="session")
def for_aws(project_folder: Path) -> dict[str, Path]:
    """Each function's bundle with its wheels. The first one after a change of the lock needs a package index."""
    return {spec.name: bundle.build(project_folder, group=spec.dependency_group) for spec in FUNCTIONS}


@pytest.fixture(scope="session")
def local(synthesized: Callable[[str], Stacks]) -> Stacks:
    return synthesized("local")


@pytest.fixture(scope="session")
def prod(synthesized: Callable[[str], Stacks]) -> Stacks:
    return synthesized("prod")


@pytest.fixture(scope="session")
def machines() -> dict[str, dict[str, Any]]:
    """The ASL by construct id: Intake, Events, Training, Deployment, Materialization."""
    return {name.capitalize(): load.load(load.MACHINES / f"{name}.asl.yaml") for name in load.names()}
