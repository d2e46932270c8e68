"""Predictions by id: from a body that names entities to an answer, or to what is said of the rows that have none."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
from pydantic import ValidationError

from containers.predictions import Predictions, joined
from containers.serve.encoding import encode, records
from containers.serve.metrics import Counters
from containers.serve.online.connection import Pool, connecting
from containers.serve.online.entities import NPY, Asked, Entities
from containers.serve.online.failures import FeatureStoreUnavailable, IncompleteFeatures, UnknownEntity
from containers.serve.online.reader import Reader
from containers.serve.online.rows import Assembly, Lack, Rows
from containers.serve.online.settings import OnlineSettings
from containers.serve.online.signing import Signer
from containers.serve.online.store import Place, Store
from containers.serve.online.views import Row, StoredView, stored_views
from containers.serve.scorer import Scorer
from sluice.contract import Columns, ModelContract, listed
from sluice.errors import ProjectError, RequestError
from sluice.features.plan import FeaturePlan

FILE_NAME = "features.json"

HEADER = "x-amzn-sagemaker-custom-attributes"
"""Of what a container says besides the body, SageMaker hands this on to the client."""

_FEW_ROWS = 64
_ONE_FOUND = (1, 0, 0, 0)
_MOST_TOLD = 30
_JSON = "application/json"
_LINES = frozenset({"application/jsonlines", "application/x-jsonlines", "application/x-ndjson"})

logger = logging.getLogger(__name__)


# Not frozen: one is made for each request, and to freeze it costs more than all else of its making.
@dataclass(slots=True)
class Told:
    """An answer but for its type.

    Attributes:
        counts: entities, by what of their features was there; see `Counters.entities`.
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    counts: tuple[int, ...] = ()


@dataclass(slots=True)
class Wanted:
    """A request, and where the features of its entities lie.

    Attributes:
        places: by view, each row's.
    """

    asked: Asked
    places: list[list[Place]]


class ById:
    """Answers for one model.

    Args:
        reader: None where no store is set.
        seconds: the reading for a request may take so long.
    """

    def __init__(
        self,
        scorer: Scorer,
        views: Sequence[StoredView],
        entities: Entities,
        assembly: Assembly,
        reader: Reader | None,
        seconds: float,
    ) -> None:
        self._scorer = scorer
        self._contract = scorer.contract
        self._views = views
        self._entities = entities
        self._assembly = assembly
        self._reader = reader
        self._seconds = seconds
        self._is_native = scorer.scoring.engine == "native"
        self.ask = entities.ask
        self.may_look_like_rows = entities.may_look_like_rows

    def read(self, body: bytes, media_type: str) -> Wanted:
        """Read a body that asks by id.

        Raises:
            RequestError: it is not what it has to be.
        """
        asked = self._entities.read(body, media_type)
        places: list[list[Place]] = []
        for number, view in enumerate(self._views):
            columns = [asked.keys[key.name] for key in view.keys]
            places.append([(number, view.ids.of(values)) for values in zip(*columns, strict=True)])
        return Wanted(asked, places)

    def is_quick(self, wanted: Wanted) -> bool:
        """Tell whether the event loop itself may answer: within a few milliseconds, in which nobody else is."""
        return self._is_native and wanted.asked.rows <= _FEW_ROWS and not self._assembly.needs_frames

    def why_not(self, media_type: str) -> str:
        """Say what might have been meant by a body that is refused; empty for nothing."""
        if media_type != NPY:
            return ""
        return "\n  by id  an array has no names: ask for entities as JSON, CSV or Parquet"

    async def find(self, wanted: Wanted, seconds: float) -> dict[Place, Row | None]:
        """Give what the store holds for a request; None: nothing.

        Raises:
            FeatureStoreUnavailable: not all of it was read.
            UnreadableFeatures: something in it is no value.
        """
        if self._reader is None:
            raise FeatureStoreUnavailable(
                "this endpoint has no online store: it cannot predict by id",
                why="SLUICE_ONLINE_STORE is not set in its environment",
                fix="send all features, or deploy the model with its store",
            )
        once = list(dict.fromkeys(place for of_view in wanted.places for place in of_view))
        return await self._reader.read(once, min(seconds, self._seconds))

    def answer(self, wanted: Wanted, found: Mapping[Place, Row | None], accepted: str) -> Told:
        """Score what was found, and write the answer; may block.

        Raises:
            UnreadableFeatures: an on-demand function failed.
            PredictionFailed: the model did.
        """
        asked, now = wanted.asked, time.time_ns() // 1000
        if asked.rows == 1 and self._is_native:
            columns = self._assembly.lone(asked, wanted.places, found, now)
            body = None if columns is None else self._scorer.answer_row(columns, accepted)
            if body is not None:
                return Told(200, body, counts=_ONE_FOUND)
        rows = self._assembly.rows(asked, wanted.places, found, now)
        predictions, rows = self._score(rows, asked)
        if not rows.lacks and predictions is not None:
            return Told(200, encode(predictions, accepted, self._contract), counts=(asked.rows, 0, 0, 0))
        lacks = Counter(rows.lacks.values())
        counts = (asked.rows - len(rows.lacks), lacks["unknown"], lacks["stale"], lacks["incomplete"])
        return replace(self._told(predictions, rows, asked, accepted), counts=counts)

    def _told(self, predictions: Predictions | None, rows: Rows, asked: Asked, accepted: str) -> Told:
        if rows.errors and (asked.rows == 1 or (accepted != _JSON and accepted not in _LINES)):
            return _refused_as_a_whole(rows, asked.rows)
        headers = {HEADER: _missing(rows, asked.rows)}
        if accepted != _JSON and accepted not in _LINES:
            assert predictions is not None
            return Told(200, encode(predictions, accepted, self._contract), headers)
        lines = _lines(predictions, rows, asked.rows, self._contract)
        body = b'{"predictions":[%s]}' % b",".join(lines) if accepted == _JSON else b"\n".join(lines) + b"\n"
        return Told(200, body, headers)

    def _score(self, rows: Rows, asked: Asked) -> tuple[Predictions | None, Rows]:
        if not rows.places:
            return None, rows
        try:
            return self._scorer.score(rows.columns), rows
        except RequestError:
            # A row that the model does not take is none of the client's making, and the others keep their answers.
            return self._score_each(rows, asked)

    def _score_each(self, rows: Rows, asked: Asked) -> tuple[Predictions | None, Rows]:
        kept: list[int] = []
        found: list[Predictions] = []
        errors, lacks = dict(rows.errors), dict(rows.lacks)
        for number, place in enumerate(rows.places):
            row: Columns = {name: [values[number]] for name, values in rows.columns.items()}
            try:
                found.append(self._scorer.score(row))
            except RequestError as error:
                entity = asked.told(place, [key for view in self._views for key in view.keys])
                lacks.setdefault(place, "incomplete")
                errors[place] = IncompleteFeatures(
                    f"the model does not take the features of {entity}",
                    why=error.what.removeprefix("row 1, "),
                )
            else:
                kept.append(place)
        return (joined(found) if found else None), Rows(rows.columns, kept, lacks, errors)


