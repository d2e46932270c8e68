"""Whether a model may have learned from rows that it is judged on: by the split that its training rows are of."""

from __future__ import annotations

from sluice.errors import EvaluationFailed
from sluice.payloads.training_record import TrainingRecord
from sluice.project import Project


def shown(record: TrainingRecord | None, project: Project) -> bool | None:
    """Say whether what the model learned from holds none of the rows that `project` holds out.

    A row is held out where the hash of its entity's key, with the salt, is below the share. So rows that are held out
    now were held out then if key and salt are the same and the share is no greater.

    Args:
        record: of the model's training.
        project: by whose split the rows are held out that it is judged on.

    Returns:
        True, or None where nothing is recorded of its training.

    Raises:
        EvaluationFailed: it may have learned from some of them.
    """
    if record is None:
        return None
    split, key = project.split, project.entity.key
    changed = []
    if record.split.salt != split.salt:
        changed.append(f"split.salt was {record.split.salt!r} and is {split.salt!r}")
    if record.split.held_out_share < split.held_out_share:
        changed.append(
            f"split.held_out_share was {record.split.held_out_share:g} and is {split.held_out_share:g}"
        )
    if record.entity_key != key:
        changed.append(f"entity.key was {record.entity_key or 'none'} and is {key or 'none'}")
    if changed:
        raise EvaluationFailed(
            "it may have learned from rows that it is to be judged on",
            where="project.toml, and environment.json in the model's archive",
            why=f"since it was trained, {', '.join(changed)}: other rows are held out now",
            fix="take the change back; or let the gate pass without a figure of the champion, once, by"
            ' gates.unjudged_champion = "minimums"',
        )
    return True
