from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.datasets.reading import LocalFile
from sluice.datasets.row_hashes import row_hashes
from sluice.datasets.validation import validate
from sluice.drafting.draft import Draft, SplitDraft, draft_project
from sluice.drafting.rehearsal import Rows, choose_split, rehearse
from sluice.drafting.sampling import read_sample
from sluice.drafting.scaffold import preview, write_project
from sluice.errors import OneClassTarget, UnreadableFile
from sluice.project import Project
from sluice.splits import held_out_mask
from tests.support.tables import cycle, drafted, labels, numbers, write


def rehearsed(draft: Draft) -> Draft:
    return rehearse(draft, preview("p", draft))


def project(folder: Path, target: list[object], **options: str) -> Project:
    return preview("p", drafted(folder, {"y": target}, **options))


def classes(*labels: str) -> Rows:
    return Rows([str(row) for row in range(len(labels))], list(labels), classes=True)


class TestRejects:
    def test_rows_that_break_the_contract_are_counted_as_validation_counts_them(self, tmp_path: Path) -> None:
        y, number = labels(), [*map(str, range(400))]
        y[:10], number[5:9] = [""] * 10, ["", "", "", "oops"]
        draft = rehearsed(drafted(tmp_path, {"n": list(number), "y": y}))
        assert draft.expected_rejects == 10 / 400

    def test_a_file_with_many_of_them_is_accepted_by_its_own_project(self, tmp_path: Path) -> None:
        draft = rehearsed(drafted(tmp_path, {"y": cycle("yes", "no", "")}))
        write_project(tmp_path / "p", draft)
        assert Project.load(tmp_path / "p").data.max_rejected_share > draft.expected_rejects > 0.3


class TestEndings:
    def test_a_parquet_file_may_be_called_otherwise(self, tmp_path: Path) -> None:
        table = pa.table({"x": [float(str(v)) for v in numbers()], "y": [str(v) for v in labels()]})
        pq.write_table(table, tmp_path / "data.pq")
        draft = draft_project(read_sample(tmp_path / "data.pq"), target="y")
        assert rehearsed(draft).expected_rejects == 0

    def test_but_not_csv(self, tmp_path: Path) -> None:
        pq.write_table(
            pa.table({"x": [float(str(v)) for v in numbers()], "y": [str(v) for v in labels()]}),
            tmp_path / "data.csv",
        )
        draft = draft_project(read_sample(tmp_path / "data.csv"), target="y")
        with pytest.raises(UnreadableFile, match=r"name it \.parquet"):
            rehearsed(draft)


