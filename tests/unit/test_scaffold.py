from __future__ import annotations

import argparse
import importlib.util
import random
import tomllib
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cli import init
from sluice.drafting.draft import Draft, draft_project
from sluice.drafting.sampling import read_sample
from sluice.drafting.scaffold import render_project, write_project
from sluice.drafting.toml import array, comment, key, string
from sluice.errors import ProjectError
from sluice.project import Project
from sluice.spelling import Spelling

TELCO = Path(__file__).parents[3] / "shared" / "data" / "telco_customer_churn.csv"


def draft_of(folder: Path, frame: pd.DataFrame, target: str, *, sep: str = ",", **options: str) -> Draft:
    path = folder / "data.csv"
    frame.to_csv(path, index=False, sep=sep)
    return draft_project(read_sample(path), target=target, **options)


def frame(target: list[object] | None = None, rows: int = 300) -> pd.DataFrame:
    dice = random.Random(1)
    return pd.DataFrame(
        {
            "amount": [round(dice.uniform(0, 90), 2) for _ in range(rows)],
            "emp.var rate": [round(dice.gauss(0, 1), 3) for _ in range(rows)],
            "kind": [dice.choice(["a", "b", "c"]) for _ in range(rows)],
            "y": target or [dice.choice(["yes", "no"]) for _ in range(rows)],
        }
    )


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    init.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["init", *arguments])
    status: int = parsed.command(parsed)
    return status


