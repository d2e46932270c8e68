"""What `sluice predict` asks by id, and how it says what is missing."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from cli import executions, main, materialization, prediction
from cli import stack as stacks
from cli.entities import Entities
from cli.serving import Served
from cli.stack import Stack
from sluice.contract import Feature, ModelContract, TargetContract
from sluice.errors import SluiceError
from sluice.features.plan import FeaturePlan, Key, OnDemand, Value, View
from tests.support.served import ModelError

CONTRACT = ModelContract(
    features=(
        Feature(name="spent", kind="number", type="number", nullable=True),
        Feature(name="visits", kind="number", type="integer", nullable=True),
    ),
    target=TargetContract(name="y", problem="regression"),
)


def plan(*keys: Key, request: tuple[Value, ...] = ()) -> FeaturePlan:
    spent = (Value(name="spent", type="number"), Value(name="visits", type="integer"))
    return FeaturePlan(
        timestamp="at",
        views=(
            View(name="activity", keys=keys, features=spent),
            View(
                name="unused",
                keys=(Key(name="other", type="integer"),),
                features=(Value(name="z", type="number"),),
            ),
        ),
        on_demand=(
            OnDemand(
                name="ratio",
                mode="python",
                function="f",
                source="def f(x): ...",
                inputs=("spent", *(field.name for field in request)),
                features=(Value(name="r", type="number"),),
            ),
        ),
        request=request,
        model=("activity:spent", "activity:visits", *(("ratio:r",) if request else ())),
    )


CUSTOMER = plan(Key(name="customer_id", type="string"))
SHOP = plan(
    Key(name="customer_id", type="string"),
    Key(name="shop", type="integer"),
    request=(Value(name="amount", type="number"), Value(name="gift", type="boolean")),
)


def entities(of: FeaturePlan) -> Entities:
    found = Entities.of(of, CONTRACT)
    assert found is not None
    return found


class Store:
    """An endpoint that knows some customers, and answers one or many as the container does."""

    exceptions = type("Exceptions", (), {"ModelError": ModelError})

    def __init__(self, down: bool = False) -> None:
        self.bodies: list[list[dict[str, Any]]] = []
        self.down = down

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        rows = [json.loads(line) for line in request["Body"].splitlines()]
        self.bodies.append(rows)
        if self.down:
            raise self._error(
                503, "FeatureStoreUnavailable", "the store was not read\n  why    no such table"
            )
        answers = [self._answer(row) for row in rows]
        if len(rows) == 1 and "error" in answers[0]:
            status = 404 if answers[0]["error"] == "UnknownEntity" else 409
            raise self._error(status, answers[0]["error"], answers[0]["message"])
        body = json.dumps({"predictions": answers}).encode()
        return {"ContentType": "application/json", "Body": io.BytesIO(body)}

    def _answer(self, row: dict[str, Any]) -> dict[str, Any]:
        if row.get("customer_id") == "old":
            why = "those of the view 'activity' are of yesterday"
            return {
                "error": "StaleFeatures",
                "message": f"the features are stale\n  why    {why}\n  to do  x",
            }
        if not str(row.get("customer_id")).startswith("C"):
            return {"error": "UnknownEntity", "message": "the online store has no features\n  to do  x"}
        return {"value": float(len(row))}

    def _error(self, status: int, error: str, message: str) -> ModelError:
        made = ModelError(status, message)
        response: Any = made.response
        response["OriginalMessage"] = json.dumps({"error": error, "message": message})
        return made


def served(store: Store, of: FeaturePlan | None = CUSTOMER) -> Served:
    return Served("bank", store, CONTRACT, derives=True, entities=Entities.of(of, CONTRACT))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    monkeypatch.setattr(stacks, "current", lambda _name: Stack({}, {}))
    monkeypatch.setattr(Served, "by", lambda _stack: served(store))
    return store


def test_one_key_is_named_as_it_stands_several_by_name() -> None:
    lone = entities(CUSTOMER)
    assert lone.names == ("customer_id",)
    assert lone.records(["a=b,c", "007"], []) == [{"customer_id": "a=b,c"}, {"customer_id": "007"}]
    assert lone.records(["customer_id=C1"], []) == [{"customer_id": "C1"}]

    several = entities(SHOP)
    assert several.names == ("customer_id", "shop", "amount", "gift")
    given = ["amount=3.0", "gift="]
    expected = {"customer_id": "C1", "shop": 9007199254740993, "amount": 3.0, "gift": None}
    assert several.records(["shop=9007199254740993,customer_id=C1"], given) == [expected]
    assert several.records(['"customer_id=a,b",shop=-7'], given)[0]["customer_id"] == "a,b"


@pytest.mark.parametrize(
    ("id_", "given", "told"),
    [
        ("C1", ["amount=1", "gift=true"], "named by 'customer_id', 'shop'"),
        ("customer_id=C1", ["amount=1", "gift=true"], "named by 'customer_id', 'shop'"),
        ("customer_id=C1,shop=x", ["amount=1", "gift=true"], "shop is an integer"),
        ("customer_id=,shop=1", ["amount=1", "gift=true"], "customer_id is a text that is not empty"),
        ("customer_id=C1,shop=1", ["amount=1"], "are missing: 'gift'"),
        ("customer_id=C1,shop=1", ["amount=nan", "gift=true"], "amount is a number"),
        ("customer_id=C1,shop=1", ["amount=1", "gift=yes"], "gift is true or false"),
        ("customer_id=C1,shop=1", ["amount=1", "amount=2", "gift=true"], "'amount' is there more than once"),
        ("customer_id=C1,shop=1", ["price=1"], "'price' is none of them: the model takes 'amount', 'gift'"),
    ],
)
def test_what_names_no_entity_is_told(id_: str, given: list[str], told: str) -> None:
    with pytest.raises(SluiceError) as caught:
        entities(SHOP).records([id_], given)
    assert told in str(caught.value)
    assert caught.value.fix


def test_each_id_has_its_answer_and_what_is_missing_is_told_in_one_line(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["predict", "--id", "C1", "--id", "old", "--id", "nobody", "--id", "C2"]) == 1

    told = capsys.readouterr()
    assert told.out == 'value\n1.0\n""\n""\n1.0\n'
    assert len(store.bodies) == 1
    stale, unknown, sum_ = told.err.splitlines()
    assert stale.startswith("  old: the features are stale (those of the view 'activity' are of yesterday): ")
    assert "sluice materialize --wait" in stale
    assert unknown.startswith("  nobody: the online store has no features: upload its events")
    assert sum_.startswith("2 of 4 ids have no prediction")

    for alone in ("old", "nobody"):
        assert main.main(["predict", "--id", alone]) == 1
        assert capsys.readouterr().err.splitlines()[0] in (stale, unknown)
    assert main.main(["predict", "--id", "C1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"value": 1.0}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.csv", "customer_id\nC1\nx\n" + "y\n" * 30),
        ("ids.jsonl", '{"customer_id":"C1"}\n' + '{"customer_id":"x"}\n' * 31),
    ],
)
def test_a_file_of_ids_is_asked_by_id_however_many_are_unknown(
    store: Store, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    found = list(prediction.predict_file(served(store), tmp_path / name))
    assert [answer.prediction for answer in found] == [{"value": 1.0}, *[None] * 31]
    assert store.bodies[0][0] == {"customer_id": "C1"}


def test_full_rows_are_asked_as_full_rows(store: Store, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("customer_id,spent,visits\nC1,2.5,3\n")
    list(prediction.predict_file(served(store), tmp_path / "rows.csv"))
    assert store.bodies == [[{"spent": 2.5, "visits": 3}]]


@pytest.mark.parametrize("columns", ["customer_id,at,amount", "at,amount"])
def test_a_log_is_neither_and_it_is_told_how_to_ask(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    (tmp_path / "log.csv").write_text(f"{columns}\n" + ",".join(["C1"] * len(columns.split(","))) + "\n")
    assert main.main(["predict", "--file", str(tmp_path / "log.csv")]) == 1
    told = capsys.readouterr().err
    assert "sluice predict --id C1" in told
    assert "exactly the column 'customer_id'" in told
    assert "build_features" not in told
    assert not store.bodies


def test_a_model_without_a_store_says_so() -> None:
    with pytest.raises(SluiceError, match="cannot be asked by id"):
        served(Store(), None).by_id()


def test_a_store_that_is_not_read_is_an_error_with_its_reason() -> None:
    with pytest.raises(prediction.Refused, match="cannot read the online store") as caught:
        list(prediction.predict_ids(served(Store(down=True)), [{"customer_id": "C1"}]))
    assert "no such table" in str(caught.value)


@pytest.mark.parametrize("arguments", [[], ["--id", "C1", "--file", "a.csv"]])
def test_either_ids_or_a_file(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["predict", *arguments])
    assert ended.value.code == 2
    assert "--id" in capsys.readouterr().err


class StepFunctions:
    """A machine that is started."""

    def __init__(self) -> None:
        self.started: list[dict[str, str]] = []

    def start_execution(self, **request: Any) -> dict[str, Any]:
        assert request["stateMachineArn"] == "machine"
        self.started.append(json.loads(request["input"]))
        return {"executionArn": "execution"}


def test_a_materialization_is_started_as_of_a_moment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = StepFunctions()
    monkeypatch.setattr(Stack, "client", lambda _self, _service: machine)
    monkeypatch.setattr(stacks, "current", lambda _name: Stack({"MaterializationArn": "machine"}, {}))

    assert main.main(["materialize"]) == 0
    assert main.main(["materialize", "--moment", "2026-03-01T02:00+02:00", "--dataset", "abc"]) == 0
    assert main.main(["materialize", "--moment", "2026-03-01"]) == 0
    at = "2026-03-01T00:00:00Z"
    assert machine.started == [{}, {"moment": at, "dataset": "abc"}, {"moment": at}]

    assert main.main(["materialize", "--moment", "soon"]) == 1
    assert "this is no moment" in capsys.readouterr().err
    monkeypatch.setattr(stacks, "current", lambda _name: Stack({}, {}))
    assert main.main(["materialize"]) == 1
    assert "this project has no online store" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "output", "line", "code"),
    [
        (
            "SUCCEEDED",
            {
                "dataset_version": "ab",
                "moment": "T",
                "written": 1200,
                "held": 3,
                "removed": 2,
                "superseded": 0,
            },
            "  features as of T: 1,200 written, 3 held, 2 removed, 0 superseded",
            0,
        ),
        ("SUCCEEDED", {"dataset_version": None, "moment": "T"}, "  there is no dataset yet", 0),
        ("FAILED", None, "  NoDataset: none is called x", 1),
    ],
)
def test_its_end_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: str,
    output: dict[str, Any] | None,
    line: str,
    code: int,
) -> None:
    described = {"status": status, "error": "NoDataset", "cause": "none is called x"}
    described |= {"output": json.dumps(output)} if output else {}
    monkeypatch.setattr(Stack, "client", lambda _self, _service: StepFunctions())
    monkeypatch.setattr(stacks, "current", lambda _name: Stack({"MaterializationArn": "machine"}, {}))
    progress = executions.Progress()
    monkeypatch.setattr(executions, "watch", lambda _stack, _arn: (described, progress))

    assert main.main(["materialize", "--wait"]) == code
    assert any(told.startswith(line) for told in capsys.readouterr().err.splitlines())


def test_the_materialization_of_a_training_is_called_like_its_jobs() -> None:
    outputs = {
        "Project": "shop",
        "Environment": "local",
        "MaterializationArn": "arn:aws:states:us-east-1:1:stateMachine:sluice-shop-local-materialization",
    }
    training = "arn:aws:states:us-east-1:1:execution:sluice-shop-local-training:log-1"
    digest = hashlib.sha256(training.encode()).hexdigest()[:16]
    assert materialization.of(Stack(outputs, {}), training) == (
        f"arn:aws:states:us-east-1:1:execution:sluice-shop-local-materialization:shop-local-{digest}"
    )
    with pytest.raises(materialization.NotMaterialized, match="no online store"):
        materialization.of(Stack({"Project": "shop", "Environment": "local"}, {}), training)
