"""[offline] of project.toml: which store joins features to labels, in which environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice import keys, naming
from sluice.errors import ProjectError
from sluice.project import Project

PROJECT = """
[project]
name = "bank"
[target]
column = "y"
problem = "regression"
[columns.y]
type = "number"
[columns.x]
type = "number"
[features]
numeric = ["x"]
"""


def project(tmp_path: Path, offline: str) -> Project:
    file = tmp_path / "project.toml"
    file.write_text(PROJECT + offline)
    return Project.load_file(file)


def test_the_job_s_own_instance_joins_unless_told_otherwise(tmp_path: Path) -> None:
    offline = project(tmp_path, "").offline
    assert [offline.store_of(each) for each in ("local", "dev", "prod")] == ["duckdb"] * 3


def test_one_line_chooses_athena_with_a_limit_on_what_a_query_reads(tmp_path: Path) -> None:
    offline = project(tmp_path, '[offline]\nstore = "athena"\n').offline
    assert [offline.store_of(each) for each in ("local", "dev", "prod")] == ["athena"] * 3
    assert offline.scan_limit_gb == 100


def test_an_environment_can_have_another_store(tmp_path: Path) -> None:
    text = '[offline]\nstore = "athena"\nenvironments = { local = "duckdb", dev = "duckdb" }\n'
    offline = project(tmp_path, text).offline
    assert [offline.store_of(each) for each in ("local", "dev", "prod")] == ["duckdb", "duckdb", "athena"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('store = "athen"', "offline.store: found 'athen'; should be 'duckdb' or 'athena'"),
        ("scan_limit_gb = 0", "offline.scan_limit_gb: found 0; should be greater than or equal to 1"),
        ("scan_limit = 5", "offline.scan_limit: unknown key (did you mean 'scan_limit_gb'?)"),
        ('environments = { test = "duckdb" }', "found 'test'; should be 'local', 'dev' or 'prod'"),
        ('environments = { local = "sqlite" }', "found 'sqlite'; should be 'duckdb' or 'athena'"),
    ],
)
def test_what_it_cannot_be_is_told_of(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(ProjectError) as caught:
        project(tmp_path, f"[offline]\n{line}\n")
    assert told in str(caught.value)


def test_all_that_expires_lies_below_one_prefix() -> None:
    assert keys.offline_rows("view_v", "bank-prod-0123") == "offline/rows/view_v/bank-prod-0123"
    assert keys.offline_staging("bank-prod-0123") == "offline/staging/bank-prod-0123"
    assert keys.offline_results() == "offline/results"


def test_the_database_s_name_is_one_that_athena_takes() -> None:
    assert naming.offline_database("corner-shop", "prod") == "sluice_corner_shop_prod"