def hook(path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestToml:
    @pytest.mark.parametrize(
        "text", ['say "hi"', "back\\slash", "tab\tnew\nline", "\x7f\x01", "größe, 東京", ""]
    )
    def test_strings_and_keys_survive(self, text: str) -> None:
        assert tomllib.loads(f"{key(text)} = {string(text)}") == {text: text}

    def test_long_arrays_are_filled_lines(self) -> None:
        values = [f"category {number}" for number in range(30)]
        lines = array("categories", values, note="why")
        assert max(map(len, lines)) <= 110
        assert tomllib.loads("\n".join(lines)) == {"categories": values}

    def test_a_comment_stays_one(self) -> None:
        assert comment("one\ntwo\x00three") == ["# one two three"]


class TestProjectToml:
    def test_it_is_loaded_by_the_project(self, tmp_path: Path) -> None:
        draft = draft_of(tmp_path, frame(), "y", sep=";")
        write_project(tmp_path / "mybank", draft)
        project = Project.load(tmp_path / "mybank")
        assert project.name == "mybank"
        assert project.data.delimiter == ";"
        assert project.features.numeric == ("amount", "emp.var rate")
        assert project.features.categorical == ("kind",)
        assert (project.target.problem, project.target.positive) == ("binary", "yes")
        assert project.columns["amount"].min == 0
        assert project.columns["emp.var rate"].min is None

    @pytest.mark.parametrize(
        ("target", "problem", "minimum", "compare"),
        [
            ([1.5 * row for row in range(300)], "regression", {"r2": 0.0}, "rmse"),
            (["a", "b", "c"] * 100, "multiclass", {"accuracy": 0.21}, "accuracy"),
            ([3, 4, 5, 6, 7] * 60, "multiclass", {"accuracy": 0.09}, "accuracy"),
            ([0, 1, 1] * 100, "binary", {"roc_auc": 0.5}, "roc_auc"),
            ([True, False] * 150, "binary", {"roc_auc": 0.5}, "roc_auc"),
        ],
    )
    def test_gates_fit_the_problem(
        self, tmp_path: Path, target: list[object], problem: str, minimum: dict[str, float], compare: str
    ) -> None:
        write_project(tmp_path / "p", draft_of(tmp_path, frame(target), "y"))
        project = Project.load(tmp_path / "p")
        assert (project.target.problem, project.gates.minimum, project.gates.compare) == (
            problem,
            minimum,
            compare,
        )
        assert project.gates.min_held_out_rows == 30

    def test_hostile_names_and_values_are_quoted(self, tmp_path: Path) -> None:
        data = frame()
        nasty = ['a"b', "c\\d", "e\nf", "# no comment", "東京"]
        data['col "x" ] # =\\'] = [nasty[row % 5] for row in range(len(data))]
        write_project(tmp_path / "p", draft_of(tmp_path, data, "y"))
        column = Project.load(tmp_path / "p").columns['col "x" ] # =\\']
        assert column.categories == tuple(sorted(nasty))

    def test_what_is_left_out_says_why(self, tmp_path: Path) -> None:
        data = frame()
        data["client_id"] = range(5000, 5000 + len(data))
        data["outcome"] = [1 if label == "yes" else 0 for label in data["y"]]
        data["day"] = [f"{1 + row % 12:02}/{1 + row % 12:02}/2024" for row in range(len(data))]
        data["price"] = [f"{row % 90},{row % 10}" for row in range(len(data))]
        text = render_project("p", draft_of(tmp_path, data, "y", sep=";"))
        assert "Left out of the features: an identifier" in text
        assert '# key = "client_id"' in text
        assert "Left out of the features, it gives the target away: each of its values" in text
        assert "take it back: add its name under [features] (categorical)" in text
        assert 'fit "%m/%d/%Y" as well' in text
        assert "a decimal comma" in text
        features = tomllib.loads(text)["features"]
        assert features == {"numeric": ["amount", "emp.var rate", "price"], "categorical": ["kind"]}

    def test_entity_and_timestamp(self, tmp_path: Path) -> None:
        data = frame()
        data["client"] = [f"c{row % 30}" for row in range(len(data))]
        data["at"] = [f"2024-01-01T00:{row // 60:02}:{row % 60:02}" for row in range(len(data))]
        write_project(tmp_path / "p", draft_of(tmp_path, data, "y", entity="client", timestamp="at"))
        project = Project.load(tmp_path / "p")
        assert (project.entity.key, project.entity.timestamp) == ("client", "at")
        assert not {"client", "at"} & set(project.features.names)

    def test_null_tokens_and_nullability(self, tmp_path: Path) -> None:
        data = frame().astype({"amount": object})
        data.loc[:5, "amount"] = "?"
        data.loc[6:7, "kind"] = None
        write_project(tmp_path / "p", draft_of(tmp_path, data, "y"))
        project = Project.load(tmp_path / "p")
        assert project.data.null_values == ("", "?")
        assert project.columns["amount"].nullable
        assert project.columns["kind"].nullable
        assert not project.columns["y"].nullable

    def test_a_small_file_has_no_minimum_and_smaller_trees(self, tmp_path: Path) -> None:
        write_project(tmp_path / "p", draft_of(tmp_path, frame(["yes", "no"] * 50, rows=100), "y"))
        project = Project.load(tmp_path / "p")
        assert project.gates.minimum == {}
        assert project.gates.min_held_out_rows == 10
        assert "20 held-out rows cannot tell" in (tmp_path / "p" / "project.toml").read_text()

    def test_many_classes_have_fewer_trees_each(self, tmp_path: Path) -> None:
        target: list[object] = [f"class {row % 25}" for row in range(1500)]
        write_project(tmp_path / "p", draft_of(tmp_path, frame(target, rows=1500), "y"))
        assert Project.load(tmp_path / "p").model.hyperparameters["max_iter"] == 50

    def test_the_rejected_share_allows_for_rows_without_a_target(self, tmp_path: Path) -> None:
        draft = draft_of(tmp_path, frame(["yes", "no", "no", None] * 75), "y")
        write_project(tmp_path / "p", draft)
        assert Project.load(tmp_path / "p").data.max_rejected_share > 0.25


class TestSpelledNumbers:
    def test_they_are_the_projects_to_read_and_need_no_code(self, tmp_path: Path) -> None:
        data = frame()
        data["price"] = [f"{1 + row % 90}.{row % 900 + 100},{row % 10}" for row in range(len(data))]
        data["rate"] = [f"{row * 37 % 90}.5%" for row in range(len(data))]
        data.loc[0, "rate"] = None
        draft = draft_of(tmp_path, data, "price", sep=";")
        assert draft.problem == "regression"
        write_project(tmp_path / "p", draft)
        assert not (tmp_path / "p" / "features.py").exists()
        project = Project.load(tmp_path / "p")
        price, rate = project.columns["price"], project.columns["rate"]
        assert (price.type, price.spelling) == ("number", Spelling(decimal=",", grouping="."))
        assert (rate.type, rate.spelling, rate.nullable) == ("number", Spelling(after="%"), True)
        assert "rate" in project.features.numeric


class TestTrain:
    @pytest.mark.parametrize(
        "target",
        [[1.5 * row for row in range(300)], ["a", "b", "c"] * 100, ["yes", "no"] * 150],
        ids=["regression", "multiclass", "binary"],
    )
    def test_the_model_fits_and_takes_gaps_and_unknown_categories(
        self, tmp_path: Path, target: list[object]
    ) -> None:
        write_project(tmp_path / "p", draft_of(tmp_path, frame(target), "y"))
        project = Project.load(tmp_path / "p")
        rows = frame(target)[list(project.features.names)].astype({"kind": object})
        rows.loc[:20, "amount"] = np.nan
        rows.loc[10:30, "kind"] = None
        rows["emp.var rate"] = np.nan
        model = hook(tmp_path / "p" / "train.py").build_model(project.model.hyperparameters)
        model.fit(rows, target)
        unseen = rows.head(3).assign(kind=pd.Series(["new", None, "a"], dtype=object))
        assert len(model.predict(unseen)) == 3


class TestCommand:
    def test_it_writes_a_project_and_says_what_it_saw(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        frame().to_csv(tmp_path / "bank.csv", index=False)
        assert run(str(tmp_path / "mybank"), "--from", str(tmp_path / "bank.csv"), "--target", "y") == 0
        assert {path.name for path in (tmp_path / "mybank").iterdir()} == {
            "project.toml", "train.py", "README.md",
        }  # fmt: skip
        said = capsys.readouterr()
        assert said.out == ""
        assert "target    y (binary, positive 'yes')" in said.err

    def test_an_entity_is_looked_up_by_id(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data = frame()
        data["client_id"] = [f"K{row}" for row in range(len(data))]
        data.to_csv(tmp_path / "bank.csv", index=False)
        project = tmp_path / "mybank"
        arguments = [str(project), "--from", str(tmp_path / "bank.csv"), "--target", "y"]
        assert run(*arguments, "--entity", "client_id") == 0
        said = capsys.readouterr().err
        assert "  by id     the endpoint looks the features up by client_id: features.py\n" in said
        assert f"{project / 'README.md'}, {project / 'features.py'}\n" in said
        assert (
            "\nPredict by id:\n\n    sluice predict --id K0\n\n| file |"
            in (project / "README.md").read_text()
        )
        text = (project / "project.toml").read_text()
        assert "features.py has the endpoint look them up by id" in text
        assert "build_features" not in text

        # It is a file of init's, as train.py is.
        (project / "features.py").write_text("# mine\n")
        assert run(*arguments, "--entity", "client_id", "--force") == 0
        assert "client_features" in (project / "features.py").read_text()
        assert run(*arguments, "--force") == 0
        assert "client_features" in (project / "features.py").read_text()
        assert "  note      features.py was there before, and is used as it is\n" in capsys.readouterr().err

    def test_why_an_entity_is_not_looked_up_is_said(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        data = frame()
        data["client"] = [f"c{row % 30}" for row in range(len(data))]
        data["at"] = [f"2024-01-01T00:{row // 60:02}:{row % 60:02}" for row in range(len(data))]
        data.to_csv(tmp_path / "log.csv", index=False)
        arguments = [str(tmp_path / "p"), "--from", str(tmp_path / "log.csv"), "--target", "y"]
        assert run(*arguments, "--entity", "client", "--timestamp", "at") == 0
        said = capsys.readouterr().err
        assert "  by id     not: at makes a history of it; docs/features.md says how to sum one up\n" in said
        assert not (tmp_path / "p" / "features.py").exists()

    def test_a_folder_that_exists_is_kept_unless_forced(self, tmp_path: Path) -> None:
        frame().to_csv(tmp_path / "bank.csv", index=False)
        (tmp_path / "mybank").mkdir()
        (tmp_path / "mybank" / "features.py").write_text("# mine\n")
        arguments = [str(tmp_path / "mybank"), "--from", str(tmp_path / "bank.csv"), "--target", "y"]
        with pytest.raises(ProjectError, match="already exists") as refused:
            run(*arguments)
        assert "project.toml, train.py, README.md and (with --entity) features.py" in str(refused.value)
        assert run(*arguments, "--force") == 0
        assert (tmp_path / "mybank" / "features.py").read_text() == "# mine\n"

    @pytest.mark.parametrize(
        ("name", "fits"),
        [
            ("some_name", "some-name"),
            ("My Bank", "my-bank"),
            ("9lives", "lives"),
            ("sales_2024", "sales-2024"),
            ("x" * 30, "x" * 24),
            ("x" * 23 + "_y", "x" * 23),
            ("Crédit", "credit"),
            ("東京", "project"),
        ],
    )
    def test_a_name_that_cannot_name_resources_is_made_to_fit(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, fits: str
    ) -> None:
        frame().to_csv(tmp_path / "bank.csv", index=False)
        assert run(str(tmp_path / name), "--from", str(tmp_path / "bank.csv"), "--target", "y") == 0
        assert Project.load(tmp_path / name).name == fits
        said = capsys.readouterr().err
        assert f"the project is called {fits}: {name!r} cannot name AWS resources" in said

    def test_a_name_that_fits_is_not_talked_about(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        frame().to_csv(tmp_path / "bank.csv", index=False)
        run(str(tmp_path / "bank-2"), "--from", str(tmp_path / "bank.csv"), "--target", "y")
        assert "is called" not in capsys.readouterr().err

    @pytest.mark.parametrize(
        "target",
        [
            'say "y"', "it's", "c\\d", "ends in \\", 'ends in "', '"""', "e\nf", "tab\ty", "{y}", "$y ${y}", "%s",
            "`y`", "#y", "[y]", "a,b", "é", "a\u2028b", "y\x01", "x" * 300, "\\N{BULLET}", "\\u12",
        ],
    )  # fmt: skip
    def test_a_target_may_have_any_name(self, tmp_path: Path, target: str) -> None:
        data = frame().rename(columns={"y": target})
        data.to_csv(tmp_path / "in.csv", index=False)
        assert run(str(tmp_path / "p"), "--from", str(tmp_path / "in.csv"), "--target", target) == 0
        project = Project.load(tmp_path / "p")
        assert (project.target.column, project.target.positive) == (target, "yes")
        rows = data[list(project.features.names)].astype({"kind": object})
        model = hook(tmp_path / "p" / "train.py").build_model(project.model.hyperparameters)
        assert len(model.fit(rows, data[target]).predict(rows)) == len(rows)


@pytest.mark.skipif(not TELCO.is_file(), reason="telco_customer_churn.csv is not in ../shared/data")
class TestTelco:
    def test_it_reads_as_a_person_would(self, tmp_path: Path) -> None:
        assert run(str(tmp_path / "telco"), "--from", str(TELCO), "--target", "Churn") == 0
        text = (tmp_path / "telco" / "project.toml").read_text()
        project = Project.load(tmp_path / "telco")
        assert "# seen 18.25 … 118.75" in text
        assert '# key = "customerID"' in text
        assert (project.target.problem, project.target.positive) == ("binary", "Yes")
        assert project.columns["TotalCharges"].type == "number"
        assert project.columns["TotalCharges"].nullable
        assert " " in project.data.null_values
        assert project.features.numeric == ("tenure", "MonthlyCharges", "TotalCharges")
        assert "SeniorCitizen" in project.features.categorical
        assert "customerID" not in project.features.names
        assert len(project.features.names) == 19
        assert project.columns["Contract"].categories == ("Month-to-month", "One year", "Two year")
