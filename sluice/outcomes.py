"""How an execution can end: the one vocabulary that state machines, page, messages and exit statuses follow."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """What became of an upload. All but FAILED are expected ends: the execution succeeds and says which."""

    DEPLOYED = "Deployed"
    """The new model serves."""
    GATE_REJECTED = "GateRejected"
    """The new model was not good enough; what was in service still is."""
    ROLLED_BACK = "RolledBack"
    """The new model was deployed and taken back; what was in service before is again."""
    APPROVAL_REJECTED = "ApprovalRejected"
    """The new model passed its gates, and somebody who was asked said no; what was in service still is."""
    APPROVAL_EXPIRED = "ApprovalExpired"
    """The new model passed its gates, and nobody said yes or no in time; what was in service still is."""
    APPENDED = "Appended"
    """The rows are part of the table now; nothing was trained."""
    PREDICTED = "Predicted"
    """Each row of a file has its prediction, or the reason why it has none."""
    FAILED = "Failed"
    """Something broke; error and cause say what."""

    @property
    def exit_status(self) -> int:
        """The status that every command ends with; 2 is argparse's, for a command line it does not understand."""
        return _EXIT_STATUS[self]


class DriftOutcome(StrEnum):
    """How a run of `drift` can end. Each is expected: the execution succeeds."""

    DRIFTED = "Drifted"
    """Columns moved."""
    STABLE = "Stable"
    """None did, as far as the window could have shown."""
    TOO_FEW = "TooFew"
    """Too few rows to judge; they wait for the next window."""
    NO_TRAFFIC = "NoTraffic"
    """Nothing was captured since the last window, or nothing is deployed."""
    ALREADY_RUNNING = "AlreadyRunning"
    """Another execution looks at the traffic just now."""


CHAMPION_CHANGED: Final = "ChampionChanged"
"""How `deployment` ends where another model serves than the one that was judged against: `training` judges again."""
RECONCILED: Final = "Reconciled"
"""How `deployment` ends where nothing was to be deployed, and the record names what serves."""
AWAITING_APPROVAL: Final = "AwaitingApproval"
"""What the message says that asks for an approval, where others name the outcome."""

_EXIT_STATUS = {
    Outcome.DEPLOYED: 0,
    Outcome.APPENDED: 0,
    Outcome.PREDICTED: 0,
    Outcome.FAILED: 1,
    Outcome.GATE_REJECTED: 3,
    Outcome.ROLLED_BACK: 4,
    Outcome.APPROVAL_REJECTED: 5,
    Outcome.APPROVAL_EXPIRED: 6,
}
