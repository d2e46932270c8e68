"""project.toml: what a mistake in it is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from sluice.errors import ProjectError
from sluice.project import Column, Features, Identity, Project, Target

GOOD = """\
[project]
name = "bank"
[target]
column = "y"
problem = "binary"
positive = "yes"
[columns.age]
type = "integer"
min = 0
[columns.job]
type = "string"
[columns.y]
type = "string"
categories = ["no", "yes"]
[features]
numeric = ["age"]
categorical = ["job"]
"""


def _write(folder: Path, text: str, *hooks: str) -> Path:
    (folder / "project.toml").write_text(text)
    for hook in hooks or ("train.py",):
        (folder / hook).write_text("")
    return folder


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    """Pinned: a default that another release changes would train or judge every project without the key anew."""
    project = Project.load(_write(tmp_path, GOOD))
    assert project.model_dump(exclude={"project", "target", "columns", "features"}) == {
        "data": {"delimiter": ",", "null_values": ("",), "max_rejected_share": 0.05},
        "entity": {"key": None, "timestamp": None},
        "split": {"held_out_share": 0.2, "salt": "bank"},
        "model": {
            "hyperparameters": {},
            "max_runtime_seconds": 3_600,
            "instance_type": "ml.m5.large",
            "image": None,
        },
        "gates": {
            "minimum": {},
            "compare": "roc_auc",
            "rule": "improvement",
            "margin": None,
            "confidence": 0.95,
            "min_held_out_rows": 50,
            "unjudged_champion": "reject",
            "max_row_ms": None,
            "max_model_mb": None,
            "slices": (),
            "fairness": None,
            "max_skew": 0.01,
        },
        "serving": {"instance_type": "ml.t2.medium", "instance_count": 1, "missing": "error"},
        "online": {"as_of": "now", "refresh_minutes": 60, "move_windows": "run"},
        "offline": {"store": "duckdb", "environments": {}, "scan_limit_gb": 100},
        "training": {"spot": False, "environments": {}, "max_wait_seconds": None},
        "search": None,
        "approval": {"environments": (), "expires_hours": 168},
        "capture": {"percent": 0, "days": 30},
        "drift": {"every": "day", "false_alarms_a_month": 0.5, "least_rows": 300, "least_effect": 0.05},
        "deployment": {
            "strategy": "all_at_once",
            "environments": ("prod",),
            "share": None,
            "wait_seconds": 300,
            "keep_old_seconds": 0,
            "max_seconds": None,
            "alarms": {
                "min_requests": 50,
                "min_latency_requests": 300,
                "minutes": 1,
                "of_minutes": 1,
                "max_error_rate": 0.02,
                "max_refused_rate": 0.2,
                "max_latency_ratio": 3.0,
                "max_latency_ms": None,
                "max_answer_shift": 0.25,
                "also": (),
            },
        },
        "batch": {"instance_mb": 64, "max_instances": 4, "max_hours": 24},
        "tracking": {"uri": None, "secret": None, "on_failure": "fail", "enabled": True},
        "api": None,
    }
    assert project.name == "bank"
    assert project.features.names == ("age", "job")
    assert project.columns["job"].model_dump() == {
        "type": "string",
        "nullable": False,
        "min": None,
        "max": None,
        "categories": None,
        "format": None,
        "spelling": None,
    }


@pytest.mark.parametrize(
    ("problem", "compared"), [("binary", "roc_auc"), ("multiclass", "accuracy"), ("regression", "rmse")]
)
def test_a_challenger_is_compared_by_the_problems_usual_metric(
    tmp_path: Path, problem: str, compared: str
) -> None:
    text = GOOD.replace('problem = "binary"', f'problem = "{problem}"')
    if problem != "binary":
        text = text.replace('positive = "yes"\n', "")
    assert Project.load(_write(tmp_path, text)).gates.compare == compared


def test_defaults_from_elsewhere_leave_the_rest_of_a_table_and_what_is_said(tmp_path: Path) -> None:
    tables = "[split]\nheld_out_share = 0.3\n[gates]\nconfidence = 0.9\nminimum = { f1 = 0.5 }\n"
    project = Project.load(_write(tmp_path, GOOD + tables))
    assert (project.split.salt, project.split.held_out_share) == ("bank", 0.3)
    gates = project.gates
    assert (gates.compare, gates.confidence, gates.minimum) == ("roc_auc", 0.9, {"f1": 0.5})
    said = '[split]\nsalt = "bank-2"\n[gates]\ncompare = "f1"\n'
    project = Project.load(_write(tmp_path, GOOD + said))
    assert (project.split.salt, project.gates.compare) == ("bank-2", "f1")


def test_a_project_made_in_code_has_the_same_defaults() -> None:
    project = Project(
        project=Identity(name="bank"),
        target=Target(column="y", problem="regression"),
        columns={"x": Column(type="number"), "y": Column(type="number")},
        features=Features(numeric=("x",)),
    )
    assert (project.split.salt, project.gates.compare) == ("bank", "rmse")


def test_a_default_that_hangs_on_a_mistake_adds_no_mistake(tmp_path: Path) -> None:
    text = GOOD.replace('name = "bank"', 'name = "My Bank"').replace(
        'problem = "binary"', 'problem = "ranking"'
    )
    with pytest.raises(ProjectError) as error:
        Project.load(_write(tmp_path, text))
    assert "2 mistakes:" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "bank"', 'name = "My Bank"', "project.name: found 'My Bank'"),
        ('name = "bank"', 'nmae = "bank"', "project.nmae: unknown key (did you mean 'name'?)"),
        ("[columns.job]\ntype", "[columns.job]\nkind", "columns.job.kind: unknown key"),
        ('type = "integer"', 'type = "int"', "columns.age.type: found 'int'"),
        ("min = 0", "min = 9\nmax = 3", "`min` (9.0) is above `max` (3.0)"),
        ('numeric = ["age"]', 'numeric = ["aeg"]', "no column 'aeg' (did you mean 'age'?)"),
        ('numeric = ["age"]', 'numeric = ["age", "age"]', "listed more than once: age"),
        ('categorical = ["job"]', 'categorical = ["y"]', "the target 'y' is among them"),
        ('positive = "yes"', 'positive = "Yes"', "'Yes' is no category of 'y'; known: no, yes"),
        ('positive = "yes"', "", "`positive` is for problem"),
        (
            "[features]",
            '[tracking]\nurl = "x"\n[features]',
            "tracking.url: unknown key (did you mean 'uri'?)",
        ),
        ("[features]", '[tracking]\nuri = "mlflow"\n[features]', "tracking.uri: found 'mlflow'"),
        ("[features]", '[tracking]\non_failure = "ask"\n[features]', "tracking.on_failure: found 'ask'"),
        (
            "[features]",
            '[tracking]\nsecret = "team/mlflow"\n[features]',
            "tracking: `secret` is for a server with an address of its own",
        ),
        (
            "[features]",
            '[tracking]\nuri = "http://mlflow.example.com"\nsecret = "team/mlflow"\n[features]',
            "tracking: `secret`: a password or token is sent over https:// only",
        ),
        ('problem = "binary"', 'problem = "ranking"', "target.problem: found 'ranking'"),
        ("[features]", '[gates]\ncompare = "rmse"\n[features]', "'rmse' is no binary metric"),
        ("[features]", '[gates]\ncompare = "roc_acu"\n[features]', "(did you mean 'roc_auc'?)"),
        ("[features]", "[gates]\ntolerance = 0.01\n[features]", "gates: `tolerance` is no key any more"),
        (
            "[features]",
            '[[gates.slices]]\ncolumn = "job"\nminimum = { rmse = 1 }\n[features]',
            "gates.slices (job).minimum.rmse: 'rmse' is no binary metric",
        ),
        (
            "[features]",
            '[[gates.slices]]\ncolum = "job"\n[features]',
            "gates.slices.0.colum: unknown key (did you mean 'column'?); allowed: column, cuts, margin,",
        ),
        (
            "[features]",
            '[[gates.slices]]\ncolumn = "jbo"\n[features]',
            "there is no column 'jbo' (did you mean 'job'?)",
        ),
        (
            "[features]",
            '[[gates.slices]]\ncolumn = "job"\ncuts = [3]\n[features]',
            "gates.slices: `cuts` are for numbers, and 'job' holds none",
        ),
        (
            'type = "string"\n[columns.y]',
            'type = "string"\ncategories = ["clerk", "nurse"]\n[[gates.slices]]\ncolumn = "job"\n'
            'values = ["nusre"]\n[columns.y]',
            "gates.slices: 'nusre' is no category of 'job' (did you mean 'nurse'?); known: clerk, nurse",
        ),
        (
            "[features]",
            '[[gates.slices]]\ncolumn = "y"\n[features]',
            "cannot be parted by 'y', which is the target",
        ),
        (
            "[features]",
            '[columns.at]\ntype = "timestamp"\n[gates.fairness]\ncolumns = ["at"]\n[features]',
            "cannot be parted by 'at', which is of type timestamp",
        ),
        (
            "[features]",
            '[gates.fairness]\ncolumns = ["sex"]\n[features]',
            "there is no column 'sex'",
        ),
        (
            "[features]",
            '[gates.fairness]\ncolumn = ["job"]\n[features]',
            "gates.fairness.column: unknown key (did you mean 'columns'?)",
        ),
        (
            "[features]",
            '[model]\nimage = "x"\n[gates]\nmax_row_ms = 3\n[features]',
            "gates.max_row_ms: a model of your own image is judged by its answers",
        ),
        ("[features]", '[entity]\nkey = "id"\n[features]', "entity.key: there is no column 'id'"),
        ("[features]", '[data]\ndelimiter = ";;"\n[features]', "data.delimiter: found ';;'"),
        (
            "[features]",
            '[model]\nhyperparameters = { a = "%}" }\n[features]',
            "mean something in a state machine",
        ),
        ('categories = ["no", "yes"]', "min = 1", "`min` and `max` are for integer and number columns"),
        ("min = 0", "min = nan", "columns.age.min: found nan"),
        ("min = 0", 'categories = [1, "two"]', "`categories` of an integer column: 'two' is no integer"),
        ("min = 0", 'format = "%d"', "`format` is for timestamp columns, not for integer"),
        ("[features]", "[features", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    folder = _write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ProjectError) as error:
        Project.load(folder)
    assert said in str(error.value)
    assert str(tmp_path / "project.toml") in str(error.value)


LONGEST = "x" * 2_500


@pytest.mark.parametrize(
    ("last_allowed", "first_refused", "key"),
    [
        ("[data]\ndelimiter = ';'", "[data]\ndelimiter = ''", "data.delimiter"),
        ("[data]\nmax_rejected_share = 0", "[data]\nmax_rejected_share = -0.01", "data.max_rejected_share"),
        ("[data]\nmax_rejected_share = 1", "[data]\nmax_rejected_share = 1.01", "data.max_rejected_share"),
        ("[split]\nheld_out_share = 0.01", "[split]\nheld_out_share = 0", "split.held_out_share"),
        ("[split]\nheld_out_share = 0.99", "[split]\nheld_out_share = 1", "split.held_out_share"),
        ("[gates]\nconfidence = 0.5", "[gates]\nconfidence = 0.49", "gates.confidence"),
        ("[gates]\nconfidence = 0.99", "[gates]\nconfidence = 0.991", "gates.confidence"),
        (
            "[gates]\nrule = 'non-inferiority'\nmargin = 1e-9",
            "[gates]\nrule = 'non-inferiority'\nmargin = 0",
            "gates.margin",
        ),
        ("[gates]\nmin_held_out_rows = 1", "[gates]\nmin_held_out_rows = 0", "gates.min_held_out_rows"),
        ("[gates]\nmax_skew = 0", "[gates]\nmax_skew = -0.01", "gates.max_skew"),
        ("[gates]\nmax_skew = 1", "[gates]\nmax_skew = 1.01", "gates.max_skew"),
        ("[model]\nmax_runtime_seconds = 1", "[model]\nmax_runtime_seconds = 0", "model.max_runtime_seconds"),
        (
            "[model]\nmax_runtime_seconds = 777_600",
            "[model]\nmax_runtime_seconds = 777_601",
            "model.max_runtime_seconds",
        ),
        ("[serving]\ninstance_count = 1", "[serving]\ninstance_count = 0", "serving.instance_count"),
        ('[serving]\nmissing = "null"', '[serving]\nmissing = "zero"', "serving.missing"),
        (
            f'[model]\nhyperparameters = {{ a = "{LONGEST}" }}',
            f'[model]\nhyperparameters = {{ a = "{LONGEST}x" }}',
            "a is 2501 characters long",
        ),
        (
            "[model.hyperparameters]\n" + "".join(f"a{i} = {i}\n" for i in range(100)),
            "[model.hyperparameters]\n" + "".join(f"a{i} = {i}\n" for i in range(101)),
            "101 hyperparameters",
        ),
        (
            "[columns.n]\ntype = 'number'\nmin = 2\nmax = 2",
            "[columns.n]\ntype = 'number'\nmin = 2\nmax = 1",
            "`min` (2.0) is above `max` (1.0)",
        ),
        (
            "[columns.at]\ntype = 'timestamp'\n[entity]\nkey = 'job'\ntimestamp = 'at'",
            "[entity]\nkey = 'job'\ntimestamp = 'age'",
            "entity.timestamp: 'age' is of type integer",
        ),
    ],
)
def test_what_is_allowed_ends_where_it_is_said_to(
    tmp_path: Path, last_allowed: str, first_refused: str, key: str
) -> None:
    Project.load(_write(tmp_path, f"{GOOD}{last_allowed}\n"))
    with pytest.raises(ProjectError) as error:
        Project.load(_write(tmp_path, f"{GOOD}{first_refused}\n"))
    assert key in str(error.value)


def test_a_project_is_not_changed_once_it_was_read(tmp_path: Path) -> None:
    project = Project.load(_write(tmp_path, GOOD))
    with pytest.raises(ValidationError, match="frozen"):
        project.split.salt = "another"


def test_a_features_hook_may_make_columns_the_file_does_not_have(tmp_path: Path) -> None:
    text = GOOD.replace('numeric = ["age"]', 'numeric = ["age", "age_squared"]')
    project = Project.load(_write(tmp_path, text, "train.py", "features.py"))
    assert "age_squared" in project.features.names


def test_a_folder_without_a_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="sluice init"):
        Project.load(tmp_path)


def test_training_code_is_needed_unless_there_is_an_image(tmp_path: Path) -> None:
    (tmp_path / "project.toml").write_text(GOOD)
    with pytest.raises(ProjectError, match="no training code"):
        Project.load(tmp_path)
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1"
    (tmp_path / "project.toml").write_text(GOOD + f'[model]\nimage = "{image}"\n')
    assert Project.load(tmp_path).model.image == image


@pytest.mark.parametrize("layout", ["%d/%m/%Y", "%Y-%m-%d %H:%M:%S %z", "%d.%m.%y", "%b %d, %Y %I:%M %p"])
def test_a_format_strptime_knows_is_taken(layout: str) -> None:
    assert Column(type="timestamp", format=layout).format == layout


@pytest.mark.parametrize("layout", ["", "DD/MM/YYYY", "%Q", "%d/%m/%Y %"])
def test_a_format_strptime_does_not_know_is_refused(layout: str) -> None:
    with pytest.raises(ValueError, match="is no strptime format"):
        Column(type="timestamp", format=layout)


def test_names_are_the_same_however_their_letters_are_composed(tmp_path: Path) -> None:
    apart, composed = "cate\u0301gorie", "cat\u00e9gorie"
    text = GOOD.replace("[columns.job]", f'[columns."{apart}"]').replace('["job"]', f'["{composed}"]')
    project = Project.load(_write(tmp_path, text))
    assert list(project.columns) == ["age", composed, "y"]
    assert project.features.categorical == (composed,)


def test_a_name_in_two_ways_is_a_mistake(tmp_path: Path) -> None:
    twice = '[columns."\u00e9"]\ntype = "string"\n[columns."e\u0301"]\ntype = "string"\n'
    with pytest.raises(ProjectError, match="columns: '\u00e9' is there twice"):
        Project.load(_write(tmp_path, GOOD + twice))


def test_nobody_is_asked_for_an_approval_where_nothing_is_said(tmp_path: Path) -> None:
    approval = Project.load(_write(tmp_path, GOOD)).approval
    assert {approval.expires_seconds(each) for each in ("local", "dev", "prod")} == {None}


def test_an_approval_is_asked_for_by_environment(tmp_path: Path) -> None:
    text = GOOD + '[approval]\nenvironments = ["prod"]\n'
    approval = Project.load(_write(tmp_path, text)).approval
    assert (approval.expires_seconds("prod"), approval.expires_seconds("dev")) == (7 * 24 * 3600, None)
    approval = Project.load(_write(tmp_path, text + "expires_hours = 48\n")).approval
    assert approval.expires_seconds("prod") == 48 * 3600


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            'environments = ["production"]',
            "approval.environments.0: found 'production'.*'local', 'dev' or 'prod'",
        ),
        ('environments = "prod"', "approval.environments: found 'prod'"),
        ("expires_hours = 0", "approval.expires_hours: found 0; should be greater than or equal to 1"),
        ("expires_hours = 721", "approval.expires_hours: found 721; should be less than or equal to 720"),
        ("expires = 3", "approval.expires: unknown key.*allowed: environments, expires_hours"),
    ],
)
def test_an_approval_that_cannot_be_asked_for_is_told(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        Project.load(_write(tmp_path, f"{GOOD}[approval]\n{table}\n"))


TWO = "[serving]\ninstance_count = 2\n"


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (
            TWO + '[deployment]\nstrategy = "canary"\n',
            'share: strategy = "canary" needs it: 1 to 50 (percent)',
        ),
        (TWO + '[deployment]\nstrategy = "canary"\nshare = 51\n', "share: 51 % is not 1 to 50"),
        (TWO + '[deployment]\nstrategy = "linear"\nshare = 9\n', "share: 9 % is not 10 to 50"),
        (TWO + '[deployment]\nstrategy = "rolling"\nshare = 4\n', "share: 4 % is not 5 to 50"),
        ("[deployment]\nshare = 10\n", 'with strategy = "all_at_once" there is one step'),
        (
            '[deployment]\nstrategy = "canary"\nshare = 10\n',
            "deployment.share: 10 % of serving.instance_count = 1 is no instance; then it can be all_at_once only",
        ),
        (
            '[serving]\ninstance_count = 3\n[deployment]\nstrategy = "linear"\nshare = 30\n',
            "serving.instance_count = 3 is no instance; at least 34 are",
        ),
        (
            TWO + '[deployment]\nstrategy = "linear"\nshare = 50\nwait_seconds = 3600\nmax_seconds = 7199\n',
            "max_seconds: 7199 is less than the waits alone take (2 of wait_seconds = 3600",
        ),
        (
            TWO + '[deployment]\nstrategy = "rolling"\nshare = 50\nkeep_old_seconds = 1\n',
            "a rolling deployment keeps nothing of the old fleet",
        ),
        (
            TWO + '[deployment]\nstrategy = "canary"\nshare = 50\nwait_seconds = 119\n',
            "wait_seconds: 119 is over before an alarm has seen its minutes, which takes up to 120 s",
        ),
        (
            "[deployment]\nwait_seconds = 179\n[deployment.alarms]\nof_minutes = 2\n",
            "which takes up to 180 s (of_minutes = 2)",
        ),
        ("[deployment.alarms]\nminutes = 2\n", "minutes: 2 of the last 1 (of_minutes) cannot be"),
        (
            "[deployment.alarms]\nalso = [" + ", ".join(f'"a{n}"' for n in range(9)) + "]\n",
            "alarms.also: with the limits that is 11; SageMaker takes 10",
        ),
        ("[deployment.alarms]\nmax_error_rates = 0.1\n", "(did you mean 'max_error_rate'?)"),
        ("[capture]\npercent = 101\n", "capture.percent: found 101"),
        (
            '[drift]\nevery = "day"\n',
            "drift: nothing is captured that could be looked at: set capture.percent",
        ),
        ('[capture]\npercent = 5\n[drift]\nevery = "week"\n', "drift.every: found 'week'"),
        ("[capture]\npercent = 5\n[drift]\nleast_rows = 10\n", "drift.least_rows: found 10"),
        ("[deployment]\nstrategi = 1\n", "deployment.strategi: unknown key (did you mean 'strategy'?)"),
    ],
)
def test_a_deployment_that_cannot_work_is_refused_with_its_key(
    tmp_path: Path, tables: str, said: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        Project.load(_write(tmp_path, GOOD + tables))
    assert said in str(caught.value)


def test_locally_an_alarm_may_look_at_a_minute_that_is_not_over(tmp_path: Path) -> None:
    table = '[deployment]\nstrategy = "canary"\nshare = 50\nwait_seconds = 2\nenvironments = ["local"]\n'
    assert Project.load(_write(tmp_path, GOOD + TWO + table)).deployment.steps == 2
