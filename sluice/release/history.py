"""What was released, and how each deployment ended: items of the releases table, as values and rules.

`model#<model>` says what a model is released with, and is written before the endpoint is touched; `history#<time>#…`
says how a deployment ended, by the time at which it began.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from sluice.errors import SluiceError
from sluice.outcomes import RECONCILED, Outcome
from sluice.payloads.base import Payload
from sluice.payloads.deployment import Archive, DeploymentInput, Rollback

HISTORY = "history#"
MODEL = "model#"


class NothingToGoBackTo(SluiceError):
    """No model that has served, or more than one, is meant by what was typed."""


class ReleasedModel(Payload):
    """What a model is released with."""

    model_name: str
    model_uri: str
    archive: Archive
    dataset_version: str
    version: str | None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Read an item `model#…` or `release`."""
        return cls(
            model_name=item["model_name"]["S"],
            model_uri=item["model_uri"]["S"],
            archive=Archive(version_id=item["archive_version_id"]["S"], etag=item["archive_etag"]["S"]),
            dataset_version=item["dataset_version"]["S"],
            version=item["version"]["S"] if "version" in item else None,
        )

    def rollback(self, champion: str | None, by: str, reason: str) -> DeploymentInput:
        """Ask for it back in the champion's place: by the same machine, and on the same way."""
        return DeploymentInput(
            model_name=self.model_name,
            model_uri=self.model_uri,
            archive=self.archive,
            judged_champion=champion,
            dataset_version=self.dataset_version,
            version=self.version,
            rollback=Rollback(by=by, reason=reason),
        )


class Ended(Payload):
    """How a deployment ended.

    Attributes:
        instead_of: the champion when it began.
        reached: the part of the traffic that the new model was given.
        why: of what did not go well: SageMaker's reason, or the failure in a sentence.
        alarm: the one that took it back.
        by: who asked for it, of a rollback that somebody asked for; and why.
    """

    at: datetime
    model_name: str
    version: str | None
    outcome: str
    execution_arn: str
    instead_of: str | None
    reached: float | None
    why: str | None
    alarm: str | None
    by: str | None
    reason: str | None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Read an item `history#…`."""

        def text(name: str) -> str | None:
            return item[name]["S"] if name in item else None

        return cls(
            at=datetime.fromisoformat(item["ended_at"]["S"]),
            model_name=item["model_name"]["S"],
            version=text("version"),
            outcome=item["outcome"]["S"],
            execution_arn=item["execution"]["S"],
            instead_of=text("instead_of"),
            reached=float(item["reached"]["N"]) if "reached" in item else None,
            why=_sentence(text("why")),
            alarm=text("alarm"),
            by=text("rolled_back_by"),
            reason=text("rollback_reason"),
        )


def _sentence(why: str | None) -> str | None:
    """Give the sentence of a failure's wire form; SageMaker's reasons are sentences."""
    if why is None or not why.startswith("{"):
        return why
    told = json.loads(why)
    what = told.get("what") or f"{told.get('state')}: {told.get('error')}: {told.get('cause')}"
    return f"{what}: {told['why']}" if told.get("why") else str(what)


def model_to_go_back_to(
    known: Iterable[ReleasedModel], ended: Sequence[Ended], champion: str | None, text: str | None
) -> ReleasedModel:
    """Find the model that is meant by `text`: its name, a beginning that only one has, or `v3`.

    Without a text it is the one that the champion was deployed in the place of, or that was deployed last before it.
    It has served, or is the champion: what was taken back, or never came so far, is nothing to go back to.

    Args:
        known: of each model that was ever on its way to the endpoint, what it is released with.
        ended: how deployments ended, the newest first.
        champion: the model that the release record names.
        text: what was typed; None where nothing was.

    Raises:
        NothingToGoBackTo: it is none, or several are meant.
    """
    served = {each.model_name for each in ended if each.outcome in (Outcome.DEPLOYED, RECONCILED)} | {
        champion
    }
    by_name = {each.model_name: each for each in known if each.model_name in served}
    if text is None:
        before = [
            each.model_name for each in ended if each.model_name != champion and each.model_name in by_name
        ]
        if not before:
            raise NothingToGoBackTo(
                "there is no model to go back to",
                where="the history of releases",
                why=f"nothing was deployed before {champion or 'the first model'}",
                fix="`sluice releases` shows what was deployed; `--to` names a model",
            )
        return by_name[before[0]]
    found = [
        each
        for name, each in by_name.items()
        if name.startswith(text) or (each.version and text == f"v{each.version}")
    ]
    chosen = [each for each in found if each.model_name == text] or found
    if len(chosen) != 1:
        names = ", ".join(sorted(each.model_name for each in chosen))
        raise NothingToGoBackTo(
            f"{text!r} names {len(chosen) or 'no'} models that have served",
            where="--to",
            why=names or f"those are {', '.join(sorted(by_name)) or 'none'}",
            fix="`sluice releases` lists them; give more of the name",
        )
    return chosen[0]


class Finding(Payload):
    """Something about an endpoint that is not as it should be; a reconciliation mends what is `reconciled`."""

    what: str
    fix: str
    reconciled: bool


class Seen(Payload):
    """What is there of an endpoint.

    Attributes:
        serving: the configuration in service; None where there is no endpoint, or none in service.
        status: None where there is no endpoint.
        released: the model that the release record names.
        known: the models of which it is written down what they are released with.
        holder: who holds the lock; None where nobody does.
        holder_runs: whether that is an execution that runs.
        alarms: those of deployments.
    """

    serving: str | None
    status: str | None
    released: str | None
    known: tuple[str, ...]
    holder: str | None
    holder_runs: bool
    alarms: tuple[str, ...]


def findings(seen: Seen) -> list[Finding]:
    """Say what is wrong with an endpoint that no deployment is at work on; of one that is, nothing can be said."""
    if seen.holder is not None and seen.holder_runs:
        return []
    found = []
    if seen.status is not None and seen.status not in ("InService", "Creating", "Updating", "SystemUpdating"):
        found.append(
            Finding(
                what=f"the endpoint is {seen.status}",
                fix="its failure reason says why; the next deployment makes it again",
                reconciled=False,
            )
        )
    if seen.status is None and seen.released is not None:
        found.append(
            Finding(
                what=f"there is no endpoint, and the release record names {seen.released}",
                fix=f"`sluice rollback --to {seen.released}` makes it again",
                reconciled=False,
            )
        )
    if seen.serving is not None and seen.serving != seen.released:
        by_hand = seen.serving not in seen.known
        found.append(
            Finding(
                what=f"the endpoint serves {seen.serving}, and the release record names {seen.released or 'nothing'}",
                fix=(
                    "no deployment has released that: `sluice rollback --to MODEL` brings back what was"
                    if by_hand
                    else "a deployment ended between the two: the record follows the endpoint"
                ),
                reconciled=not by_hand,
            )
        )
    if seen.holder is not None:
        found.append(
            Finding(
                what=f"{seen.holder} holds the release lock, and runs no more",
                fix="whoever comes next takes it over",
                reconciled=True,
            )
        )
    if seen.alarms:
        found.append(
            Finding(
                what=f"alarms of a deployment that was stopped are left: {', '.join(seen.alarms)}",
                fix="they look at a fleet that is gone",
                reconciled=True,
            )
        )
    return found
