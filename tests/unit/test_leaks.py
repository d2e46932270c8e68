from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.tables import column, cycle, drafted, labels, numbers


class TestLeaks:
    def leaks(self, folder: Path, values: list[object], y: list[object]) -> bool:
        return column(drafted(folder, {"suspect": values, "y": y}), "suspect").leak

    def test_a_recoded_target(self, tmp_path: Path) -> None:
        y = labels()
        assert self.leaks(tmp_path, [1 if label == "yes" else 0 for label in y], y)

    def test_several_values_for_one_class(self, tmp_path: Path) -> None:
        y = labels()
        assert self.leaks(tmp_path, ["active" if v == "no" else f"left {i % 3}" for i, v in enumerate(y)], y)

    def test_filled_in_for_one_class_only(self, tmp_path: Path) -> None:
        y = labels()
        dates: list[object] = [f"2024-01-{1 + i % 28:02}" if v == "yes" else "" for i, v in enumerate(y)]
        assert self.leaks(tmp_path, dates, y)

    def test_a_number_with_a_threshold(self, tmp_path: Path) -> None:
        y = labels()
        dice = random.Random(4)
        assert self.leaks(tmp_path, [f"{dice.random() + (v == 'yes'):.5f}" for v in y], y)

    def test_a_number_with_thresholds_between_several_classes(self, tmp_path: Path) -> None:
        y = cycle("a", "b", "c")
        dice = random.Random(4)
        assert self.leaks(tmp_path, [f"{dice.random() + 'abc'.index(str(v)):.5f}" for v in y], y)

    @pytest.mark.parametrize("power", [1, 3])
    def test_a_monotone_copy_of_a_number(self, tmp_path: Path, power: int) -> None:
        y = numbers(8)
        assert self.leaks(tmp_path, [f"{-(float(str(v)) ** power) + 7:.6f}" for v in y], y)

    def test_one_class_of_several_by_being_filled_in(self, tmp_path: Path) -> None:
        y = cycle("negative", "neutral", "positive", "positive")
        suspect: list[object] = [f"rude {i % 7}" if v == "negative" else "" for i, v in enumerate(y)]
        draft = drafted(tmp_path, {"suspect": suspect, "y": y})
        assert column(draft, "suspect").leak
        assert column(draft, "suspect").reason == (
            "whether it is filled in already says whether the target is 'negative'"
        )

    def test_a_class_of_a_few_rows_hides_no_leak(self, tmp_path: Path) -> None:
        y = [*cycle("negative", "neutral", "positive", rows=396), *["rare"] * 4]
        assert self.leaks(tmp_path, ["rude" if v == "negative" else "" for v in y], y)

    @pytest.mark.parametrize("missing", ["", "0.5"])
    def test_one_class_of_several_by_an_amount(self, tmp_path: Path, missing: str) -> None:
        """An amount that is paid back in one case only is missing elsewhere; one that is 0.5 there tells nothing."""
        y = cycle("kept", "returned", "lost", "kept")
        dice = random.Random(5)
        amounts: list[object] = [f"{dice.random():.3f}" if v == "returned" else missing for v in y]
        assert self.leaks(tmp_path, amounts, y) == (missing == "")

    @pytest.mark.parametrize("codes", [("left", "stays", "moves"), (7, 1, 2)])
    def test_one_class_of_several_by_a_category(self, tmp_path: Path, codes: tuple[object, ...]) -> None:
        y = cycle("gone", "a", "b", "c")
        values: list[object] = [codes[0] if v == "gone" else codes[1 + i % 2] for i, v in enumerate(y)]
        assert self.leaks(tmp_path, values, y)

    def test_a_class_that_a_category_points_to_only_mostly(self, tmp_path: Path) -> None:
        y = cycle("gone", "a", "b", "c")
        values: list[object] = ["left" if v == "gone" and i % 8 else "stays" for i, v in enumerate(y)]
        assert not self.leaks(tmp_path, values, y)

    def test_a_measure_that_sets_one_class_of_several_apart_is_none(self, tmp_path: Path) -> None:
        """As the petals of one iris do."""
        y = cycle("setosa", "versicolor", "virginica")
        dice = random.Random(4)
        assert not self.leaks(tmp_path, [f"{dice.uniform(1, 5) + 9 * (v == 'setosa'):.1f}" for v in y], y)
        assert not self.leaks(tmp_path, [dice.randint(0, 20) + 99 * (v == "setosa") for v in y], y)

    def test_a_strong_column_is_no_leak(self, tmp_path: Path) -> None:
        y = labels()
        dice = random.Random(4)
        assert not self.leaks(tmp_path, [f"{dice.gauss(0, 1) + 3 * (v == 'yes'):.5f}" for v in y], y)

    def test_an_even_category_is_no_leak(self, tmp_path: Path) -> None:
        assert not self.leaks(tmp_path, cycle("p", "p", "q", "q"), cycle("yes", "no"))

    def test_a_value_for_every_few_rows_is_no_leak(self, tmp_path: Path) -> None:
        y = labels()
        assert not self.leaks(tmp_path, [f"{v}{i // 4}" for i, v in enumerate(y)], y)

    def test_a_tiny_file_is_not_judged(self, tmp_path: Path) -> None:
        y = cycle("yes", "no", rows=30)
        assert not self.leaks(tmp_path, cycle(1, 0, rows=30), y)


class TestSums:
    def test_numbers_that_add_up_to_the_target(self, tmp_path: Path) -> None:
        dice = random.Random(5)
        casual = [dice.randint(0, 90) for _ in range(400)]
        registered = [dice.randint(0, 300) for _ in range(400)]
        draft = drafted(
            tmp_path,
            {
                "casual": list(casual),
                "registered": list(registered),
                "temp": numbers(7),
                "cnt": [a + b for a, b in zip(casual, registered, strict=True)],
            },
            target="cnt",
        )
        assert draft.named("numeric") == ["anchor", "temp"]
        assert column(draft, "casual").leak
        assert column(draft, "casual").reason == "cnt is casual + registered, give or take a constant"

    def test_what_is_subtracted_too(self, tmp_path: Path) -> None:
        total, tip, tax = (
            [random.Random(seed).randint(0, 900) for seed in range(start, start + 400)]
            for start in (0, 1000, 2000)
        )
        fare = [a - b - c for a, b, c in zip(total, tip, tax, strict=True)]
        draft = drafted(
            tmp_path,
            {"total": list(total), "tip": list(tip), "tax": list(tax), "fare": list(fare)},
            target="fare",
        )
        assert "fare is total - tip - tax" in column(draft, "tip").reason

    def test_nearly_is_not_enough(self, tmp_path: Path) -> None:
        a, b, noise = numbers(1), numbers(2), numbers(3)
        y = [
            f"{float(str(p)) + float(str(q)) + float(str(n)) / 100:.4f}"
            for p, q, n in zip(a, b, noise, strict=True)
        ]
        draft = drafted(tmp_path, {"a": a, "b": b, "y": list(y)})
        assert not any(each.leak for each in draft.columns)
