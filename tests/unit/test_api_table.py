"""[api] of project.toml: what it takes, and what it refuses with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.errors import ProjectError
from sluice.project import Project

TOML = """\
[project]
name = "bank"
[target]
column = "y"
problem = "binary"
positive = "yes"
[columns.age]
type = "integer"
[columns.y]
type = "string"
[features]
numeric = ["age"]
"""


def load(folder: Path, table: str) -> Project:
    (folder / "project.toml").write_text(TOML + table)
    return Project.load_file(folder / "project.toml")


def test_without_the_table_there_is_none(tmp_path: Path) -> None:
    assert load(tmp_path, "").api is None


def test_an_empty_table_is_an_api_that_iam_guards(tmp_path: Path) -> None:
    api = load(tmp_path, "[api]\n").api
    assert api is not None
    assert (api.authorization, api.rate_per_second, api.burst, api.timeout_seconds) == ("iam", 50, 100, 10)
    assert api.max_body_bytes == 1024 * 1024


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("rate = 5", "api.rate: unknown key"),
        ("rate_per_second = 0", "api.rate_per_second: found 0"),
        ("rate_per_second = 10001", "api.rate_per_second: found 10001"),
        ("burst = 5001", "api.burst: found 5001"),
        ("timeout_seconds = 30", "api.timeout_seconds: found 30"),
        ("timeout_seconds = 1", "api.timeout_seconds: found 1"),
        ("max_body_kb = 2901", "api.max_body_kb: found 2901"),
        ("max_rows = 0", "api.max_rows: found 0"),
        ('authorization = "none"', "api.authorization: found 'none'"),
        (
            "quota_per_day = 5",
            'api: quota_per_day: API Gateway counts by API key, and authorization = "iam" has none',
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_key(tmp_path: Path, table: str, told: str) -> None:
    with pytest.raises(ProjectError) as refused:
        load(tmp_path, f"[api]\n{table}\n")
    assert told in str(refused.value)


def test_a_mistyped_key_is_told_what_it_may_mean(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="did you mean 'authorization'"):
        load(tmp_path, '[api]\nauthorisation = "iam"\n')


def test_a_model_of_an_own_image_has_no_api(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"api: it sends JSON and answers JSON, and with model\.image"):
        load(tmp_path, '[model]\nimage = "repo/image:1"\n[api]\n')


def test_a_quota_goes_with_a_key(tmp_path: Path) -> None:
    api = load(tmp_path, '[api]\nauthorization = "api_key"\nquota_per_day = 5\n').api
    assert api is not None
    assert api.quota_per_day == 5
