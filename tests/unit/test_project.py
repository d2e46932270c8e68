"""project.toml: what a mistake in it is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.errors import ProjectError
from sluice.project import Column, Project

GOOD = """\
[project]
name = "bank"
[target]
column = "y"
problem = "binary"
positive = "yes"
[columns.age]
type = "integer"
min = 0
[columns.job]
type = "string"
[columns.y]
type = "string"
categories = ["no", "yes"]
[features]
numeric = ["age"]
categorical = ["job"]
"""


def _write(folder: Path, text: str, *hooks: str) -> Path:
    (folder / "project.toml").write_text(text)
    for hook in hooks or ("train.py",):
        (folder / hook).write_text("")
    return folder


def test_what_is_left_out_has_a_sane_default(tmp_path: Path) -> None:
    project = Project.load(_write(tmp_path, GOOD))
    assert project.name == "bank"
    assert project.split.salt == "bank"
    assert project.gates.compare == "roc_auc"
    assert project.features.names == ("age", "job")
    assert project.data.delimiter == ","


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "bank"', 'name = "My Bank"', "project.name: found 'My Bank'"),
        ('name = "bank"', 'nmae = "bank"', "project.nmae: unknown key (did you mean 'name'?)"),
        ("[columns.job]\ntype", "[columns.job]\nkind", "columns.job.kind: unknown key"),
        ('type = "integer"', 'type = "int"', "columns.age.type: found 'int'"),
        ("min = 0", "min = 9\nmax = 3", "`min` (9.0) is above `max` (3.0)"),
        ('numeric = ["age"]', 'numeric = ["aeg"]', "no column 'aeg' (did you mean 'age'?)"),
        ('numeric = ["age"]', 'numeric = ["age", "age"]', "listed more than once: age"),
        ('categorical = ["job"]', 'categorical = ["y"]', "the target 'y' is among them"),
        ('positive = "yes"', 'positive = "Yes"', "'Yes' is no category of 'y'; known: no, yes"),
        ('positive = "yes"', "", "`positive` is for problem"),
        ('problem = "binary"', 'problem = "ranking"', "target.problem: found 'ranking'"),
        ("[features]", '[gates]\ncompare = "rmse"\n[features]', "'rmse' is no binary metric"),
        ("[features]", '[entity]\nkey = "id"\n[features]', "entity.key: there is no column 'id'"),
        ("[features]", '[data]\ndelimiter = ";;"\n[features]', "data.delimiter: found ';;'"),
        (
            "[features]",
            '[model]\nhyperparameters = { a = "%}" }\n[features]',
            "mean something in a state machine",
        ),
        ('categories = ["no", "yes"]', "min = 1", "`min` and `max` are for integer and number columns"),
        ("min = 0", "min = nan", "columns.age.min: found nan"),
        ("min = 0", 'categories = [1, "two"]', "`categories` of an integer column: 'two' is no integer"),
        ("min = 0", 'format = "%d"', "`format` is for timestamp columns, not for integer"),
        ("[features]", "[features", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    folder = _write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ProjectError) as error:
        Project.load(folder)
    assert said in str(error.value)
    assert str(tmp_path / "project.toml") in str(error.value)


def test_a_features_hook_may_make_columns_the_file_does_not_have(tmp_path: Path) -> None:
    text = GOOD.replace('numeric = ["age"]', 'numeric = ["age", "age_squared"]')
    project = Project.load(_write(tmp_path, text, "train.py", "features.py"))
    assert "age_squared" in project.features.names


def test_a_folder_without_a_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="sluice init"):
        Project.load(tmp_path)


def test_training_code_is_needed_unless_there_is_an_image(tmp_path: Path) -> None:
    (tmp_path / "project.toml").write_text(GOOD)
    with pytest.raises(ProjectError, match="no training code"):
        Project.load(tmp_path)
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1"
    (tmp_path / "project.toml").write_text(GOOD + f'[model]\nimage = "{image}"\n')
    assert Project.load(tmp_path).model.image == image


@pytest.mark.parametrize("layout", ["%d/%m/%Y", "%Y-%m-%d %H:%M:%S %z", "%d.%m.%y", "%b %d, %Y %I:%M %p"])
def test_a_format_strptime_knows_is_taken(layout: str) -> None:
    assert Column(type="timestamp", format=layout).format == layout


@pytest.mark.parametrize("layout", ["", "DD/MM/YYYY", "%Q", "%d/%m/%Y %"])
def test_a_format_strptime_does_not_know_is_refused(layout: str) -> None:
    with pytest.raises(ValueError, match="is no strptime format"):
        Column(type="timestamp", format=layout)
