"""IAM's simulations: the local AWS holds policies and judges none, so nobody may ask it to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.iam.exceptions import IAMException
from moto.iam.responses import IamResponse

if TYPE_CHECKING:
    from local.context import Context


class AccessDenied(IAMException):
    """Who asks may not."""

    code = "AccessDenied"


def install(_context: Context) -> None:
    """Refuse what moto does not know as IAM refuses whoever lacks the permission: SDKs go on without."""
    IamResponse.simulate_principal_policy = _refuse("SimulatePrincipalPolicy", "PolicySourceArn")
    IamResponse.simulate_custom_policy = _refuse("SimulateCustomPolicy", None)


def _refuse(operation: str, resource: str | None) -> Any:
    def refuse(self: Any) -> Any:
        on = self._get_param(resource) if resource else "*"
        raise AccessDenied(
            f"User: arn:aws:iam::{self.current_account}:root is not authorized to perform: iam:{operation} on "
            f"resource: {on} because no identity-based policy allows the iam:{operation} action"
        )

    return refuse