def _lines(predictions: Predictions | None, rows: Rows, asked: int, contract: ModelContract) -> list[bytes]:
    """Give a JSON object a row: its prediction, or its error."""
    lines: list[bytes] = [b""] * asked
    if predictions is not None:
        for place, record in zip(rows.places, records(predictions, contract), strict=True):
            lack = rows.lacks.get(place)
            lines[place] = record + (b"}" if lack is None else b',"missing":"%s"}' % lack.encode())
    for place, error in rows.errors.items():
        lines[place] = orjson.dumps({"error": error.name, "message": str(error)})
    return lines


def _missing(rows: Rows, asked: int) -> str:
    """Say what is missing, for a header: of one row what, of many how often."""
    if asked == 1:
        return f"missing-features={rows.lacks[0]}"
    kinds: tuple[Lack, ...] = ("unknown", "stale", "incomplete")
    counts = Counter(rows.lacks.values())
    return "missing-features=" + ",".join(f"{kind}:{counts[kind]}" for kind in kinds if counts[kind])


def _refused_as_a_whole(rows: Rows, asked: int) -> Told:
    errors = [rows.errors[place] for place in sorted(rows.errors)]
    first = next((error for error in errors if isinstance(error, UnknownEntity)), errors[0])
    message = str(first)
    if asked > 1:
        told = "; ".join(error.what for error in errors[:_MOST_TOLD])
        more = f"; and {len(errors) - _MOST_TOLD:,} more" if len(errors) > _MOST_TOLD else ""
        message = (
            f"{len(errors):,} of {asked:,} entities have no prediction: {told}{more}\n"
            "  to do  accept application/json, which has room for predictions and errors, or leave these out"
        )
    status = 404 if isinstance(first, UnknownEntity) else 409
    return Told(status, orjson.dumps({"error": first.name, "message": message}))


def load_by_id(
    folder: Path, scorer: Scorer, settings: OnlineSettings | None, counters: Counters
) -> ById | None:
    """Make ready to predict by id; None for a model without a feature plan, or that takes nothing stored.

    Raises:
        ProjectError: the plan is none, or not this model's.
    """
    file = folder / FILE_NAME
    try:
        plan = FeaturePlan.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ProjectError("not a feature plan", where=str(file), why=str(error)) from error
    views = stored_views(plan, settings.store if settings else "")
    if not views:
        return None
    reader = None
    if settings is not None:
        signer = Signer(settings.endpoint.authority, settings.region)
        pool = Pool(connecting(settings.endpoint))
        reader = Reader(Store(views, pool, signer, settings.credentials, counters))
    logger.info(
        "by id: %s of %s",
        listed([key.name for view in views for key in view.keys]),
        listed([view.table for view in views]) if settings else "no store: SLUICE_ONLINE_STORE is not set",
    )
    return ById(
        scorer,
        views,
        Entities(scorer.contract, plan, views),
        Assembly(scorer.contract, plan, views, settings.missing if settings else "error"),
        reader,
        settings.seconds if settings else 0.0,
    )
