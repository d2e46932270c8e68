"""A champion is judged only on rows that its own split held out, too."""

from __future__ import annotations

from typing import Any

import pytest

from containers.process.unseen import shown
from sluice.errors import EvaluationFailed
from sluice.payloads.documents import SplitSummary
from sluice.project import Project
from sluice.splits import is_held_out
from tests.support.builds import RECORD

KEYS = [f"c{i}" for i in range(2_000)]


def project(salt: str = "salt", share: float = 0.2, key: str | None = "id") -> Project:
    return Project.model_validate(
        {
            "project": {"name": "bank"},
            "target": {"column": "y", "problem": "regression"},
            "columns": {"id": {"type": "string"}, "age": {"type": "integer"}, "y": {"type": "number"}},
            "features": {"numeric": ["age"]},
            "split": {"salt": salt, "held_out_share": share},
            **({} if key is None else {"entity": {"key": key}}),
        }
    )


def test_nothing_recorded_shows_nothing() -> None:
    assert shown(None, project()) is None


@pytest.mark.parametrize("share", [0.2, 0.1])
def test_rows_that_were_held_out_then_are_unseen(share: float) -> None:
    assert shown(RECORD, project(share=share)) is True
    then = {key for key in KEYS if not is_held_out(key, salt="salt", share=0.2)}
    assert not then & {key for key in KEYS if is_held_out(key, salt="salt", share=share)}


@pytest.mark.parametrize(
    ("now", "why"),
    [
        ({"salt": "other"}, "split.salt was 'salt' and is 'other'"),
        ({"share": 0.3}, "split.held_out_share was 0.2 and is 0.3"),
        ({"key": None}, "entity.key was id and is none"),
    ],
)
def test_a_split_that_has_changed_is_told(now: dict[str, Any], why: str) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        shown(RECORD, project(**now))
    assert "it may have learned from rows that it is to be judged on" in str(caught.value)
    assert why in caught.value.why
    assert 'gates.unjudged_champion = "minimums"' in caught.value.fix
    # And some of the rows it learned from are held out now indeed.
    if "key" not in now:
        after = {"salt": "salt", "share": 0.2, **now}
        assert any(is_held_out(key, **after) and not is_held_out(key, salt="salt", share=0.2) for key in KEYS)


def test_another_salt_of_the_record_counts_alike() -> None:
    record = RECORD.model_copy(update={"split": SplitSummary(salt="x", held_out_share=0.5)})
    with pytest.raises(EvaluationFailed):
        shown(record, project())
