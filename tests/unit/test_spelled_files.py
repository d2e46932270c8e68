"""A file whose numbers are spelled is, to init, validation, training and requests, the file that has them plain."""

from __future__ import annotations

import csv
import random
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from containers.process.build_training_set import build
from containers.training_set.examples import TrainingSet
from sluice.datasets.reading import LocalFile
from sluice.datasets.validation import ValidationResult, validate
from sluice.drafting.draft import Draft, draft_project
from sluice.drafting.profiling import ColumnProfile, profile
from sluice.drafting.rehearsal import rehearse
from sluice.drafting.sampling import read_sample
from sluice.drafting.scaffold import preview, write_project
from sluice.project import Project
from sluice.spelling import Spelling
from tests.support.spelled import WAYS, spelled
from tests.support.tables import cycle


def amounts(seed: int, rows: int = 300) -> list[Decimal]:
    dice = random.Random(seed)
    return [Decimal(dice.randrange(-5_000_000, 9_000_000)).scaleb(-2) for _ in range(rows)]


def counts(seed: int, rows: int = 300) -> list[Decimal]:
    dice = random.Random(seed)
    return [Decimal(dice.randrange(10, 2_000_000)) for _ in range(rows)]


def write_rows(file: Path, columns: dict[str, list[str]], delimiter: str = ",") -> Path:
    with file.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.writer(sink, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return file


def profiled(folder: Path, columns: dict[str, list[str]], delimiter: str = ",") -> dict[str, ColumnProfile]:
    sample = read_sample(write_rows(folder / "in.csv", columns, delimiter))
    return {column.name: column for column in profile(sample)}


class Made:
    """What init, validation and BuildTrainingSet make of a file."""

    def __init__(self, folder: Path, columns: dict[str, list[str]], delimiter: str = ",") -> None:
        folder.mkdir()
        self.file = write_rows(folder / "in.csv", columns, delimiter)
        draft = draft_project(read_sample(self.file), target="y")
        self.draft: Draft = rehearse(draft, preview("same", draft))
        write_project(folder / "same", self.draft)
        self.project = Project.load(folder / "same")
        (folder / "work").mkdir()
        self.validation: ValidationResult = validate(LocalFile(self.file), self.project, folder / "work")
        self.built: TrainingSet = build(pq.read_table(self.validation.accepted().file), folder / "same")


@pytest.mark.parametrize("way", WAYS)
def test_the_model_is_given_the_same_numbers(tmp_path: Path, way: str) -> None:
    write, spelling = WAYS[way]
    numbers = {"balance": amounts(1), "volume": counts(2)}
    labels = [str(value) for value in cycle("yes", "no", "no", rows=300)]
    plain = Made(tmp_path / "plain", {**{n: list(map(str, c)) for n, c in numbers.items()}, "y": labels})
    other = Made(
        tmp_path / "spelled", {**{n: list(map(write, c)) for n, c in numbers.items()}, "y": labels}, ";"
    )

    taken = other.project.columns["balance"].spelling
    assert taken is not None
    assert taken.model_dump(exclude_defaults=True) == spelling
    assert other.project.features == plain.project.features
    assert other.validation.dataset_version == plain.validation.dataset_version
    assert other.validation.report.rejected_rows == 0
    assert other.built.train.equals(plain.built.train)
    assert other.built.held_out.equals(plain.built.held_out)

    contract = other.built.contract
    names = contract.names
    with other.file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter=";"))
    expected = {name: list(map(float, numbers[name])) for name in names}
    assert contract.columns_from_text([list(names), *([row[n] for n in names] for row in rows)]) == expected
    # In JSON a text is a number where the column is spelled, and a number is one anywhere.
    texts = {feature.name for feature in contract.features if feature.spelling}
    records = [
        {n: row[n] if n in texts else float(numbers[n][i]) for n in names} for i, row in enumerate(rows)
    ]
    assert contract.columns_from_records(records) == expected


