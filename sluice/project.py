"""Project: the user's project.toml, read and checked. An error names file, key, found and allowed."""

from __future__ import annotations

import difflib
import re
import string
import tomllib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    FiniteFloat,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from sluice.api_table import Api
from sluice.cells import ColumnType
from sluice.column_names import PREDICTION, normal
from sluice.deployment_table import Alarms, Deployment
from sluice.errors import ProjectError
from sluice.gate_tables import FairnessGate, Gates, SliceGate
from sluice.problems import COMPARED, METRICS, Problem
from sluice.serving_tables import Batch, Capture, Drift, Serving
from sluice.spelling import Spelling
from sluice.splits import KEY_COLUMN
from sluice.tables import Environment, Table
from sluice.training_tables import Range, Search, Training

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
_MAX_HYPERPARAMETERS = 100
_MAX_HYPERPARAMETER_LENGTH = 2_500

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")

_Name = Annotated[str, AfterValidator(normal)]
OfflineStore: TypeAlias = Literal["duckdb", "athena"]
_Share = Annotated[float, Field(ge=0, le=1)]


class Identity(Table):
    """[project]."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,23}$")]
    description: str = ""


class Data(Table):
    """[data]: how the uploaded file is written, and how much of it may be rejected."""

    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","
    null_values: tuple[str, ...] = ("",)
    max_rejected_share: _Share = 0.05


class Entity(Table):
    """[entity]: what a row is about. Without `key`, a row's key is the hash of the row."""

    key: _Name | None = None
    timestamp: _Name | None = None


class Target(Table):
    """[target]: what is predicted."""

    column: _Name
    problem: Problem
    positive: str | int | bool | None = None

    @model_validator(mode="after")
    def _positive_goes_with_binary(self) -> Self:
        if (self.positive is not None) != (self.problem == "binary"):
            raise ValueError('`positive` is for problem = "binary", and needed there')
        return self


class Column(Table):
    """[columns.NAME]: what one column of the uploaded file may hold."""

    type: ColumnType
    nullable: bool = False
    min: FiniteFloat | None = None
    max: FiniteFloat | None = None
    categories: tuple[str | int, ...] | None = None
    format: str | None = None
    spelling: Spelling | None = None

    @model_validator(mode="after")
    def _constraints_fit_the_type(self) -> Self:
        if (self.min is not None or self.max is not None) and self.type not in {"integer", "number"}:
            raise ValueError(f"`min` and `max` are for integer and number columns, not for {self.type}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` ({self.min}) is above `max` ({self.max})")
        if self.categories is not None and self.type not in {"string", "integer"}:
            raise ValueError(f"`categories` are for string and integer columns, not for {self.type}")
        if self.type == "integer":
            strange = [each for each in self.categories or () if not _INTEGER.fullmatch(str(each))]
            if strange:
                raise ValueError(f"`categories` of an integer column: {strange[0]!r} is no integer")
        if self.spelling is not None:
            if self.type not in {"integer", "number"}:
                raise ValueError(f"`spelling` is for integer and number columns, not for {self.type}")
            if self.type == "integer" and self.spelling.percent:
                raise ValueError("`spelling.percent` makes hundredths, which are no integers")
        if self.format is not None:
            if self.type != "timestamp":
                raise ValueError(f"`format` is for timestamp columns, not for {self.type}")
            _check_timestamp_format(self.format)
        return self


