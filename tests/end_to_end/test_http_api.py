"""The HTTP API on the local AWS: API Gateway, the function, the endpoint, and back, over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cli import main, stack
from cli.serving import Served
from sluice.api import problem_details
from tests.support.bank import Bank, bank_rows, write_csv, write_project

TRAIN = '''\
"""A model that fails over one age."""

from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


class Touchy(HistGradientBoostingClassifier):
    def predict_proba(self, X):
        if (X == 113).any():
            raise ValueError("a secret of the model")
        return super().predict_proba(X)


def build_model(hyperparameters):
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
        remainder="passthrough",
        sparse_threshold=0,
    )
    return make_pipeline(encode, Touchy(max_iter=20, random_state=0))
'''
API = '\n[api]\nauthorization = "api_key"\nmax_rows = 3\nmax_body_kb = 8\nrate_per_second = 1000\nburst = 1000\n'
RECORD = {"age": 44, "balance": 1200.5, "job": "nurse", "mode": "ok"}


@dataclass(frozen=True)
class Told:
    """An answer over HTTP."""

    status: int
    headers: Any
    document: Any


@dataclass
class Desk:
    """A deployed project with an API, asked over HTTP."""

    deployed: Bank
    folder: Path
    work: Path
    key: str = ""
    before: Told | None = None

    @property
    def url(self) -> str:
        found = stack.api_url(self.deployed.stack)
        assert found is not None
        return found

    def ask(self, body: Any, *, path: str = "/invocations", verb: str = "POST", **headers: str) -> Told:
        url = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=60)
        sent = {
            "Content-Type": "application/json",
            "x-api-key": self.key,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(verb, url.path + path, content, sent)
            answer = connection.getresponse()
            return Told(answer.status, answer.headers, json.loads(answer.read()))
        finally:
            connection.close()

    def refused(self, status: int, code: str, body: Any, **how: str) -> dict[str, Any]:
        """Ask for what is refused, and give the problem."""
        told = self.ask(body, **how)
        assert (told.status, told.document.get("code")) == (status, code), told.document
        assert told.headers["Content-Type"] == "application/problem+json"
        jsonschema.validate(told.document, problem_details.SCHEMA)
        problem: dict[str, Any] = told.document
        return problem


@pytest.fixture(scope="module")
def desk(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    work = tmp_path_factory.mktemp("desk")
    write_project(work / "project", name="desk")
    toml = work / "project" / "project.toml"
    toml.write_text(toml.read_text() + API)
    (work / "project" / "train.py").write_text(TRAIN)
    desk = Desk(bank.beside(work / "project", work), work / "project", work)
    client = desk.deployed.stack.client("apigateway")
    desk.key = client.get_api_key(apiKey=desk.deployed.stack.outputs["ApiKeyId"], includeValue=True)["value"]
    desk.before = desk.ask(RECORD)
    summary = desk.deployed.train(write_csv(work / "rows.csv", bank_rows(600)))
    assert summary["outcome"] == "Deployed", summary
    return desk


@pytest.fixture
def sluice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command line, as somebody types it where this stack runs."""
    monkeypatch.setattr("cli.stack.current", lambda _name: desk.deployed.stack)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main.main(list(arguments))
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_before_the_first_model_the_api_says_so(desk: Desk) -> None:
    assert desk.before is not None
    assert (desk.before.status, desk.before.document["code"]) == (503, "NoModel")
    assert desk.before.document["detail"] == "No model is in service here yet."


def test_the_api_says_what_the_endpoint_says(desk: Desk) -> None:
    served = Served.by(desk.deployed.stack)
    direct = served.runtime.invoke_endpoint(
        EndpointName=served.endpoint, ContentType="application/json", Body=json.dumps([RECORD, RECORD])
    )
    told = desk.ask([RECORD, RECORD])
    assert told.status == 200
    assert told.document == json.loads(direct["Body"].read())
    assert len(told.document["predictions"]) == 2
    # Without an id of the caller's the prediction has that of the request.
    assert told.headers["X-Inference-Id"] == told.headers["x-amzn-RequestId"]
    assert desk.ask(RECORD, X_Inference_Id="order-7").headers["X-Inference-Id"] == "order-7"


def test_what_is_no_request_is_refused_by_the_gateway(desk: Desk) -> None:
    for body in (b'{"age": 44', b"", b'"text"', [], {"age": {"of": 1}}, [RECORD] * 4):
        problem = desk.refused(400, "InvalidBody", body)
        assert "with 1 to 3 rows, as JSON" in problem["detail"]
        assert "inference_id" not in problem


def test_a_value_of_another_type_is_refused_in_the_models_own_words(desk: Desk) -> None:
    problem = desk.refused(400, "RequestError", [RECORD, {**RECORD, "age": "old"}], X_Inference_Id="order-8")
    assert problem["detail"].startswith(
        "row 2, column 'age': found the string 'old', expected a whole number"
    )
    assert problem["inference_id"] == "order-8"
    problem = desk.refused(400, "RequestError", {"age": 44})
    assert "missing: 'balance', 'job', 'mode'" in problem["detail"]


def test_a_body_beyond_the_projects_limit_is_413(desk: Desk) -> None:
    problem = desk.refused(413, "BodyTooLarge", {**RECORD, "job": "x" * 8192})
    assert "8,192 are taken at most" in problem["detail"]
    # More than API Gateway and Lambda take: the gateway's own refusal.
    problem = desk.refused(413, "BodyTooLarge", {**RECORD, "job": "x" * 11_000_000})
    assert problem["detail"] == "A body has at most 8,192 bytes."


