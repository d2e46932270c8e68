from datetime import UTC, datetime, time, timedelta

import pytest

from sluice.monitoring.controller import Alarm, Ending, Entry, Limits, decide

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
ALARM = Alarm(name="concept drift", change="change-9", labelled_rows=5_000, expected_dollars=4.0)
LIMITS = Limits(runs_a_day=2)


def trained(days: float, ending: Ending = "promoted", dollars: float = 4.0) -> Entry:
    at = NOW - timedelta(days=days)
    ended = None if ending == "runs" else at + timedelta(hours=1)
    return Entry(
        change=f"change at {at}",
        at=at,
        move="retrain",
        reason="",
        ending=ending,
        ended_at=ended,
        dollars=dollars,
    )


def refused(days: float) -> Entry:
    return Entry(change=f"refused at {days}", at=NOW - timedelta(days=days), move="refuse", reason="too soon")


def test_an_alarm_with_new_rows_starts_a_training() -> None:
    found = decide(ALARM, [], NOW, LIMITS)
    assert (found.move, found.reason) == ("retrain", "concept drift: 5,000 newly labelled rows.")


@pytest.mark.parametrize(
    ("ledger", "reason"),
    [
        ([trained(0.5, "runs")], "A retraining has been running since 2026-03-10 00:00 UTC."),
        ([trained(1.01)], "The last retraining's cooldown is over at 2026-03-10 12:45 UTC."),
        ([trained(2 + day) for day in range(8)], "8 of 8 retrainings in 30 days were used up."),
        (
            [trained(9, dollars=97.0)],
            "97.00 of 100.00 dollars in 30 days were used up, and one more costs about 4.00.",
        ),
        ([trained(day, "rejected") for day in (3, 5, 7)], "The last 3 retrainings improved nothing"),
    ],
)
def test_what_the_ledger_forbids_is_refused_with_its_reason(ledger: list[Entry], reason: str) -> None:
    found = decide(ALARM, ledger, NOW, LIMITS)
    assert found.move == "refuse"
    assert found.reason.startswith(reason)


def test_a_days_runs_are_counted() -> None:
    found = decide(ALARM, [trained(0.5)], NOW, Limits(runs_a_day=1, cooldown=timedelta(0)))
    assert found.reason == "1 of 1 retrainings a day were used up."


def test_a_training_on_the_same_rows_is_refused() -> None:
    found = decide(ALARM.model_copy(update={"labelled_rows": 999}), [], NOW, LIMITS)
    assert (
        found.reason == "999 rows were labelled since the champion's dataset, and a retraining wants 1,000."
    )


@pytest.mark.parametrize(("hour", "move"), [(21, "retrain"), (22, "refuse"), (3, "refuse"), (6, "retrain")])
def test_quiet_hours_go_across_midnight(hour: int, move: str) -> None:
    limits = Limits(quiet=(time(22), time(6)))
    assert decide(ALARM, [], NOW.replace(hour=hour), limits).move == move


def test_a_promotion_begins_the_count_of_fruitless_trainings_anew() -> None:
    ledger = [trained(3, "rejected"), trained(5, "failed"), trained(7, "promoted"), trained(9, "rejected")]
    assert decide(ALARM, ledger, NOW, LIMITS).move == "retrain"


def test_what_is_long_ago_costs_nothing() -> None:
    assert decide(ALARM, [trained(31, dollars=1_000.0)], NOW, LIMITS).move == "retrain"


def test_the_previous_champion_comes_back_whatever_was_spent() -> None:
    ledger = [trained(day, "rejected") for day in (1.01, 3, 5)]
    found = decide(ALARM.model_copy(update={"previous_is_better": True}), ledger, NOW, LIMITS)
    assert found.move == "roll_back"


def test_nothing_is_rolled_back_while_a_training_runs() -> None:
    found = decide(ALARM.model_copy(update={"previous_is_better": True}), [trained(0.1, "runs")], NOW, LIMITS)
    assert found.move == "refuse"


def test_a_change_of_state_that_comes_twice_is_decided_once() -> None:
    before = Entry(change=ALARM.change, at=NOW, move="retrain", reason="first", ending="runs")
    found = decide(ALARM, [before], NOW, LIMITS)
    assert (found.move, found.reason, found.again) == ("retrain", "first", True)


def test_refusals_use_up_nothing() -> None:
    assert decide(ALARM, [refused(day) for day in range(1, 20)], NOW, LIMITS).move == "retrain"
