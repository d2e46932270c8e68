"""The handlers of `drift`: whatever ends half-way, comes late or runs twice, each record is judged once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lambdas import count_captures, judge_drift, plan_drift
from lambdas.adapters import settings
from sluice import keys
from sluice.column_names import PREDICTION
from sluice.contract import Feature, ModelContract, TargetContract
from sluice.monitoring import windows
from sluice.monitoring.drift import DriftVerdict
from sluice.monitoring.model_reference import ModelReference, answers_of
from sluice.monitoring.windows import DriftLedger
from sluice.payloads.drift import JudgedDrift
from sluice.payloads.evaluation import Importance, Importances
from tests.support.bucket import Bucket
from tests.support.captured import record
from tests.support.page import Page

PROJECT = """\
[project]
name = "shop"
[target]
column = "y"
problem = "binary"
positive = "yes"
[columns.age]
type = "number"
[columns.plan]
type = "string"
[features]
numeric = ["age"]
categorical = ["plan"]
[capture]
percent = 100
[drift]
every = "hour"
"""
CONTRACT = ModelContract(
    features=(
        Feature(name="age", kind="number", type="number", nullable=True),
        Feature(name="plan", kind="category", type="string", nullable=True),
    ),
    target=TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes"),
)
MODEL = "models/shop-dev-1-train/output/model.tar.gz"
ENDPOINT = "sluice-shop-dev"
RELEASED = "2026-03-01T11:00:00.250Z"
FOLDER = f"captures/{ENDPOINT}/AllTraffic/2026/03/01"


class Crash(Exception):
    """The process ends here."""


def table(rows: int, seed: int, moved: float = 0.0) -> tuple[pa.Table, np.ndarray]:
    draws = np.random.default_rng(seed)
    age = draws.normal(40 + moved, 10, rows)
    plan = draws.choice(["basic", "plus"], rows)
    chances = 1 / (1 + np.exp(-(age - 40) / 10))
    return pa.table({"age": pa.array(age), "plan": pa.array(plan)}), np.column_stack([1 - chances, chances])


def captured(rows: int, seed: int, moved: float = 0.0, at: str = "2026-03-01T12:00:00Z") -> bytes:
    asked, said = table(rows, seed, moved)
    lines = []
    for row, (_, chance) in zip(asked.to_pylist(), said.tolist(), strict=True):
        body = json.dumps(row).encode()
        answer = json.dumps({"predictions": [{"label": "yes", "probability": chance}]}).encode()
        lines.append(record(body, answer, content_type="application/json", at=at))
    return b"".join(lines)


@dataclass
class World:
    """The bucket, and what became of metrics."""

    bucket: Bucket = field(default_factory=Bucket)
    published: list[dict[str, float]] = field(default_factory=list)
    runs: int = 0

    def capture(self, name: str, body: bytes) -> str:
        key = f"{FOLDER}/{name}.jsonl"
        self.bucket.write(key, body, "application/json")
        return key

    def plan(self, execution: str, model: str | None = "shop-dev-1") -> dict[str, Any]:
        uri = None if model is None else f"s3://artifacts/{MODEL}"
        released = None if model is None else RELEASED
        event = {"execution": execution, "model_name": model, "model_uri": uri, "released_at": released}
        return plan_drift.handler(event, None)

    def run(self, model: str | None = "shop-dev-1") -> JudgedDrift:
        """One execution of the machine."""
        self.runs += 1
        execution = f"run-{self.runs}"
        plan = self.plan(execution, model)
        for part in plan["parts"]:
            count_captures.handler(part, None)
        answer = judge_drift.handler({"execution": execution, "window": plan["window"]}, None)
        return JudgedDrift.model_validate(answer)

    @property
    def ledger(self) -> DriftLedger:
        return DriftLedger.model_validate_json(self.bucket.objects[keys.drift_ledger()])

    def verdict(self, window: str) -> DriftVerdict:
        return DriftVerdict.model_validate_json(self.bucket.objects[keys.drift_verdict(window)])

    def verdicts(self) -> Iterator[DriftVerdict]:
        """Those of closed windows that were judged, each once."""
        for key in sorted(self.bucket.objects):
            if key.endswith("/verdict.json"):
                found = DriftVerdict.model_validate_json(self.bucket.objects[key])
                if found.is_judged:
                    yield found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World()
    rows, said = table(4000, 1)
    answers = answers_of(said, said.argmax(axis=1), CONTRACT)
    worth = Importances(
        metric="roc_auc",
        features=(
            Importance(feature="age", loss=0.2, error=0.01),
            Importance(feature="plan", loss=-0.01, error=0.01),
        ),
    )
    reference = ModelReference.of(f"s3://artifacts/{MODEL}", rows, answers, CONTRACT, worth)
    made.bucket.write(keys.reference(MODEL), reference.body(), "application/json")
    (tmp_path / "project.toml").write_text(PROJECT)
    monkeypatch.setenv("ARTIFACTS_BUCKET", "artifacts")
    monkeypatch.setenv("PROJECT_FILE", str(tmp_path / "project.toml"))
    monkeypatch.setenv("ENDPOINT_NAME", ENDPOINT)
    for each in (settings.settings, settings.project, settings.drift_settings):
        each.cache_clear()
        monkeypatch.setattr(settings, each.__name__, each)
    for module in (plan_drift, count_captures, judge_drift):
        monkeypatch.setattr(module, "S3Artifacts", lambda _name: made.bucket)

    def put(namespace: str, values: dict[str, float], dimensions: dict[str, str]) -> None:
        assert (namespace, dimensions) == ("Sluice/Drift", {"EndpointName": ENDPOINT})
        made.published.append(values)

    monkeypatch.setattr(judge_drift, "put_metrics", put)
    yield made
    for each in (settings.settings, settings.project, settings.drift_settings):
        each.cache_clear()


def test_traffic_like_the_reference_is_stable_and_read_once(world: World) -> None:
    world.capture("12/a", captured(800, 2))

    first, second = world.run(), world.run()

    assert (first.outcome, first.rows, first.drifted) == ("Stable", 800, ())
    assert (second.outcome, second.rows) == ("NoTraffic", 0)
    assert world.published[0]["Rows"] == 800
    assert world.published[0]["DriftedColumns"] == world.published[0]["PredictionDrifted"] == 0
    assert 0 < world.published[0]["VisibleShift"] < 0.3
    # Of a window that was not judged nothing is said: no drift would be a finding.
    assert world.published[1] == {"Rows": 0, "UnreadRecords": 0}
    assert (world.ledger.open, world.ledger.closed, world.ledger.last) == (None, 2, "run-2")


def test_a_moved_feature_and_what_it_does_to_the_answers_are_told(world: World) -> None:
    world.capture("12/a", captured(800, 2, moved=6.0))

    found = world.run()

    assert found.outcome == "Drifted"
    assert set(found.drifted) == {"age", PREDICTION}
    [told] = world.published
    assert (told["DriftedColumns"], told["PredictionDrifted"]) == (1, 1)
    assert told["PredictionDrift"] > 0.05
    verdict = world.verdict(found.window)
    assert verdict.verdict.columns["age"].importance == 0.2
    assert verdict.verdict.columns["plan"].importance == 0.0
    page = Page(world.bucket.objects[keys.drift_page(found.window)].decode())
    assert "drifted" in page.text
    assert "what the model answers" in page.text
    assert "2 of 3 columns moved" in page.text
    assert "800 rows, answered from 2026-03-01 12:00 to 2026-03-01 12:00 UTC." in page.text


def test_too_few_rows_wait_and_are_judged_with_the_next_ones(world: World) -> None:
    world.capture("12/a", captured(200, 2))
    few = world.run()
    world.capture("13/b", captured(200, 3))

    enough, nothing = world.run(), world.run()

    assert (few.outcome, few.rows) == ("TooFew", 200)
    assert "They wait for the next window." in few.sentence
    assert (enough.outcome, enough.rows) == ("Stable", 400)
    assert nothing.outcome == "NoTraffic"


def test_a_file_that_comes_late_is_the_next_windows_whatever_hour_it_is_of(world: World) -> None:
    world.capture("13/a", captured(400, 2))
    assert world.run().rows == 400
    late = world.capture("09/late", captured(500, 3))

    assert world.run().rows == 500
    assert late in world.ledger.consumed


def test_what_expires_is_forgotten(world: World) -> None:
    gone = world.capture("12/a", captured(400, 2))
    world.run()
    del world.bucket.objects[gone]
    kept = world.capture("13/b", captured(400, 3))

    world.run()

    assert world.ledger.consumed == (kept,)


def test_an_object_that_is_gone_before_it_is_counted_is_told_and_stops_nothing(world: World) -> None:
    world.capture("12/a", captured(400, 2))
    gone = world.capture("12/b", captured(400, 3))
    plan = world.plan("stopped")
    del world.bucket.objects[gone]

    found = world.run()

    assert (found.outcome, found.rows, found.window) == ("Stable", 400, plan["window"])
    assert "1 capture objects were gone before they were counted." in found.sentence


def test_corrupt_lines_and_errors_are_counted_beside_the_rows(world: World) -> None:
    refused = record(b'{"age": 1}', b'{"error":"RequestError"}', content_type="application/json")
    body = captured(400, 2) + b'{"captureData": {"endpointInput"\n' + refused
    key = world.capture("12/a", body)

    found = world.verdict(world.run().window)

    assert (found.outcome, found.verdict.rows, found.records) == ("Stable", 400, 402)
    assert found.unread == {"corrupt": 1, "no_features": 1}
    assert [(each.key, each.line, each.reason) for each in found.aside] == [
        (key, 401, "corrupt"),
        (key, 402, "no_features"),
    ]
    assert world.published[-1]["UnreadRecords"] == 2


def test_requests_that_nothing_can_be_read_of_are_traffic(world: World) -> None:
    by_id = record(b'{"entities": [{"id": 7}]}', b"{}", content_type="application/json")
    world.capture("12/a", by_id * 500)

    first, second = world.run(), world.run()

    assert (first.outcome, first.rows) == ("TooFew", 0)
    assert first.sentence.startswith("Nothing could be read.")
    assert "500 requests without the model's features" in first.sentence
    # They hold no rows that could wait: they are not read again.
    assert (second.outcome, world.verdict(second.window).records) == ("NoTraffic", 0)


def test_what_an_earlier_model_answered_is_not_held_against_this_ones_reference(world: World) -> None:
    world.capture("10/a", captured(900, 2, moved=20.0, at="2026-03-01T10:59:59Z"))
    world.capture("12/a", captured(400, 3))

    found = world.run()

    assert (found.outcome, found.rows) == ("Stable", 400)
    assert "900 requests were answered before this model was released." in found.sentence


def test_before_the_first_release_there_is_nothing_to_look_at(world: World) -> None:
    plan = world.plan("early", model=None)

    assert (plan["window"], plan["parts"]) == (None, [])
    assert keys.drift_ledger() not in world.bucket.objects


def test_a_model_without_a_reference_is_refused_in_words(world: World) -> None:
    del world.bucket.objects[keys.reference(MODEL)]
    with pytest.raises(Exception, match="cannot be held against anything") as raised:
        world.plan("run")
    assert type(raised.value).__name__ == "NoReference"
    assert "train again" in str(raised.value)


def test_a_window_that_was_left_open_is_gone_on_with_as_it_was(world: World) -> None:
    world.capture("12/a", captured(400, 2))
    left = world.plan("stopped")
    world.capture("12/b", captured(500, 3))

    resumed = world.plan("next")
    assert (resumed["resumed"], resumed["window"], resumed["parts"]) == (True, "stopped", left["parts"])
    assert [world.run().rows for _ in range(3)] == [400, 500, 0]


def test_a_plan_whose_answer_was_lost_is_planned_again_alike(world: World) -> None:
    world.capture("12/a", captured(400, 2))
    assert world.plan("run") == world.plan("run")


def test_two_runs_at_once_judge_one_window_and_count_it_once(world: World) -> None:
    world.capture("12/a", captured(400, 2))
    first, second = world.plan("first"), world.plan("second")
    assert second["window"] == first["window"] == "first"
    for plan in (first, second):
        for part in plan["parts"]:
            count_captures.handler(part, None)
    answers = [
        judge_drift.handler({"execution": name, "window": "first"}, None) for name in ("first", "second")
    ]

    assert answers[0] == answers[1]
    assert (world.ledger.closed, len(list(world.verdicts()))) == (1, 1)
    assert world.run().outcome == "NoTraffic"


def test_of_two_that_open_a_window_at_once_one_is_told_to_try_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.capture("12/a", captured(400, 2))
    write = world.bucket.write
    done: list[str] = []

    def meanwhile(key: str, body: bytes, media_type: str) -> None:
        write(key, body, media_type)
        if not done:
            done.append(key)
            world.plan("other")

    monkeypatch.setattr(world.bucket, "write", meanwhile)
    with pytest.raises(Exception, match="another run moves the ledger") as raised:
        world.plan("one")
    assert type(raised.value).__name__ == "StorageUnavailable"
    assert world.plan("one")["window"] == "other"


def test_a_run_may_end_at_any_write_and_the_next_ones_come_to_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "PART_OBJECTS", 1)
    bodies = {f"12/{name}": captured(200, seed) for seed, name in enumerate("abcd")}
    put = world.bucket._put
    countdown: list[int] = []

    def crashing(key: str, body: bytes) -> None:
        if countdown:
            countdown[0] -= 1
            if countdown[0] == 0:
                raise Crash(key)
        put(key, body)

    monkeypatch.setattr(world.bucket, "_put", crashing)
    # Window, ledger, four counts, verdict, page, ledger.
    for writes in range(1, 10):
        for key in [each for each in world.bucket.objects if each.startswith(("drift/", "captures/"))]:
            del world.bucket.objects[key]
        for name, body in bodies.items():
            world.capture(name, body)
        countdown[:] = [writes]
        with pytest.raises(Crash):
            world.run()
        countdown.clear()
        late = captured(300, 9)
        world.capture("12/late", late)
        ended = [world.run() for _ in range(3)]

        judged = [each.rows for each in ended if each.outcome == "Stable"]
        assert sum(judged) == 1100, writes
        assert ended[-1].outcome == "NoTraffic"
        assert len(world.ledger.consumed) == 5


def test_a_part_that_was_not_counted_is_missed(world: World) -> None:
    world.capture("12/a", captured(400, 2))
    plan = world.plan("run")
    with pytest.raises(Exception, match="part 0 of the window run was not counted"):
        judge_drift.handler({"execution": "run", "window": plan["window"]}, None)


def test_a_window_that_is_not_open_any_more_closes_nothing(world: World) -> None:
    world.capture("12/a", captured(400, 2))
    world.run()
    world.capture("12/b", captured(400, 3))
    world.run()
    with pytest.raises(Exception, match="is not the one that is open"):
        judge_drift.handler({"execution": "late", "window": "run-1"}, None)
    assert world.ledger.last == "run-2"


def test_what_does_not_fit_into_a_window_is_the_next_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "MOST_PARTS", 2)
    monkeypatch.setattr(windows, "PART_OBJECTS", 2)
    for seed in range(5):
        world.capture(f"12/{seed}", captured(150, seed))

    first, second = world.run(), world.run()

    assert (first.rows, second.rows) == (600, 150)
    assert world.verdict(first.window).left == 1


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({}, ()),
        ({"a": 10, "b": 20}, (("a", "b"),)),
        ({"a": 80_000_000, "b": 10, "c": 60_000_000, "d": 10_000_000}, (("a",), ("b", "c"), ("d",))),
    ],
)
def test_parts_are_of_a_bearable_size(sizes: dict[str, int], expected: Any) -> None:
    assert windows.split_up(sizes, ()) == (expected, 0)
    assert windows.split_up(sizes, sizes) == ((), 0)


def test_the_page_escapes_what_comes_from_the_data(world: World) -> None:
    names = '<b>"plan"</b>'
    contract = CONTRACT.model_copy(
        update={"features": (CONTRACT.features[0], CONTRACT.features[1].model_copy(update={"name": names}))}
    )
    rows, said = table(4000, 1)
    rows = rows.rename_columns(["age", names])
    reference = ModelReference.of(
        f"s3://artifacts/{MODEL}", rows, answers_of(said, said.argmax(axis=1), contract), contract, None
    )
    world.bucket.write(keys.reference(MODEL), reference.body(), "application/json")
    body = captured(800, 2).replace(b'\\"plan\\"', json.dumps(json.dumps(names))[1:-1].encode())
    world.capture("12/a", body)

    found = world.run()

    assert found.rows == 800
    Page(world.bucket.objects[keys.drift_page(found.window)].decode())
