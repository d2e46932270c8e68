"""What can go wrong, as exceptions: the class name is the error name Step Functions routes on."""

from __future__ import annotations

import json

_SHORTEST = 80
"""Characters that are left of an error's part where it has to be cut."""


class SluiceError(Exception):
    """A failure a person can act on: what happened, where, why, and what to do about it.

    `str(error)` is the text that people read in the execution's cause, the SNS message and the report, so it has
    to stand on its own: whoever reads it may know nothing of Sluice. Between processes it travels as `to_wire`.
    """

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix
        super().__init__(what, where, why, fix)

    def __str__(self) -> str:
        parts = [self.what]
        parts += [f"  {label:<6} {text}" for label, text in self._labelled() if text]
        return "\n".join(parts)

    def _labelled(self) -> list[tuple[str, str]]:
        return [("where", self.where), ("why", self.why), ("to do", self.fix)]

    @property
    def name(self) -> str:
        """The ASL error name."""
        return type(self).__name__


class ProjectError(SluiceError):
    """project.toml or a hook of the project cannot be used."""


class DataError(SluiceError):
    """The uploaded file cannot become a dataset version. Nothing was stored but a report."""


class UploadMisplaced(DataError):
    """The object is not under incoming/training/, incoming/events/ or incoming/batch/, or is of no known format."""


class ObjectNotFound(DataError):
    """The object was gone (or never there) when it was read."""


class EmptyFile(DataError):
    """The object holds no bytes, or nothing but white space."""


class NoRows(DataError):
    """There is a header and nothing below it."""


class UnreadableFile(DataError):
    """The bytes are not what the name says: not UTF-8, not CSV, not Parquet, compressed, truncated."""


class SchemaMismatch(DataError):
    """Columns are missing, unknown or there twice."""


class OneClassTarget(DataError):
    """The target holds fewer classes than the problem needs."""


class DataRejected(DataError):
    """More rows were rejected than the project allows."""


class NotAppendable(DataError):
    """The rows cannot be told apart from those of the table, or are not of its columns."""


class NoDataset(DataError):
    """There is no dataset version to train on."""


class PartMissing(DataError):
    """The file of a part of a dataset version was deleted."""


class OnlineTableMissing(SluiceError):
    """The table of a view is not there: nothing can be written to it, or read."""


class NoReference(SluiceError):
    """There is nothing that a model's traffic could be held against."""


class WindowLost(SluiceError):
    """A window of captured traffic is not the one that the ledger names, or not all of it was counted."""


class StorageUnavailable(SluiceError):
    """S3 is busy or cannot be reached, which passes: every state that meets it is tried again."""


class TrackingUnavailable(SluiceError):
    """The tracking server is busy or cannot be reached, which passes: every state that meets it is tried again."""


class EndpointUnavailable(SluiceError):
    """The endpoint is overloaded or cannot be asked, which passes: the state that meets it is tried again."""


class TrackingRefused(SluiceError):
    """The tracking server refuses what it is asked, or is none that can be talked to."""


class TrainingSetFailed(SluiceError):
    """BuildTrainingSet failed: usually the project's features.py."""


class TrainingFailed(SluiceError):
    """The training job failed: usually the project's train.py."""


class TrainingTimedOut(SluiceError):
    """The training job ran into its time limit and was stopped."""


class EvaluationFailed(SluiceError):
    """The model could not be judged: it does not load, does not predict, or predicts NaN."""


class NothingReleased(SluiceError):
    """There is no model to predict with: none was released so far."""


class BatchFailed(SluiceError):
    """The rows of a file could not be predicted: the transform job failed, or did not answer one a row."""


class GateFailed(SluiceError):
    """DecideGate could not decide (a decision against the model is not a failure)."""


class DeploymentFailed(SluiceError):
    """The endpoint did not come into service with the new model."""


class ArchiveChanged(SluiceError):
    """The archive of the new model is not the object that its training job left."""


class ChampionKeptChanging(SluiceError):
    """The model was judged five times, and each time another one had become champion before it was deployed."""


class PipelineFailed(SluiceError):
    """A state failed for a reason the pipeline knows nothing of: an AWS error, a bug."""


class ExecutionAborted(SluiceError):
    """Somebody stopped the execution."""


class ExecutionTimedOut(SluiceError):
    """The execution ran into the machine's own time limit."""


class RequestError(SluiceError):
    """A prediction request breaks the model's contract. Answered with 400."""


def by_name(name: str) -> type[SluiceError] | None:
    """Find the error that Step Functions knows by `name`; None where it is none of ours."""
    found = globals().get(name)
    return found if isinstance(found, type) and issubclass(found, SluiceError) else None


def to_wire(error: SluiceError, *, most_bytes: int) -> str:
    """Write an error as it travels between processes and states: one line of JSON.

    It is `{"error": <class name>, "what": …, "where": …, "why": …, "fix": …}` in UTF-8, without the parts that are
    empty. Where it is longer than `most_bytes`, `why` gives way first, then the longest part. An error that this
    module does not define travels as the class it stands on.
    """
    kind = next(each.__name__ for each in type(error).__mro__ if by_name(each.__name__) is each)
    # What no UTF-8 can hold (half a surrogate pair, of a file's name) becomes a question mark.
    parts = {
        name: text[:most_bytes].encode("utf-8", "replace").decode()
        for name in ("what", "where", "why", "fix")
        if (text := getattr(error, name))
    }
    while excess := max(0, len(_line(kind, parts).encode()) - most_bytes):
        longest = max(parts, key=lambda name: len(parts[name]))
        cut = "why" if len(parts.get("why", "")) > _SHORTEST else longest
        # A character takes at most six bytes in JSON: so not too much is cut off.
        parts[cut] = parts[cut].removesuffix("…")[: -max(2, excess // 6)] + "…"
    return _line(kind, parts)


def _line(kind: str, parts: dict[str, str]) -> str:
    return json.dumps({"error": kind, **parts}, ensure_ascii=False)


def from_wire(text: str) -> SluiceError | None:
    """Read an error that `to_wire` or a state machine wrote; None where the text is none."""
    try:
        told = json.loads(text)
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    parts = {name: told.get(name, "") for name in ("error", "what", "where", "why", "fix")}
    if told.keys() - parts.keys() or not all(isinstance(part, str) for part in parts.values()):
        return None
    kind = by_name(parts.pop("error"))
    return None if kind is None or not parts["what"] else kind(parts.pop("what"), **parts)
