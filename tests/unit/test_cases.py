"""Files that failed in the field, as they lie beside this repository; each one's kind is tested elsewhere, too."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import main
from sluice.project import Project
from sluice.spelling import Spelling

CASES = Path(__file__).parents[3] / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"needs the field cases in {CASES}")


def drafted(folder: Path, case: str, target: str, *, file: str = "in.csv", name: str = "p") -> Project:
    arguments = ["init", str(folder / name), "--from", str(CASES / case / file), "--target", target]
    assert main(arguments) == 0
    return Project.load(folder / name)


def test_dot_thousands(tmp_path: Path) -> None:
    people = drafted(tmp_path, "01-dot-thousands", "Ziel").columns["Einwohner"]
    assert (people.type, people.spelling) == ("integer", Spelling(decimal=",", grouping="."))


def test_predict_own_spelling(tmp_path: Path) -> None:
    util = drafted(tmp_path, "03-predict-own-spelling", "y").columns["util"]
    assert util.spelling == Spelling(after="%")
    assert not (tmp_path / "p" / "features.py").exists()


def test_row_number_as_feature(tmp_path: Path) -> None:
    assert "Unnamed: 0" not in drafted(tmp_path, "04-row-number-as-feature", "y").features.names


def test_big_code_with_nulls(tmp_path: Path) -> None:
    project = drafted(tmp_path, "06-big-code-with-nulls", "y", file="bigcode.csv")
    assert project.columns["store_code"].type == "integer"
    assert "store_code" in project.features.categorical
    text = (tmp_path / "p" / "project.toml").read_text()
    assert "9007199254740993, 9007199254740995, 9007199254740997" in text


def test_parquet_inf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drafted(tmp_path, "09-parquet-inf", "y", file="inf.parquet")
    assert "no finite number ('inf'): they will be rejected" in capsys.readouterr().err


def test_rare_class_above_20000_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(
        ["sh", str(CASES / "10-rare-class-above-20000-rows" / "make.sh")], cwd=tmp_path, check=True
    )
    (file,) = tmp_path.glob("*.csv")
    for name in ("rare", "rare-a", "rare-b", "fraud", "fraud-x"):
        assert main(["init", str(tmp_path / name), "--from", str(file), "--target", "y"]) == 0
        assert "roc_auc" not in Project.load(tmp_path / name).gates.minimum


def test_leak_of_one_class_of_three(tmp_path: Path) -> None:
    assert "reason" not in drafted(tmp_path, "12-leak-of-one-class-of-three", "y").features.names


def test_footer_becomes_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drafted(tmp_path, "16-footer-becomes-a-class", "y").target.problem == "binary"
    assert "y: 1 row neither 'no' nor 'yes' ('240')" in capsys.readouterr().err


def test_delimiter_beside_decimal_commas(tmp_path: Path) -> None:
    project = drafted(tmp_path, "18-delimiter-beside-decimal-commas", "CO")
    assert project.data.delimiter == ";"
    assert project.columns["CO"].spelling == Spelling(decimal=",")


def test_nfd_names(tmp_path: Path) -> None:
    assert drafted(tmp_path, "21-nfd-names", "cat\u00e9gorie").target.column == "cat\u00e9gorie"


@pytest.mark.parametrize(
    ("case", "file", "target", "told"),
    [
        # Read rightly; of four rows with one of a class there is no split.
        ("15-unnamed-trailing-columns", "in.csv", "v1", lambda text: "1 with 'spam', 3 with 'ham'" in text),
        ("27-web-page-named-parquet", "in.parquet", "y", lambda text: "is a web page" in text),
    ],
)
def test_what_cannot_be_learned_from_is_said(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    case: str,
    file: str,
    target: str,
    told: Callable[[str], bool],
) -> None:
    assert main(["init", str(tmp_path / "p"), "--from", str(CASES / case / file), "--target", target]) == 1
    text = capsys.readouterr().err
    assert told(text), text
    assert "tail -n" not in text
