"""Keeps moto from refusing requests on the strength of bucket policies it cannot evaluate."""

from __future__ import annotations

import json

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket


def install() -> None:
    """Stops the usual TLS-only policy from refusing every request.

    moto asks a bucket's policy about requests, and reads `Deny … if aws:SecureTransport is false` as if it
    had no condition. Here such a statement is left out of the decision; GetBucketPolicy answers all.
    """
    FakeBucket.get_permission = _permission


def _permission(self: FakeBucket, action: str, resource: str) -> PermissionResult:
    if self.policy is None:
        return PermissionResult.NEUTRAL
    policy = json.loads(self.policy)
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    unconditional = [statement for statement in statements if "Condition" not in statement]
    if not unconditional:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps({**policy, "Statement": unconditional})).is_action_permitted(action, resource)