class Features(Table):
    """[features]: the model's inputs in order, the numeric ones first."""

    numeric: tuple[_Name, ...] = ()
    categorical: tuple[_Name, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return self.numeric + self.categorical

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if not self.names:
            raise ValueError("there are no features: list some under `numeric` or `categorical`")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(f"listed more than once: {', '.join(twice)}")
        return self


class Split(Table):
    """[split]: which entities are held out to judge models on."""

    held_out_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    salt: str = ""


class Model(Table):
    """[model]: how it is trained, and on what."""

    hyperparameters: dict[str, str | bool | int | float] = Field(default={})
    # The processing jobs get the same limit, and theirs is at most nine days.
    max_runtime_seconds: Annotated[int, Field(ge=1, le=777_600)] = 3_600
    instance_type: Annotated[str, StringConstraints(pattern=r"^ml\.")] = "ml.m5.large"
    image: str | None = None

    @field_validator("hyperparameters")
    @classmethod
    def _sagemaker_takes_them(cls, value: dict[str, Any]) -> dict[str, Any]:
        if len(value) > _MAX_HYPERPARAMETERS:
            raise ValueError(f"{len(value)} hyperparameters; SageMaker takes {_MAX_HYPERPARAMETERS}")
        for name, each in value.items():
            text = f"{name}{each}"
            if len(str(each)) > _MAX_HYPERPARAMETER_LENGTH:
                raise ValueError(f"{name} is {len(str(each))} characters long; SageMaker takes 2,500")
            if "${" in text or "%}" in text:
                raise ValueError(f"{name} holds `${{` or `%}}`, which mean something in a state machine")
        return value


class Online(Table):
    """[online]: how the online store is kept up.

    Attributes:
        as_of: the moment at which they are written, or the dataset's last event, for a log that has ended.
        refresh_minutes: so often windows are moved on without new events; 0 for never.
        move_windows: of an entity without new events they move on with each "run", or once an "hour" or "day".
    """

    as_of: Literal["now", "last_event"] = "now"
    refresh_minutes: Annotated[int, Field(ge=0, le=10_080)] = 60
    move_windows: Literal["run", "hour", "day"] = "run"


class Offline(Table):
    """[offline]: what joins features to the labels that are trained on.

    Attributes:
        store: `duckdb`, on the job's own instance, or `athena`, for rows that outgrow one.
        environments: another store than that in some environments.
        scan_limit_gb: Athena cancels a query that would read more; in 10^9 bytes.
    """

    store: OfflineStore = "duckdb"
    environments: dict[Environment, OfflineStore] = Field(default={})
    scan_limit_gb: Annotated[int, Field(ge=1, le=1_000_000)] = 100

    def store_of(self, environment: Environment) -> OfflineStore:
        return self.environments.get(environment, self.store)


class Approval(Table):
    """[approval]: where a model that passed its gates waits for a person's word.

    Attributes:
        environments: there one is asked; nowhere by default.
        expires_hours: so long there is time to answer, for each time that one is asked.
    """

    environments: tuple[Environment, ...] = ()
    expires_hours: Annotated[int, Field(ge=1, le=720)] = 168

    def expires_seconds(self, environment: Environment) -> int | None:
        """Give the time there is to answer; None where nobody is asked."""
        return self.expires_hours * 3_600 if environment in self.environments else None


class Tracking(Table):
    """[tracking]: where runs and registered models are kept.

    Attributes:
        uri: of an MLflow server; without one the deployment has an MLflow app of its own.
        secret: the name or ARN of a secret of Secrets Manager that holds a login for it: sluice.tracking.login.
        on_failure: of an execution whose run cannot be opened or whose model cannot be registered: it fails, so that
            what serves is in the registry, or it goes on and the report says so.
        enabled: false where there is nothing to keep runs in: SageMaker has no MLflow apps in every region.
    """

    uri: (
        Annotated[str, StringConstraints(pattern=r"^(https?://[^\s/]+(/\S*)?|arn:aws[a-z-]*:sagemaker:\S+)$")]
        | None
    ) = None
    secret: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9/_+=.@:-]{1,2048}$")] | None = None
    on_failure: Literal["fail", "continue"] = "fail"
    enabled: bool = True

    @model_validator(mode="after")
    def _is_sent_to_nobody_else(self) -> Self:
        if self.secret is None:
            return self
        if self.uri is None or self.uri.startswith("arn:"):
            raise ValueError(
                "`secret` is for a server with an address of its own: an ARN is asked by the role's rights"
            )
        if not re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", self.uri + "/"):
            raise ValueError("`secret`: a password or token is sent over https:// only")
        return self

    @property
    def own_app(self) -> bool:
        """Whether the deployment makes the server."""
        return self.enabled and self.uri is None