def test_other_types_paths_and_verbs_are_problems_too(desk: Desk) -> None:
    desk.refused(415, "UnsupportedMediaType", RECORD, Content_Type="text/csv")
    for path, verb in (("/", "POST"), ("/ping", "GET"), ("/invocations", "GET"), ("/invocations/x", "POST")):
        problem = desk.refused(404, "NotFound", RECORD, path=path, verb=verb)
        assert problem["detail"] == "There is no such path: POST /invocations is what there is."


def test_without_the_key_nobody_is_asked(desk: Desk) -> None:
    for wrong in ("", "x" * 40):
        desk.refused(403, "InvalidApiKey", RECORD, x_api_key=wrong)


def test_a_model_that_fails_is_502_and_its_secrets_stay(desk: Desk) -> None:
    problem = desk.refused(502, "ModelError", {**RECORD, "age": 113})
    assert problem["detail"] == "The model failed over this request, with status 500."
    assert "secret" not in json.dumps(problem)
    assert desk.ask(RECORD).status == 200


def test_the_openapi_document_is_that_of_the_model(
    desk: Desk, sluice: Callable[..., tuple[int, str, str]]
) -> None:
    file = desk.work / "openapi.json"
    status, _, err = sluice("api", "--openapi", str(file))
    assert status == 0, err
    made = json.loads(file.read_text())
    assert made["servers"] == [{"url": desk.url}]
    served = Served.by(desk.deployed.stack)
    assert made["info"]["version"] == served.contract.dataset_version
    request = jsonschema.Draft202012Validator(made["components"]["schemas"]["PredictionRequest"])
    answer = jsonschema.Draft202012Validator(made["components"]["schemas"]["Predictions"])
    (content,) = made["paths"]["/invocations"]["post"]["requestBody"]["content"].values()
    for body in (content["example"], RECORD, {**RECORD, "balance": None}, {"instances": [RECORD]}):
        assert request.is_valid(body)
        told = desk.ask(body)
        assert told.status == 200, told.document
        answer.validate(told.document)
    for body in ({**RECORD, "age": 1.5}, {**RECORD, "more": 1}, [[1, 2]], {**RECORD, "job": None}):
        assert not request.is_valid(body)
        assert desk.ask(body).status == 400


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.fixed_dictionaries(
    {
        "age": st.integers(0, 100) | ANY,
        "balance": st.none() | st.floats(-1e6, 1e6) | ANY,
        "job": st.sampled_from(["clerk", "nurse", ""]) | ANY,
        "mode": st.just("ok") | ANY,
    }
)
BODIES = st.one_of(
    ANY,
    RECORDS,
    st.lists(RECORDS, max_size=4),
    st.fixed_dictionaries({"instances": st.lists(RECORDS | st.lists(ANY, max_size=5), max_size=3)}),
    st.fixed_dictionaries({"dataframe_split": st.fixed_dictionaries({"data": st.lists(ANY, max_size=3)})}),
)


def test_whatever_is_sent_the_answer_is_one_of_the_document(
    desk: Desk, sluice: Callable[..., tuple[int, str, str]]
) -> None:
    _, out, _ = sluice("api", "--openapi", "-")
    made = json.loads(out)
    parts = made["components"]["schemas"]
    request, answer = (
        jsonschema.Draft202012Validator(parts[name]) for name in ("PredictionRequest", "Predictions")
    )
    seen: set[int] = set()

    @settings(max_examples=150, deadline=None, database=None)
    @given(BODIES)
    @example(RECORD)
    def hold(body: Any) -> None:
        told = desk.ask(body)
        seen.add(told.status)
        assert str(told.status) in made["paths"]["/invocations"]["post"]["responses"], told.document
        if told.status == 200:
            # A text of blanks is null to the model; that no schema says. All that it takes has the form.
            assert request.is_valid(body)
            answer.validate(told.document)
        else:
            assert told.status == 400, told.document
            jsonschema.validate(told.document, parts["Problem"])

    hold()
    assert seen == {200, 400}


def test_the_command_says_how_it_is_asked(desk: Desk, sluice: Callable[..., tuple[int, str, str]]) -> None:
    assert sluice("api", "--key")[:2] == (0, f"{desk.key}\n")
    status, out, _ = sluice("api", "--json")
    told = json.loads(out)
    assert (status, told["url"], told["authorization"]) == (0, f"{desk.url}/invocations", "api_key")
    assert desk.key not in out
    status, out, _ = sluice("api")
    assert out.splitlines()[0] == f"{desk.url}/invocations"
    line = told["curl"].replace("$(sluice api --key)", desk.key)
    assert json.loads(run(line, {}))["predictions"]


def run(line: str, env: dict[str, str]) -> str:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    named = {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"} | env
    done = subprocess.run(
        ["sh", "-c", f"{line} --silent"], env=named, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_where_iam_says_who_may_the_request_is_signed(
    desk: Desk, sluice: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = desk.folder / "project.toml"
    toml.write_text(toml.read_text().replace('authorization = "api_key"', 'authorization = "iam"'))
    signed = desk.deployed.beside(desk.folder, desk.work)
    assert stack.api_url(signed.stack) == desk.url
    monkeypatch.setattr("cli.stack.current", lambda _name: signed.stack)

    problem = desk.refused(403, "MissingAuthenticationToken", RECORD)
    assert "not signed" in problem["detail"]
    status, out, _ = sluice("api", "--json")
    assert (status, json.loads(out)["authorization"]) == (0, "iam")
    assert json.loads(run(json.loads(out)["curl"], signed.stack.aws_env))["predictions"]
    guessed = json.loads(
        run(json.loads(out)["curl"], signed.stack.aws_env | {"AWS_SECRET_ACCESS_KEY": "guessed"})
    )
    assert (guessed["status"], guessed["code"]) == (403, "InvalidSignature")
    status, _, err = sluice("api", "--key")
    assert (status, "there is no API key" in err) == (1, True)