class TestWhatIsInferred:
    def test_a_file_with_decimal_commas_has_no_decimal_points(self, tmp_path: Path) -> None:
        found = profiled(
            tmp_path,
            {"people": ["850", "1.234", "998", "12.501"], "area": ["12,5", "8,25", "99,75", "3"]},
            ";",
        )
        assert found["people"].values.to_pylist() == [850, 1234, 998, 12501]
        assert found["people"].doubt == ""

    def test_a_file_with_decimal_points_has_no_decimal_commas(self, tmp_path: Path) -> None:
        found = profiled(tmp_path, {"people": ["85", "1,234", "12,345"], "area": ["12.5", "8.25", "3"]}, ";")
        assert found["people"].values.to_pylist() == [85, 1234, 12345]
        assert found["people"].doubt == ""

    def test_what_nothing_tells_is_said_with_how_to_decide(self, tmp_path: Path) -> None:
        found = profiled(tmp_path, {"a": ["1.234", "2.345", "3.457"], "b": ["x", "y", "z"]})["a"]
        assert found.values.to_pylist() == [1.234, 2.345, 3.457]
        assert "'1.234' is read as 1.234, and could be 1234" in found.doubt
        columns = {"a": ["1.234", "2.345", "3.457"] * 40, "y": ["u", "v"] * 60}
        draft = draft_project(read_sample(write_rows(tmp_path / "in.csv", columns)), target="y")
        assert any('spelling = { decimal = ",", grouping = "." }' in warning for warning in draft.warnings)
        write_project(tmp_path / "p", draft)
        assert "could be 1234" in (tmp_path / "p" / "project.toml").read_text().replace("\n# ", " ")

    @pytest.mark.parametrize("fraction", ["0.125", "1234.500", "1.5", "1.2345", "1.234e5"])
    def test_one_cell_that_can_only_be_a_fraction_decides(self, tmp_path: Path, fraction: str) -> None:
        found = profiled(tmp_path, {"a": ["1.234", "850", fraction], "b": ["x", "y", "z"]})["a"]
        assert (found.spelling, found.doubt) == (None, "")
        assert found.values.to_pylist() == [1.234, 850, float(fraction)]

    def test_no_program_writes_850_beside_12_500_as_fractions(self, tmp_path: Path) -> None:
        found = profiled(tmp_path, {"a": ["1.234", "850", "12.500"], "b": ["x", "y", "z"]})["a"]
        assert (found.values.to_pylist(), found.doubt) == ([1234, 850, 12500], "")

    @pytest.mark.parametrize("few", ["1,234", "$1,200", "1,200.50", "$7"])
    def test_a_few_spelled_cells_among_plain_ones_are_values(self, tmp_path: Path, few: str) -> None:
        found = profiled(tmp_path, {"a": [*map(str, range(300)), few, few], "b": ["x", "y"] * 151})["a"]
        assert found.breaking_rows == 0
        assert found.values.to_pylist()[-1] == float(few.replace(",", "").replace("$", ""))

    def test_a_few_decimal_commas_among_decimal_points_are_values(self, tmp_path: Path) -> None:
        values = [f"{number}.{number % 10}5" for number in range(300)]
        found = profiled(tmp_path, {"a": [*values, "12,5", "7,25"], "b": ["x", "y"] * 151}, ";")["a"]
        assert (found.breaking_rows, found.spelling) == (0, Spelling(decimal=".,"))
        assert found.values.to_pylist()[-2:] == [12.5, 7.25]

    def test_a_mistake_among_spelled_cells_is_still_a_mistake(self, tmp_path: Path) -> None:
        values = [spelled(Decimal(number), grouping=",", before="$") for number in range(900, 1_300)]
        found = profiled(tmp_path, {"a": [*values, "oops"], "b": ["x"] * 401})["a"]
        assert (found.type, found.breaking, found.breaking_rows) == ("integer", ("oops",), 1)

    @pytest.mark.parametrize("mistake", ["12 34", "1.2.3", "1,2,3", "12'3", "1  234", "1.2,3.4", "(5", "5-5"])
    def test_a_mistake_that_has_a_mark_says_nothing_of_the_others(self, tmp_path: Path, mistake: str) -> None:
        columns = {"a": [*map(str, range(300)), mistake], "b": ["x"] * 301}
        found = profiled(tmp_path, columns, ";")["a"]
        assert (found.type, found.spelling, found.doubt) == ("integer", None, "")
        assert (found.breaking, found.breaking_rows) == ((mistake,), 1)

    def test_percent_signs_among_fractions_are_hundredths(self, tmp_path: Path) -> None:
        found = profiled(tmp_path, {"a": ["0.37", "45%", "0.2", "1"], "b": ["x"] * 4})["a"]
        assert found.values.to_pylist() == [0.37, 0.45, 0.2, 1]

    def test_percent_signs_among_whole_numbers_are_left_off(self, tmp_path: Path) -> None:
        found = profiled(tmp_path, {"a": ["37", "45%", "20", "3"], "b": ["x"] * 4})["a"]
        assert found.values.to_pylist() == [37, 45, 20, 3]
        assert "some cells have a percent sign" in found.doubt

    def test_amounts_in_several_currencies_are_no_numbers(self, tmp_path: Path) -> None:
        columns = {
            "price": [f"{'€' if row % 2 else '$'}{row}" for row in range(60)],
            "size": [str(row * 7 % 60) + ".5" for row in range(60)],
            "y": ["yes", "no"] * 30,
        }
        draft = draft_project(read_sample(write_rows(tmp_path / "in.csv", columns)), target="y")
        price = next(column for column in draft.columns if column.name == "price")
        assert price.role == "left out"
        assert "amounts of several kinds ($, €)" in price.reason

    @pytest.mark.parametrize(
        "codes",
        [
            [f"4,{row:05}E+12" for row in range(40)],
            [f"4.{row % 90 + 10}E+11" if row % 3 else f"4123456{row:05}" for row in range(40)],
        ],
    )
    def test_codes_that_a_spreadsheet_wrote_with_an_exponent_are_left_out(
        self, tmp_path: Path, codes: list[str]
    ) -> None:
        columns = {"ean": codes * 3, "size": [f"{row}.5" for row in range(120)], "y": ["yes", "no"] * 60}
        draft = draft_project(read_sample(write_rows(tmp_path / "in.csv", columns)), target="y")
        ean = next(column for column in draft.columns if column.name == "ean")
        assert ean.role == "left out"
        assert "a spreadsheet wrote with an exponent" in ean.reason

    def test_quantities_with_exponents_are_quantities(self, tmp_path: Path) -> None:
        values = [f"{1 + row / 100:.2f}E+{row % 9:02}" for row in range(120)]
        found = profiled(tmp_path, {"a": values, "b": ["x"] * 120})["a"]
        assert (found.type, found.lost_digits) == ("number", False)

    @pytest.mark.parametrize(
        "values",
        [
            ["+491511234", "+491519876", "+491517777"],
            ["A1", "A2", "A3"],
            ["12.05.2024", "13.05.2024", "14.05.2024"],
            ["192.168.1.1", "10.0.0.1", "10.0.0.2"],
            ["1-2", "3-4", "5-6"],
            ["52.52,13.40", "48.85,2.35", "51.5,0.12"],
            ["1 2", "3 4", "5 6"],
        ],
    )
    def test_what_only_looks_like_numbers(self, tmp_path: Path, values: list[str]) -> None:
        assert not profiled(tmp_path, {"a": values, "b": ["x"] * 3}, ";")["a"].is_numeric

    def test_a_leading_plus_is_plain(self, tmp_path: Path) -> None:
        found = profiled(tmp_path, {"a": ["+5", "-3", "+0.5"], "b": ["x"] * 3})["a"]
        assert (found.type, found.spelling, found.values.to_pylist()) == ("number", None, [5, -3, 0.5])


def test_integers_keep_every_digit_in_comments(tmp_path: Path) -> None:
    codes = ["9007199254740993", "9007199254740995", "9007199254740997"]
    columns = {"code": codes * 40, "size": [f"{row}.5" for row in range(120)], "y": ["yes", "no"] * 60}
    draft = draft_project(read_sample(write_rows(tmp_path / "in.csv", columns)), target="y")
    write_project(tmp_path / "p", draft)
    text = (tmp_path / "p" / "project.toml").read_text()
    assert f"seen {', '.join(codes)}" in text