class Project(Table):
    """project.toml as a whole; `Project.load` reads it."""

    project: Identity
    data: Data = Data()
    entity: Entity = Entity()
    target: Target
    columns: dict[_Name, Column]
    features: Features
    split: Split = Field(default=Split(), validate_default=True)
    model: Model = Model()
    training: Training = Training()
    gates: Gates = Field(default=Gates(), validate_default=True)
    search: Search | None = None
    serving: Serving = Serving()
    capture: Capture = Capture()
    batch: Batch = Batch()
    drift: Drift = Drift()
    online: Online = Online()
    offline: Offline = Offline()
    deployment: Deployment = Deployment()
    api: Api | None = None
    approval: Approval = Approval()
    tracking: Tracking = Tracking()

    @property
    def name(self) -> str:
        return self.project.name

    @field_validator("columns", mode="before")
    @classmethod
    def _each_column_once(cls, columns: Any) -> Any:
        if isinstance(columns, dict):
            times = Counter(map(normal, columns))
            twice = [name for name, count in times.items() if count > 1]
            if twice:
                raise ValueError(f"{twice[0]!r} is there twice, written in two ways that look alike")
        return columns

    # A field's validator sees the fields above it that broke no rule. One of the model could return another model,
    # which Project(...) would not take: its salt would be no salt.
    @field_validator("split")
    @classmethod
    def _salt_is_the_name(cls, split: Split, known: ValidationInfo) -> Split:
        if split.salt or "project" not in known.data:
            return split
        return split.model_copy(update={"salt": known.data["project"].name})

    @field_validator("gates")
    @classmethod
    def _compared_by_the_usual_metric(cls, gates: Gates, known: ValidationInfo) -> Gates:
        if gates.compare or "target" not in known.data:
            return gates
        return gates.model_copy(update={"compare": COMPARED[known.data["target"].problem]})

    @field_validator("search")
    @classmethod
    def _searched_by_what_is_compared(cls, search: Search | None, known: ValidationInfo) -> Search | None:
        if search is None or search.metric or "gates" not in known.data:
            return search
        return search.model_copy(update={"metric": known.data["gates"].compare})

    @model_validator(mode="after")
    def _tables_agree(self) -> Self:
        known = METRICS[self.target.problem]
        named = self.gates.metrics | ({} if self.search is None else {"search.metric": self.search.metric})
        for where, metric in named.items():
            if metric not in known:
                raise ValueError(
                    f"{where}: {metric!r} is no {self.target.problem} metric{_did_you_mean(metric, known)}; "
                    f"known: {_list(known)}"
                )
        for where, name in [("entity.key", self.entity.key), ("entity.timestamp", self.entity.timestamp)]:
            if name is not None and name not in self.columns:
                raise ValueError(f"{where}: there is no column {name!r}{_did_you_mean(name, self.columns)}")
        timestamp = self.entity.timestamp
        if timestamp is not None and self.columns[timestamp].type != "timestamp":
            raise ValueError(f"entity.timestamp: {timestamp!r} is of type {self.columns[timestamp].type}")
        if self.target.column in self.features.names:
            raise ValueError(f"features: the target {self.target.column!r} is among them")
        if KEY_COLUMN in (*self.features.names, self.target.column):
            raise ValueError(
                f"{KEY_COLUMN!r} is what Sluice calls a row's key: it can be no feature and no target"
            )
        if PREDICTION in self.features.names:
            raise ValueError(f"{PREDICTION!r} is what Sluice calls a model's answers: it can be no feature")
        if "drift" in self.model_fields_set and not self.capture.percent:
            raise ValueError("drift: nothing is captured that could be looked at: set capture.percent")
        self._check_positive()
        self._check_parts()
        self._check_training()
        self.deployment.check_fleet(self.serving.instance_count)
        if self.api is not None and self.model.image is not None:
            raise ValueError(
                "api: it sends JSON and answers JSON, and with model.image your own image need not know any: ask the "
                "endpoint itself"
            )
        return self

    def _check_positive(self) -> None:
        column = self.columns.get(self.target.column)
        if column and column.categories and self.target.positive is not None:
            allowed = [str(each) for each in column.categories]
            if str(self.target.positive) not in allowed:
                raise ValueError(
                    f"target.positive: {self.target.positive!r} is no category of {self.target.column!r}; "
                    f"known: {_list(allowed)}"
                )

    def _check_parts(self) -> None:
        """Check by what the held-out rows are parted."""
        for name in self.gates.columns:
            if name in (self.target.column, KEY_COLUMN):
                raise ValueError(
                    f"gates: the rows cannot be parted by {name!r}, which is the target or the key"
                )
            if name in self.columns and self.columns[name].type == "timestamp":
                raise ValueError(f"gates: the rows cannot be parted by {name!r}, which is of type timestamp")
        for each in self.gates.slices:
            column = self.columns.get(each.column)
            if each.cuts and (
                each.column in self.features.categorical
                or (column is not None and column.type not in ("integer", "number"))
            ):
                raise ValueError(f"gates.slices: `cuts` are for numbers, and {each.column!r} holds none")
            allowed = [] if column is None else [str(category) for category in column.categories or ()]
            for value in map(str, each.values):
                if allowed and value not in allowed:
                    raise ValueError(
                        f"gates.slices: {value!r} is no category of {each.column!r}"
                        f"{_did_you_mean(value, allowed)}; known: {_list(allowed)}"
                    )
        if self.gates.fairness is not None and self.target.problem != "binary":
            raise ValueError(f'gates.fairness is for problem = "binary", not for {self.target.problem}')
        for budget in ("max_row_ms", "max_model_mb"):
            if self.model.image is not None and getattr(self.gates, budget) is not None:
                raise ValueError(
                    f"gates.{budget}: a model of your own image is judged by its answers; what it takes is not seen"
                )

    def _check_training(self) -> None:
        """Check what is searched for, and for how long training may wait for spot instances."""
        model, wait = self.model, self.training.max_wait_seconds
        if wait is not None and wait < model.max_runtime_seconds:
            raise ValueError(
                f"training.max_wait_seconds: {wait} is below model.max_runtime_seconds "
                f"({model.max_runtime_seconds}): SageMaker counts the run as part of the wait"
            )
        if self.search is None:
            return
        if model.image is not None:
            raise ValueError("search: a trial is a fit of your train.py; with model.image there is none")
        both = sorted(set(self.search.ranges) & set(model.hyperparameters))
        if both:
            raise ValueError(
                f"search.ranges.{both[0]}: it has a value under model.hyperparameters, too: remove one of them"
            )
        count = len(self.search.ranges) + len(model.hyperparameters)
        if count > _MAX_HYPERPARAMETERS:
            raise ValueError(
                f"search: {count} hyperparameters with those of [model]; SageMaker takes {_MAX_HYPERPARAMETERS}"
            )

    @property
    def max_wait_seconds(self) -> int:
        """For how long a training job on spot instances may wait and run."""
        return self.training.max_wait_seconds or 2 * self.model.max_runtime_seconds

    @classmethod
    def load(cls, folder: Path) -> Project:
        """Read `<folder>/project.toml`, and check it against the hooks that lie beside it.

        Raises:
            ProjectError: there is no such file, it is not TOML, or it breaks a rule.
        """
        file = folder / "project.toml"
        project = cls.load_file(file)
        made_by_hook = (folder / "features.py").is_file()
        for name in (*project.features.names, project.target.column):
            if name not in project.columns and not made_by_hook:
                raise ProjectError(
                    f"there is no column {name!r}{_did_you_mean(name, project.columns)}",
                    where=f"{file}: {'target.column' if name == project.target.column else 'features'}",
                    fix=f"describe it under [columns.{name}], or add a features.py that makes it",
                )
        for name in project.gates.columns:
            if name not in project.columns and name not in project.features.names and not made_by_hook:
                raise ProjectError(
                    f"there is no column {name!r}{_did_you_mean(name, project.columns)}",
                    where=f"{file}: gates",
                    why="the held-out rows are to be parted by it",
                    fix=f"describe it under [columns.{name}], or add a features.py that makes it",
                )
        if project.model.image is None and not (folder / "train.py").is_file():
            raise ProjectError(
                "there is no training code",
                where=str(folder / "train.py"),
                fix="write a train.py with build_model(hyperparameters), or set model.image",
            )
        return project

    @classmethod
    def load_file(cls, file: Path) -> Project:
        """Read a project.toml alone, without looking at what lies beside it.

        Raises:
            ProjectError: there is no such file, it is not TOML, or it breaks a rule.
        """
        try:
            tables = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ProjectError(
                "there is no project here",
                where=str(file),
                fix="make one with `sluice init NAME --from FILE --target COLUMN`",
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ProjectError("not valid TOML", where=str(file), why=str(error)) from error
        try:
            return cls.model_validate(tables)
        except ValidationError as error:
            raise _explain(error, file) from error


def _explain(error: ValidationError, file: Path) -> ProjectError:
    problems = [_explain_one(details) for details in error.errors()]
    what = problems[0] if len(problems) == 1 else f"{len(problems)} mistakes:\n    " + "\n    ".join(problems)
    return ProjectError(what, where=str(file), fix="docs/project.md lists every key and what it allows")


def _explain_one(details: ErrorDetails) -> str:
    path = [str(part) for part in details["loc"]]
    key = ".".join(path)
    if details["type"] == "extra_forbidden":
        allowed = _fields_at(path[:-1])
        return f"{key}: unknown key{_did_you_mean(path[-1], allowed)}; allowed: {_list(allowed)}"
    if details["type"] == "missing":
        return f"{key}: missing"
    if details["type"] == "value_error":
        text = details["msg"].removeprefix("Value error, ")
        return f"{key}: {text}" if key else text
    return f"{key}: found {details['input']!r}; {details['msg'].removeprefix('Input ')}"


def _fields_at(path: list[str]) -> list[str]:
    if not path:
        return list(Project.model_fields)
    if path[0] == "columns":
        return list((Spelling if len(path) > 2 else Column).model_fields)
    if path[0] == "search":
        return list((Range if len(path) > 1 else Search).model_fields)
    if path[0] == "api":
        return list(Api.model_fields)
    if path[0] == "deployment" and len(path) > 1:
        return list(Alarms.model_fields)
    if path[0] == "gates" and len(path) > 1:
        return list((SliceGate if path[1] == "slices" else FairnessGate).model_fields)
    annotation = Project.model_fields[path[0]].annotation
    return (
        list(annotation.model_fields)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel)
        else []
    )


def _did_you_mean(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _list(names: Any) -> str:
    return ", ".join(sorted(names))


def _check_timestamp_format(text: str) -> None:
    codes = [text[i + 1 : i + 2] for i in range(len(text)) if text[i] == "%"]
    if not codes or any(code not in string.ascii_letters + "%" for code in codes):
        raise ValueError(f'`format` {text!r} is no strptime format, such as "%d/%m/%Y %H:%M"')
    sample = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    try:
        datetime.strptime(sample.strftime(text), text)
    except ValueError as error:
        raise ValueError(f"`format` {text!r} is no strptime format: {error}") from error