class TestSplit:
    def test_a_file_that_divides_well_keeps_the_default(self, tmp_path: Path) -> None:
        draft = rehearsed(drafted(tmp_path, {"y": labels()}))
        assert draft.split is not None
        assert draft.split.salt is None
        write_project(tmp_path / "p", draft)
        assert "salt" not in (tmp_path / "p" / "project.toml").read_text()

    @pytest.mark.parametrize("rows", [6, 7, 8, 10, 13, 20])
    @pytest.mark.parametrize("target", ["binary", "multiclass", "regression"])
    def test_a_handful_of_rows_can_be_divided(self, tmp_path: Path, rows: int, target: str) -> None:
        values: list[object] = {
            "binary": cycle("a", "b", rows=rows),
            "multiclass": [*cycle("a", "b", rows=rows)[:-1], "c"],
            "regression": numbers(3, rows),
        }[target]
        columns = {"x": numbers(1, rows), "y": values}
        draft = draft_project(read_sample(write(tmp_path, columns)), target="y")
        split = rehearsed(draft).split
        assert split is not None
        assert split.held_out_rows >= (1 if target == "multiclass" else 2)

    def test_few_entities_are_divided_whole(self, tmp_path: Path) -> None:
        devices = [f"d{row % 5}" for row in range(400)]
        at: list[object] = [f"2024-01-{1 + row // 24:02}T{row % 24:02}:00:00" for row in range(400)]
        columns: dict[str, list[object]] = {"device": list(devices), "at": at, "y": labels()}
        split = rehearsed(drafted(tmp_path, columns, entity="device", timestamp="at")).split
        assert split is not None
        salt = split.salt or "p"
        out = {device for device in devices if held_out_mask([device], salt=salt, share=0.2)[0]}
        assert 1 <= len(out) <= 2
        assert split.held_out_rows == 80 * len(out)

    def test_each_class_is_on_both_sides(self, tmp_path: Path) -> None:
        rows = classes(*["a"] * 40, *["b"] * 5)
        split = choose_split(rows, project(tmp_path, labels()))
        mask = held_out_mask(rows.keys, salt=split.salt or "p", share=0.2)
        assert (
            split.rarest
            == sum(out and label == "b" for out, label in zip(mask, rows.labels, strict=True))
            > 0
        )

    @pytest.mark.parametrize("seen", [(40, 5), (40, 9), (12, 6), (25, 20, 15), (60, 5, 5)])
    def test_a_class_of_some_rows_has_half_its_share_held_out_at_least(
        self, tmp_path: Path, seen: tuple[int, ...]
    ) -> None:
        """A fifth is held out; of five rows one, of twenty two, and never all."""
        labels_ = [name for name, count in zip("abc", seen, strict=False) for _ in range(count)]
        rows = classes(*labels_)
        split = choose_split(rows, project(tmp_path, labels()))
        mask = held_out_mask(rows.keys, salt=split.salt or "p", share=0.2)
        out = [label for label, held_out in zip(labels_, mask, strict=True) if held_out]
        assert len(out) == split.held_out_rows
        assert len(labels_) / 10 <= len(out) <= len(labels_) * 2 / 5
        for name, count in zip("abc", seen, strict=False):
            assert max(1, count // 10) <= out.count(name) < count

    def test_it_is_the_same_each_time(self, tmp_path: Path) -> None:
        rows = classes("a", "b", "a", "b", "a")
        made = [choose_split(rows, project(tmp_path, labels())) for _ in range(2)]
        assert made[0] == made[1]
        assert isinstance(made[0], SplitDraft)

    def test_a_class_of_one_row_cannot_be_learned_and_judged(self, tmp_path: Path) -> None:
        draft = drafted(tmp_path, {"y": [*cycle("no", rows=99), "yes"]})
        with pytest.raises(OneClassTarget, match="cannot be divided") as caught:
            rehearsed(draft)
        assert "1 with 'yes', 99 with 'no'" in str(caught.value)

    @pytest.mark.parametrize("positives", [4, 40, 900])
    @pytest.mark.parametrize("name", ["rare", "rare-a", "rare-b", "fraud", "fraud-x"])
    def test_a_rare_class_of_a_large_file_is_on_both_sides(
        self, tmp_path: Path, positives: int, name: str
    ) -> None:
        rows = 21_000
        y: list[object] = ["1" if row % (rows // positives) == 5 else "0" for row in range(rows)]
        drawn = drafted(tmp_path, {"x": list(range(rows)), "y": y})
        project_ = preview(name, drawn)
        draft = rehearse(drawn, project_)
        assert draft.split is not None
        accepted = validate(LocalFile(drawn.sample.path), project_, tmp_path).accepted()
        table = pq.read_table(accepted.file)
        mask = held_out_mask(row_hashes(table), salt=draft.split.salt or name, share=0.2)
        out = sum(
            held_out and label == 1 for held_out, label in zip(mask, table["y"].to_pylist(), strict=True)
        )
        assert draft.split.rarest == out
        assert max(1, y.count("1") // 10) <= out < y.count("1")
        assert draft.split.held_out_rows == pytest.approx(rows / 5, rel=0.02)

    def test_no_gate_is_proposed_on_a_handful_of_positives(self, tmp_path: Path) -> None:
        y: list[object] = ["1" if row in (5, 777, 9000, 15000) else "0" for row in range(21_000)]
        draft = rehearsed(drafted(tmp_path, {"y": y}))
        write_project(tmp_path / "p", draft)
        assert Project.load(tmp_path / "p").gates.minimum == {}
        assert draft.warnings == ("y: '1' has 4 rows only: too few to learn from, or to judge by",)

    def test_a_class_of_one_row_cannot_be_divided_in_a_large_file_either(self, tmp_path: Path) -> None:
        draft = drafted(tmp_path, {"y": [*cycle("no", rows=20_999), "yes"]})
        with pytest.raises(OneClassTarget, match="cannot be divided") as caught:
            rehearsed(draft)
        assert "1 with 'yes', 20,999 with 'no'" in str(caught.value)

    def test_a_rare_class_among_several_of_a_large_file(self, tmp_path: Path) -> None:
        y: list[object] = [*cycle("a", "b", rows=20_994), *["c"] * 6]
        split = rehearsed(drafted(tmp_path, {"y": y})).split
        assert split is not None
        assert split.rarest in range(1, 6)

    def test_a_large_file_is_left_to_chance(self, tmp_path: Path) -> None:
        rows = 21_000
        columns: dict[str, list[object]] = {"x": list(map(str, range(rows))), "y": labels(rows=rows)}
        assert rehearsed(drafted(tmp_path, columns)).split is None
